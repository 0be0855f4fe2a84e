"""From a stored run to every number the report shows: one row per (population, proxy), and further tables.

With several seeds each statistic is the mean of the statistics of each seed. Populations: `populations`; which
statistics there are: `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

import harness.stats as stats
from benchmarks.errors import UserError, suggest
from harness.analysis import tables
from harness.analysis.facts import baselines, candidates
from harness.analysis.populations import POPULATIONS, Population, population_of, rows_of, share_of_space
from harness.analysis.sampling_error import SamplingError, method, sampling_error
from harness.analysis.votes import VOTE_COLUMNS, judged_votes

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


@dataclass(frozen=True)
class Summary:
    """The statistics of one run. Accuracies in percent, regret in points; 95 % intervals, NaN where there are none."""

    table: pd.DataFrame
    """One row per (population, proxy), columns `statistics.COLUMNS`."""
    regret: pd.DataFrame
    """population, proxy, k, regret: the curve over k; the proxy "random picks" is the expectation of k random picks."""
    differences: pd.DataFrame
    """`tables.DIFFERENCE_COLUMNS`: rho minus the baseline's on the architectures both scored; p_adjusted by Holm in
    each population. better: whether it beats the baseline, None if undecided (p_adjusted >= 0.05). On a full space
    without intervals, the sign."""
    agreement: dict[str, pd.DataFrame]
    """{population: Spearman's rho between proxies, square}."""
    strata: pd.DataFrame
    """population, proxy, stratum, n, rho: rho among architectures of equal size."""
    ceiling: pd.DataFrame
    """population and the columns of `stats.seed_agreement`: how far training seeds agree."""
    votes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """population and `ensembles.VOTE_COLUMNS`: votes on pairs, the share in the right order, no rank correlation."""
    notes: tuple[str, ...] = ()
    """What a reader must know about single numbers, one sentence each."""
    baselines: tuple[str, ...] = ()
    """The proxies that are counts or chance; they are listed after the others."""
    settings: dict[str, Any] = field(default_factory=dict)
    """resamples, seed, intervals (whether there are any), method (of rho's), share (of the space that was drawn),
    baseline: {population: name}."""


def summarise(
    run: StoredRun,
    *,
    resamples: int = 1000,
    seed: int = 0,
    populations: Sequence[str] = tuple(POPULATIONS),
    baseline: str = "auto",
    intervals: str = "auto",
) -> Summary:
    """Return all statistics of a run.

    baseline: the proxy the others are compared with; "auto" takes the best count by rho in each
    population (chosen on the same data, which favours the baseline a little). intervals: "auto" leaves them out where
    the run holds the whole space (no sampling error); "always", "never". The same run and seed give the same numbers.
    Above `sampling_error.LARGE` architectures the intervals of rho and its differences are analytic.
    """
    _check(run, resamples, populations, baseline, intervals)
    share = share_of_space(run)
    sampled = intervals == "always" or (intervals == "auto" and share < 1)
    parts: list[Summary] = []
    made: dict[bytes, Summary] = {}
    for name in populations:
        part = population_of(run, name, share)
        if share >= 1:  # intervals of a whole space are those of a sample of something larger
            part = replace(part, shrink=1.0)
        key = rows_of(run, name).tobytes() + b"weighted" * (part.weight is not None)
        if key not in made:
            errors = sampling_error(part, len(run.archs), sampled, resamples, seed)
            made[key] = _of_population(run, part, errors, baseline, certain=share >= 1 and not sampled)
        parts.append(_renamed(made[key], name))
    return Summary(
        table=_joined([part.table for part in parts]),
        regret=_joined([part.regret for part in parts]),
        differences=_joined([part.differences for part in parts]),
        agreement={name: square for part in parts for name, square in part.agreement.items()},
        strata=_joined([part.strata for part in parts]),
        ceiling=_joined([part.ceiling for part in parts]),
        votes=_joined([part.votes for part in parts]),
        notes=(*tables.odd_scores(run), *(note for part in parts for note in part.notes)),
        baselines=baselines(run),
        settings={
            "resamples": resamples, "seed": seed, "intervals": sampled,
            "method": method(len(run.archs), sampled, run.manifest.get("unit", "strings")), "share": share,
            "baseline": {name: base for part in parts for name, base in part.settings["baseline"].items()},
        },
    )  # fmt: skip


def _of_population(run: StoredRun, part: Population, errors: SamplingError, wanted: str, certain: bool) -> Summary:
    """The statistics of one population."""
    table, met = tables.statistics_table(run, part, errors), part.met
    baseline = _baseline(run, table) if wanted == "auto" else wanted
    votes = pd.DataFrame(judged_votes(met.scores, met.accuracy), columns=list(VOTE_COLUMNS))
    return Summary(
        table=table,
        regret=tables.regret_curves(met),
        differences=tables.differences(part, baseline, errors, certain),
        agreement={part.name: tables.agreement(met)},
        strata=tables.strata(part),
        ceiling=pd.DataFrame([{"population": part.name, **stats.seed_agreement(met.seed_accuracy)}]),
        votes=votes.assign(population=part.name)[["population", *VOTE_COLUMNS]],
        notes=tuple(tables.notes(met, votes)),
        settings={"baseline": {part.name: baseline}},
    )


def _baseline(run: StoredRun, table: pd.DataFrame) -> str | None:
    rho = table.set_index("proxy")["rho"].reindex(candidates(run)).dropna()  # the first of them where two are equal
    return str(rho.idxmax()) if len(rho) else None


def _renamed(summary: Summary, name: str) -> Summary:
    """The statistics of one population as those of another that holds the same architectures."""
    (old,) = summary.agreement
    frames = ("table", "regret", "differences", "strata", "ceiling", "votes")
    return replace(
        summary,
        **{frame: getattr(summary, frame).assign(population=name) for frame in frames},
        agreement={name: summary.agreement[old]},
        notes=tuple(name + note.removeprefix(old) for note in summary.notes),
        settings={"baseline": {name: summary.settings["baseline"][old]}},
    )


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def _check(run: StoredRun, resamples: int, populations: Sequence[str], baseline: str, intervals: str) -> None:
    if unknown := [name for name in populations if name not in POPULATIONS]:
        raise suggest(unknown, POPULATIONS, "population")
    if not populations:
        raise UserError(f"no population to summarise; expected some of {', '.join(POPULATIONS)}")
    if intervals not in (modes := ("auto", "always", "never")):
        raise suggest([intervals], modes, "choice of intervals")
    if baseline != "auto" and baseline not in run.scores:
        raise suggest([baseline], ["auto", *run.scores], "baseline")
    if resamples < 2:
        raise UserError(f"{resamples} bootstrap resamples are too few; expected at least 2, 1000 is usual")
