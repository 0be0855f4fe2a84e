"""synflow: sum over convolution and linear weights of |w * dR/dw|, R the sum of the outputs for an image of ones.

The network is seen without BatchNorm (the identity), with every weight and bias replaced by its absolute value, in
float64: scores span e^5 to e^115 on NAS-Bench-201. Larger is better; no data, no labels. Sources: Tanaka et al.
(NeurIPS 2020, arXiv 2006.05467); zero-cost-nas (arXiv 2101.08134) as a proxy.
"""

from torch import Tensor

from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(inputs="ones", batch_size=1, batchnorm="off", precision="float64", objective="sum", absolute_weights=True)


@proxy(view=VIEW, reads="gradients", paper="Tanaka et al. 2020, arXiv 2006.05467")
def synflow(probe) -> Tensor:
    """Synaptic flow: weight times gradient of the summed output."""
    return probe.total((layer.weight * g).abs() for layer, g in probe.by_layer(probe.gradients))
