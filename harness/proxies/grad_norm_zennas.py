"""grad_norm@zennas: sqrt( sum over all trainable tensors of ||g||^2 ), g the gradient of the loss on noise.

All tensors means BatchNorm's weights and biases and the classifier's bias too, under one root; `grad_norm` sums the
norms of convolution and linear layers.

    grad_norm@zennas   weights N(0, 1), 16 Gaussian images
    grad_norm@az_nas   weights Kaiming-normal (fan-in), as many Gaussian images as the minibatch has: the "grad_norm" of
                       the tables of AZ-NAS and VKDNW

Random labels, training-mode BatchNorm, one draw. Larger is better; no data, no labels. Cost: one forward and backward.
Sources: Lin et al., "Zen-NAS" (ICCV 2021, arXiv 2102.01063), whose repository has it as a baseline; Lee and Ham,
"AZ-NAS" (CVPR 2024, arXiv 2403.19232), whose repository changed it so, and VKDNW's copied that. Departure of
grad_norm@zennas: float64, as with these weights a ReLU that rounding switches changes the score by 0.1 %.
"""

from torch import Tensor

from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="normal", inputs="gaussian", batch_size=16, precision="float64")


@proxy(name="grad_norm@zennas", view=VIEW, reads="weights", labels=False, paper="Lin et al. 2021, arXiv 2102.01063")
def grad_norm_zennas(probe) -> Tensor:
    """Norm of all gradients together, on noise."""
    gradients = probe.all_gradients()
    return probe.sums((owners, g.reshape(len(owners), -1).double().square().sum(1)) for owners, g in gradients).sqrt()


@proxy(
    name="grad_norm@az_nas", view=View(init="kaiming_fan_in", inputs="gaussian"), reads="weights", labels=False,
    paper="Lee and Ham 2024, arXiv 2403.19232",
)  # fmt: skip
def grad_norm_az_nas(probe) -> Tensor:
    """Norm of all gradients together, on noise, with Kaiming weights."""
    return grad_norm_zennas(probe)
