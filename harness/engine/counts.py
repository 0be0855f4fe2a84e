"""The counts of architectures, for proxies that need no network."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Counts:
    """What static proxies read; each (archs,) float64."""

    params: Tensor
    flops: Tensor
    tensors: Tensor
    params_reachable: Tensor
    flops_reachable: Tensor
    noise: Tensor
