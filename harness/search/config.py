"""What the command line says: the settings of simulated searches."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SearchConfig:
    """What is compared, on what; the names are the options of the command line."""

    bench: str = "201"
    method: str = "all"
    dataset: str | None = None
    split: str = "test"
    epochs: int | None = None
    reduction: str = "mean"
    query_dataset: str | None = None
    query_split: str | None = None
    query_epochs: int | None = None
    query_reduction: str = "mean"
    query_seconds: float | None = None
    scores: str | None = None
    proxies: str | None = None
    metric: str | None = None
    queries: int = 100
    runs: int = 500
    seed: int = 0
    data: str | None = None
    settings: dict[str, int | float | str] = field(default_factory=dict)
    """Settings of methods that differ from their defaults."""
