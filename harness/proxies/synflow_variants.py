"""Relatives of synflow; R is the sum of the outputs for one image of ones, weights and biases are absolute, float64.

synflow_bn: sum of |w * dR/dw| over convolution and linear weights, as synflow, with training-mode BatchNorm kept in
the network. Source: zero-cost-nas (Abdelfattah et al., ICLR 2021, arXiv 2101.08134) under this name. It ranks far
worse than synflow on NAS-Bench-201; people who forget to take BatchNorm out compute it by mistake. An image of ones
is nearly constant: where pooling makes it quite constant, BatchNorm gives zeros, and the score is 0 up to rounding
(1e-13).

logsynflow: sum of |w * log(dR/dw + 1)|, BatchNorm taken out. Source: Cavagnero, Robbiano, Caputo and Averta, "FreeREA"
(WACV 2023, arXiv 2207.05135). Not the logarithm of synflow.

logsynflow@naslib: log of synflow, what NASLib (branch `zerocost`) calls synflow; it ranks as synflow does. Departure:
where synflow is zero the score is minus infinity, not NASLib's 0.

synflow@zennas: minus the sum over layers of |w * dR/dw| summed by output channel and averaged over the channels, with
N(0, 1) weights and training-mode BatchNorm kept. Source: Lin et al., "Zen-NAS" (ICCV 2021, arXiv 2102.01063), whose
repository has it as "syncflow" and returns it negated. Its search keeps what scores high, so with it little flow is
good, the opposite of synflow: the sign is the source's, not taken from any accuracy.

Larger is better for all; no data, no labels. Cost: one forward and backward of one image, shared where views are.
"""

from dataclasses import replace

import torch
from torch import Tensor

from harness.proxies.registry import proxy
from harness.proxies.synflow import VIEW, synflow

PAPER = "Abdelfattah et al. 2021, arXiv 2101.08134"


@proxy(view=replace(VIEW, batchnorm="train"), reads="gradients", labels=False, keeps="batchnorm", paper=PAPER)
def synflow_bn(probe) -> Tensor:
    """Synaptic flow with BatchNorm left in."""
    return synflow(probe)


@proxy(view=VIEW, reads="gradients", labels=False, paper="Cavagnero et al. 2023, arXiv 2207.05135")
def logsynflow(probe) -> Tensor:
    """Weight times logarithm of the gradient of the summed output."""
    score = probe.total((layer.weight * torch.log1p(g)).abs() for layer, g in probe.by_layer(probe.gradients))
    probe.fail(score.isnan(), "a gradient is below -1, which activations that are not monotone give: no log(1 + g)")
    return score


@proxy(name="logsynflow@naslib", view=VIEW, reads="gradients", labels=False, paper=PAPER)
def logsynflow_naslib(probe) -> Tensor:
    """Logarithm of synflow."""
    total = synflow(probe)
    probe.fail(total == 0, "synflow is zero: no path from the input to the output")
    return total.log()


@proxy(
    name="synflow@zennas", view=replace(VIEW, batchnorm="train", init="normal"), reads="gradients", labels=False,
    keeps="batchnorm", paper="Lin et al. 2021, arXiv 2102.01063",
)  # fmt: skip
def synflow_zennas(probe) -> Tensor:
    """Synaptic flow by output channel with BatchNorm left in, negated as in ZenNAS."""
    flows = probe.by_layer(probe.gradients)
    return -probe.total((layer.weight * g).abs() * (len(layer.owners) / len(g)) for layer, g in flows)
