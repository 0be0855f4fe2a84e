"""Facts: values of a benchmark's table alone, without a network. Each measure is a function of a `Ground`.

A published value names its measure, and in `args` the keyword arguments of the function. Accuracies in percent.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark, find_table
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from benchmarks.table import Table
from harness.operations.agreement import STATISTICS, Chosen, argmax, judge_choice, mean_by_edge
from harness.operations.scores.table import avg_acc, best_acc


@dataclass(frozen=True)
class Ground:
    """The arguments of all measures."""

    benchmark: Benchmark
    data: str | None
    """Data folder."""
    other: Callable[[str], Benchmark]
    """The same benchmark on another dataset."""

    @property
    def table(self) -> Table:
        return self.benchmark.table


def budgets(ground: Ground, *, statistic: str, first_dataset: str = "") -> float:
    """Rank correlation of validation accuracy after 12 epochs with test accuracy after 200."""
    early = ground.other(first_dataset) if first_dataset else ground.benchmark
    return STATISTICS[statistic](early.table.target("valid", 12), ground.table.target("test", 200))


def file_column(ground: Ground, *, column: str, statistic: str) -> float:
    """Rank correlation of a column of the CSV file with test accuracy after 200 epochs."""
    path = find_table(ground.benchmark.space.name, data_folder(ground.data))
    if path is None or path.suffix != ".csv" or column not in pd.read_csv(path, nrows=0):
        raise UserError(f"needs a CSV table with a column {column}; {ground.table.source} has none")
    values = pd.read_csv(path, usecols=["arch", column]).set_index("arch")[column]
    test = ground.table.target("test", 200)
    return STATISTICS[statistic](values[list(ground.table.archs)].to_numpy(), test)


def best(ground: Ground, *, reduction: str = "mean", error: bool = False) -> float:
    """The best test accuracy; with `error`, the lowest test error as a fraction."""
    accuracy = float(np.nanmax(ground.table.target("test", None, reduction)))
    return 1 - accuracy / 100 if error else accuracy


def strings(ground: Ground) -> float:
    """Number of architectures in the table."""
    return len(ground.table)


def distinct(ground: Ground) -> float:
    """Number of distinct networks among them."""
    return len(np.unique(ground.benchmark.space.class_id[ground.benchmark.indices]))


def disconnected(ground: Ground) -> float:
    """Number of architectures without a path from input to output."""
    return int((~ground.benchmark.space.connected[ground.benchmark.indices]).sum())


def trainings(ground: Ground, *, count: int) -> float:
    """Number of architectures that were trained `count` times."""
    return int((np.isfinite(ground.table.per_seed("test")).sum(1) == count).sum())


def seeds(ground: Ground, *, statistic: str) -> float:
    """Rank correlation between the first two trainings."""
    return STATISTICS[statistic](*ground.table.per_seed("test")[:, :2].T)


def accuracy_of(ground: Ground, *, arch: str) -> float:
    """Test accuracy of an architecture, mean over its trainings."""
    return float(ground.table.target("test")[ground.table.archs.index(arch)])


def rank_of(ground: Ground, *, arch: str) -> float:
    """1 + the number of architectures with a better test accuracy."""
    accuracy = ground.table.target("test")
    return 1 + int((accuracy > accuracy[ground.table.archs.index(arch)] + 1e-9).sum())


def size_of(ground: Ground, *, arch: str, which: str, network: str = "", classes: int = 10, side: int = 32) -> float:
    """Parameters or multiply-accumulates (`which`: params or flops) of one network; `network` as in --network."""
    space = ground.benchmark.space.with_network(network or None).over([arch])
    settings = {**space.network, **space.counted, "classes": classes, "resolution": side}
    return float(space.sizes(**settings)[("params", "flops").index(which), space.locate(arch)])


def operations(ground: Ground, *, score: str, other: str) -> float:
    """Spearman's rho between two operation scores of the table, mean over edges."""
    return mean_by_edge(from_table(ground.benchmark, score), from_table(ground.benchmark, other))


def operations_accuracy(ground: Ground, *, score: str) -> float:
    """Test accuracy of the cell that an operation score of the table chooses edge by edge."""
    return _chosen(ground.benchmark, score).accuracy


def operations_rank(ground: Ground, *, score: str) -> float:
    """Its rank: 1 + the number of better architectures."""
    return _chosen(ground.benchmark, score).rank


def from_table(benchmark: Benchmark, score: str) -> np.ndarray:
    """Return an operation score of the table by name (`harness.operations`), (edges, operations)."""
    kind, _, trials = score.partition("@")
    accuracy = benchmark.table.per_seed("test") if trials else benchmark.table.target("test")
    choices = benchmark.space.choices.of(benchmark.indices)
    return {"best-acc": best_acc, "avg-acc": avg_acc}[kind](choices, accuracy)


def _chosen(benchmark: Benchmark, score: str) -> Chosen:
    return judge_choice(benchmark, benchmark.table.target("test"), argmax(from_table(benchmark, score))[0])


MEASURES: dict[str, Callable[..., float]] = {each.__name__: each for each in (
    budgets, file_column, best, strings, distinct, disconnected, trainings, seeds, accuracy_of, rank_of, size_of,
    operations, operations_accuracy, operations_rank,
)}  # fmt: skip
