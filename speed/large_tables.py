"""`python -m speed.large_tables`: the time and memory of a report on a large table, stage by stage.

Made-up scores with the structure of NAS-Bench-101 (423,624 different cells, none disconnected, three trainings each,
tied counts, a few scores and trainings missing) are stored as a run; then everything that `python -m harness.report`
does is done and timed. Prints wall and processor seconds and the peak memory so far for each stage, then the size of
every file. With `--classes` there are equivalent and disconnected strings too, so that the three populations differ.
"""

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from harness.analysis.ensembles import with_ensembles
from harness.analysis.summary import summarise
from harness.report import page, run_figures, tables
from harness.report.text import print_summary
from harness.store.store import Store
from harness.store.stored_run import StoredRun, load_run
from speed.command import CommandLine

COUNTS = ("params", "flops", "layers")
MEMBERS = (
    *("az_expressivity", "az_progressivity", "az_trainability", "az_complexity", "ntk_cond", "vkdnw"),
    *("linear_regions@te_nas", "linear_regions@az_nas", "synflow", "jacob_cov", "snip"),
)
"""Proxies of the published ensembles and of the vote, so that all of these are made."""


def made_up_run(folder: Path, archs: int, proxies: int, *, classes: bool = False, seed: int = 0) -> StoredRun:
    """Return a run of a whole space: counts with many ties, noisy versions of the truth, one score in 200 missing."""
    rng = np.random.default_rng(seed)
    class_id = np.sort(rng.integers(0, max(2, archs * 3 // 5), archs)) if classes else np.arange(archs)
    quality = rng.normal(size=archs)[class_id]
    trainings = np.round(100 - 6 * np.exp(0.5 * (quality[:, None] * -1 + 0.3 * rng.normal(size=(archs, 3)))), 4)
    trainings[rng.random(trainings.shape) < 0.002] = np.nan
    vertices = np.round(3 + quality + rng.normal(size=archs)[class_id]).clip(0, 5)
    params = np.round(1e6 * (1 + vertices) + 1e5 * np.round(6 * rng.random(archs)[class_id]), -3)
    scores = {"params": params, "flops": params * 80 + vertices, "layers": vertices}
    names = [*COUNTS, *MEMBERS, *(f"proxy_{number:02d}" for number in range(100))][:proxies]
    for place, name in enumerate(names[len(COUNTS) :]):
        scores[name] = quality + (0.2 + 0.1 * place) * rng.normal(size=archs)[class_id]
        scores[name][rng.random(archs) < 0.005] = np.nan
        if name == "linear_regions@az_nas":  # a count too
            scores[name] = np.round(4 * scores[name])
    failures = [
        (name, 0, f"cell{at}", "score is nan") for name in scores for at in np.flatnonzero(np.isnan(scores[name]))
    ]
    accuracy = np.nanmean(trainings, axis=1)
    settings = {"bench": "101", "share": classes, "sample": archs, "seeds": 1, "proxies": names}
    return StoredRun(
        path=folder,
        manifest={"settings": settings, "benchmark": "made-up NAS-Bench-101", "space_size": archs, "proxies": {}},
        archs=tuple(f"conv3x3,conv1x1,maxpool3x3,conv3x3|01,02,13,24,35,45|{number}" for number in range(archs)),
        index=np.arange(archs),
        accuracy=accuracy,
        seed_accuracy=trainings,
        class_id=class_id,
        connected=rng.random(archs) > 0.02 if classes else np.ones(archs, bool),
        params=params,
        conv_count=vertices.astype(int),
        scores={name: score[None] for name, score in scores.items()},
        seconds={name: rng.random((1, archs)) for name in scores},
        failures=pd.DataFrame(failures, columns=["proxy", "seed", "arch", "reason"]),
        space_best=float(accuracy.max()),
    )


def store(folder: Path, given: argparse.Namespace) -> None:
    """Write a made-up run as a finished one."""
    run = made_up_run(folder, given.archs, given.proxies, classes=given.classes)
    Store(folder, run.manifest, given.archs, existing="replace").merge(run)


def timed(name: str, stage: Callable[[], Any]) -> Any:
    """Return the result of a stage; print its time and the peak memory."""
    wall, processor = time.perf_counter(), time.process_time()
    result = stage()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:12} {wall:8.1f} s wall {processor:8.1f} s processor   peak {memory:6.0f} MiB", flush=True)
    return result


def report(folder: Path, intervals: str) -> None:
    """Do and time what `python -m harness.report` does."""

    def whole() -> None:
        run = with_ensembles(timed("load", lambda: load_run(folder)))
        summary = timed("statistics", lambda: summarise(run, intervals=intervals))
        timed("tables", lambda: tables.write_tables(run, summary, folder))
        timed("figures", lambda: run_figures.write_figures(run, summary, folder))
        timed("page", lambda: page.write_page(run, summary, folder))
        timed("terminal", lambda: print_summary(run, summary, Console(file=io.StringIO(), width=120)))

    timed("all", whole)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size / 1e6:9.2f} MB  {path.relative_to(folder)}")


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("large_tables", __doc__)
    line.count("--archs", "architectures", 423_624)
    line.count("--proxies", "proxies, counts among them", 30)
    line.add_argument("--classes", action="store_true", help="equivalent and disconnected strings too")
    line.add_argument(
        "--intervals", default="auto", help="auto (default: none, as the whole space was scored), always, never"
    )
    line.add_argument("--out", type=Path, help="run folder to keep (default: one that is removed)")
    line.add_argument("--store", action="store_true", help="only write the run")
    return line


def main(argv: list[str] | None = None) -> int:
    """Store a run in a separate process, whose memory is not counted, then report on it; return the exit code."""
    return parser().run(argv, _run, "stopped")


def _run(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.out or Path(scratch)
        if given.store:
            store(folder, given)
            return
        if not (folder / "scores.h5").exists():
            sizes = ["--archs", str(given.archs), "--proxies", str(given.proxies), *["--classes"] * given.classes]
            command = [sys.executable, "-m", "speed.large_tables", *sizes, "--store", "--out", str(folder)]
            subprocess.run(command, check=True)
        print(f"{given.archs:,} architectures x {given.proxies} proxies, load before {os.getloadavg()[0]:.1f}")
        report(folder, given.intervals)


if __name__ == "__main__":
    sys.exit(main())
