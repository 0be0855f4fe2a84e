"""jacob_logdet: log |det R|, R the correlation matrix of the rows of the input Jacobian, one row a sample.

At most 0, which it reaches when the Jacobians of different samples are uncorrelated. Larger is better; no labels. Cost:
one forward and one backward to the input, shared with jacob_cov. Source: WRCor's repository (ZSNAS-WRCor, 2024) as
jacob_cor_logdet, after Mellor et al. (2020, arXiv 2006.04647v1). In float64. A constant row of the Jacobian has no
correlation: NaN; linearly dependent rows: minus infinity.
"""

import torch
from torch import Tensor

from harness.proxies.jacobian import PAPER_JACOB, correlation, refuse_single
from harness.proxies.registry import proxy


@proxy(reads="input_gradients", labels=False, paper=PAPER_JACOB)
def jacob_logdet(probe) -> Tensor:
    """Log-determinant of the correlations between input Jacobians."""
    refuse_single(probe)
    matrix = correlation(probe.input_gradients)
    broken = ~matrix.isfinite().flatten(1).all(1)
    score = torch.linalg.slogdet(torch.where(broken[:, None, None], 0.0, matrix)).logabsdet
    probe.fail(score.isinf(), "the samples' input Jacobians are linearly dependent")
    probe.fail(broken, "a sample's input Jacobian is constant")
    return torch.where(broken, torch.nan, score)
