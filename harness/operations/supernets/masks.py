"""Weights of a supernet's mixed operations ("masks"): as drawn, with an operation pruned, with an edge discretised.

A mask is (edges, operations); sets of masks have an axis in front.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.probe.initialise import stream

CHUNK = 2**22
"""Values in the first map of masks that run together, at most: larger ones fall out of a CPU's cache."""
ALPHA_SCALE = 1e-3
"""Standard deviation of architecture parameters at initialisation, as DARTS and its descendants draw them."""


def draw_alphas(edges: int, operations: int, seed: int, number: int = 0) -> Tensor:
    """Return architecture parameters N(0, 1e-3), (edges, operations) float32; `number` counts the draws of a seed."""
    generator = stream(seed, "supernet", f"architecture parameters {number}")
    return ALPHA_SCALE * torch.randn(edges, operations, generator=generator)


def mixture(alphas: Tensor) -> Tensor:
    """Return the softmax over operations: the weights of a supernet before any decision, near 1 / operations."""
    return alphas.softmax(-1)


def pruned(mask: Tensor, edge: int) -> Tensor:
    """Return the mask with each operation of an edge pruned, (operations, edges, operations); other weights stay."""
    masks = mask.repeat(mask.shape[1], 1, 1)
    masks[:, edge] *= 1 - torch.eye(mask.shape[1], dtype=mask.dtype, device=mask.device)
    return masks


def discretised(mask: Tensor, edge: int) -> Tensor:
    """Return the mask with an edge discretised to each of its operations, (operations, edges, operations)."""
    masks = mask.repeat(mask.shape[1], 1, 1)
    masks[:, edge] = torch.eye(mask.shape[1], dtype=mask.dtype, device=mask.device)
    return masks


def distinct(masks: Tensor, idle: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the masks that differ in more than the weights of `idle` operations, which are 0 in them, and for each
    mask its place among these, (masks,)."""
    same = masks.clone()
    same[:, :, list(idle)] = 0
    return torch.unique(same, dim=0, return_inverse=True)


def at_once(supernet: Any, images: Tensor) -> int:
    """Return how many masks run together on some images, (samples, channels, height, width)."""
    return max(1, CHUNK // (images[:, :1].numel() * supernet.stem[0].out_channels))


def one_hot(operations: Sequence[int], count: int) -> Tensor:
    """Return the mask of an architecture, (edges, operations) of 0 and 1."""
    return torch.nn.functional.one_hot(torch.tensor(operations), count).float()


class Masked(nn.Module):
    """A supernet under one mask as an ordinary module: images -> (samples, classes)."""

    mask: Tensor

    def __init__(self, supernet: nn.Module, mask: Tensor) -> None:
        super().__init__()
        self.supernet = supernet
        self.register_buffer("mask", mask.unsqueeze(0))

    def forward(self, images: Tensor) -> Tensor:
        return self.supernet(images, self.mask, blocked=True)[0]
