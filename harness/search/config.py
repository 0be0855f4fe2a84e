"""The settings of simulated searches."""

from dataclasses import dataclass, field

from benchmarks.options import option


@dataclass(frozen=True)
class SearchConfig:
    """The settings of `python -m harness.search` on a table, an option each; those of the methods are in `settings`."""

    bench: str = "201"
    method: str = option("all", help="all (default) or names separated by commas")
    dataset: str | None = option(None, help="of the ground truth (default: the first there is, or the embedded digits)")
    split: str | None = option(
        None, help="accuracy that judges results: test (default; valid where the table has no test), valid, train"
    )
    epochs: int | None = option(None, help="training budget of that accuracy (default: the largest)")
    reduction: str = option("mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    query_dataset: str | None = option(None, help="dataset that answers queries (default: the same)")
    query_split: str | None = option(None, help="accuracy that answers queries (default: valid, or test without any)")
    query_epochs: int | None = option(None, help="its training budget (default: 12, or the largest without that)")
    query_reduction: str = option("mean", help="over its seeds: mean (default), max, or a seed label")
    query_seconds: float | None = option(None, help="of a training whose time the table does not know (default: none)")
    scores: str | None = option(None, help="folder of a run, or a CSV: searches are among the architectures it scores")
    proxies: str | None = option(None, help="guides (default: synflow,jacob_cov,snip, or params,flops,layers)")
    metric: str | None = option(None, help="metrics that hnas searches with, by commas")
    queries: int = option(100, help="trainings that a search may query", least=1, most=1_000_000)
    runs: int = option(500, help="simulated searches of each method", least=1, most=1_000_000)
    seed: int = option(0, help="of the random numbers (default 0)", least=0)
    data: str | None = option(None, help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    settings: dict[str, int | float | str] = field(default_factory=dict)
    """Settings of methods that differ from their defaults."""
