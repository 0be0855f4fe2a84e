"""snip: sum over convolution and linear weights of |w * g|, g the gradient of the loss.

Larger is better. It is the gradient with respect to a mask of ones on the weights, without SNIP's normalisation.
Sources: Lee, Ajanthan and Torr (ICLR 2019, arXiv 1810.02340) for pruning; zero-cost-nas (arXiv 2101.08134) as a proxy.
HNAS's code (Shu et al., NeurIPS 2022, arXiv 2201.09785) computes this as M_SNIP; its paper has |w^T g| of all weights.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads="gradients", paper="Lee et al. 2019, arXiv 1810.02340")
def snip(probe) -> Tensor:
    """Sum of absolute weight times gradient."""
    return probe.total((layer.weight * g).abs() for layer, g in probe.by_layer(probe.gradients))
