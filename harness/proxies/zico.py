"""zico: sum over convolution and linear layers of log( sum over weights of mean |g| / std(g) ), over two minibatches.

g is the loss gradient of each minibatch, mean and population standard deviation are over minibatches; weights whose
gradient does not vary are left out, and so are layers of which nothing is left; NaN where no gradient varies at all
(equal minibatches) or one is not finite. Larger is better; uses labels.
Source: Li et al., "ZiCo" (ICLR 2023, arXiv 2301.11300). Its code loops over whatever loader it is given; two
minibatches are what AZ-NAS and later comparisons use. Gradients are cleared between minibatches (MeCo's copy forgets
to).

With two minibatches the ratio is |g1 + g2| or |g1 - g2| over |g1 - g2|: the few weights whose two gradients nearly
agree dominate the sum, and there float32 keeps few digits of the difference. Measured on NAS-Bench-201 networks,
float32 scores are off their float64 values by 1.3e-5 (median) to 0.7 % on tiny networks and by 0.5 % (median) to 0.9 %
on full-size ones, and a stack off single networks by up to 1.9 %: the one proxy that does not keep 1e-4. Ranks hardly
move: over 64 architectures, whose scores vary by 25 %, they agree with those of float64 (Spearman 0.9999). float64
would bring a stack within 1e-9, but took 2.2, 2.3 and 3.7 times the processor time on three full-size networks, and
would not share the first minibatch's passes with the other proxies; so it stays float32.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from harness.probe.layers import places
from harness.probe.view import DEFAULT
from harness.proxies.registry import proxy

VIEW = replace(DEFAULT, minibatches=2)


def log_sums(probe, of: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the sum over layers of log of the sum over weights of `of`, (archs,) float64.

    `of` makes of gradients (minibatches, *weight) float64 what each weight counts, 0 where its gradient does not vary;
    a layer in which none does counts 0. NaN, with the reason, where a gradient is not finite, and where gradients do
    not vary at all, which is what equal minibatches give; an architecture without any gradient has 0.
    """
    by_layer = []
    sizes, sums = probe.zeros(), probe.zeros()
    for position, layer in enumerate(probe.layers):
        g = torch.stack([probe.gradients[position], *(other[position] for other in probe.other_gradients)]).double()
        summed = of(g).reshape(len(layer.owners), -1).sum(1)
        by_layer.append(torch.where(summed > 0, summed, 1.0).log())
        at = places(layer.owners, sizes.device)
        sizes.index_add_(0, at, g.abs().sum(0).reshape(len(layer.owners), -1).sum(1))
        sums.index_add_(0, at, summed)
    broken, still = ~sizes.isfinite(), (sums == 0) & (sizes > 0)
    probe.fail(still, "no gradient varies between the minibatches: they hold the same samples")
    probe.fail(broken, "a gradient is NaN or infinite")
    return probe.total(by_layer).masked_fill(broken | still, torch.nan)


def _mean_over_deviation(g: Tensor) -> Tensor:
    deviation = g.std(0, correction=0)
    return torch.where(deviation > 0, g.abs().mean(0) / deviation, 0.0)


@proxy(view=VIEW, reads=("gradients", "other_gradients"), cost="2FB", paper="Li et al. 2023, arXiv 2301.11300")
def zico(probe) -> Tensor:
    """Mean over deviation of gradients between minibatches, in logarithms by layer."""
    return log_sums(probe, _mean_over_deviation)
