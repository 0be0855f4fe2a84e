"""Scores of a trained supernet. Every score is (edges, operations), larger is better.

With L and A the loss and accuracy on held-out minibatches, w the mixture softmax(alpha), m(x) the mixed output of an
edge and o(x) that of an operation alone:

    darts               w: the weight of o
    darts-pt            -A(o pruned): accuracy falls most where o matters most, so the sign is flipped
    disc-acc            A(edge discretised to o)
    ostr                -(L(edge discretised to o) - L(mixed)): the loss should rise little, so the sign is flipped
    ostr:taylor1        the same to first order, -<dL/dm, o(x) - m(x)>, from one backward pass for all edges
    ostr:taylor1_abs    -|<dL/dm, o(x) - m(x)>|, absolute for each minibatch: the least change of either sign
    removal             L(o pruned) - L(mixed): the contrast

The mask is shared by all cells, so <dL/dm, o(x) - m(x)> summed over cells is g[o] - sum_p w[p] g[p] with g = dL/dw.
Pruning leaves the other weights as they were. Sources: darts Liu et al. 2019 (arXiv 1806.09055); darts-pt Wang et al.
2021 (arXiv 2108.04392); disc-acc as in Xiang et al. 2023 (arXiv 2106.06799); ostr OStr-DARTS (arXiv 2409.14433), whose
code is not public: the sign of its first order and what is taken the absolute of are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.inputs.draw import Minibatch
from harness.operations.supernets.evaluation import evaluate, evaluating
from harness.operations.supernets.masks import discretised, pruned


def measured(
    network: Any, mask: Tensor, edges: Sequence[int], minibatches: Sequence[Minibatch], statistics: str,
    *, change: Callable[[Tensor, int], Tensor], value: Callable[[Tensor, Tensor], Tensor],
) -> tuple[Tensor, int]:  # fmt: skip
    """Return a value of loss and accuracy, (masks,) each, of the mask and of every `change` of an edge."""
    masks = torch.cat([mask[None], *(change(mask, edge) for edge in edges)])
    loss, accuracy = evaluate(network, masks, minibatches, statistics)
    return value(loss, accuracy)[1:].view(len(edges), -1), len(masks)


@dataclass(frozen=True)
class Strength:
    """A score of a trained supernet."""

    meaning: str
    compute: Callable[[Any, Tensor, Sequence[int], Sequence[Minibatch], str], tuple[Tensor, int]]
    """(network, mask, edges, minibatches, BatchNorm statistics) -> scores (edges, operations), masks that were run."""


STRENGTHS = {
    "darts": Strength("softmax of the trained architecture parameters",
                      lambda network, mask, edges, *_: (mask[edges], 0)),
    "darts-pt": Strength("sign flipped: accuracy of the trained supernet, operation pruned",
                         partial(measured, change=pruned, value=lambda loss, accuracy: -accuracy)),
    "disc-acc": Strength("accuracy of the trained supernet, edge discretised to the operation",
                         partial(measured, change=discretised, value=lambda loss, accuracy: accuracy)),
    "ostr": Strength("sign flipped: rise of the trained supernet's loss, edge discretised to the operation",
                     partial(measured, change=discretised, value=lambda loss, accuracy: loss[0] - loss)),
    "ostr:taylor1": Strength("the same to first order",
                             lambda net, mask, edges, *on: (-first_order(net, mask, *on)[edges], 1)),
    "ostr:taylor1_abs": Strength("sign flipped: absolute value of the same, minibatch by minibatch",
                                 lambda net, mask, edges, batches, how: (
                                     -first_order(net, mask, batches, how, absolute=True)[edges], 1)),
    "removal": Strength("contrast: rise of the trained supernet's loss, operation pruned",
                        partial(measured, change=pruned, value=lambda loss, accuracy: loss - loss[0])),
}  # fmt: skip


def strength(
    kind: str, network: Any, mask: Tensor, edges: Sequence[int], minibatches: Sequence[Minibatch],
    statistics: str = "batch",
) -> tuple[np.ndarray, int]:  # fmt: skip
    """Return the scores of all operations on some edges of a mask, (edges, operations) float64, NaN on the others; and
    how many masks were run. `mask` (edges, operations): softmax(alpha) on edges that are not discretised."""
    found, edges = np.full(tuple(mask.shape), np.nan), list(edges)
    values, evaluations = STRENGTHS[kind].compute(network, mask, edges, minibatches, statistics)
    found[edges] = values.double().cpu().numpy()
    return found, evaluations


def first_order(
    network: Any, mask: Tensor, minibatches: Sequence[Minibatch], statistics: str = "batch", absolute: bool = False
) -> Tensor:
    """Return <dL/dm, o(x) - m(x)>, (edges, operations), the mean over minibatches (of its absolute value). An operation
    of weight 0 in `mask` is not run and gets no value: only edges that mix all operations are valid."""
    total = torch.zeros_like(mask)
    for minibatch in minibatches:
        weights = mask.to(minibatch.inputs.device, copy=True).requires_grad_(True)
        with evaluating(network, statistics, len(minibatch.inputs)), torch.enable_grad():
            logits = network(minibatch.inputs, weights[None])[0]
            (slope,) = torch.autograd.grad(functional.cross_entropy(logits, minibatch.targets), weights)
        change = (slope - (weights.detach() * slope).sum(1, keepdim=True)).to(total)
        total += change.abs() if absolute else change
    return total / len(minibatches)
