"""What a trained supernet says of its operations. Every score is (edges, operations), larger is better.

With L and A the loss and accuracy on held-out minibatches, w the mixture softmax(alpha), m(x) the mixed output of an
edge and o(x) that of an operation alone:

    darts               w: the weight of o
    darts-pt            -A(without o): accuracy falls most where o matters most, so the sign is flipped
    disc-acc            A(edge decided for o)
    ostr                -(L(edge decided for o) - L(mixed)): the loss should rise little, so the sign is flipped
    ostr:taylor1        the same to first order, -<dL/dm, o(x) - m(x)>, from one backward pass for all edges
    ostr:taylor1_abs    -|<dL/dm, o(x) - m(x)>|, absolute for each minibatch: the least change of either sign
    removal             L(without o) - L(mixed): the contrast, as in pruning

The mask is shared by all cells, so <dL/dm, o(x) - m(x)> summed over cells is g[o] - sum_p w[p] g[p] with g = dL/dw.
Removal leaves the other weights as they were. Sources: darts Liu et al. 2019 (arXiv 1806.09055); darts-pt Wang et al.
2021 (arXiv 2108.04392); disc-acc as in Xiang et al. 2023 (arXiv 2106.06799); ostr OStr-DARTS (arXiv 2409.14433), whose
code is not public: the sign of its first order and what is taken the absolute of are ours.

BatchNorm uses, for each mask by itself, the statistics of the minibatch, or its running statistics of the training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.inputs.draw import Minibatch
from harness.operations.scores.naswot import CHUNK
from harness.operations.supernets.masks import decided, distinct, removed

TRAINED = {
    "darts": "softmax of the trained architecture parameters",
    "darts-pt": "sign flipped: accuracy of the trained supernet without the operation",
    "disc-acc": "accuracy of the trained supernet, edge decided",
    "ostr": "sign flipped: rise of the trained supernet's loss, edge decided",
    "ostr:taylor1": "the same to first order",
    "ostr:taylor1_abs": "sign flipped: absolute value of the same, minibatch by minibatch",
    "removal": "contrast: rise of the trained supernet's loss without the operation",
}
"""Name -> what it is."""


def strength(
    kind: str,
    network: Any,
    mask: Tensor,
    edges: Sequence[int],
    minibatches: Sequence[Minibatch],
    statistics: str = "batch",
) -> np.ndarray:
    """Return the scores of all operations on some edges of a mask, (edges, operations) float64; NaN on the others.

    `mask` (edges, operations): softmax(alpha) on edges that are not decided.
    """
    found = np.full(tuple(mask.shape), np.nan)
    edges = list(edges)
    if kind == "darts":
        values = mask
    elif kind in ("ostr:taylor1", "ostr:taylor1_abs"):
        values = -first_order(network, mask, minibatches, statistics, absolute=kind.endswith("abs"))
    else:
        change = removed if kind in ("darts-pt", "removal") else decided
        masks = torch.cat([mask[None], *(change(mask, edge) for edge in edges)])
        loss, accuracy = evaluate(network, masks, minibatches, statistics)
        value = {"darts-pt": -accuracy, "disc-acc": accuracy, "ostr": loss[0] - loss, "removal": loss - loss[0]}[kind]
        found[edges] = value[1:].view(len(edges), -1).numpy()
        return found
    found[edges] = values[edges].double().cpu().numpy()
    return found


@torch.no_grad()
def evaluate(
    network: Any,
    masks: Tensor,
    minibatches: Sequence[Minibatch],
    statistics: str = "batch",
    chunk: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Return loss and accuracy, percent, of each mask, (masks,) float64 each: the mean over minibatches.

    `chunk` masks run side by side. Equal masks run once; the weight of an operation that adds nothing makes no other.
    """
    different, place = distinct(masks, network.idle)
    images = minibatches[0].inputs
    chunk = chunk or max(1, CHUNK // (images[:, :1].numel() * network.stem[0].out_channels))
    loss, right = torch.zeros(2, len(different), dtype=torch.float64)
    for minibatch in minibatches:
        with evaluating(network, statistics, len(minibatch.inputs)):
            parts = different.to(images.device).split(chunk)
            logits = torch.cat([network(minibatch.inputs, part) for part in parts]).cpu().double()
        targets = minibatch.targets.cpu().expand(len(logits), -1)
        loss += functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)
        right += (logits.argmax(2) == targets).double().mean(1)
    return (loss / len(minibatches))[place], (100 * right / len(minibatches))[place]


def first_order(
    network: Any, mask: Tensor, minibatches: Sequence[Minibatch], statistics: str = "batch", absolute: bool = False
) -> Tensor:
    """Return <dL/dm, o(x) - m(x)>, (edges, operations), the mean over minibatches (of its absolute value).

    An operation of weight 0 in `mask` is not run and has no value of its own: only edges that mix all are to be read.
    """
    total = torch.zeros_like(mask)
    for minibatch in minibatches:
        weights = mask.to(minibatch.inputs.device, copy=True).requires_grad_(True)
        with evaluating(network, statistics, len(minibatch.inputs)), torch.enable_grad():
            logits = network(minibatch.inputs, weights[None])[0]
            (slope,) = torch.autograd.grad(functional.cross_entropy(logits, minibatch.targets), weights)
        change = (slope - (weights.detach() * slope).sum(1, keepdim=True)).to(total)
        total += change.abs() if absolute else change
    return total / len(minibatches)


@contextmanager
def evaluating(network: Any, statistics: str, samples: int) -> Iterator[None]:
    """In evaluation mode; with "batch", BatchNorm normalises each mask's `samples` by their own mean and variance."""
    training = network.training
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    network.eval()
    try:
        if statistics == "batch":
            for norm in norms:
                norm.forward = partial(_by_mask, norm, samples)  # type: ignore[method-assign]
        yield
    finally:
        network.train(training)
        for norm in norms:
            vars(norm).pop("forward", None)


def _by_mask(norm: nn.BatchNorm2d, samples: int, x: Tensor) -> Tensor:
    """x (masks * samples, channels, height, width), mask by mask."""
    masks = len(x) // samples
    affine = (norm.weight.repeat(masks), norm.bias.repeat(masks))
    if masks == 1:
        return functional.batch_norm(x, None, None, *affine, training=True, eps=norm.eps)
    side_by_side = x.unflatten(0, (masks, samples)).transpose(0, 1).flatten(1, 2)
    normal = functional.batch_norm(side_by_side, None, None, *affine, training=True, eps=norm.eps)
    return normal.unflatten(1, (masks, -1)).transpose(0, 1).flatten(0, 1)
