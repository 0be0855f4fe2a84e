"""Counts: what every proxy has to beat. Larger is better; no data, no weights.

`params` and `flops` are counted as the benchmark states them, operations on no input-output path included;
`*_reachable` leave those out. `layers` counts trainable parameter tensors ("number of layers" in the baselines of
VKDNW, Tybl and Neumann, CVPR 2025). On an ordinary module all of a kind agree. FLOPs are multiply-accumulates of
convolutions and linear layers for one image.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(static=True, cost="S", baseline=True)
def params(counts) -> Tensor:
    """Trainable weights, as the benchmark counts them."""
    return counts.params


@proxy(static=True, cost="S", baseline=True)
def flops(counts) -> Tensor:
    """Multiply-accumulates of one image, as the benchmark counts them."""
    return counts.flops


@proxy(static=True, cost="S", baseline=True)
def layers(counts) -> Tensor:
    """Trainable parameter tensors."""
    return counts.tensors


@proxy(static=True, cost="S", baseline=True)
def params_reachable(counts) -> Tensor:
    """Trainable weights on input-output paths."""
    return counts.params_reachable


@proxy(static=True, cost="S", baseline=True)
def flops_reachable(counts) -> Tensor:
    """Multiply-accumulates on input-output paths."""
    return counts.flops_reachable
