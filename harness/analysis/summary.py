"""From a stored run to every number the report shows: one row per (population, proxy), and the tables beside it.

Populations, each over the architectures of the run that have an accuracy:
- `all`: every string; `connected`: those with a path from input to output;
- `distinct`: one per class of equivalent architectures: the member that `class_id` names if it was evaluated, else the
  first in run order, with that string's own score and accuracy. Not the mean over the class, which would give large
  classes (small networks) less noisy accuracies than the others. Published figures over the 9,445 distinct networks
  of NAS-Bench-201 take one member too, the one whose unreachable edges are all `none`.
With several seeds each statistic is the mean of the statistics of each seed. Formulas, tie rules and directions:
harness/stats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.errors import UserError, suggest
from harness import stats
from harness.analysis.ensembles import DRAWN, EXACT, VOTE_COLUMNS, judged_votes
from harness.analysis.populations import POPULATIONS, Population, Strata, _population, _rows
from harness.analysis.sampling_error import SamplingError, method, sampling_error
from harness.analysis.statistics import COLUMNS, _statistics

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

BASELINES = ("params", "flops", "layers")
RANDOM_PICKS = "random picks"
DIFFERENCE_COLUMNS = (
    *("population", "proxy", "baseline", "rho_difference", "low", "high", "p_value", "p_adjusted", "better"),
)


@dataclass(frozen=True)
class Summary:
    """The statistics of one run. Accuracies in percent, regret in points; 95 % intervals, NaN where there are none."""

    table: pd.DataFrame
    """One row per (population, proxy), columns `COLUMNS`. fitted: whether it was tuned on accuracies; cohort: how many
    architectures an ensemble ranks together, NaN for a proxy."""
    regret: pd.DataFrame
    """population, proxy, k, regret: the curve over k; the proxy "random picks" is the expectation of k random picks."""
    differences: pd.DataFrame
    """`DIFFERENCE_COLUMNS`: rho minus the baseline's on the architectures both scored; p_adjusted by Holm in each
    population. better: whether it beats the baseline, None if undecided (p_adjusted >= 0.05). On a full space without
    intervals, the sign."""
    agreement: dict[str, pd.DataFrame]
    """{population: Spearman's rho between proxies, square}."""
    strata: pd.DataFrame
    """population, proxy, stratum, n, rho: rho among architectures of equal size."""
    ceiling: pd.DataFrame
    """population and the columns of `stats.seed_agreement`: how far training seeds agree."""
    votes: pd.DataFrame = field(default_factory=pd.DataFrame)
    """population and `ensembles.VOTE_COLUMNS`: votes on pairs, the share in the right order, no rank correlation."""
    notes: tuple[str, ...] = ()
    """What a reader must know about single figures, one sentence each."""
    settings: dict[str, Any] = field(default_factory=dict)
    """resamples, seed, intervals (whether there are any), method (of rho's), baseline: {population: name}."""


def summarise(
    run: StoredRun,
    *,
    resamples: int = 1000,
    seed: int = 0,
    populations: Sequence[str] = POPULATIONS,
    baseline: str = "auto",
    intervals: str = "auto",
) -> Summary:
    """Return all statistics of a run.

    baseline: the proxy the others are compared with; "auto" takes the best of params, flops and layers by rho in each
    population (chosen on the same data, which favours the baseline a little). intervals: "auto" leaves them out where
    the run holds the whole space (no sampling error); "always", "never". The same run and seed give the same numbers.
    Above `sampling_error.LARGE` architectures the intervals of rho and its differences are analytic.
    """
    _check(run, resamples, populations, baseline, intervals)
    whole = len(run.archs) == run.manifest.get("space_size")
    sampled = intervals == "always" or (intervals == "auto" and not whole)
    parts: list[Summary] = []
    made: dict[bytes, Summary] = {}
    for name in populations:
        rows = _rows(run, name)
        if (key := rows.tobytes()) not in made:
            part = _population(run, name, rows)
            errors = sampling_error(part, len(run.archs), sampled, resamples, seed)
            made[key] = _of_population(run, part, errors, baseline, certain=whole and not sampled)
        parts.append(_renamed(made[key], name))
    return Summary(
        table=_joined([part.table for part in parts]),
        regret=_joined([part.regret for part in parts]),
        differences=_joined([part.differences for part in parts]),
        agreement={name: square for part in parts for name, square in part.agreement.items()},
        strata=_joined([part.strata for part in parts]),
        ceiling=_joined([part.ceiling for part in parts]),
        votes=_joined([part.votes for part in parts]),
        notes=tuple(note for part in parts for note in part.notes),
        settings={
            "resamples": resamples, "seed": seed, "intervals": sampled,
            "method": method(len(run.archs), sampled),
            "baseline": {name: base for part in parts for name, base in part.settings["baseline"].items()},
        },
    )  # fmt: skip


def _of_population(run: StoredRun, part: Population, errors: SamplingError, wanted: str, certain: bool) -> Summary:
    """The statistics of one population."""
    strata = {
        proxy: [stats.stratum_spearman(score, part.accuracy, part.strata) for score in scores]
        for proxy, scores in part.scores.items()
    }
    table = _table(run, part, strata, errors)
    baseline = _baseline(table, wanted)
    votes = pd.DataFrame(judged_votes(part.scores, part.accuracy), columns=list(VOTE_COLUMNS))
    return Summary(
        table=table,
        regret=_regret_curves(part),
        differences=_differences(part, baseline, errors, certain),
        agreement={part.name: _agreement(part)},
        strata=_strata(part, strata),
        ceiling=pd.DataFrame([{"population": part.name, **stats.seed_agreement(part.seed_accuracy)}]),
        votes=votes.assign(population=part.name)[["population", *VOTE_COLUMNS]],
        notes=tuple(_notes(part, votes)),
        settings={"baseline": {part.name: baseline}},
    )


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


def _table(run: StoredRun, part: Population, strata: dict[str, list[Strata]], errors: SamplingError) -> pd.DataFrame:
    rows = []
    for proxy, scores in part.scores.items():
        seeds = [_statistics(score, part, groups) for score, groups in zip(scores, strata[proxy], strict=True)]
        row: dict[str, Any] = {name: float(stats.seed_mean([one[name] for one in seeds])) for name in seeds[0]}
        row |= {"population": part.name, "proxy": proxy, "ties": round(row["ties"])}
        facts = (run.manifest.get("proxies") or {}).get(proxy)
        facts = facts if isinstance(facts, dict) else {}
        row |= {"fitted": bool(facts.get("fitted")), "cohort": float(facts.get("cohort") or np.nan)}
        row["n"] = int(np.isfinite(scores).all(axis=0).sum())
        row["failed"] = len(part.accuracy) - row["n"]
        row["seconds"] = float(stats.seed_mean(np.ravel(run.seconds[proxy]))) if proxy in run.seconds else np.nan
        row["rho_seed_sd"] = stats.seed_spread([one["rho"] for one in seeds], len(run.scores[proxy]))
        if len(scores) == 1:
            row["rho_mean_score"] = row["rho"]
        else:
            with np.errstate(all="ignore"):
                row["rho_mean_score"] = stats.spearman(scores.mean(axis=0), part.accuracy)
        row["rho_low"], row["rho_high"] = errors.rho(proxy)
        row["tau_b_low"], row["tau_b_high"] = errors.tau_b(proxy)
        row["regret_10_low"], row["regret_10_high"] = errors.regret_10(proxy)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _baseline(table: pd.DataFrame, wanted: str) -> str | None:
    if wanted != "auto":
        return wanted
    rho = table.set_index("proxy")["rho"].reindex(BASELINES).dropna()  # the first of them where two are equal
    return str(rho.idxmax()) if len(rho) else None


def _differences(part: Population, baseline: str | None, errors: SamplingError, certain: bool) -> pd.DataFrame:
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


def _regret_curves(part: Population) -> pd.DataFrame:
    ks = stats.curve_points(len(part.accuracy))
    curves = {
        proxy: stats.seed_mean([stats.regret_curve(score, part.accuracy, ks) for score in scores])
        for proxy, scores in part.scores.items()
    }
    curves[RANDOM_PICKS] = np.array(stats.regret_curve(np.zeros(len(part.accuracy)), part.accuracy, ks))
    rows = [(part.name, proxy, k, float(curve[at])) for at, k in enumerate(ks) for proxy, curve in curves.items()]
    return pd.DataFrame(rows, columns=["population", "proxy", "k", "regret"])


def _agreement(part: Population) -> pd.DataFrame:
    """Mean over seeds of the agreement between proxies in the same seed."""
    proxies = list(part.scores)
    rows = list(part.scores.values())
    seeds = range(max(map(len, rows), default=0))
    matrices = [stats.spearman_matrix(np.stack([scores[seed % len(scores)] for scores in rows])) for seed in seeds]
    return pd.DataFrame(stats.seed_mean(matrices) if matrices else [], index=proxies, columns=proxies)


def _strata(part: Population, strata: dict[str, list[Strata]]) -> pd.DataFrame:
    rows = []
    for proxy, seeds in strata.items():
        for stratum in seeds[0]:
            n = min(one[stratum][0] for one in seeds)
            rows.append((part.name, proxy, stratum, n, float(stats.seed_mean([one[stratum][1] for one in seeds]))))
    return pd.DataFrame(rows, columns=["population", "proxy", "stratum", "n", "rho"])


def _notes(part: Population, votes: pd.DataFrame) -> list[str]:
    notes = []
    for name, n in votes[["ensemble", "n"]].drop_duplicates().itertuples(index=False):
        if n > EXACT:
            notes.append(
                f"{part.name}, {name}: judged on pairs drawn at random, {DRAWN:,} of {int(n * (n - 1) / 2):,};"
                " standard error at most 0.02 percentage points"
            )
    for proxy, scores in part.scores.items():
        finite = int(np.isfinite(scores).sum(axis=1).min())
        if finite < 100 and finite < len(part.accuracy):
            notes.append(f"{part.name}, {proxy}: only {finite} finite scores, so a larger top k holds just these")
        if finite >= 3 and any(np.ptp(score[np.isfinite(score)]) == 0 for score in scores):
            notes.append(f"{part.name}, {proxy}: the score is constant, so its correlations are undefined")
    return notes
