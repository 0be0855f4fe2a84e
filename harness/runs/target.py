"""Which accuracy of a benchmark is to be predicted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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
    """Return the target; UserError for a split, budget and reduction that the table does not have, all at once."""
    table = benchmark.table
    together(
        lambda: table.target(split),
        lambda: table.target(table.splits[0], epochs),
        lambda: table.target(table.splits[0], None, reduction),
    )
    return Target(table.dataset, split, epochs or max(table.epochs), reduction)
