"""Misbehaving proxies of users beside others, and runs on a Ray cluster that are stopped at random."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from benchmarks.errors import UserError
from speed.torture_kills import PATIENCE, RIGHT, USUAL, Found, Trials, run


def proxies(count: int, seed: int) -> Found:
    """Score misbehaving proxies of users, in random choice and order, beside two that behave and three of ours."""
    file = Path(__file__).parents[1] / "tests" / "proxies" / "misbehaving.py"
    names = [line[4:].partition("(")[0] for line in file.read_text().splitlines() if line.startswith("def ")]
    good, bad = [n for n in names if n.startswith("good")], [n for n in names if not n.startswith(("good", "score"))]
    ours = [*(f"{file}:{name}" for name in good), "snip", "naswot", "zen@naslib"]
    settings = {"proxy_timeout": 3.0, "sample": 2}
    with Trials(seed, proxies=",".join(ours), **settings) as trials:
        for number in tqdm(range(count), desc="misbehaving proxies"):
            chosen = [f"{file}:{name}" for name in trials.draw.sample(bad, 6)] + ours
            trials.draw.shuffle(chosen)
            out = trials.folder / f"run{number}"
            trials.finish("six misbehaving proxies", out, "", lambda out=out, c=chosen: run(
                out, proxies=",".join(c), **settings
            ))  # fmt: skip
    return trials.found


def ray(count: int, seed: int) -> Found:
    """Stop a run on a Ray cluster of two workers with Ctrl-C or SIGTERM, then go on with it here."""
    try:
        from ray.cluster_utils import Cluster
    except ImportError:
        raise UserError("needs Ray: python -m pip install -e '.[cluster]'") from None
    nodes = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=nodes)
    cluster.add_node(num_cpus=1)
    found: Found = Counter()
    draw = random.Random(seed)
    words = [f"--{name.replace('_', '-')}={value}" for name, value in USUAL.items() if name != "sample"]
    environment = os.environ | {"RAY_ADDRESS": cluster.address, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        for number in tqdm(range(count), desc="ray"):
            how = (signal.SIGINT, signal.SIGTERM)[number % 2]
            out, log = Path(folder, f"run{number}"), Path(folder, "log")
            with log.open("w") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "harness", "run", *words, "--sample=500", "--executor=ray", f"--out={out}"],
                    env=environment, stdout=file, stderr=file, start_new_session=True,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                )  # fmt: skip
            found[how.name, _stopped(process, how, log, draw.uniform(0, 8))] += 1
    cluster.shutdown()
    return found


def _stopped(process: subprocess.Popen, how: signal.Signals, log: Path, seconds: float) -> str:
    """Send a signal, some seconds after the run began to score; return what came of it."""
    until = time.monotonic() + PATIENCE
    while "scoring into" not in log.read_text() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(seconds)
    if process.poll() is not None:
        return f"ended before, exit code {process.poll()}"
    process.send_signal(how)
    try:
        code = process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        return "hangs"
    said = log.read_text()
    if code != 130 or "Traceback" in said or "repeat the command" not in said:
        print(said[-2000:], file=sys.stderr)
        return f"exit code {code}" if code != 130 else "no message, or a traceback"
    return RIGHT
