"""How far accuracies agree with themselves: no score is expected to rank better than another training run.

Each network was trained with several seeds; the agreement of one seed with another, in the place of a score, is the
noise ceiling.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from harness.stats.correlation import spearman, top_spearman

Array = NDArray[np.float64]


def seed_agreement(seed_accuracy: Array) -> dict[str, float]:
    """Rank agreement between training seeds; seed_accuracy (archs, accuracy_seeds) percent, NaN for a missing seed.

    seeds: mean number of seeds of an architecture that has any; n: architectures with two or more.
    rho_single: Spearman's rho between two single seeds, mean over pairs of seeds, on the architectures that have both.
    rho_mean: reliability of the mean over `seeds` seeds by Spearman-Brown, m r / (1 + (m - 1) r): what the mean would
    correlate with another mean of as many seeds. An extrapolation from rho_single, not measured.
    rho_ceiling: sqrt(rho_mean), what a score that knew the expected accuracy could reach against the mean.
    rho_top10pct: one seed in the place of the score, within the top 10 % of the other; mean over ordered pairs.
    All NaN with fewer than two seeds. Larger is better. Source: Spearman 1910, Brown 1910.
    """
    accuracy = np.asarray(seed_accuracy, float)
    trained = np.isfinite(accuracy).sum(axis=1)
    single, top = [], []
    for one, other in permutations(range(accuracy.shape[1]), 2):
        both = np.isfinite(accuracy[:, one]) & np.isfinite(accuracy[:, other])
        single.append(spearman(accuracy[both, one], accuracy[both, other]))
        top.append(top_spearman(accuracy[both, one], accuracy[both, other]))
    seeds = float(trained[trained > 0].mean()) if trained.any() else 0.0
    rho = _mean(single)
    reliability = seeds * rho / (1 + (seeds - 1) * rho)
    return {
        "seeds": seeds,
        "n": int((trained > 1).sum()),
        "rho_single": rho,
        "rho_mean": reliability,
        "rho_ceiling": float(np.sqrt(reliability)) if reliability >= 0 else float("nan"),
        "rho_top10pct": _mean(top),
    }


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")
