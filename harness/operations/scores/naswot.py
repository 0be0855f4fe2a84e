"""naswot of a supernet under many masks at once: log |det K|, K[i, j] the ReLU units on, or off, in both of i and j.

As Zero-Cost-PT computes it: BatchNorm with running statistics that were never updated (the identity, but for its
epsilon), and every ReLU counts, reached or not. The ReLUs of the convolutions that leave a node all see the node, so it
is counted once for each. A convolution of weight 0 gets zeros as input: its units are off in all samples and add their
number to every entry of K. Larger is better for a network; two samples with the same code make it -inf.

K is one matrix product for each node: with codes s of 1 (on) and -1 (off), K = (units + s s^T) / 2. Source: Mellor et
al. 2021 (arXiv 2006.04647); Xiang et al. 2023 (arXiv 2106.06799). The sign of the determinant is dropped; float64.
"""

from typing import Any

import torch
from torch import Tensor

from benchmarks.spaces.layers import StackedReLU
from harness.operations.supernets.masks import at_once


@torch.no_grad()
def naswot_of_masks(supernet: Any, images: Tensor, masks: Tensor, chunk: int | None = None) -> Tensor:
    """Return log |det K| of each mask of `masks` (masks, edges, operations), (masks,) float64; `chunk` run at a
    time."""
    chunk = chunk or at_once(supernet, images)
    training = supernet.training
    supernet.eval()
    try:
        kernels = torch.cat([_kernels(supernet, images, part) for part in masks.split(chunk)])
    finally:
        supernet.train(training)
    return torch.linalg.slogdet(kernels).logabsdet


def _kernels(supernet: Any, images: Tensor, masks: Tensor) -> Tensor:
    """Return K of each mask, (masks, samples, samples) float64; Macro's operations of weight 0 run on zeros instead."""
    kernels = torch.zeros(len(masks), len(images), len(images), dtype=torch.float64, device=images.device)

    def add(x: Tensor, seeing: Tensor, leaving: int) -> None:
        codes = (x > 0).to(x.dtype).mul_(2).sub_(1).reshape(-1, len(images), x[0].numel())  # masks share the stem's
        units = codes.shape[2]
        both = (codes @ codes.transpose(1, 2)).double().add_(units).div_(2)
        seeing = seeing.to(kernels).view(-1, 1, 1)
        kernels.add_(both * seeing + units * (leaving - seeing))

    cells = supernet.cells() if hasattr(supernet, "cells") else []
    in_cells = {module for cell in cells for module in cell.modules()}
    handles = [
        module.register_forward_pre_hook(lambda _, inputs: add(inputs[0], torch.ones(len(masks)), 1))
        for module in supernet.modules()
        if isinstance(module, StackedReLU) and module not in in_cells
    ]
    try:
        for cell in cells:
            cell.on_node = add
        supernet(images, masks, blocked=not cells)
    finally:
        for cell in cells:
            cell.on_node = None
        for handle in handles:
            handle.remove()
    return kernels
