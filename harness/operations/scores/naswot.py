"""naswot of a supernet under many masks at once: log |det K|, K[i, j] the ReLU units on, or off, in both of i and j.

BatchNorm uses running statistics that were never updated (the identity, but for its epsilon), and every ReLU counts,
reached or not. Two countings:

    naswot                every ReLU once. The ReLUs of the convolutions that leave a node all see the node, so it
                          counts once for each. A convolution of weight 0 gets zeros as input: its units are off in all
                          samples and add their number to every entry of K
    naswot@zero-cost-pt   the released code of Zero-Cost-PT: a hook on every module with ReLU in its class's name. In
                          NAS-Bench-201 that is the block ReLUConvBN too, which sees the node before it is set to zero,
                          so the node counts once more for every convolution. In 1Shot1 convolutions of weight 0 run on
                          their input, and the block ReLUConvBN at the end counts too. In Macro no block is named so:
                          both countings are the same

Larger is better for a network; two samples with the same code make it -inf. K is one matrix product for each node: with
codes s of 1 (on) and -1 (off), K = (units + s s^T) / 2. Source: Mellor et al. 2021 (arXiv 2006.04647); Xiang et al.
2023 (arXiv 2106.06799). The sign of the determinant is dropped; float64.
"""

from typing import Any

import torch
from torch import Tensor, nn

from harness.operations.supernets.masks import at_once
from harness.probe.layer_rules import is_relu

RELEASED = {"naswot": False, "naswot@zero-cost-pt": True}
"""Proxy -> whether modules are counted as in the released code."""


@torch.no_grad()
def naswot_of_masks(
    supernet: Any, images: Tensor, masks: Tensor, chunk: int | None = None, *, released: bool = False
) -> Tensor:
    """Return log |det K| of each mask of `masks` (masks, edges, operations), (masks,) float64; `chunk` run at a
    time. `released` counts as Zero-Cost-PT's code."""
    chunk = 1 if supernet.dropped else chunk or at_once(supernet, images)  # ReLUs then see all samples, or are not run
    training = supernet.training
    supernet.eval()
    try:
        supernet.fed = released and supernet.fed_in_release
        kernels = torch.cat([_kernels(supernet, images, part, released) for part in masks.split(chunk)])
    finally:
        supernet.fed = False
        supernet.train(training)
    return torch.linalg.slogdet(kernels).logabsdet


def _kernels(supernet: Any, images: Tensor, masks: Tensor, released: bool) -> Tensor:
    """Return K of each mask, (masks, samples, samples) float64; Macro's operations of weight 0 run on zeros instead."""
    kernels = torch.zeros(len(masks), len(images), len(images), dtype=torch.float64, device=images.device)

    def add(x: Tensor, seen: Tensor, empty: Tensor) -> None:
        """Add the kernel of x as often as `seen`, and that of zeros as often as `empty`, (masks,) or (1,) each."""
        codes = (x > 0).to(x.dtype).mul_(2).sub_(1).reshape(-1, len(images), x[0].numel())  # masks share the stem's
        units = codes.shape[2]
        both = (codes @ codes.transpose(1, 2)).double().add_(units).div_(2)
        seen, empty = (times.to(kernels).view(-1, 1, 1) for times in (seen, empty))
        kernels.add_(both * seen + units * empty)

    def at_node(x: Tensor, seeing: Tensor, leaving: int) -> None:
        add(x, seeing + leaving if released else seeing, leaving - seeing)  # a block's hook sees the node in any case

    def at_relu(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        times = getattr(module, "times", 1)  # one that several operations share
        blocks = getattr(module, "blocks", 0) if released else 0
        add(inputs[0], torch.tensor([times * (1 + blocks)]), torch.zeros(1))

    cells = supernet.cells() if hasattr(supernet, "cells") else []
    in_cells = {module for cell in cells for module in cell.modules()}
    handles = [
        module.register_forward_pre_hook(at_relu)
        for module in supernet.modules()
        if is_relu(module) and module not in in_cells
    ]
    try:
        for cell in cells:
            cell.on_node = at_node
        supernet(images, masks, blocked=not (cells or supernet.dropped))
    finally:
        for cell in cells:
            cell.on_node = None
        for handle in handles:
            handle.remove()
    return kernels
