"""Whether submitted scores are those of the proxy that is submitted with them, from re-scores under hidden seeds.

Honest scores are one more draw of weights and minibatch: they agree with the re-scores as these agree among themselves.
With a the mean rho between two re-scores and b that between the submitted scores and a re-score, on the architectures
that were re-scored, the scores are refused where

    scored    more than a tenth of them have a score on one side alone
    a < 0.5   the proxy does not agree with itself, so nothing can be checked
    a - b     is above 0.02 and above 0 beyond chance (one-sided 99 %, bootstrap over architectures)
    rank      one architecture's rank is further from the mean rank of its re-scores than 0.1 of all ranks and 1.5 times
              the furthest of any re-score from the others: scores were changed for some architectures alone

Scores that are the mean of several draws agree better than one draw, which is no fault. Only ranks count. In
simulations of 1,000 architectures, 40 of them re-scored three times, honest scores were refused in 1 of 450, and scores
raised for the three best architectures in 100, 93 and 23 % where a is .98, .93 and .82.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

import harness.stats as stats
from harness.analysis.populations import Array

MARGIN, LEVEL, OWN_AGREEMENT, ONE_SIDE, FAR, FURTHER = 0.02, 0.01, 0.5, 0.1, 0.1, 1.5
RESAMPLES = 1000


@dataclass(frozen=True)
class Check:
    """What re-scoring found."""

    archs: int
    """Architectures that were re-scored."""
    seeds: int
    """Draws, each with weights and a minibatch of its own."""
    between: float
    """Mean rho between two re-scores."""
    agreement: float
    """Mean rho between the submitted scores and a re-score."""
    lost_low: float
    """One-sided 99 % bound of between - agreement from below."""
    furthest: float
    """Of an architecture's rank from the mean of its re-scores, in parts of all ranks."""
    allowed: float
    """The most that may be."""
    wrong: str
    """Why the scores are refused; empty where they are not."""

    @property
    def sentence(self) -> str:
        """What was checked, for people."""
        return (
            f"{self.archs} architectures re-scored under {self.seeds} hidden seeds: re-scores agree with rho"
            f" {self.between:.3f}, the submitted scores agree with them with rho {self.agreement:.3f}"
        )


def checked(given: Array, again: Array) -> Check:
    """Return the check of submitted scores (archs,) by re-scores (seeds, archs); NaN where there is no score."""
    there = np.isfinite(given), np.isfinite(again).all(axis=0)
    both = there[0] & there[1]
    one_side = float((there[0] != there[1]).mean())
    x, y = given[both], again[:, both]
    pairs = list(combinations(range(len(y)), 2))
    between = float(np.mean([stats.spearman(y[i], y[j]) for i, j in pairs]))
    agreement = float(np.mean([stats.spearman(x, row) for row in y]))
    weights = stats.resample_weights(np.arange(len(x)), RESAMPLES, 0)
    rows = [stats.bootstrap_spearman(np.vstack([x, y]), row, weights) for row in y]  # (1 + seeds, resamples) each
    lost = np.mean([rows[j][1 + i] for i, j in pairs], axis=0) - np.mean([each[0] for each in rows], axis=0)
    low = float(np.nanquantile(lost, LEVEL))
    furthest, allowed = _ranks(x, y)
    wrong = ""
    if one_side > ONE_SIDE or len(x) < stats.FEWEST_UNITS:
        wrong = f"{(there[0] != there[1]).sum()} of {len(given)} architectures have a score on one side alone"
    elif not between >= OWN_AGREEMENT:
        wrong = f"two re-scores of the proxy agree with rho {between:.2f} alone, so nothing can be checked"
    elif not (between - agreement <= MARGIN or low <= 0):
        wrong = f"they agree with re-scores with rho {agreement:.3f}, where re-scores agree with {between:.3f}"
    elif furthest > allowed:
        wrong = f"one architecture is {furthest:.0%} of all ranks from where re-scores have it (allowed: {allowed:.0%})"
    return Check(len(given), len(again), between, agreement, low, furthest, allowed, wrong)


def _ranks(given: Array, again: Array) -> tuple[float, float]:
    """Return how far one architecture's rank is from the mean of its re-scores, and how far it may be."""
    mine, theirs = rankdata(given) / len(given), rankdata(again, axis=1) / len(given)
    others = [np.abs(row - np.delete(theirs, at, axis=0).mean(0)).max() for at, row in enumerate(theirs)]
    return float(np.abs(mine - theirs.mean(0)).max()), FAR + FURTHER * float(max(others))
