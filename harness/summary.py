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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.errors import UserError, suggest
from harness import stats
from harness.ensembles import VOTE_COLUMNS, judged_votes

if TYPE_CHECKING:
    from harness.store import StoredRun

Array = NDArray[np.float64]
POPULATIONS = ("all", "connected", "distinct")
BASELINES = ("params", "flops", "layers")
RANDOM_PICKS = "random picks"
COLUMNS = (
    *("population", "proxy", "n", "failed", "ties", "tau_b", "tau_b_low", "tau_b_high", "tau_a", "tau_weighted"),
    *("rho", "rho_low", "rho_high", "pearson", "rho_partial_params", "rho_top10pct", "rho_strata"),
    *("rho_worst", "rho_best"),
    *("regret_1", "regret_10", "regret_10_low", "regret_10_high", "regret_100", "regret_1pct"),
    *("precision_10pct", "best_rank_10", "ndcg_10pct", "seconds", "rho_seed_sd", "rho_mean_score"),
    *("fitted", "cohort"),
)
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
    """resamples, seed, intervals (whether there are any), baseline: {population: name}."""


@dataclass(frozen=True)
class Population:
    """The part of a run that a row of the table is about; all arrays over its architectures."""

    name: str
    accuracy: Array  # (archs,) finite
    class_id: NDArray[np.int64]  # (archs,)
    params: Array  # (archs,)
    strata: NDArray  # (archs,)
    scores: dict[str, Array]  # (seeds, archs); one row where all seeds are the same
    seed_accuracy: Array  # (archs, accuracy_seeds)


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
    """
    _check(run, resamples, populations, baseline, intervals)
    whole = len(run.archs) == run.manifest.get("space_size")
    sampled = intervals == "always" or (intervals == "auto" and not whole)
    parts = [_population(run, name) for name in populations]
    tables, differences, notes, baselines = [], [], [], {}
    for part in parts:
        weights = stats.resample_weights(part.class_id, resamples if sampled else 0, seed)
        bootstrap = _bootstrap(part, weights)
        table = _table(run, part, weights, bootstrap)
        baselines[part.name] = name = _baseline(table, baseline)
        tables.append(table)
        differences.append(_differences(part, name, weights, bootstrap, certain=whole and not sampled))
        notes += _notes(part)
    return Summary(
        table=pd.concat(tables, ignore_index=True),
        regret=pd.concat([_regret_curves(part) for part in parts], ignore_index=True),
        differences=pd.concat(differences, ignore_index=True),
        agreement={part.name: _agreement(part) for part in parts},
        strata=pd.concat([_strata(part) for part in parts], ignore_index=True),
        ceiling=pd.DataFrame([{"population": part.name, **stats.seed_agreement(part.seed_accuracy)} for part in parts]),
        votes=_votes(parts),
        notes=tuple(notes),
        settings={"resamples": resamples, "seed": seed, "intervals": sampled, "baseline": baselines},
    )


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


def _population(run: StoredRun, name: str) -> Population:
    rows = np.flatnonzero(np.isfinite(run.accuracy))
    if name == "connected":
        rows = rows[run.connected[rows]]
    elif name == "distinct":
        named_first = rows[np.argsort(run.index[rows] != run.class_id[rows], kind="stable")]
        rows = np.sort(named_first[np.unique(run.class_id[named_first], return_index=True)[1]])
    return Population(
        name,
        accuracy=run.accuracy[rows],
        class_id=run.class_id[rows],
        params=run.params[rows],
        strata=stats.size_strata(run.params[rows], run.conv_count[rows]),
        scores={proxy: stats.different_seeds(scores[:, rows]) for proxy, scores in run.scores.items()},
        seed_accuracy=run.seed_accuracy[rows],
    )


def _bootstrap(part: Population, weights: NDArray) -> dict[str, Array]:
    """{proxy: rho in every resample, (seeds, resamples)}; the same resamples for all, so they can be subtracted."""
    if not part.scores:
        return {}
    together = stats.bootstrap_spearman(np.concatenate(list(part.scores.values())), part.accuracy, weights)
    ends = np.cumsum([len(scores) for scores in part.scores.values()])[:-1]
    return dict(zip(part.scores, np.split(together, ends), strict=True))


def _table(run: StoredRun, part: Population, weights: NDArray, bootstrap: dict[str, Array]) -> pd.DataFrame:
    rows = []
    for proxy, scores in part.scores.items():
        seeds = [_statistics(score, part) for score in scores]
        row: dict[str, Any] = {name: float(stats.seed_mean([one[name] for one in seeds])) for name in seeds[0]}
        row |= {"population": part.name, "proxy": proxy, "ties": round(row["ties"])}
        facts = (run.manifest.get("proxies") or {}).get(proxy)
        facts = facts if isinstance(facts, dict) else {}
        row |= {"fitted": bool(facts.get("fitted")), "cohort": float(facts.get("cohort") or np.nan)}
        row["n"] = int(np.isfinite(scores).all(axis=0).sum())
        row["failed"] = len(part.accuracy) - row["n"]
        row["seconds"] = float(stats.seed_mean(np.ravel(run.seconds[proxy]))) if proxy in run.seconds else np.nan
        row["rho_seed_sd"] = stats.seed_spread([one["rho"] for one in seeds], len(run.scores[proxy]))
        with np.errstate(all="ignore"):
            row["rho_mean_score"] = stats.spearman(scores.mean(axis=0), part.accuracy)
        if len(weights):
            row["rho_low"], row["rho_high"] = stats.percentile_interval(stats.seed_mean(bootstrap[proxy]))
            row["tau_b_low"], row["tau_b_high"] = stats.tau_b_interval(scores, part.accuracy, part.class_id)
            regrets = [stats.weighted_regret(score, part.accuracy, 10, weights) for score in scores]
            row["regret_10_low"], row["regret_10_high"] = stats.percentile_interval(stats.seed_mean(regrets))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _statistics(score: Array, part: Population) -> dict[str, float]:
    """The statistics of one score (archs,) that need no resampling."""
    accuracy, count = part.accuracy, len(part.accuracy)
    worst, best = stats.worst_case_spearman(score, accuracy)
    top = stats.share(count, 10)
    return {
        "ties": stats.tied(score),
        "tau_b": stats.kendall_tau_b(score, accuracy),
        "tau_a": stats.kendall_tau_a(score, accuracy),
        "tau_weighted": stats.weighted_tau(score, accuracy),
        "rho": stats.spearman(score, accuracy),
        "pearson": stats.pearson(score, accuracy),
        "rho_partial_params": stats.partial_spearman(score, accuracy, part.params),
        "rho_top10pct": stats.top_spearman(score, accuracy, 10),
        "rho_strata": stats.strata_mean(stats.stratum_spearman(score, accuracy, part.strata)),
        "rho_worst": worst,
        "rho_best": best,
        **{f"regret_{k}": stats.top_k_regret(score, accuracy, k) for k in (1, 10, 100)},
        "regret_1pct": stats.top_k_regret(score, accuracy, stats.share(count, 1)),
        "precision_10pct": stats.precision_at_k(score, accuracy, top),
        "best_rank_10": stats.best_rank_at_k(score, accuracy, 10),
        "ndcg_10pct": stats.ndcg_at_k(score, accuracy, top),
    }


def _baseline(table: pd.DataFrame, wanted: str) -> str | None:
    if wanted != "auto":
        return wanted
    rho = table.set_index("proxy")["rho"].reindex(BASELINES).dropna()  # the first of them where two are equal
    return str(rho.idxmax()) if len(rho) else None


def _differences(
    part: Population, baseline: str | None, weights: NDArray, bootstrap: dict[str, Array], certain: bool
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for proxy in part.scores:
        if baseline and proxy != baseline:
            pair = stats.Paired(part.scores[proxy], part.scores[baseline], bootstrap[proxy], bootstrap[baseline])
            difference, samples = stats.paired_difference(pair, part.accuracy, weights)
            values = (difference, *stats.percentile_interval(samples), stats.difference_p(difference, samples))
            rows.append(dict(zip(DIFFERENCE_COLUMNS, (part.name, proxy, baseline, *values), strict=False)))
    frame = pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)).astype({"better": object})
    frame["p_adjusted"] = stats.holm(frame["p_value"].to_numpy(float))
    decided = frame["rho_difference"].abs() > 0 if certain else frame["p_adjusted"] < 0.05
    better = [bool(gap > 0) if known else None for gap, known in zip(frame["rho_difference"], decided, strict=True)]
    frame["better"] = pd.Series(better, index=frame.index, dtype=object)
    return frame


def _regret_curves(part: Population) -> pd.DataFrame:
    rows = []
    for k in stats.curve_points(len(part.accuracy)):
        for proxy, scores in part.scores.items():
            regret = float(stats.seed_mean([stats.top_k_regret(score, part.accuracy, k) for score in scores]))
            rows.append((part.name, proxy, k, regret))
        rows.append((part.name, RANDOM_PICKS, k, stats.random_regret(part.accuracy, k)))
    return pd.DataFrame(rows, columns=["population", "proxy", "k", "regret"])


def _agreement(part: Population) -> pd.DataFrame:
    """Mean over seeds of the agreement between proxies in the same seed."""
    proxies = list(part.scores)
    rows = list(part.scores.values())
    seeds = range(max(map(len, rows), default=0))
    matrices = [stats.spearman_matrix(np.stack([scores[seed % len(scores)] for scores in rows])) for seed in seeds]
    return pd.DataFrame(stats.seed_mean(matrices) if matrices else [], index=proxies, columns=proxies)


def _votes(parts: Sequence[Population]) -> pd.DataFrame:
    rows = [{"population": part.name, **row} for part in parts for row in judged_votes(part.scores, part.accuracy)]
    return pd.DataFrame(rows, columns=["population", *VOTE_COLUMNS])


def _strata(part: Population) -> pd.DataFrame:
    rows = []
    for proxy, scores in part.scores.items():
        seeds = [stats.stratum_spearman(score, part.accuracy, part.strata) for score in scores]
        for stratum in seeds[0]:
            n = min(one[stratum][0] for one in seeds)
            rows.append((part.name, proxy, stratum, n, float(stats.seed_mean([one[stratum][1] for one in seeds]))))
    return pd.DataFrame(rows, columns=["population", "proxy", "stratum", "n", "rho"])


def _notes(part: Population) -> list[str]:
    notes = []
    for proxy, scores in part.scores.items():
        finite = int(np.isfinite(scores).sum(axis=1).min())
        if finite < 100 and finite < len(part.accuracy):
            notes.append(f"{part.name}, {proxy}: only {finite} finite scores, so a larger top k holds just these")
        if finite >= 3 and any(np.ptp(score[np.isfinite(score)]) == 0 for score in scores):
            notes.append(f"{part.name}, {proxy}: the score is constant, so its correlations are undefined")
    return notes
