"""Majority votes of proxies on pairs of architectures, judged by the share of pairs in the right order.

Abdelfattah et al. (ICLR 2021, arXiv 2101.08134). Votes on pairs need not be transitive, so a vote gives no score and no
rank correlation; chance is 0.5.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

import harness.stats as stats
from harness.proxies.ensembles import ENSEMBLES

ROWS = 256
"""Architectures compared with all others at a time."""
EXACT = 20_000
"""Architectures above which votes are judged on pairs drawn at random: there are 9e10 pairs in a table of 423,624."""
DRAWN = 10_000_000
"""So many pairs then: a standard error of 0.00016 at most."""
VOTE_COLUMNS = ("ensemble", "voter", "n", "pairs", "concordance")

"""The columns of `judged_votes`."""
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Places of one and of the other architecture, and which of these pairs count; they broadcast."""


@dataclass(frozen=True)
class Concordance:
    """How often votes on pairs agree with the accuracies. Not a rank correlation: chance is 0.5, not 0."""

    fraction: float
    """Pairs ordered as the accuracies order them, an undecided vote counting half; NaN without a pair."""
    pairs: int
    """Pairs of architectures of different accuracies that all proxies scored."""
    undecided: int
    """Of those, pairs on which the vote is a draw."""


def vote(scores: np.ndarray, one: int, other: int) -> int:
    """Return 1 where most proxies, (proxies, archs), put `one` above `other`, -1 for the opposite, 0 for a draw.

    Votes on pairs need not be transitive: there may be no ranking that agrees with all of them.
    """
    return int(np.sign((scores[:, one] > scores[:, other]).sum() - (scores[:, one] < scores[:, other]).sum()))


def concordance(scores: np.ndarray, accuracy: np.ndarray) -> Concordance:
    """Judge the majority vote of proxies, (proxies, archs), by accuracies (archs,), over all pairs.

    Above `EXACT` architectures over `DRAWN` pairs, drawn uniformly and the same ones each time.

    zero-cost-nas reports this fraction next to Spearman correlations. For one proxy without ties it is (tau + 1) / 2.
    """
    scores, accuracy = np.asarray(scores, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    inside = ~np.isnan(scores).any(0) & np.isfinite(accuracy)
    scores, accuracy = scores[:, inside], accuracy[inside]
    blocks = _drawn_pairs(len(accuracy)) if len(accuracy) > EXACT else _all_pairs(len(accuracy))
    pairs = undecided = agree = 0
    for one, other, counted in blocks:
        truth = np.sign(accuracy[one] - accuracy[other])
        votes = np.zeros(truth.shape, dtype=np.int16)
        for row in scores:  # no differences: infinities compare too
            votes += (row[one] > row[other]).astype(np.int16) - (row[one] < row[other])
        counted = counted & (truth != 0)
        pairs += int(counted.sum())
        undecided += int((counted & (votes == 0)).sum())
        agree += int((counted & (np.sign(votes) == truth)).sum())
    return Concordance((agree + undecided / 2) / pairs if pairs else float("nan"), pairs, undecided)


def _all_pairs(n: int) -> Iterator[Pairs]:
    """Every pair once, a block of rows at a time."""
    for start in range(0, n, ROWS):
        one, other = np.arange(start, min(start + ROWS, n))[:, None], np.arange(start, n)
        yield one, other, other > one


def _drawn_pairs(n: int) -> Iterator[Pairs]:
    """Pairs drawn with replacement, a million at a time."""
    generator = np.random.default_rng(0)
    for _ in range(DRAWN // 1_000_000):
        one, other = generator.integers(0, n, 1_000_000), generator.integers(0, n - 1, 1_000_000)
        other += other >= one  # never with itself
        yield one, other, np.ones(len(one), bool)


def judged_votes(scores: Mapping[str, np.ndarray], accuracy: np.ndarray) -> list[dict[str, Any]]:
    """Judge every published vote whose members were scored, and each of its members alone, on the same pairs.

    `scores` are {proxy: (seeds, archs)}. One row each: ensemble, voter (the ensemble itself, or a member), n
    (architectures that all members scored), pairs (of different accuracies), concordance (see `Concordance`); means
    over seeds.
    """
    rows = []
    for name, each in ENSEMBLES.items():
        if each.combine is None and set(each.members) <= scores.keys():
            seeds = range(max(len(scores[member]) for member in each.members))
            by_seed = [
                _judged(np.stack([scores[member][seed % len(scores[member])] for member in each.members]), accuracy)
                for seed in seeds
            ]
            for voter, values in zip((name, *each.members), np.mean(by_seed, axis=0).tolist(), strict=True):
                rows.append(dict(zip(VOTE_COLUMNS, (name, voter, *values), strict=True)))
    return rows


def _judged(scores: np.ndarray, accuracy: np.ndarray) -> list[tuple[float, float, float]]:
    """(members, archs) of one seed -> (n, pairs, share in the right order) of the vote, then of each member alone."""
    inside = ~np.isnan(scores).any(0) & np.isfinite(accuracy)
    scores, accuracy, n = scores[:, inside], accuracy[inside], int(inside.sum())
    whole = concordance(scores, accuracy)
    found: list[tuple[float, float, float]] = [(n, whole.pairs, whole.fraction)]
    for score in scores:
        if n > EXACT:
            alone = concordance(score[None], accuracy).fraction
        else:
            surplus = stats.kendall_tau_a(rankdata(score), accuracy) * n * (n - 1) / 2  # concordant minus discordant
            alone = (1 + surplus / whole.pairs) / 2 if whole.pairs else np.nan
        found.append((n, whole.pairs, alone))
    return found
