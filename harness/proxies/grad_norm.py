"""grad_norm: sum over convolution and linear layers of ||g||, the norm of the layer's weight gradient of the loss.

Larger is better. Source: zero-cost-nas (Abdelfattah et al., ICLR 2021, arXiv 2101.08134). A sum of layer norms, not the
norm of all gradients, which ZenNAS computes under the same name. HNAS's M_Grad (Shu et al., NeurIPS 2022, arXiv
2201.09785) is the same sum.

grad_norm@aw_nas: sum over the same weights of |g|, as in the repository aw_nas. Same pass.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads="gradients", paper="Abdelfattah et al. 2021, arXiv 2101.08134")
def grad_norm(probe) -> Tensor:
    """Sum over layers of the gradient norm."""
    return probe.total(probe.norms(probe.gradients))


@proxy(name="grad_norm@aw_nas", reads="gradients", paper="Abdelfattah et al. 2021, arXiv 2101.08134, as in aw_nas")
def grad_norm_aw_nas(probe) -> Tensor:
    """Sum of the absolute gradients."""
    return probe.total(g.abs() for g in probe.gradients)
