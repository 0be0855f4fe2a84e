"""swap: how many different sign patterns over 16 samples the units of all ReLUs on maps have, mean of 32 repeats.

A unit (one channel at one position) has a pattern: for which samples the ReLU's output is above zero. Units with the
same pattern count once, over all ReLUs whose output is a map. Weights are N(0, 1), drawn anew for each repeat; the
samples are the first 16 of the minibatch. Larger is better; no labels. Cost: 32 forwards of 16 samples. Source: Peng
et al., "SWAP-NAS" (ICLR 2024, arXiv 2403.04161). Counting the patterns of samples over units instead is a usual
mistake and saturates at 16.

reg_swap, swap * exp(-(params / 1000 - mu)^2 / sigma), is not registered: mu and sigma are tuned for each space and no
published pair for NAS-Bench-201 is known to us. `regularised(mu, sigma)` gives the formula; register what it returns
under a name of your own, with `fitted=True`, `view=VIEW`, `reads="relu_words"`, and say where mu and sigma come from.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.proxies import proxy
from harness.view import View, owners_of

VIEW = View(init="normal", batch_size=16, repeats=32)
PAPER = "Peng et al. 2024, arXiv 2403.04161"


@proxy(view=VIEW, reads="relu_words", labels=False, cost="F", paper=PAPER)
def swap(probe) -> Tensor:
    """Different activation patterns of ReLU units over samples."""
    found = probe.watched("relu_words")
    probe.fail(found.isnan(), "no ReLU on a map")
    return found


def regularised(mu: float, sigma: float) -> Callable[..., Tensor]:
    """Return the score that prefers networks of mu thousand parameters; sigma in squares of thousands.

    Parameters are all trainable tensors of the network scored.
    """

    def reg_swap(probe) -> Tensor:
        """swap, weighted by how near a network's size is to a preferred one."""
        params = torch.zeros(probe.archs, dtype=torch.float64, device=probe.inputs.device)
        for module in probe.network.modules():
            owners = owners_of(module)
            for parameter in module.parameters(recurse=False):
                params[list(owners)] += parameter.numel() / len(owners)
        return swap(probe).to(params.device) * torch.exp(-((params / 1e3 - mu) ** 2) / sigma)

    return reg_swap
