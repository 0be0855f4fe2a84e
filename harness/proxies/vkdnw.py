"""vkdnw: how evenly the Fisher information of a few weights is spread, as an entropy.

    F    mean over samples of J^T (diag p - p p^T) J; J (classes, tensors) is the gradient of a sample's outputs with
         respect to one entry of each of the first 128 parameter tensors, p its softmax, smoothed to
         0.95 p + 0.05 / classes
    q    the 10, 20, ..., 90 % quantiles of the singular values of F, divided by their sum

    vkdnw           -sum of q log q, between 0 and log 9
    vkdnw_single    the same plus the number of parameter tensors

Larger is better; no labels: 64 Gaussian images, Kaiming-normal weights (fan-in), BatchNorm in evaluation mode (at
initialisation all but the identity). Source: Tybl and Neumann, "Training-free Neural Architecture Search through
Variance of Knowledge of Deep Network Weights" (CVPR 2025, arXiv 2502.04975); the aggregate with other proxies is
`vkdnw_agg` in `harness.proxies.ensembles`. The released default of its parameter p (0) takes no entry at all; this is
p = 1.

Cost: one forward, and a backward over the activations for each class but one; see `harness.probe.leading_weights`.
Departures: the entry is always the tensor's first; float32, and float64 from the gradients on, where the code has
float16; the covariance of the softmax is used as it is, no Cholesky factor of it is needed. Quantiles interpolate
linearly. Where nine tenths of the singular values are zero there are no quantiles to compare: NaN. The sum of number
and entropy is taken from the paper by memory of readers, its code does not have it.
"""

from functools import partial

import torch
from torch import Tensor

from harness.probe.layers import owners_of
from harness.probe.leading_weights import output_gradients
from harness.probe.linalg import eigvalsh
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="kaiming_fan_in", inputs="gaussian", batch_size=64, batchnorm="eval")
PAPER = "Tybl and Neumann 2025, arXiv 2502.04975"
TENSORS = 128
SMOOTHING = 0.05


def fisher_information(gradients: Tensor, outputs: Tensor) -> Tensor:
    """(archs, tensors, tensors) from gradients (archs, samples, classes - 1, tensors) and outputs (samples, archs,
    classes).

    Gradients are of differences to the last class: the covariance has no part along equal outputs.
    """
    classes = outputs.shape[2]
    p = outputs.double().softmax(2).transpose(0, 1) * (1 - SMOOTHING) + SMOOTHING / classes
    p = p[..., :-1].unsqueeze(3)  # (archs, samples, classes - 1, 1)
    weighted = p * (gradients - (p * gradients).sum(2, keepdim=True))
    return gradients.flatten(1, 2).transpose(1, 2) @ weighted.flatten(1, 2) / outputs.shape[0]


def spread(information: Tensor) -> Tensor:
    """(tensors, tensors) -> the entropy of its normalised quantiles; NaN where they are all zero."""
    values = eigvalsh(information).abs()
    values = torch.where(values > values.amax() * len(values) * torch.finfo(values.dtype).eps, values, 0.0)
    quantiles = values.quantile(torch.arange(1, 10, device=values.device, dtype=values.dtype) / 10)
    return torch.special.entr(quantiles / quantiles.sum()).sum()


@proxy(view=VIEW, reads="weights", labels=False, cost="PS", paper=PAPER)
def vkdnw(probe) -> Tensor:
    """Entropy of the spectrum of the Fisher information of a few weights."""
    gradients, counts, outputs = probe.once("gradients of leading weights", partial(output_gradients, limit=TENSORS))
    information = fisher_information(gradients, outputs)
    found = torch.stack([spread(one[:n, :n]) for one, n in zip(information, counts, strict=True)])
    probe.fail(found.isnan(), "nine tenths of the Fisher information's singular values are zero")
    return found


@proxy(view=VIEW, reads="weights", labels=False, cost="PS", paper=PAPER)
def vkdnw_single(probe) -> Tensor:
    """Number of parameter tensors plus vkdnw."""
    tensors = torch.zeros(probe.archs, dtype=torch.float64)
    for module in probe.network.modules():
        tensors[list(owners_of(module))] += len(list(module.parameters(recurse=False)))
    return tensors + vkdnw(probe).cpu()
