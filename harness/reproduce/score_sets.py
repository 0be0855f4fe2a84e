"""The scores that our values are made from: the kept ones, or runs made for the purpose.

Kept scores were computed once, with images of CIFAR-10 (`harness.scores`): under the protocol of the table's authors
where such a set is kept and has the proxy, otherwise under `default`. A run is scored under the protocol of the table's
authors; it is an ordinary run folder, so it can be stopped and continued.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.benchmark import EMBEDDED_DATASET, space_of
from benchmarks.errors import UserError
from harness.cached import kept as cached
from harness.proxies.ensembles import ENSEMBLES, Ensemble
from harness.proxies.registry import registry
from harness.reproduce.recipes import Recipe
from harness.runs.config import RunConfig
from harness.runs.runner import run as score

AZ_NAS = ENSEMBLES["az_nas"].members
LOG_RANK = "log_rank", "Lee and Ham 2024", "sum of logarithms of ranks"
COMBINED = dict(ENSEMBLES) | {
    each.name: each
    for each in (
        Ensemble("az_nas with linear ranks", AZ_NAS, "rank_sum", "Lee and Ham 2024", "sum of relative ranks"),
        Ensemble("az_nas and zico", (*AZ_NAS, "zico"), *LOG_RANK),
        Ensemble("az_nas and synflow", (*AZ_NAS, "synflow"), *LOG_RANK),
    )
}
"""Ensembles with published values, by name."""


@dataclass(frozen=True)
class ScoreSet:
    """Scores of architectures of one benchmark by many proxies."""

    frame: pd.DataFrame
    """Index: architecture strings; a column for each proxy, larger is better, NaN where failed or not scored."""
    scored: dict[str, np.ndarray]
    """Proxy -> which rows were scored by it, (archs,) bool."""
    dataset: str
    """Dataset of the images that the networks saw."""
    protocol: str
    origins: list[dict[str, Any]] = field(default_factory=list)
    """How the scores were made, for the manifest."""
    protocols: dict[str, str] = field(default_factory=dict)
    """Proxy -> its protocol, where that is another."""
    usual: ScoreSet | None = None
    """The scores under `protocol` alone, the same rows, where some proxies have another."""

    def protocol_of(self, method: str) -> str:
        """Return the protocol of a proxy, or those of an ensemble's members."""
        parts = COMBINED[method].members if method in COMBINED and method not in self.frame else (method,)
        return ", ".join(dict.fromkeys(self.protocols.get(name, self.protocol) for name in parts))


@dataclass(frozen=True)
class Scoring:
    """How much is scored: the meaning of --quick and --full."""

    sample: str
    batch_size: int | None
    without: tuple[str, ...] = ()
    """Proxies left out for their cost."""
    commands: bool = False
    """Whether searches and operation scores that take networks are carried out too."""


QUICK = Scoring("40", 16, ("zen", "gradsign", "vkdnw_single", "vkdnw", "ntk_cond", "swap", "reg_swap", "meco"))
FULL = Scoring("all", None, commands=True)


def merged(
    frames: Iterable[pd.DataFrame], dataset: str, protocol: str, origins: list[dict], first: Sequence[pd.DataFrame] = ()
) -> ScoreSet:  # fmt: skip
    """Make one set of several frames of scores, each with a column `arch`; a proxy's are of the first of `first` that
    has it, otherwise of the largest frame."""
    frames = [*first, *sorted(frames, key=lambda frame: -len(frame))]
    archs = list(dict.fromkeys(arch for frame in frames for arch in frame["arch"]))
    columns: dict[str, pd.Series] = {}
    scored: dict[str, np.ndarray] = {}
    for frame in frames:
        indexed = frame.set_index("arch")
        inside = pd.Index(archs).isin(indexed.index)
        for proxy in indexed.columns.difference(list(columns), sort=False):
            columns[proxy], scored[proxy] = indexed[proxy].reindex(archs), inside
    return ScoreSet(pd.DataFrame(columns, index=archs), scored, dataset, protocol, origins)


def kept_protocols(bench: str) -> dict[str, str]:
    """Return {set of kept scores: its protocol} of a benchmark."""
    return {
        name: about["settings"].get("protocol", "default")
        for name, about in cached.facts().items()
        if about["bench"] == bench and about["dataset"] != EMBEDDED_DATASET
    }


def kept(bench: str, protocol: str = "default") -> ScoreSet | None:
    """Return the kept scores of a benchmark, all sets together, those of `protocol` before those of `default`; None
    where there are none."""
    of = kept_protocols(bench)
    facts = {name: cached.facts()[name] for name in of}
    if not facts:
        return None
    dataset = max(facts.values(), key=lambda about: about["scores"])["dataset"]
    names = [name for name in facts if facts[name]["dataset"] == dataset and of[name] in ("default", protocol)]
    keys = ("archs", "proxies", "command", "revision", "started", "table_checksum")
    origins = [{"scores": name, **{key: facts[name][key] for key in keys if key in facts[name]}} for name in names]
    frames = {name: cached.scores(bench, dataset, name) for name in names}
    own = [frames.pop(name) for name in names if of[name] != "default"]
    own.sort(key=len, reverse=True)
    found = merged(frames.values(), dataset, "default", origins, own)
    index = pd.DataFrame({"arch": found.frame.index})
    usual = merged(frames.values(), dataset, "default", origins, [index]) if own and frames else None
    protocols = {proxy: protocol for frame in own for proxy in frame.columns.drop("arch")}
    return replace(found, protocols=protocols, usual=usual)


def wanted(table: Recipe, bench: str) -> list[str]:
    """Return the proxies to score on a benchmark for a table: members of ensembles too, no counts."""
    known = registry()
    methods = [published.method for published in table.values if published.bench == bench]
    names = [name for method in methods for name in (COMBINED[method].members if method in COMBINED else [method])]
    return [name for name in dict.fromkeys(names) if not known[name].static]


def run(
    table: Recipe, bench: str, dataset: str, scoring: Scoring, data: str | None, out: Path, say: Callable[[str], None]
) -> ScoreSet | None:
    """Score what a table needs under its protocol, or continue; return None where it needs no network.

    The run's folder is out/runs/BENCH-DATASET-PROTOCOL: tables of one protocol share it, and each adds its proxies.
    Without images of the dataset the networks see those of the benchmark's first dataset, `ScoreSet.dataset`. Raises
    UserError where there are none of these either.
    """
    proxies = [name for name in wanted(table, bench) if name not in scoring.without]
    if not proxies:
        return None
    folder = out / "runs" / f"{bench}-{dataset}-{table.protocol}"
    config = RunConfig(
        bench=bench, dataset=dataset, proxies=",".join(proxies), sample=scoring.sample, batch_size=scoring.batch_size,
        protocol=table.protocol, inputs="images", data=data, out=str(folder),
    )  # fmt: skip
    try:
        stored = score(config, say=say)
    except UserError as error:
        first = next(iter(space_of(bench).datasets))
        if dataset == first:
            raise
        say(f"{table.name}, {bench} {dataset}: {error}; images of {first} instead")
        return run(table, bench, first, scoring, data, out, say)
    columns = {name: np.mean(values, axis=0) for name, values in stored.scores.items() if name in proxies}
    frame = pd.DataFrame({"arch": stored.archs, **columns})
    origins = [{"run": str(folder), "archs": len(frame), "proxies": len(columns), "protocol": table.protocol}]
    return merged([frame], dataset, table.protocol, origins)
