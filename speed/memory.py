"""`python -m speed.memory`: the memory of a long run, in each tenth of its time.

`python -m harness.run` scores 1,200 tiny networks in two worker processes. A process's memory is its private part and
its share of what it has in common with others (PSS), sampled every quarter of a second from when the first scores are
on disk until the workers end. It must not grow by 5 % from the first to the last tenth. `--alone` scores in this
process instead, one network at a time. Takes minutes. Needs Linux.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.table import Table, save_tables
from harness.engine.processes import one_thread
from harness.engine.scorer import Chunk, Scorer
from speed.command import CommandLine, write_json
from speed.networks import setting_201

ROOT = Path(__file__).resolve().parents[1]
GROWTH = 0.05
"""Growth from the first to the last tenth that is too much."""
EVERY = 0.25
"""Seconds between samples."""
LOADED = 2**27
"""Least bytes of a process with PyTorch; the process that tracks shared resources has less."""
SIZES = {"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10, "resolution": 8}


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("memory", __doc__)
    line.count("--networks", "networks that are scored", 1200)
    line.add_argument("--proxies", default="core,grasp,zico", help="as for harness.run (default core,grasp,zico)")
    line.add_argument("--stack", default="auto", help="as for harness.run (default auto)")
    line.count("--workers", "processes that score", 2)
    line.add_argument("--alone", action="store_true", help="score in this process, without harness.run")
    line.add_argument("--out", type=Path, help="file for the samples, JSON (default: none)")
    return line


def memory(pid: int) -> int:
    """Return the memory of a process in bytes, 0 where it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * int(text.split("Pss:")[1].split()[0])


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def write_table(folder: Path, networks: int) -> int:
    """Write a ground truth whose strings are this many networks of 4 channels, one cell, 8x8; return the strings."""
    space = space_of("201")
    sample = space.sample(len(space), 0)
    first = np.unique(space.class_id[sample], return_index=True)[1]
    count = int(np.sort(first)[networks - 1]) + 1  # the first strings that hold so many
    accuracy = np.random.default_rng(0).uniform(10, 90, (count, 2, 2, 3))
    table = Table(
        benchmark="201", dataset="cifar10", archs=tuple(space.archs[i] for i in sample[:count]),
        splits=("valid", "test"), epochs=(12, 200), seeds=("0", "1", "2"), accuracy=accuracy, source="made up",
        checksum="0" * 64, attributes=SIZES,
    )  # fmt: skip
    save_tables(folder / "nasbench201.h5", [table])
    return count


def run(given: argparse.Namespace, folder: Path) -> list[tuple[float, dict[int, int]]]:
    """Return (seconds, {process: bytes}) while harness.run scores; the first process is the one that was started."""
    strings = write_table(folder, given.networks)
    command = [
        sys.executable, "-m", "harness.run", "--bench", "201", "--data", str(folder), "--inputs", "gaussian",
        "--batch-size", "16", "--sample", "all", "--proxies", given.proxies, "--stack", given.stack,
        "--workers", str(given.workers), "--out", str(folder / "run"),
    ]  # fmt: skip
    print(f"{strings} strings: {' '.join(command[1:])}", flush=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, cwd=folder)
    samples = []
    while process.poll() is None:
        if any((folder / "run" / "parts").glob("*.npz")):
            samples.append((time.monotonic(), {pid: memory(pid) for pid in [process.pid, *children(process.pid)]}))
        time.sleep(EVERY)
    if process.returncode:
        raise UserError(f"the run ended with {process.returncode}")
    return samples


def scoring(samples: list[tuple[float, dict[int, int]]], workers: int) -> list[tuple[float, dict[int, int]]]:
    """Return the samples before the workers end."""
    at_work = [sum(size > LOADED for size in sizes.values()) > workers * (workers > 1) for _, sizes in samples]
    return samples[: max((place for place, working in enumerate(at_work, 1) if working), default=0)]


def alone(given: argparse.Namespace) -> list[tuple[float, dict[int, int]]]:
    """Return samples of this process, one for each network it scores."""
    setting = setting_201(given.proxies, channels=8, cells=1, resolution=16, batch_size=32, device="cpu")
    scorer, space = Scorer(setting), space_of("201")
    names = tuple(name for name, proxy in scorer.proxies.items() if not proxy.static)
    indices = np.unique(space.class_id[space.sample(len(space), 0)])[: given.networks]
    samples = []
    with one_thread():
        for index in np.random.default_rng(0).permutation(indices):
            scorer.score(Chunk(0, (int(index),), names))
            samples.append((time.monotonic(), {os.getpid(): memory(os.getpid())}))
    return samples


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit code: 1 where memory grew by more than `GROWTH`."""
    return parser().run(argv, _run, "stopped")


def _run(given: argparse.Namespace) -> bool:
    if given.alone:
        samples = alone(given)
    else:
        with tempfile.TemporaryDirectory() as folder:
            samples = scoring(run(given, Path(folder)), given.workers)
    if len(samples) < 10:
        raise UserError(f"only {len(samples)} samples: the run is too short, take more --networks")
    tenths = np.array_split(np.arange(len(samples)), 10)
    totals = np.array([sum(sizes.values()) for _, sizes in samples]) / 2**20
    first = next(iter(samples[0][1]))
    parent = np.array([sizes[first] for _, sizes in samples]) / 2**20
    print(f"{len(samples)} samples in {samples[-1][0] - samples[0][0]:.0f} s; MB, mean (most)")
    for number, group in enumerate(tenths, 1):
        print(
            f"tenth {number:>2}: all processes {totals[group].mean():8.1f} ({totals[group].max():8.1f})"
            f"  the first process {parent[group].mean():8.1f}"
        )
    growth = totals[tenths[-1]].mean() / totals[tenths[0]].mean() - 1
    print(f"growth from the first to the last tenth: {100 * growth:+.1f} %; {'grows' if growth > GROWTH else 'flat'}")
    if given.out:
        write_json(given.out, [[at - samples[0][0], sizes] for at, sizes in samples])
    return bool(growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
