"""Proxies of the input Jacobian J, one row per sample: the gradient of the sum of all outputs with respect to the
input.

jacob_cov: -sum over eigenvalues v of the correlation matrix of the rows of J of log(v + k) + 1 / (v + k), k = 1e-5.
Larger is better; no labels. Source: Mellor et al., first version of "NAS without training" (2020, arXiv 2006.04647v1).
Departure: eigenvalues by a symmetric solver in float64 (the authors' general one returns complex or negative values).

epe_nas: for each class c the correlation matrix of its rows of J, s_c = sum over its entries of log(|entry| + 1e-5);
score = sum over classes of |s_c|. Larger is better; uses labels. Source: Lopes, Alirezazadeh and Alexandre (ICANN 2021,
arXiv 2102.08099), whose code always takes the branch for up to 100 classes. `epe_nas@naslib` passes the number of
classes, as NASLib does. Above 100, s_c is divided by the class's number of samples, a class of one sample is left out,
and score = mean over c of sum over j of |s_c - s_j|: zero if one class is left, NaN if none. So the code
is taken to divide by the length of the correlation matrix and to pass over the error that one sample's plain number,
which has no length, then gives: of the readings tried, only this one is spread as NASLib's published scores on
ImageNet16-120 are (minibatches of 32).

A constant or zero row of J (a network without a path) has no correlation: NaN, with that reason; so has a single
sample, or, for epe_nas, a minibatch in which no class has two samples: what is left then is rounding.
"""

import torch
from torch import Tensor

from harness.probe.linalg import eigvalsh
from harness.proxies.registry import proxy

K = 1e-5
PAPER_JACOB = "Mellor et al. 2020, arXiv 2006.04647v1"
PAPER_EPE = "Lopes et al. 2021, arXiv 2102.08099"


def correlation(rows: Tensor) -> Tensor:
    """Return the Pearson correlation matrices of rows: (archs, samples, features) -> (archs, samples, samples) float64.

    Entries of a constant row are NaN.
    """
    centred = rows.double()
    centred = centred - centred.mean(2, keepdim=True)
    product = centred @ centred.transpose(1, 2)
    scale = product.diagonal(dim1=1, dim2=2).sqrt()
    return (product / (scale.unsqueeze(1) * scale.unsqueeze(2))).clamp(-1, 1)


def refuse_single(probe) -> None:
    """Raise ValueError for a minibatch of one sample."""
    if len(probe.inputs) < 2:
        raise ValueError("compares samples with one another: needs two or more, got one")


@proxy(reads="input_gradients", paper=PAPER_JACOB)
def jacob_cov(probe) -> Tensor:
    """Eigenvalues of the correlations between input Jacobians."""
    refuse_single(probe)
    matrix = correlation(probe.input_gradients)
    broken = ~matrix.isfinite().flatten(1).all(1)
    eigenvalues = eigvalsh(torch.where(broken[:, None, None], 0.0, matrix)) + K
    probe.fail(broken, "a sample's input Jacobian is constant")
    return torch.where(broken, torch.nan, -(eigenvalues.log() + 1 / eigenvalues).sum(1))


def _class_sums(probe) -> tuple[Tensor, Tensor, Tensor]:
    """Return s_c (archs, classes present), the rows per class (classes present,) and which architectures have none."""
    rows, targets = probe.input_gradients, probe.targets
    broken = ~correlation(rows).isfinite().flatten(1).all(1)
    labels = targets.cpu()
    members = [(labels == c).nonzero().flatten() for c in labels.unique()]
    sums = [(correlation(rows[:, some]).abs() + K).log().sum((1, 2)) for some in members]
    probe.fail(broken, "a sample's input Jacobian is constant")
    return torch.stack(sums, 1), torch.tensor([len(some) for some in members], device=rows.device), broken


@proxy(reads="input_gradients", labels=True, paper=PAPER_EPE)
def epe_nas(probe) -> Tensor:
    """Correlations between input Jacobians within each class."""
    sums, sizes, broken = _class_sums(probe)
    return _within_classes(probe, sums, sizes, broken)


def _within_classes(probe, sums: Tensor, sizes: Tensor, broken: Tensor) -> Tensor:
    if sizes.amax() < 2:
        probe.fail(~broken, "no class has two samples in the minibatch")
        broken = torch.ones_like(broken)
    return torch.where(broken, torch.nan, sums.abs().sum(1))


@proxy(name="epe_nas@naslib", reads=("input_gradients", "outputs"), labels=True, paper=PAPER_EPE)
def epe_nas_naslib(probe) -> Tensor:
    """epe_nas with the number of classes passed on, as NASLib runs it."""
    sums, sizes, broken = _class_sums(probe)
    if probe.outputs.shape[2] <= 100:
        return _within_classes(probe, sums, sizes, broken)
    sums = (sums / sizes)[:, sizes > 1]
    if not sums.shape[1]:
        probe.fail(~broken, "more than 100 classes, and the minibatch has no two samples of one")
    score = (sums.unsqueeze(1) - sums.unsqueeze(2)).abs().sum(2).mean(1)
    return torch.where(broken, torch.nan, score)
