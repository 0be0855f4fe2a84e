"""grasp: -sum of w * (H g) over convolution and linear weights, g the gradient and H the Hessian of the loss.

Larger is better. Sources: Wang, Zhang and Grosse (ICLR 2020, arXiv 2002.07376) for pruning; zero-cost-nas (arXiv
2101.08134) as a proxy: temperature 1, one pass, signed, with the sign its authors chose. The probe computes the number
w^T H g exactly without forming H g; see harness.probe.probe. HNAS's code (Shu et al., NeurIPS
2022, arXiv 2201.09785) computes this as M_GraSP; its paper has the absolute value.
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads=("gradients", "weight_curvature"), cost="HVP", paper="Wang et al. 2020, arXiv 2002.07376")
def grasp(probe) -> Tensor:
    """Negative weight-curvature-gradient product."""
    return -probe.weight_curvature
