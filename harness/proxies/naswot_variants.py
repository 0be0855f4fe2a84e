"""Other scores of activation patterns. K_r[i, j]: the units of ReLU r that are both on or both off in samples i and j.

    naswot@naslib         log |det sum_r K_r| over every ReLU module that runs, whether it reaches the output or not
    naswot@running-stats  the same with BatchNorm in evaluation mode: running statistics, 0 and 1 at initialisation
    naswot@zero-cost-pt   likewise, over every module with ReLU in its class's name: a block ReLUConvBN counts besides
                          the ReLU it begins with, so that its K_r counts twice
    naswot@layerwise      sum_r log |det K_r|, "lnwot" of WRCor's repository
    naswot@hnas           log |det sum_r X_r X_r^T|, X_r the raw inputs of ReLU r, one row a sample: no codes at all

Larger is better; no labels. Cost: one forward, shared with `naswot` where the view is. Sources: Mellor et al. (ICML
2021, arXiv 2006.04647); NASLib, which dropped the authors' check of which ReLUs the backward pass visits; Xiang et
al., "Zero-Cost-PT" (AAAI 2023, arXiv 2106.06799); Yang et al., "WRCor" (2024, repository ZSNAS-WRCor); Shu et al.,
"HNAS" (NeurIPS 2022, arXiv 2201.09785). Departure: determinants in float64. A singular K gives minus infinity, kept
as computed; layer by layer that is common in small networks, as samples then share a code in one ReLU or another.
"""

from dataclasses import replace

import torch
from torch import Tensor

from harness.probe.layers import places
from harness.probe.view import DEFAULT
from harness.proxies.naswot import ALIKE, PAPER, log_determinant
from harness.proxies.registry import proxy

EVAL = replace(DEFAULT, batchnorm="eval")


@proxy(name="naswot@naslib", reads="relu_kernels", labels=False, cost="F", paper=PAPER)
def naswot_naslib(probe) -> Tensor:
    """naswot over every ReLU, reached by the backward pass or not."""
    kernels = ((owners, kernel) for owners, kernel, _ in probe.relu_kernels)
    return log_determinant(probe, probe.sums(kernels, *[len(probe.inputs)] * 2), ALIKE)


@proxy(name="naswot@running-stats", view=EVAL, reads="relu_kernels", labels=False, cost="F", paper=PAPER)
def naswot_running_stats(probe) -> Tensor:
    """naswot over every ReLU, BatchNorm in evaluation mode."""
    return naswot_naslib(probe)


@proxy(
    name="naswot@zero-cost-pt", view=EVAL, reads="relu_blocks", labels=False, cost="F",
    paper="Xiang et al. 2023, arXiv 2106.06799",
)  # fmt: skip
def naswot_zero_cost_pt(probe) -> Tensor:
    """Likewise; a ReLU that begins a block named after it counts twice, as in Zero-Cost-PT's code."""
    return log_determinant(probe, probe.observed("relu_blocks"), ALIKE)


@proxy(name="naswot@layerwise", reads="relu_kernels", labels=False, cost="F", paper=PAPER)
def naswot_layerwise(probe) -> Tensor:
    """Log-determinants of each ReLU's agreements, summed."""
    score = probe.zeros()
    seen = torch.zeros(probe.archs, dtype=torch.bool, device=score.device)
    for owners, kernel, _ in probe.relu_kernels:
        at = places(owners, score.device)
        score.index_add_(0, at, torch.linalg.slogdet(kernel).logabsdet)
        seen[at] = True
    probe.fail(score.isinf(), "two samples have the same code in a ReLU")
    probe.fail(~seen, "no ReLU module runs")
    return torch.where(seen, score, torch.nan)


@proxy(name="naswot@hnas", reads="relu_gram", labels=False, cost="F", paper="Shu et al. 2022, arXiv 2201.09785")
def naswot_hnas(probe) -> Tensor:
    """Log-determinant of the Gram matrix of ReLU inputs."""
    return log_determinant(probe, probe.observed("relu_gram"), "the samples' ReLU inputs are linearly dependent")
