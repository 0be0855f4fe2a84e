"""l2_norm: sum over convolution and linear layers of ||w||, the Frobenius norm of the layer's weight.

Larger is better. Source: zero-cost-nas (Abdelfattah et al., ICLR 2021, arXiv 2101.08134). At initialisation it is close
to a sum of square roots of layer sizes.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads="weights", cost="S", paper="Abdelfattah et al. 2021, arXiv 2101.08134")
def l2_norm(probe) -> Tensor:
    """Sum over layers of the norm of the weight."""
    return probe.total(probe.norms(layer.weight for layer in probe.layers))
