"""HNAS's kernel metrics as its code computes them, from one forward and one backward.

Theta = G G^T over the convolution and linear layers' weights and biases; row n of G pairs sample n's activations with
its part of the gradient of the sum over samples of the output of each one's label:

    ntk_trace@hnas    sqrt(trace Theta / samples), "M_Trace"
    kappa@hnas        -lambda_max / lambda_min of Theta, "condnum"

Larger is better: kappa is stored negated, as a small one is good; uses labels. Source: Shu et al., "Unifying and
Boosting Gradient-Based Training-Free NAS" (NeurIPS 2022, arXiv 2201.09785). Its other metrics are proxies of their own
here: M_Grad is `grad_norm`, M_SNIP `snip`, M_GraSP `grasp`. With training-mode BatchNorm the rows are not the gradients
of the samples' outputs, since samples are coupled; `ntk_trace` has those, without biases (a classifier's bias adds 1
under the root), at the cost of a backward for each sample, and `ntk_cond` is TE-NAS's condition number, of other
outputs. Departures: float64; a singular Theta gives minus infinity and no gradient at all NaN, where the code writes
100,000 for NaN. Its search divides kappa by a metric and adds a penalty: that is a search's criterion, not a proxy.
"""

import torch
from torch import Tensor

from harness.probe.linalg import eigvalsh
from harness.probe.per_sample import backprops_gram
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(precision="float64")
PAPER = "Shu et al. 2022, arXiv 2201.09785"


def negated_condition(probe, gram: Tensor) -> Tensor:
    """(archs, samples, samples) -> (archs,): -lambda_max / lambda_min; minus infinity where a kernel is singular in the
    precision of the inputs, NaN where it is zero."""
    eigenvalues = eigvalsh(gram)
    smallest, largest = eigenvalues[:, 0], eigenvalues[:, -1]
    empty = largest == 0
    singular = smallest <= largest * len(probe.inputs) * torch.finfo(probe.dtype).eps
    probe.fail(singular, "the kernel is singular: samples' gradients are linearly dependent")
    probe.fail(empty, "no output depends on a weight")
    return torch.where(empty, torch.nan, torch.where(singular, -torch.inf, -largest / smallest))


@proxy(name="ntk_trace@hnas", view=VIEW, reads="weights", labels=True, cost="PS", paper=PAPER)
def ntk_trace_hnas(probe) -> Tensor:
    """Root mean square of what one backward gives each sample."""
    gram = probe.once("backprops of labels", backprops_gram)
    return (gram.diagonal(dim1=1, dim2=2).sum(1) / len(probe.inputs)).sqrt()


@proxy(name="kappa@hnas", view=VIEW, reads="weights", labels=True, cost="PS", paper=PAPER)
def kappa_hnas(probe) -> Tensor:
    """Condition number of HNAS's kernel, negated."""
    return negated_condition(probe, probe.once("backprops of labels", backprops_gram))
