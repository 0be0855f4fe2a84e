"""The scores that figures are made from: the kept ones, or runs made for the purpose.

Kept scores were computed once, under the protocol `default`, with images of CIFAR-10 (`harness.scores`). A run is
scored under the protocol of the table's authors; it is an ordinary run folder, so it can be stopped and continued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.benchmark import EMBEDDED_DATASET
from benchmarks.errors import UserError
from harness.cached import kept as cached
from harness.proxies.ensembles import ENSEMBLES, Ensemble
from harness.proxies.registry import registry
from harness.reproduce.recipes import Recipe

AZ_NAS = ENSEMBLES["az_nas"].members
COMBINED = dict(ENSEMBLES) | {
    each.name: each
    for each in (
        Ensemble("az_nas with linear ranks", AZ_NAS, "rank_sum", "Lee and Ham 2024", "sum of relative ranks"),
        Ensemble("az_nas and zico", (*AZ_NAS, "zico"), "log_rank", "Lee and Ham 2024", "sum of logarithms of ranks"),
        Ensemble(
            "az_nas and synflow", (*AZ_NAS, "synflow"), "log_rank", "Lee and Ham 2024", "sum of logarithms of ranks"
        ),
    )
}
"""Ensembles that figures were published for, by name."""


@dataclass(frozen=True)
class Pool:
    """Scores of architectures of one benchmark by many proxies."""

    frame: pd.DataFrame
    """Index: architecture strings; a column for each proxy, larger is better, NaN where failed or not scored."""
    scored: dict[str, np.ndarray]
    """Proxy -> which rows were scored by it, (archs,) bool."""
    dataset: str
    """Whose images were seen."""
    protocol: str
    origins: list[dict[str, Any]] = field(default_factory=list)
    """Where the scores are from, for the manifest."""


@dataclass(frozen=True)
class Scoring:
    """How much is scored: what --quick and --full stand for."""

    sample: str
    batch_size: int | None
    without: tuple[str, ...] = ()
    """Proxies left out for their cost."""
    commands: bool = False
    """Whether searches and operation scores that take networks are carried out too."""


QUICK = Scoring("40", 16, ("zen", "gradsign", "vkdnw_single", "vkdnw", "ntk_cond", "swap", "reg_swap", "meco"))
FULL = Scoring("all", None, commands=True)


def merged(sets: Iterable[tuple[str, pd.DataFrame]], dataset: str, protocol: str, origins: list[dict]) -> Pool:
    """Make one pool of several sets of scores, each with a column `arch`; a proxy's are of the largest that has it."""
    sets = sorted(sets, key=lambda named: -len(named[1]))
    archs = list(dict.fromkeys(arch for _, frame in sets for arch in frame["arch"]))
    columns: dict[str, pd.Series] = {}
    scored: dict[str, np.ndarray] = {}
    for _, frame in sets:
        indexed = frame.set_index("arch")
        inside = np.isin(archs, indexed.index)
        for proxy in indexed.columns.difference(list(columns), sort=False):
            columns[proxy], scored[proxy] = indexed[proxy].reindex(archs), inside
    return Pool(pd.DataFrame(columns, index=archs), scored, dataset, protocol, origins)


def kept(bench: str) -> Pool | None:
    """Return the kept scores of a benchmark, all sets together; None where there are none."""

    facts = {name: about for name, about in cached.facts().items() if about["bench"] == bench}
    facts = {name: about for name, about in facts.items() if about["dataset"] != EMBEDDED_DATASET}
    if not facts:
        return None
    dataset = max(facts.values(), key=lambda about: about["scores"])["dataset"]
    names = [name for name, about in facts.items() if about["dataset"] == dataset]
    told = ("archs", "proxies", "command", "revision", "started", "table_checksum")
    origins = [{"scores": name, **{key: facts[name][key] for key in told if key in facts[name]}} for name in names]
    return merged([(n, cached.scores(bench, dataset, n)) for n in names], dataset, "default", origins)


def wanted(table: Recipe, bench: str) -> list[str]:
    """Return the proxies that scoring a benchmark for a table takes, members of ensembles included, counts not."""
    known = registry()
    names: list[str] = []
    for figure in table.figures:
        if figure.bench == bench:
            names += COMBINED[figure.method].members if figure.method in COMBINED else [figure.method]
    return [name for name in dict.fromkeys(names) if not known[name].static]


def run(
    table: Recipe, bench: str, dataset: str, scoring: Scoring, data: str | None, out: Path, say: Callable[[str], None]
) -> Pool | None:
    """Score what a table needs under its protocol, or continue; return None where it needs no network.

    The run's folder is out/runs/BENCH-DATASET-PROTOCOL: tables of one protocol share it, and each adds its proxies.
    Raises UserError for images that are not there.
    """
    from harness.runs.config import RunConfig
    from harness.runs.runner import run as score

    proxies = [name for name in wanted(table, bench) if name not in scoring.without]
    if not proxies:
        return None
    folder = out / "runs" / f"{bench}-{dataset}-{table.protocol}"
    config = RunConfig(
        bench=bench, dataset=dataset, proxies=",".join(proxies), sample=scoring.sample, batch_size=scoring.batch_size,
        protocol=table.protocol, data=data, out=str(folder),
    )  # fmt: skip
    stored = score(config, say=say)
    columns = {name: np.mean(values, axis=0) for name, values in stored.scores.items() if name in proxies}
    frame = pd.DataFrame({"arch": stored.archs, **columns})
    origins = [{"run": str(folder), "archs": len(frame), "proxies": len(columns), "protocol": table.protocol}]
    return merged([(folder.name, frame)], dataset, table.protocol, origins)


def pool_for(
    table: Recipe, bench: str, dataset: str, scoring: Scoring | None, data: str | None, out: Path,
    say: Callable[[str], None],
) -> Pool | None:  # fmt: skip
    """Return the scores for a table's figures on one dataset: kept ones without `scoring`, otherwise a run's.

    Where there are no images of the dataset, the run sees those of the benchmark's first dataset: stand-ins, told so
    by `Pool.dataset`.
    """
    if scoring is None:
        return kept(bench)
    from benchmarks.registry import space_of

    first = next(iter(space_of(bench).datasets))
    try:
        return run(table, bench, dataset, scoring, data, out, say)
    except UserError as error:
        if dataset == first:
            raise
        say(f"{table.name}, {bench} {dataset}: {error}; images of {first} instead")
        return run(table, bench, first, scoring, data, out, say)
