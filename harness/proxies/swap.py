"""swap: how many different sign patterns over 16 samples the units of all ReLUs on maps have, mean of 32 repeats.

A unit (one channel at one position) has a pattern: for which samples the ReLU's output is above zero. Units with the
same pattern count once, over all ReLUs whose output is a map; GELU, SiLU and the like are ReLUs too. Weights are
N(0, 1), drawn for each repeat; the samples are the first 16 of the minibatch. Larger is better; no labels. Cost: 32
forwards of 16 samples. Source: Peng et al., "SWAP-NAS" (ICLR 2024, arXiv 2403.04161). Counting the patterns of samples
over units instead is a usual mistake and saturates at 16.

reg_swap: swap * exp(-(p - mu)^2 / sigma), p thousands of trainable parameters. The authors tune mu and sigma for each
space; a published pair for NAS-Bench-201 is not known to us. Ours is mu = 1,531, the size of that space's largest
network for CIFAR-10 (all edges 3 x 3 convolutions), and sigma = mu^2, so that the weight grows with size from exp(-1)
to 1: chosen by sizes alone, yet marked as fitted, because the form of the proxy was. For other spaces
`regularised(mu, sigma)` gives the formula: register what it returns under a name of your own, with `fitted=True`,
`view=VIEW`, `reads="relu_words"`, and say where mu and sigma come from.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from harness.probe.layers import owners_of
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="normal", batch_size=16, repeats=32)
PAPER = "Peng et al. 2024, arXiv 2403.04161"
MU = 1531.0
SIGMA = MU**2


@proxy(view=VIEW, reads="relu_words", labels=False, cost="F", paper=PAPER)
def swap(probe) -> Tensor:
    """Different activation patterns of ReLU units over samples."""
    found = probe.observed("relu_words")
    probe.fail(found.isnan(), "no ReLU on a map")
    return found


def regularised(mu: float, sigma: float) -> Callable[..., Tensor]:
    """Return the score that prefers networks of mu thousand parameters; sigma in squares of thousands.

    Parameters are all trainable tensors of the network scored.
    """

    def reg_swap(probe) -> Tensor:
        """swap, weighted by how near a network's size is to a preferred one."""
        params = torch.zeros(probe.archs, dtype=torch.float64)
        for module in probe.network.modules():
            owners = owners_of(module)
            for parameter in module.parameters(recurse=False):
                params[list(owners)] += parameter.numel() / len(owners)
        return swap(probe).cpu() * torch.exp(-((params / 1e3 - mu) ** 2) / sigma)

    return reg_swap


proxy(name="reg_swap", view=VIEW, reads="relu_words", labels=False, cost="F", fitted=True, paper=PAPER)(
    regularised(MU, SIGMA)
)
