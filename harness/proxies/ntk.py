"""Proxies of the neural tangent kernel K = G G^T; row n of G is the gradient of one number of sample n's outputs.

    ntk_cond    -lambda_max / lambda_min of K: G is of the sum of a sample's outputs with respect to all tensors called
                weight, BatchNorm's included; Kaiming-normal weights (fan-out), mean of 3 draws; no labels
    ntk_trace   sqrt(trace K / samples): G is of the output of the sample's label, with respect to convolution and
                linear weights; "M_Trace" of HNAS's paper, its code's is `ntk_trace@hnas`; uses labels
    knas        mean of all entries of K, of the gradients of the samples' losses, convolution and linear weights; uses
                labels

Larger is better: the condition number is stored negated, as a small one is good. Training-mode BatchNorm couples the
samples: a sample's gradient flows through all of them, as in the authors' code. Then the mean of the rows of the
losses' G is the gradient of the minibatch's loss, and knas is its squared norm, without any gradient of a sample.

Cost: as many backwards as samples, run as one (see `harness.probe.per_sample`); knas none of its own. Sources: Chen,
Gong and Wang, "TE-NAS" (ICLR 2021, arXiv 2102.11535); Shu et al., "HNAS" (NeurIPS 2022, arXiv 2201.09785), after NASI;
Xu et al., "KNAS" (ICML 2021, arXiv 2111.14293). Departures: Gram matrices and eigenvalues in float64; a K that is
singular in the precision of the gradients gives minus infinity, no gradient at all NaN, where TE-NAS's code writes
100,000; knas is the paper's formula, not the released code's sample of tensors, entries and minibatches.
"""

from torch import Tensor

from harness.probe.per_sample import coupled_gram, coupled_norms
from harness.probe.view import View
from harness.proxies.hnas import negated_condition
from harness.proxies.registry import proxy

PAPER_TE = "Chen et al. 2021, arXiv 2102.11535"


@proxy(view=View(init="kaiming_fan_out", repeats=3), reads="weights", labels=False, cost="PS", paper=PAPER_TE)
def ntk_cond(probe) -> Tensor:
    """Condition number of the neural tangent kernel, negated."""
    return negated_condition(probe, coupled_gram(probe, of="sum", every_weight=True))


@proxy(reads="weights", labels=True, cost="PS", paper="Shu et al. 2022, arXiv 2201.09785")
def ntk_trace(probe) -> Tensor:
    """Root mean square of the gradients of the labels' outputs."""
    return (coupled_norms(probe, of="label") / len(probe.inputs)).sqrt()


@proxy(reads="gradients", paper="Xu et al. 2021, arXiv 2111.14293")
def knas(probe) -> Tensor:
    """Mean of the Gram matrix of the samples' loss gradients."""
    return probe.total(g.double().square() for g in probe.gradients)
