"""gradsign: sum over convolution and linear weights of |sum over samples of sign(g)|, g a sample's loss gradient.

Larger is better; uses labels. A sample is a minibatch of one: BatchNorm takes its statistics over the positions of
that sample alone. Source: Zhang and Jia, "GradSign" (ICLR 2022, arXiv 2110.08616), whose code runs the images one
at a time and leaves NaN gradients out of the sum. `gradsign@az_nas` is the mean over weights instead, without the
term in size, with Kaiming-normal weights (fan-in), as in AZ-NAS's repository (arXiv 2403.19232).

Cost: one forward and one backward for all samples, and the gradients of each sample one layer at a time; exact, see
`harness.probe.per_sample`. Departures: float64, and a gradient below 1e-10 has no sign: it is zero in exact arithmetic
(as before a BatchNorm whose map is then averaged whole), and rounding would choose. Maps of one position have no
statistics of their own: the score is NaN, as PyTorch's error says.
"""

from dataclasses import replace

import torch
from torch import Tensor

from harness.probe.per_sample import each_sample
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(batchnorm="one", precision="float64")
ROUNDING = 1e-10
PAPER = "Zhang and Jia 2022, arXiv 2110.08616"


def _signs(gradients: Tensor) -> Tensor:
    """(samples, *weight) -> like the weight: how many more samples push it up than down."""
    return torch.where(gradients.abs() > ROUNDING, gradients.sign(), 0.0).sum(0)  # NaN is not above either


@proxy(view=VIEW, reads="weights", labels=True, cost="PS", paper=PAPER)
def gradsign(probe) -> Tensor:
    """Agreement of the signs of the samples' gradients."""
    return probe.total(signs.abs() for signs in each_sample(probe, _signs))


@proxy(
    name="gradsign@az_nas", view=replace(VIEW, init="kaiming_fan_in"), reads="weights", labels=True, cost="PS",
    paper=PAPER,
)  # fmt: skip
def gradsign_az_nas(probe) -> Tensor:
    """gradsign as a mean over weights."""
    weights = probe.total(torch.ones_like(layer.weight) for layer in probe.layers)
    return gradsign(probe) / weights
