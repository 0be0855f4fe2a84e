"""plain: sum over convolution and linear weights of w * g, signed; g is the gradient of the loss.

Larger is better by its definition. Source: zero-cost-nas (Abdelfattah et al., ICLR 2021, arXiv 2101.08134). It
correlates
negatively with accuracy on NAS-Bench-201 (about -0.37): the sign is kept as defined, never taken from the data.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads="gradients", paper="Abdelfattah et al. 2021, arXiv 2101.08134")
def plain(probe) -> Tensor:
    """Signed sum of weight times gradient."""
    return probe.total(layer.weight * g for layer, g in probe.by_layer(probe.gradients))
