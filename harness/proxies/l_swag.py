"""l_swag: how little gradients vary between minibatches, times how many activation patterns each ReLU has.

    Lambda   sum over convolution and linear layers of log( sum over weights of 1 / std(|g|) ), std over two minibatches
    Psi      sum over ReLUs on maps of the different sign patterns that its units have over 32 samples
    score    Lambda * Psi

It is ZiCo without the mean in the numerator, times SWAP counted by layer. Larger is better; uses labels. Cost: a
forward and backward for each of two minibatches. Source: Casarin, Escalera and Lanz, "L-SWAG" (CVPR 2025, arXiv
2505.07300); there is no released code, and this is put together from a description of the formula. Departures, so its
figures are not the paper's: the paper chooses an interval of layers for each benchmark from statistics of its
gradients, here all layers count; two minibatches, float64 and population deviations, as in `zico`; PyTorch's default
initialisation for both factors; patterns are of the first 32 samples. Weights whose |g| does not vary are left out, and
layers of which nothing is left; NaN where no layer is left or there is no ReLU on a map.
"""

import torch
from torch import Tensor

from harness.probe.view import View
from harness.proxies.registry import proxy
from harness.proxies.zico import log_sums

VIEW = View(precision="float64", minibatches=2)
PAPER = "Casarin et al. 2025, arXiv 2505.07300"
READS = ("gradients", "other_gradients", "relu_layer_words")


def _steadiness(g: Tensor) -> Tensor:
    deviation = g.abs().std(0, correction=0)
    return torch.where(deviation > 0, 1 / deviation, 0.0)


@proxy(view=VIEW, reads=READS, labels=True, cost="2FB", paper=PAPER)
def l_swag(probe) -> Tensor:
    """Steadiness of gradients times activation patterns by layer."""
    total, patterns = log_sums(probe, _steadiness), probe.observed("relu_layer_words").to(probe.inputs.device)
    probe.fail(total == 0, "no gradient varies between the minibatches")
    probe.fail(patterns == 0, "no ReLU on a map")
    return torch.where((total == 0) | (patterns == 0), torch.nan, total * patterns)
