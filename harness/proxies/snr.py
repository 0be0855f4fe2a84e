"""Signal to noise of saliencies: by layer, the sum of its saliencies over their standard deviation.

With s the saliencies |w * g| of a convolution or linear layer's weights and r_l = sum(s) / std(s) (n - 1 in std):

    snip@snr          sum over layers of r_l, saliencies as in `snip`
    snip@log_snr      sum over layers of log(1 + r_l)
    synflow@snr       sum over layers of r_l, saliencies as in `synflow`
    synflow@log_snr   sum over layers of log(1 + r_l)
    t_cet             snip@log_snr times `naswot@layerwise`, the sum of the ReLUs' log-determinants

Larger is better; snip's and t_cet use labels, synflow's no data. Cost: that of snip, synflow and naswot, shared with
them. Source: repository iViolinSolo/zero-cost-proxies (2023), "snr-snip", "snr-synflow" and "T-CET"; saliencies of Lee,
Ajanthan and Torr (ICLR 2019, arXiv 1810.02340) and Tanaka et al. (NeurIPS 2020, arXiv 2006.05467). Departures: a layer
whose saliencies do not vary (no path leads there, or a single weight) is left out; NaN where no layer is left. T-CET is
a product of layerwise determinants and layerwise ratios; ReLUs and weights are different modules and need not be as
many, so here it is the product of the two sums. A singular determinant makes it infinite, as it does to
`naswot@layerwise`.
"""

import torch
from torch import Tensor

from harness.proxies.naswot_variants import naswot_layerwise
from harness.proxies.registry import proxy
from harness.proxies.synflow import VIEW

SNIP = "Lee et al. 2019, arXiv 1810.02340, as in iViolinSolo/zero-cost-proxies"
SYNFLOW = "Tanaka et al. 2020, arXiv 2006.05467, as in iViolinSolo/zero-cost-proxies"


def _summed_ratios(probe, *, logarithm: bool) -> Tensor:
    """(archs,): sum over layers of signal to noise, or of log(1 + it); NaN where no layer has any."""
    ratios = []
    for layer, gradient in probe.by_layer(probe.gradients):
        saliency = (layer.weight * gradient).abs().double().reshape(len(layer.owners), -1)
        deviation = saliency.std(1) if saliency.shape[1] > 1 else torch.zeros_like(saliency[:, 0])
        ratio = torch.where(deviation > 0, saliency.sum(1) / deviation, 0.0)
        ratios.append(ratio.log1p() if logarithm else ratio)
    total = probe.total(ratios)
    probe.fail(total == 0, "in no layer does the saliency vary")
    return torch.where(total == 0, torch.nan, total)


@proxy(name="snip@snr", reads="gradients", paper=SNIP)
def snip_snr(probe) -> Tensor:
    """Signal to noise of snip's saliencies, summed over layers."""
    return _summed_ratios(probe, logarithm=False)


@proxy(name="snip@log_snr", reads="gradients", paper=SNIP)
def snip_log_snr(probe) -> Tensor:
    """Logarithms of the signal to noise of snip's saliencies, summed over layers."""
    return _summed_ratios(probe, logarithm=True)


@proxy(name="synflow@snr", view=VIEW, reads="gradients", labels=False, paper=SYNFLOW)
def synflow_snr(probe) -> Tensor:
    """Signal to noise of synflow's saliencies, summed over layers."""
    return _summed_ratios(probe, logarithm=False)


@proxy(name="synflow@log_snr", view=VIEW, reads="gradients", labels=False, paper=SYNFLOW)
def synflow_log_snr(probe) -> Tensor:
    """Logarithms of the signal to noise of synflow's saliencies, summed over layers."""
    return _summed_ratios(probe, logarithm=True)


@proxy(reads=("gradients", "relu_kernels"), labels=True, paper=SNIP)
def t_cet(probe) -> Tensor:
    """Log-determinants of the Hamming kernel of activation patterns times signal to noise of snip."""
    expressivity, ratios = naswot_layerwise(probe), snip_log_snr(probe)
    return expressivity * ratios
