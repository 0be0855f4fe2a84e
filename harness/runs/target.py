"""Which accuracy of a benchmark is to be predicted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import UserError
from benchmarks.benchmark import Benchmark


@dataclass(frozen=True)
class Target:
    """Which accuracy is to be predicted."""

    dataset: str
    split: str
    epochs: int
    reduction: str


def together(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns; raise one UserError that says all that is wrong."""
    results, problems = [], []
    for check in checks:
        try:
            results.append(check())
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))
    return results


def target_of(benchmark: Benchmark, split: str, epochs: int | None, reduction: str) -> Target:
    """Return the target; UserError for a split, budget and reduction that the table does not have, all at once, and
    where no architecture has that accuracy."""
    table = benchmark.table
    together(
        lambda: table.target(split),
        lambda: table.target(table.splits[0], epochs),
        lambda: table.target(table.splits[0], None, reduction),
    )
    target = Target(table.dataset, split, epochs or max(table.epochs), reduction)
    check_known(known_rows(benchmark, target), target, table.source)
    return target


def known_rows(benchmark: Benchmark, target: Target) -> np.ndarray:
    """Return which rows of the table have the accuracy of the target, bool (rows,)."""
    return np.isfinite(benchmark.table.target(target.split, target.epochs, target.reduction))


def check_known(known: np.ndarray, target: Target, source: str) -> None:
    """Raise UserError where no architecture of a source has the accuracy."""
    if not known.any():
        seeds = "" if target.reduction == "mean" else f", {target.reduction} of the seeds"
        raise UserError(
            f"none of the {len(known):,} architectures of {source} has a {target.split} accuracy of '{target.dataset}'"
            f" after {target.epochs} epochs{seeds}"
        )
