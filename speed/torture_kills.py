"""Runs whose processes are killed, doubled or denied the disk at random; each must end in the scores of a quiet run.

Trials run in forked children of this process, which has everything imported, in a session of their own, so that what
they leave behind is seen.
"""

import contextlib
import errno
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import torch
from tqdm import tqdm

from benchmarks.errors import UserError
from harness.cli.run import show
from harness.runs import runner
from harness.runs.config import RunConfig
from harness.runs.merge import merge
from harness.store.stored_run import StoredRun, load_run

PATIENCE = 180.0
"""Seconds after which a trial counts as a hang."""
USUAL = {"bench": "201", "dataset": "digits", "proxies": "snip,naswot", "sample": 8, "batch_size": 8, "stack": 2}
RIGHT = "as it should be"
Found = Counter[tuple[str, str]]


def run(out: Path, **settings) -> StoredRun:
    """Run quietly; every part is committed at once."""
    runner.COMMIT_SECONDS = -1.0
    return runner.run(RunConfig(**USUAL | {"workers": 1} | settings, out=str(out)), say=lambda line: None)


class Child:
    """A forked child in a session of its own that does something; its exit code is 0 done, 2 refused, 130 stopped."""

    def __init__(self, log: Path, action: Callable[[], object]) -> None:
        self.log = log
        self.code: int | None = None
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            os._exit(_code(action))

    def ended(self, seconds: float = PATIENCE) -> int | None:
        """Return the exit code (negative: the signal); None where it does not end."""
        until = time.monotonic() + seconds
        while self.code is None and time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
            time.sleep(0.005)
        return self.code

    def members(self) -> list[psutil.Process]:
        """Return the living processes of its session."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def workers(self) -> list[psutil.Process]:
        """Return its worker processes."""
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.pid).children()
            return [each for each in found if "spawn_main" in " ".join(each.cmdline())]
        return []

    def left(self) -> bool:
        """Kill what it left behind; return whether anything was there a while after its end."""
        until = time.monotonic() + 10
        while self.code is not None and (left := self.members()) and time.monotonic() < until:
            time.sleep(0.2)
        for process in (left := self.members()):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.ended(5)
        return bool(left)


def _code(action: Callable[[], object]) -> int:
    """Do it; return the exit code."""
    try:
        action()
        return 0
    except UserError as error:
        print(error, flush=True)
        return 2
    except KeyboardInterrupt:
        return 130
    except BaseException:
        traceback.print_exc()
        return 1


class Trials:
    """A folder for trials, the quiet run that all are compared with, and what came of them."""

    def __init__(self, seed: int, **settings) -> None:
        torch.set_num_threads(1)
        self.folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self.draw = random.Random(seed)
        self.settings = settings
        self.quiet = run(self.folder / "quiet", **settings)
        start = time.monotonic()
        run(self.folder / "timed", **settings)
        self.seconds = time.monotonic() - start
        self.found: Found = Counter()

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, kind: type | None, *_: object) -> bool:
        """Remove the folder; Ctrl-C ends the trials, and what was found until then counts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return kind is KeyboardInterrupt

    def child(self, action: Callable[[], object], name: str = "log") -> Child:
        """Start a child."""
        return Child(self.folder / name, action)

    def differs(self, out: Path) -> str:
        """Return what is wrong with a finished run, empty if nothing."""
        found = load_run(out)
        if found.archs != self.quiet.archs:
            return "other architectures"
        for name, values in self.quiet.scores.items():
            if name not in found.scores:
                return "scores are lost"
            if found.scores[name].tobytes() != values.tobytes():
                return "scores differ"
        left = [path for path in out.rglob("*") if path.suffix in (".part", ".tmp")]
        return "files are left over" if left or list((out / "parts").iterdir()) else ""

    def finish(self, what: str, out: Path, wrong: str = "", action: Callable[[], object] | None = None) -> None:
        """Repeat a command until it is done, three times at most, and record what came of the trial."""
        for _ in range(3):
            again = self.child(action or (lambda: run(out, **self.settings)))
            code = again.ended()
            wrong = wrong or ("hangs" if code is None else "processes are left" if again.left() else "")
            if code == 0 or wrong:
                break
        wrong = wrong or (self.differs(out) if code == 0 else f"exit code {code}")
        if wrong:
            print(f"{what}: {wrong}\n{(self.folder / 'log').read_text()[-3000:]}", file=sys.stderr)
        self.found[what, wrong or RIGHT] += 1
        shutil.rmtree(out, ignore_errors=True)
        (self.folder / "log").unlink(missing_ok=True)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it may have ended by then
        os.kill(pid, signal.SIGKILL)


def kills(count: int, seed: int) -> Found:
    """Kill processes of runs with SIGKILL, then repeat the command."""
    ways = {"main": _kill_main, "at merge": _kill_at_merge, "at report": _kill_at_report,
            "worker at start": _kill_starting_worker, "worker midway": _kill_working_worker}  # fmt: skip
    with Trials(seed) as trials:
        for number in tqdm(range(count), desc="kills"):
            what = list(ways)[number % len(ways)]
            out = trials.folder / f"run{number}"
            child = ways[what](trials, out)
            wrong = "hangs" if child.ended() is None else ""
            wrong = wrong or ("processes are left" if child.left() else "")
            trials.finish(what, out, wrong)
    return trials.found


def _kill_main(trials: Trials, out: Path) -> Child:
    """At any time of a run, with no workers or two."""
    workers = trials.draw.choice([1, 1, 1, 2])
    child = trials.child(lambda: run(out, workers=workers))
    child.ended(trials.draw.uniform(0, trials.seconds if workers == 1 else trials.seconds + 8))
    _kill(child.pid)
    return child


def _kill_at_merge(trials: Trials, out: Path) -> Child:
    """Before some call that touches the disk, once all is scored."""
    step = trials.draw.randrange(1, 9)

    def action() -> None:
        real = runner.collect

        def collect(*given):
            _die_before(step)
            return real(*given)

        runner.collect = collect
        run(out)

    return trials.child(action)


def _kill_at_report(trials: Trials, out: Path) -> Child:
    """While figures, tables and page are written."""
    step = trials.draw.randrange(1, 25)

    def action() -> None:
        found = run(out)
        _die_before(step)
        show(found)

    return trials.child(action)


def _die_before(step: int) -> None:
    """Kill this process before its `step`-th fsync, replacement or removal of a file."""
    count = 0

    def counted(real):
        def call(*given, **named):
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **named)

        return call

    os.fsync, os.replace, Path.unlink = map(counted, (os.fsync, os.replace, Path.unlink))  # type: ignore[assignment]


def _kill_starting_worker(trials: Trials, out: Path) -> Child:
    """One of two, before it is ready."""
    return _kill_worker(trials, out, trials.draw.uniform(0, 2))


def _kill_working_worker(trials: Trials, out: Path) -> Child:
    """One of two, once something is scored."""
    return _kill_worker(trials, out, trials.draw.uniform(0, 1), after="parts/*.npz")


def _kill_worker(trials: Trials, out: Path, seconds: float, after: str = "") -> Child:
    child = trials.child(lambda: run(out, workers=2))
    until = time.monotonic() + 60
    while child.ended(0.02) is None and time.monotonic() < until:
        if child.workers() and (not after or any(out.glob(after))):
            child.ended(seconds)
            if there := child.workers():
                _kill(trials.draw.choice(there).pid)
            break
    return child


def pairs(count: int, seed: int) -> Found:
    """Start two, four or eight runs on one folder at once, kill some, then repeat each until it is done."""
    with Trials(seed) as trials:
        for number in tqdm(range(count), desc="runs on one folder"):
            many, out = (2, 2, 4, 8)[number % 4], trials.folder / f"run{number}"
            proxies = trials.settings.get("proxies", USUAL["proxies"]).split(",")
            wanted = [partial(run, out, proxies=proxies[i % len(proxies)]) for i in range(many)]
            children = [trials.child(one) for one in wanted]
            if trials.draw.random() < 0.5:
                time.sleep(trials.draw.uniform(0, trials.seconds))
                _kill(trials.draw.choice(children).pid)
            codes = [child.ended() for child in children]
            wrong = "hangs" if None in codes else "processes are left" if any([c.left() for c in children]) else ""
            if odd := [code for code in codes if code not in (0, 2, -9, None)]:
                wrong = wrong or f"exit code {odd[0]}"
            again = [trials.child(one).ended() for one, code in zip(wanted, codes, strict=True) if code]
            wrong = wrong or ("is refused" if any(again) else "")
            trials.finish(f"{many} runs", out, wrong)
    return trials.found


def shards(count: int, seed: int) -> Found:
    """Score two, three or four shards at once, kill some at random, repeat those, merge."""
    with Trials(seed) as trials:
        for number in tqdm(range(count), desc="shards"):
            many, out = 2 + number % 3, trials.folder / f"run{number}"

            def one(part: int, many: int = many, out: Path = out) -> Child:
                return trials.child(lambda: run(out, shard=f"{part}/{many}"), f"log{part}")

            children = {part: one(part) for part in range(1, many + 1)}
            for child in children.values():
                if trials.draw.random() < 0.6:
                    child.ended(trials.draw.uniform(0, trials.seconds))
                    _kill(child.pid)
            again = {part: one(part) if child.ended() else child for part, child in children.items()}
            wrong = "" if all(child.ended() == 0 for child in again.values()) else "a shard does not end"
            trials.finish(f"{many} shards", out, wrong, lambda out=out: merge([out], None, lambda line: None))
    return trials.found


def disk(count: int, seed: int) -> Found:
    """Let writes fail from some moment on, as on a full disk or one that becomes read-only; then repeat."""
    with Trials(seed) as trials:
        for number in tqdm(range(count), desc="disk"):
            why = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)[number % 3]
            what, out = os.strerror(why), trials.folder / f"run{number}"
            step = trials.draw.randrange(1, 25)
            child = trials.child(lambda why=why, step=step, out=out: (_fail_from(step, why), run(out)))
            code = child.ended()
            said = (trials.folder / "log").read_text()
            wrong = "" if code in (0, 2) else "hangs" if code is None else f"exit code {code}"
            wrong = wrong or ("a traceback" if "Traceback" in said else "")
            told = what in said or "the disk is full" in said
            trials.finish(what, out, wrong or ("no reason" if code == 2 and not told else ""))
    return trials.found


def _fail_from(step: int, why: int) -> None:
    """Let the `step`-th fsync or replacement and all after it fail."""
    count = 0

    def failing(real):
        def call(*given, **named):
            nonlocal count
            count += 1
            if count >= step:
                raise OSError(why, os.strerror(why))
            return real(*given, **named)

        return call

    os.fsync, os.replace = map(failing, (os.fsync, os.replace))  # type: ignore[assignment]
