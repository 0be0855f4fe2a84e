"""fisher: sum over output channels c of every convolution and linear layer of

    size(c) * 0.5 * mean over samples of (sum over positions of a_c * dL/da_c)^2

with a the layer's output and size(c) the number of weights of the channel (fan-in times kernel area). Larger is better.
Sources: Turner et al. (BlockSwap, ICLR 2020, arXiv 1906.04113); zero-cost-nas (arXiv 2101.08134), which broadcasts each
channel's value to all of its weights before summing, hence size(c).
"""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(reads="channel_saliency", paper="Turner et al. 2020, arXiv 1906.04113")
def fisher(probe) -> Tensor:
    """Channel saliency squared, weighted by channel size."""
    return probe.total(
        0.5 * saliency.double().square().mean(0) * (layer.weight.numel() // layer.channels)
        for layer, saliency in probe.by_layer(probe.channel_saliency)
    )
