"""tenas: an operation is worth what the supernet loses without it, by two proxies whose ranks are added.

    tenas    -(rank of -ntk_cond + rank of linear_regions@te_nas) of the supernet without operation o on edge e

A rank counts from 1 for the worst (a large condition number, few regions), ties share their mean. The sum is small
where the supernet without o is bad, so the sign is flipped: larger is better. Ranks are over the masks that are
evaluated together: here always those of all operations on all undecided edges, as in the released code, which then
decides by the first |O| entries of that list, the first undecided edge whatever the edge order said; here it is the
edge's own. Source: Chen, Gong and Wang, "TE-NAS" (ICLR 2021, arXiv 2102.11535), as Xiang et al. (AAAI 2023, arXiv
2106.06799) compare with it; both proxies are the registry's, with the departures stated there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata
from torch import Tensor

from harness.inputs.draw import Minibatch
from harness.operations.scores.perturbation import Evaluator

PROXIES = ("ntk_cond", "linear_regions@te_nas")
NAME = "tenas"


def rank_sum(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sum over proxies of the ranks of their values, (masks,), 1 for the smallest; NaN where one is NaN."""
    return np.sum([rankdata(each, nan_policy="omit") for each in values], axis=0)


class TeNas(Evaluator):
    """Rank sums of the masks it is called with; both proxies see the same minibatch."""

    def __call__(self, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        """Return the rank sums, (masks,) float64."""
        found = []
        for proxy in PROXIES:
            own = Evaluator(self.supernet, proxy, self.seed, self.failures)
            found.append(own(masks, minibatch))
            self.evaluations += own.evaluations
        return rank_sum(found)


def evaluator(kind: str, supernet: Any, proxy: str, seed: int) -> Evaluator:
    """Return what gives S of a supernet under masks for a perturbation score; tenas has its own two proxies."""
    return (TeNas if kind == NAME else Evaluator)(supernet, proxy, seed, {})
