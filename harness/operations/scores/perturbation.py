"""zc-pt and disc-zc: what a zero-cost proxy S says of the supernet when one edge is changed.

    zc-pt     -S(supernet without operation o on edge e); S falls most where o matters most, so the sign is flipped
    disc-zc   S(supernet with edge e decided for o)

Both larger is better. The other weights stay as they were: removal does not renormalise. Source: Xiang et al.,
"Zero-Cost Operation Scoring in Differentiable Architecture Search" (AAAI 2023, arXiv 2106.06799). The proxy is naswot
as there (`harness.operations.scores.naswot`: BatchNorm in evaluation mode, never updated), or any of the registry in its own
view. The supernet's weights are drawn once a seed; a step of the search sees one minibatch, the same for all masks.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import UserError
from harness.engine.inputs import ViewInputs
from harness.engine.scoring import score_stack
from harness.inputs.draw import Minibatch
from harness.operations.scores.naswot import naswot_of_masks
from harness.operations.supernets.masks import Masked, decided, distinct, removed
from harness.proxies.registry import Proxy, registry

Change = Callable[[Tensor, int], Tensor]
PERTURBATIONS: dict[str, tuple[Change, float]] = {
    "zc-pt": (removed, -1.0),
    "disc-zc": (decided, 1.0),
    "tenas": (removed, -1.0),
}
"""Name -> (mask, edge -> a mask for each operation; sign that makes larger better)."""
Evaluate = Callable[[Tensor, Minibatch], np.ndarray]
"""(masks (masks, edges, operations), minibatch) -> S of each, (masks,) float64, larger is better."""


@dataclass
class Evaluator:
    """S of a supernet under masks, and what went wrong."""

    supernet: Any
    proxy: str
    seed: int
    failures: dict[str, int]
    """Reason -> how many masks have no finite score because of it."""
    evaluations: int = 0
    """Masks that were run."""

    def __call__(self, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        """Equal masks are run once; a weight of an operation that adds nothing makes no other mask."""
        different, place = distinct(masks, self.supernet.idle)
        self.evaluations += len(different)
        if self.proxy == "naswot":
            values = naswot_of_masks(self.supernet, minibatch.inputs, different.to(minibatch.inputs.device)).cpu()
            if singular := int((~values.isfinite()).sum()):
                self._count("two samples have the same code in every ReLU", singular)
        else:
            values = torch.cat([self._by_registry(mask, minibatch) for mask in different])
        return values[place].numpy()

    def _by_registry(self, mask: Tensor, minibatch: Minibatch) -> Tensor:
        inputs = minibatch.inputs
        given = ViewInputs([minibatch], self.supernet.classifier.out_features, self.seed, inputs.device)
        scored = score_stack(
            lambda: copy.deepcopy(Masked(self.supernet, mask.to(inputs.device))), ["supernet"],
            [registry()[self.proxy]], given, seed=self.seed, own_weights=True,
        )[self.proxy]  # fmt: skip
        for reason in scored.reasons.values():
            self._count(reason, 1)
        return scored.scores

    def _count(self, reason: str, masks: int) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + masks


def usable(name: str) -> Proxy:
    """Return a proxy of the registry that can be read from a supernet; UserError for counts and research code."""
    entry = registry()[name]
    if entry.static or entry.view.minibatches > 1:
        why = "counts the string" if entry.static else "needs several minibatches"
        raise UserError(f"the proxy {name} {why}: it cannot score operations of a supernet")
    return entry


def perturb(kind: str, evaluate: Evaluate, mask: Tensor, edges: Iterable[int], minibatch: Minibatch) -> np.ndarray:
    """Return the scores of all operations on some edges, (edges, operations); NaN on the other edges."""
    change, sign = PERTURBATIONS[kind]
    edges = list(edges)
    masks = torch.cat([change(mask, edge) for edge in edges])
    scores = np.full(tuple(mask.shape), np.nan)
    scores[edges] = sign * evaluate(masks, minibatch).reshape(len(edges), -1)
    return scores


def evaluation_view(proxy: Proxy) -> Proxy:
    """Return naswot as it is used here, BatchNorm in evaluation mode; any other proxy as it is."""
    return replace(proxy, view=replace(proxy.view, batchnorm="eval")) if proxy.name == "naswot" else proxy
