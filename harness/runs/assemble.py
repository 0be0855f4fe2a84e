"""Scores of a benchmark's architectures -> a StoredRun: the target accuracies, the counts and the baselines beside
them.

What `harness.run` scored itself and what `harness.evaluate` was given go through here alike.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from harness.runs.target import Target
from harness.store.stored_run import StoredRun


@dataclass(frozen=True)
class Scores:
    """Scores of the rows of a run, by proxy."""

    scores: dict[str, np.ndarray]
    """(seeds, archs) each, larger is better; NaN or infinite where it failed."""
    seconds: dict[str, np.ndarray]
    """(seeds, archs) each; NaN where not known or shared."""
    failures: list[tuple[str, int, str, str]]
    """(proxy, seed, arch, reason) of every score that is not finite."""


def assemble(
    benchmark: Benchmark,
    rows: np.ndarray,
    target: Target,
    given: Scores,
    manifest: dict,
    out: Path,
    network: dict[str, int],
    resolution: int,
) -> StoredRun:
    """Put scores of some rows of the table beside what is known of their architectures."""  # fmt: skip
    space, indices = benchmark.space, benchmark.indices[rows]
    accuracy = benchmark.table.target(target.split, target.epochs, target.reduction)
    return StoredRun(
        path=out, manifest=manifest, archs=tuple(space.archs[i] for i in indices), index=indices,
        accuracy=accuracy[rows], seed_accuracy=benchmark.table.per_seed(target.split, target.epochs)[rows],
        class_id=space.class_id[indices], connected=space.connected[indices],
        params=space.sizes(resolution=resolution, **network)[0][indices], conv_count=space.conv_count[indices],
        scores=given.scores, seconds=given.seconds,
        failures=pd.DataFrame(given.failures, columns=["proxy", "seed", "arch", "reason"]),
        space_best=float(np.nanmax(accuracy)),
    )  # fmt: skip
