"""zc-pt, disc-zc and tenas: proxies S of the supernet after one edge was changed. Larger is better.

    zc-pt     -S(o pruned from edge e); S falls most where o matters most, so the sign is flipped
    disc-zc   S(edge e discretised to o)
    tenas     -(rank of -ntk_cond + rank of linear_regions@te_nas), o pruned from edge e: sign flipped as in zc-pt

The other weights stay as they were: pruning does not renormalise. The supernet's weights are drawn once a seed; a step
of the search sees one minibatch, the same for all masks. Source: Xiang et al., "Zero-Cost Operation Scoring in
Differentiable Architecture Search" (AAAI 2023, arXiv 2106.06799). The proxy is naswot, every ReLU counted once;
naswot@zero-cost-pt, counted as in the released code (both: `harness.operations.scores.naswot`, BatchNorm in evaluation
mode, never updated); or any of the registry in its view.

tenas: a rank counts from 1 for the worst (a large condition number, few regions), ties share their mean. Ranks are over
the masks that are evaluated together: those of all operations on all remaining edges, as in the released code, which
then decides by the first |O| entries of that list, the first remaining edge whatever the edge order; here it is the
edge's own. Source: Chen, Gong and Wang, "TE-NAS" (ICLR 2021, arXiv 2102.11535), as Xiang et al. compare with it; both
proxies are the registry's, with the departures stated there.
"""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from harness.engine.scoring import ViewInputs, score_stack
from harness.inputs.draw import Minibatch
from harness.operations.config import usable
from harness.operations.scores.naswot import RELEASED, naswot_of_masks
from harness.operations.supernets.masks import Masked, discretised, distinct, pruned
from harness.proxies.registry import Proxy, registry

Change = Callable[[Tensor, int], Tensor]
"""(mask, edge) -> a mask for each operation."""
Evaluate = Callable[[Tensor, Minibatch], np.ndarray]
"""(masks (masks, edges, operations), minibatch) -> S of each, (masks,) float64, larger is better."""


@dataclass(frozen=True)
class Perturbation:
    """How an edge is changed, and by which proxies the changed supernet is evaluated."""

    name: str
    meaning: str
    change: Change
    sign: float
    """-1 where a low S says that an operation is good."""
    proxies: tuple[str, ...] = ("naswot",)
    """Where there are several, S is the sum of their ranks."""
    any_proxy: bool = True
    """Whether `NAME:PROXY` is a score too."""

    @property
    def every_edge(self) -> bool:
        """Whether all remaining edges have to be scored together."""
        return len(self.proxies) > 1


PERTURBATIONS = {
    each.name: each
    for each in (
        Perturbation("zc-pt", "sign flipped: the proxy, operation pruned", pruned, -1.0),
        Perturbation("disc-zc", "the proxy, edge discretised to the operation", discretised, 1.0),
        Perturbation("tenas", "sign flipped: ranks of ntk_cond and linear_regions@te_nas, operation pruned, added",
                     pruned, -1.0, ("ntk_cond", "linear_regions@te_nas"), any_proxy=False),
    )
}  # fmt: skip


def perturbation_of(score: str) -> Perturbation | None:
    """Return what `zc-pt`, `tenas` or `zc-pt:PROXY` names; None for any other word, UserError for a proxy of no use."""
    kind, _, proxy = score.partition(":")
    found = PERTURBATIONS.get(kind)
    if found is None or not proxy:
        return found
    if not found.any_proxy or proxy not in registry():
        return None
    return replace(found, proxies=(usable(proxy).name,), meaning=found.meaning.replace("the proxy", proxy))


@dataclass
class Evaluator:
    """S of a supernet under masks, and what went wrong."""

    supernet: Any
    proxies: Sequence[str]
    seed: int
    failures: Counter[str] = field(default_factory=Counter)
    """Reason -> how many masks have no finite score because of it."""
    evaluations: int = 0
    """Masks that were run."""

    def __call__(self, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        """Return S of each mask, (masks,) float64: the proxy, or the sum over several proxies of ranks."""
        return combined([self._values(proxy, masks, minibatch) for proxy in self.proxies])

    def _values(self, proxy: str, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        """Equal masks are run once; a weight of an operation that adds nothing makes no other mask."""
        different, place = distinct(masks, self.supernet.idle)
        self.evaluations += len(different)
        if proxy in RELEASED:
            masks = different.to(minibatch.inputs.device)
            values = naswot_of_masks(self.supernet, minibatch.inputs, masks, released=RELEASED[proxy]).cpu()
            if singular := int((~values.isfinite()).sum()):
                self.failures["two samples have the same code in every ReLU"] += singular
        else:
            values = torch.cat([self._by_registry(proxy, mask, minibatch) for mask in different])
        return values[place].numpy()

    def _by_registry(self, proxy: str, mask: Tensor, minibatch: Minibatch) -> Tensor:
        inputs = minibatch.inputs
        of_views = ViewInputs([minibatch], self.supernet.classifier.out_features, self.seed, inputs.device)
        scored = score_stack(
            lambda _: copy.deepcopy(Masked(self.supernet, mask.to(inputs.device))), ["supernet"], [registry()[proxy]],
            of_views, seed=self.seed, own_weights=True,
        )[proxy]  # fmt: skip
        self.failures.update(scored.reasons.values())
        return scored.scores


def combined(values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the values of one proxy, or the sum over several of their ranks, 1 for the smallest; NaN where one is."""
    return values[0] if len(values) == 1 else np.sum([rankdata(each, nan_policy="omit") for each in values], axis=0)


def perturb(
    kind: str, evaluate: Evaluate, mask: Tensor, edges: Iterable[int], minibatch: Minibatch,
    allowed: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Return the scores of all operations on some edges, (edges, operations); NaN on the other edges, and for
    operations that an edge may not have (`allowed`, (edges, operations) bool)."""
    perturbation, edges = PERTURBATIONS[kind], list(edges)
    masks = torch.cat([perturbation.change(mask, edge) for edge in edges])
    scores = np.full(tuple(mask.shape), np.nan)
    scores[edges] = perturbation.sign * evaluate(masks, minibatch).reshape(len(edges), -1)
    return scores if allowed is None else np.where(allowed, scores, np.nan)


def evaluation_view(proxy: Proxy) -> Proxy:
    """Return naswot as it is used here, BatchNorm in evaluation mode; any other proxy as it is."""
    return replace(proxy, view=replace(proxy.view, batchnorm="eval")) if proxy.name == "naswot" else proxy
