"""zico: sum over convolution and linear layers of log( sum over weights of mean |g| / std(g) ), over two minibatches.

g is the loss gradient of each minibatch, mean and population standard deviation are over minibatches; weights whose
gradient does not vary are left out, and so are layers of which nothing is left. Larger is better; uses labels.
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

from dataclasses import replace

import torch
from torch import Tensor

from harness.probe.view import DEFAULT
from harness.proxies.registry import proxy

VIEW = replace(DEFAULT, minibatches=2)


@proxy(view=VIEW, reads=("gradients", "other_gradients"), cost="2FB", paper="Li et al. 2023, arXiv 2301.11300")
def zico(probe) -> Tensor:
    """Mean over deviation of gradients between minibatches, in logarithms by layer."""
    by_layer = []
    for position, layer in enumerate(probe.layers):
        g = torch.stack([probe.gradients[position], *(other[position] for other in probe.other_gradients)]).double()
        deviation = g.std(0, correction=0)
        ratio = torch.where(deviation > 0, g.abs().mean(0) / deviation, 0.0).reshape(len(layer.owners), -1).sum(1)
        by_layer.append(torch.where(ratio > 0, ratio, 1.0).log())
    return probe.total(by_layer)
