"""entropy: log of the variance of the map before pooling, of Gaussian noise through Gaussian weights.

The variance is over 16 noise images, channels and positions; weights are N(0, 1), BatchNorm is the identity, float64.
Up to a factor and a constant, the differential entropy of a Gaussian with that variance, log(2 pi e var) / 2: the most
that any map of that variance can have. Larger is better; no data, no labels. Cost: one forward of 16 images. Source:
Sun et al., "MAE-DET" (ICML 2022, arXiv 2111.13336), the score of a single map. Departures: the variance is taken once,
at the end, where the authors rescale maps on the way and add the logarithms up, against overflow; that is the same in a
chain, and float64 needs no rescaling; residual connections are kept; no weighted sum over the scales of a detector; one
draw, repeats are left to seeds. A constant map has no variance: minus infinity. Other code bases call other things
entropy.
"""

from torch import Tensor

from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="normal", inputs="gaussian", batch_size=16, batchnorm="off", precision="float64")


@proxy(view=VIEW, labels=False, cost="F", paper="Sun et al. 2022, arXiv 2111.13336")
def entropy(probe) -> Tensor:
    """Log-variance of the features of noise, without BatchNorm."""
    maps = probe.feature_map(probe.inputs).unflatten(1, (probe.archs, -1))
    variance = maps.transpose(0, 1).flatten(1).double().var(1, correction=0)
    probe.fail(variance == 0, "the map before pooling is constant")
    return variance.log()
