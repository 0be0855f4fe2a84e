"""When a published value and ours agree. Three rules, one for each way our value can be known.

correlation   an equivalence test with three outcomes. d is ours minus published, e the standard error of d: sampling
              error of either side and the draws of weights and minibatch (`draws`). With one-sided tests at 5 %,
              "agrees" where |d| + 1.645 e is at most the margin, "differs" where |d| - 1.645 e is above it, otherwise
              "cannot tell"; `differs_from_0`: |d| > 1.96 e. Margins: `MARGINS`
exact         ours rounds to the printed digits
seeds         means over seeds: "differs" where the t-test of two means does so at 5 %, both with one variance, that of
              the side with several seeds where the other has one or does not say; otherwise "agrees" where they are
              at most one standard deviation apart, the larger of the two, and "cannot tell" where they are further
              apart

Where one of the two is unknown they are not comparable. One vote for each paper, score and dataset (`votes`): it
differs if any of its values differs, agrees if one agrees and none differs.
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import ttest_ind_from_stats

AGREES, DIFFERS, UNDECIDED, ABSENT = "agrees", "differs", "cannot tell", "not comparable"
MARGINS = {"rho": (0.02, 0.05), "tau_b": (0.015, 0.035), "concordance": (0.0075, 0.0175)}
"""Statistic -> margin where both sides are whole spaces, and otherwise. A share of pairs is (tau + 1) / 2."""
ONE_SIDED, TWO_SIDED = 1.6448536269514722, 1.959963984540054
LEVEL = 0.05
VOTE = ["table", "bench", "dataset", "method"]
SHUFFLES = 25


@dataclass(frozen=True)
class Verdict:
    """A verdict and the distance of our value from the published one."""

    name: str
    away: float = math.nan
    """Ours minus published, of absolute values where that was published; NaN where not comparable."""
    error: float = math.nan
    """Standard error of that distance."""
    margin: float = math.nan

    @property
    def differs_from_0(self) -> bool:
        """Whether the distance is not 0, at 95 %."""
        return abs(self.away) > TWO_SIDED * self.error


def judged(away: float, error: float, margin: float) -> str:
    """Return the outcome of the equivalence test."""
    reach = ONE_SIDED * error
    if abs(away) + reach <= margin + 1e-12:
        return AGREES
    return DIFFERS if abs(away) - reach > margin + 1e-12 else UNDECIDED


def correlation(
    published: float, ours: float, error: float, measure: str, *, whole: bool, absolute: bool = False
) -> Verdict:
    """Judge a correlation; `error` is the standard error of the distance, `whole` whether both are of whole spaces.
    `absolute`: an absolute value was published, so ours is made one."""
    if not math.isfinite(ours) or not math.isfinite(error):
        return Verdict(ABSENT)
    away, margin = (abs(ours) if absolute else ours) - published, MARGINS[measure][0 if whole else 1]
    return Verdict(judged(away, error, margin), away, error, margin)


def exact(published: float, ours: float, digits: int) -> Verdict:
    """Judge by the printed digits: half a unit of the last one, on either side."""
    if not math.isfinite(ours):
        return Verdict(ABSENT)
    agrees = abs(ours - published) <= 0.5 * 10.0**-digits * (1 + 1e-9)
    return Verdict(AGREES if agrees else DIFFERS, ours - published)


def seeds(
    published: float, published_sd: float | None, published_n: int | None, ours: float, sd: float, n: int
) -> Verdict:
    """Judge two means over `published_n` and `n` seeds by their standard deviations; with none known, not comparable.
    `published_n`: None where it is not known, then as for one."""
    known = [each for each in (published_sd, sd) if each is not None and math.isfinite(each)]
    away = ours - published
    if not math.isfinite(ours) or not known:
        return Verdict(ABSENT)
    if abs(away) <= 1e-9 or max(known) == 0:
        return Verdict(AGREES if abs(away) <= 1e-9 else DIFFERS, away)
    spreads = known * (3 - len(known))  # the known one for both where one is
    p = ttest_ind_from_stats(published, spreads[0], published_n or 1, ours, spreads[1], n).pvalue
    near = AGREES if abs(away) <= max(known) + 1e-9 else UNDECIDED
    return Verdict(DIFFERS if p < LEVEL else near, away)


def votes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each paper, score and dataset of the correlations that were judged, with its verdict, and
    `n`, the fewest architectures that one of its values is of."""
    known = rows[(rows["kind"] == "correlation") & (rows["verdict"] != ABSENT)]
    grouped = known.groupby(VOTE, sort=False)
    found = grouped["verdict"].agg(of_values).reset_index()
    return found.assign(n=grouped["n"].min().to_numpy(), values=grouped.size().to_numpy())


def of_values(verdicts: pd.Series) -> str:
    """Return the verdict of several values of one score: the first of these that one of them has."""
    return next(each for each in (DIFFERS, AGREES, UNDECIDED) if (verdicts == each).any())


def shuffled(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Return the share of votes by verdict where published values are shuffled among the scores of a benchmark, dataset
    and statistic: what chance alone gives. Mean over `SHUFFLES` shuffles."""
    known = rows[(rows["kind"] == "correlation") & (rows["verdict"] != ABSENT)]
    generator, shares = np.random.default_rng(seed), []
    groups = [each.to_numpy() for each in known.reset_index(drop=True).groupby(VOTE[1:3] + ["measure"]).groups.values()]
    published, away = (known[name].to_numpy(float) for name in ("published", "away"))
    for _ in range(SHUFFLES):
        moved = published.copy()
        for group in groups:
            moved[group] = generator.permutation(published[group])
        names = map(judged, away + published - moved, known["error"], known["margin"])
        shares.append(votes(known.assign(verdict=list(names)))["verdict"].value_counts(normalize=True))
    return pd.DataFrame(shares).fillna(0.0).mean()
