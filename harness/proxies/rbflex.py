"""rbflex: n (log det K + log det Q), K and Q Gaussian kernels of n = 3 samples.

K[i, j] = exp(-g |x_i - x_j|^2), x_i all ReLU outputs of sample i and g = 2.687e-12; Q the same of what the last linear
layer is given, with 1.025e-11. Every unit is first scaled to reach from 0 to 1 over the samples. BatchNorm takes each
sample alone, as in batches of one; float64. Larger is better; no labels. Cost: one forward of three images. Source:
Yamasaki et al., "RBFleX-NAS" (TNNLS 2025, arXiv 2503.22733, number from memory). Fitted: both constants g were tuned on
NAS-Bench-201. Departures: with so small a g, K and Q are ones but for 1e-9 or less and their determinants, in the
released code, largely rounding; here they are exact to float64, by what is left of the matrix when its first row is
eliminated by hand. A unit that is the same for all samples, up to rounding, counts 0. Samples that are alike, or on a
line, make a kernel singular: minus infinity. ReLU outputs and the last layer are found by module, the latter in module
order.
"""

import torch
from torch import Tensor

from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(batch_size=3, batchnorm="one", precision="float64")
OF_RELUS, OF_LAST = 2.687e-12, 1.025e-11


def log_determinant(squares: Tensor, scale: float) -> Tensor:
    """(archs, samples, samples) squared distances -> (archs,) log det of exp(-scale * squares).

    With e = 1 - K, the Schur complement of K[0, 0] = 1 is e[0, i] + e[0, j] - e[i, j] - e[0, i] e[0, j]: no ones left.
    """
    e = -torch.expm1(-scale * squares)
    first, rest = e[:, 0, 1:], e[:, 1:, 1:]
    left, right = first.unsqueeze(2), first.unsqueeze(1)
    return torch.linalg.slogdet(left + right - rest - left * right).logabsdet


@proxy(
    view=VIEW, reads=("relu_distances", "last_input_distances"), labels=False, cost="F", fitted=True,
    paper="Yamasaki et al. 2025, arXiv 2503.22733",
)  # fmt: skip
def rbflex(probe) -> Tensor:
    """Determinants of Gaussian kernels of three samples' ReLU outputs and last features."""
    samples = len(probe.inputs)
    if samples < 2:
        raise ValueError("compares samples with one another: needs two or more, got one")
    of_relus = log_determinant(probe.observed("relu_distances"), OF_RELUS)
    of_last = log_determinant(probe.observed("last_input_distances"), OF_LAST)
    probe.fail((of_relus + of_last).isinf(), "samples are alike, or on a line, for the ReLUs or the last layer")
    return samples * (of_relus + of_last)
