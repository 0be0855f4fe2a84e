"""From a stored run to every number the report shows: one row per (population, proxy), and further tables.

With several seeds each statistic is the mean of the statistics of each seed. Populations: `populations`; which
statistics there are: `statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import harness.stats as stats
from benchmarks.errors import UserError, suggest
from harness.analysis.ensembles import DRAWN, EXACT, VOTE_COLUMNS, judged_votes
from harness.analysis.populations import (
    POPULATIONS,
    Population,
    baselines,
    candidates,
    facts_of,
    population_of,
    rows_of,
    share_of_space,
)
from harness.analysis.statistics import COLUMNS, STATISTICS, SamplingError, method, sampling_error, statistics_of

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


RANDOM_PICKS = "random picks"
REPEATED, OF_SECOND = 0.01, 10
"""A score that so many of the networks share, so many times as many as any other score, may stand for a failure."""
FAR, FAR_FROM_NEXT = 1e6, 1e3
"""So may one that is so many times the median, and the next, in size."""
DIFFERENCE_COLUMNS = (
    *("population", "proxy", "baseline", "rho_difference", "low", "high", "p_value", "p_adjusted", "better"),
)


@dataclass(frozen=True)
class Summary:
    """The statistics of one run. Accuracies in percent, regret in points; 95 % intervals, NaN where there are none."""

    table: pd.DataFrame
    """One row per (population, proxy), columns `statistics.COLUMNS`."""
    regret: pd.DataFrame
    """population, proxy, k, regret: the curve over k; the proxy "random picks" is the expectation of k random picks."""
    differences: pd.DataFrame
    """`DIFFERENCE_COLUMNS`: rho minus the baseline's on the architectures both scored; p_adjusted by Holm in
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
    Above `statistics.LARGE` architectures the intervals of rho and its differences are analytic.
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
        notes=(*odd_scores(run), *(note for part in parts for note in part.notes)),
        baselines=baselines(run),
        settings={
            "resamples": resamples, "seed": seed, "intervals": sampled,
            "method": method(len(run.archs), sampled, run.manifest.get("unit", "strings")), "share": share,
            "baseline": {name: base for part in parts for name, base in part.settings["baseline"].items()},
        },
    )  # fmt: skip


def _of_population(run: StoredRun, part: Population, errors: SamplingError, wanted: str, certain: bool) -> Summary:
    """The statistics of one population."""
    table, met = statistics_table(run, part, errors), part.met
    baseline = best_count(run, table) if wanted == "auto" else wanted
    votes = pd.DataFrame(judged_votes(met.scores, met.accuracy), columns=list(VOTE_COLUMNS))
    return Summary(
        table=table,
        regret=regret_curves(met),
        differences=differences(part, baseline, errors, certain),
        agreement={part.name: agreement(met)},
        strata=strata(part),
        ceiling=pd.DataFrame([{"population": part.name, **stats.seed_agreement(met.seed_accuracy)}]),
        votes=votes.assign(population=part.name)[["population", *VOTE_COLUMNS]],
        notes=tuple(notes(met, votes)),
        settings={"baseline": {part.name: baseline}},
    )


def best_count(run: StoredRun, table: pd.DataFrame) -> str | None:
    """Return the count with the best rho of a table with the columns proxy and rho; None where there is none."""
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


def statistics_table(run: StoredRun, part: Population, errors: SamplingError) -> pd.DataFrame:
    """Return one row per proxy, columns `COLUMNS`."""
    rows = []
    for proxy in part.scores:
        facts = facts_of(run, proxy)
        row: dict[str, Any] = {"population": part.name, "proxy": proxy, **statistics_of(proxy, part)}
        for each in STATISTICS:
            if each.interval:
                row[f"{each.name}_low"], row[f"{each.name}_high"] = errors.interval(each, proxy)
        row |= {"fitted": bool(facts.get("fitted")), "reference_set": float(facts.get("reference_set") or np.nan)}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def differences(part: Population, baseline: str | None, errors: SamplingError, certain: bool) -> pd.DataFrame:
    """Return rho minus the baseline's: `Summary.differences`. certain: no sampling error, so the sign decides."""
    rows: list[dict[str, Any]] = []
    for proxy in part.scores:
        if baseline and proxy != baseline:
            values = (part.name, proxy, baseline, *errors.difference(proxy, baseline))
            rows.append(dict(zip(DIFFERENCE_COLUMNS, values, strict=False)))
    frame = pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)).astype({"better": object})
    frame["p_adjusted"] = stats.holm(frame["p_value"].to_numpy(float))
    decided = frame["rho_difference"].abs() > 0 if certain else frame["p_adjusted"] < 0.05
    better = [bool(gap > 0) if known else None for gap, known in zip(frame["rho_difference"], decided, strict=True)]
    frame["better"] = pd.Series(better, index=frame.index, dtype=object)
    return frame


def regret_curves(part: Population) -> pd.DataFrame:
    """Return population, proxy, k, regret: `Summary.regret`."""
    ks = stats.curve_points(len(part.accuracy))
    curves = {
        proxy: stats.seed_mean([stats.regret_curve(score, part.accuracy, ks) for score in scores])
        for proxy, scores in part.scores.items()
    }
    curves[RANDOM_PICKS] = np.array(stats.regret_curve(np.zeros(len(part.accuracy)), part.accuracy, ks))
    rows = [(part.name, proxy, k, float(curve[at])) for at, k in enumerate(ks) for proxy, curve in curves.items()]
    return pd.DataFrame(rows, columns=["population", "proxy", "k", "regret"])


def agreement(part: Population) -> pd.DataFrame:
    """Return Spearman's rho between proxies, square; mean over seeds of their agreement in the same seed."""
    proxies = list(part.scores)
    rows = list(part.scores.values())
    seeds = range(max(map(len, rows), default=0))
    matrices = [stats.spearman_matrix(np.stack([scores[seed % len(scores)] for scores in rows])) for seed in seeds]
    return pd.DataFrame(stats.seed_mean(matrices) if matrices else [], index=proxies, columns=proxies)


def strata(part: Population) -> pd.DataFrame:
    """Return rho among architectures of equal size: `Summary.strata`."""
    rows = []
    for proxy, scores in part.scores.items():
        seeds = [stats.stratum_spearman(score, part.accuracy, part.strata, part.weight) for score in scores]
        for stratum in seeds[0]:
            n = min(one[stratum][0] for one in seeds)
            rows.append((part.name, proxy, stratum, n, float(stats.seed_mean([one[stratum][1] for one in seeds]))))
    return pd.DataFrame(rows, columns=["population", "proxy", "stratum", "n", "rho"])


def notes(part: Population, votes: pd.DataFrame) -> list[str]:
    """Return what a reader must know about single numbers, one sentence each."""
    lines = []
    for name, n in votes[["ensemble", "n"]].drop_duplicates().itertuples(index=False):
        if n > EXACT:
            lines.append(
                f"{part.name}, {name}: judged on pairs drawn at random, {DRAWN:,} of {int(n * (n - 1) / 2):,};"
                " standard error at most 0.02 percentage points"
            )
    for proxy, scores in part.scores.items():
        finite = int(np.isfinite(scores).sum(axis=1).min())
        if finite < 100 and finite < len(part.accuracy):
            lines.append(f"{part.name}, {proxy}: only {finite} finite scores, so a larger top k holds just these")
        if finite >= 3 and any(np.ptp(score[np.isfinite(score)]) == 0 for score in scores):
            lines.append(f"{part.name}, {proxy}: the score is constant, so its correlations are undefined")
    return lines


def odd_scores(run: StoredRun) -> list[str]:
    """Return which scores may stand for a failure, as -1e8 does in many code bases, one sentence each."""
    lines, rows = [], rows_of(run, "distinct")
    for proxy in run.scores.keys() - set(baselines(run)):
        values, counts = np.unique(run.scores[proxy][0, rows], return_counts=True)
        values, counts = values[np.isfinite(values)], counts[np.isfinite(values)]
        size, often = np.abs(values), np.sort(counts)[::-1]
        if len(values) < 3:
            continue
        alone = np.sort(size)[-1] >= FAR_FROM_NEXT * np.sort(size)[-2] and size.max() >= FAR * np.median(size)
        if often[0] >= max(5, REPEATED * counts.sum(), OF_SECOND * often[1]):
            odd, what = int(counts.argmax()), "share the score"
        elif alone:
            odd, what = int(size.argmax()), "have, far from the others, the score"
        else:
            continue
        lines.append(
            f"{proxy}: {counts[odd]:,} of {counts.sum():,} networks {what} {values[odd]:g}; it counts as a score. If it"
            " stands for a failure, leave the cell empty"
        )
    return sorted(lines)
