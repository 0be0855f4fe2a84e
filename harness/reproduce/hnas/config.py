"""The settings of the tables of HNAS's metrics."""

from dataclasses import dataclass

from benchmarks.options import option


@dataclass(frozen=True)
class HnasConfig:
    """The settings of `python -m harness.reproduce.hnas`, an option each."""

    scores: tuple[str, ...]
    """Folders of runs, one for each dataset, or a CSV of scores."""
    bench: str = "201"
    dataset: str | None = option(None, help="of the tables but the last (default: that of the first run)")
    split: str | None = option(
        None, help="accuracy whose error is meant: test (default; valid where the table has no test), valid, train"
    )
    epochs: int | None = option(None, help="its training budget (default: the largest)")
    reduction: str = option("mean", help="over its seeds: mean (default), max, or a seed label")
    data: str | None = option(None, help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    resamples: int = option(1000, help="bootstrap samples of an interval")
