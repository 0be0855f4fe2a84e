"""The tables of one population: statistics, regret curves, differences from the baseline, agreement, strata, notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import harness.stats as stats
from harness.analysis.facts import baselines, facts_of
from harness.analysis.populations import Population, rows_of
from harness.analysis.sampling_error import SamplingError
from harness.analysis.statistics import COLUMNS, STATISTICS, statistics_of
from harness.analysis.votes import DRAWN, EXACT

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


def statistics_table(run: StoredRun, part: Population, errors: SamplingError) -> pd.DataFrame:
    """Return one row per proxy, columns `COLUMNS`."""
    rows = []
    for proxy in part.scores:
        facts = facts_of(run, proxy)
        row: dict[str, Any] = {"population": part.name, "proxy": proxy, **statistics_of(proxy, part)}
        for each in STATISTICS:
            if each.interval:
                row[f"{each.name}_low"], row[f"{each.name}_high"] = getattr(errors, each.name)(proxy)
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
