"""Log-determinants of how samples' responses in the ReLUs correlate.

A_r[i, j] is |Pearson correlation| of samples i and j over the units of ReLU call r's output, G_r the same of the loss
gradients with respect to that output.

    act_cor         log |det sum_r A_r|
    grad_cor        log |det sum_r G_r|
    act_grad_cor    log |det sum_r (A_r + G_r)|
    wrcor           log |det sum_r 2^b(r) (A_r + G_r)|, b(r) the number of feature blocks (stem, cells, reductions)
                    before the one that r lies in; a ReLU behind all blocks has b = their number

Larger is better; the gradients use labels. Cost: one forward, and the loss backward where there are gradients. Source:
Jing et al., "Zero-Shot Neural Architecture Search with Weighted Response Correlation" (arXiv 2507.08841, number from
memory; repository ZSNAS-WRCor). What we could not check there: whether the weights' index counts reductions, what it
is for ReLUs outside of cells, whether the activation is the ReLU's input or output (here: output). Departures: one
minibatch, where the authors multiply the scores of several parts of one; a sample with a constant response in a ReLU
correlates with none there, itself included, where theirs would be undefined; every ReLU that runs counts for A, those
that reach the loss for G; logarithms of eigenvalues in float64. Smallest over largest eigenvalue below 1e-12 counts as
singular: minus infinity. `naswot@layerwise` is a third variant of that repository.
"""

import torch
from torch import Tensor

from harness.probe.linalg import eigvalsh
from harness.proxies.registry import proxy

PAPER = "Jing et al. 2025, arXiv 2507.08841"
SINGULAR = 1e-12


def _log_determinant(probe, matrix: Tensor) -> Tensor:
    """(archs, samples, samples) symmetric -> (archs,)."""
    empty = ~(matrix != 0).flatten(1).any(1)
    sizes = eigvalsh(matrix).abs()
    singular = sizes.amin(1) <= SINGULAR * sizes.amax(1)
    probe.fail(singular, "samples respond alike in every ReLU: the correlations are singular")
    probe.fail(empty, "no ReLU responds differently within a sample")
    return torch.where(singular, -torch.inf, sizes.log().sum(1)).masked_fill(empty, torch.nan)


def _activations(probe) -> Tensor:
    """(blocks + 1, archs, samples, samples)."""
    return probe.observed("relu_correlations")


def _gradients(probe) -> Tensor:
    """(blocks + 1, archs, samples, samples), behind the backward that fills them; zeros without a path to the input.

    A ReLU behind the break of such a network has a gradient, but no backward to weights passes it, except in a stack.
    """
    gradients = probe.gradients
    before_last = [*(gradient.abs() for gradient in gradients[:-1]), torch.zeros_like(gradients[-1])]
    return probe.observed("relu_gradient_correlations") * (probe.total(before_last) > 0).view(1, -1, 1, 1)


@proxy(reads="relu_correlations", labels=False, cost="F", paper=PAPER)
def act_cor(probe) -> Tensor:
    """Log-determinant of the correlations of ReLU outputs."""
    return _log_determinant(probe, _activations(probe).sum(0))


@proxy(reads=("gradients", "relu_gradient_correlations"), labels=True, paper=PAPER)
def grad_cor(probe) -> Tensor:
    """Log-determinant of the correlations of gradients at ReLU outputs."""
    return _log_determinant(probe, _gradients(probe).sum(0))


@proxy(reads=("gradients", "relu_correlations", "relu_gradient_correlations"), labels=True, paper=PAPER)
def act_grad_cor(probe) -> Tensor:
    """Log-determinant of the correlations of ReLU outputs and of their gradients."""
    return _log_determinant(probe, (_activations(probe) + _gradients(probe)).sum(0))


@proxy(reads=("gradients", "relu_correlations", "relu_gradient_correlations"), labels=True, paper=PAPER)
def wrcor(probe) -> Tensor:
    """act_grad_cor with twice the weight for each further feature block."""
    if not probe.blocks:
        raise LookupError("weights ReLUs by feature block: name the modules that give them in blocks=")
    by_block = _activations(probe) + _gradients(probe)
    weights = 2.0 ** torch.arange(len(by_block), dtype=torch.float64, device=by_block.device)
    return _log_determinant(probe, (weights.view(-1, 1, 1, 1) * by_block).sum(0))
