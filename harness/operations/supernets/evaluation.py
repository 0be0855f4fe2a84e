"""Loss and accuracy of a trained supernet under masks, on held-out minibatches.

BatchNorm uses, for each mask separately, the statistics of the minibatch, or its running statistics of the training.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.inputs.draw import Minibatch
from harness.operations.supernets.masks import at_once, distinct


@torch.no_grad()
def evaluate(
    network: Any, masks: Tensor, minibatches: Sequence[Minibatch], statistics: str = "batch", chunk: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return loss and accuracy, percent, of each mask, (masks,) float64, means over minibatches; `chunk` at a time."""
    different, place = distinct(masks.cpu(), network.idle)  # masks of a supernet in training are on its device
    images = minibatches[0].inputs
    chunk = chunk or at_once(network, images)
    loss, right = torch.zeros(2, len(different), dtype=torch.float64)
    for minibatch in minibatches:
        with evaluating(network, statistics, len(minibatch.inputs)):
            parts = different.to(images.device).split(chunk)
            logits = torch.cat([network(minibatch.inputs, part) for part in parts]).cpu().double()
        targets = minibatch.targets.cpu().expand(len(logits), -1)
        loss += functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1)
        right += (logits.argmax(2) == targets).double().mean(1)
    return (loss / len(minibatches))[place], (100 * right / len(minibatches))[place]


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
