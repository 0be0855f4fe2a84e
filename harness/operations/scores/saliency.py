"""zeros: the saliency of architecture parameters at initialisation, and of weights as a control. Larger is better.

The mixed operation is the sum of alpha[e, o] * o(x) with raw parameters alpha ~ N(0, 1e-3), no softmax; BatchNorm uses
the statistics of its minibatch. With g = dL/dalpha:

    zeros-snip      |alpha * g|, L the cross-entropy of one minibatch
    zeros-grasp     |alpha * (H g)|, H the Hessian of L in alpha
    zeros-synflow   |alpha * dR/dalpha|, R the sum of the logits of one image of ones, every weight and alpha replaced
                    by its absolute value, float64 (in float32 the released run ended in NaN). On DARTS alpha keeps its
                    sign, as in the released code, and dR/dalpha is 0: every node is a sum of outputs of BatchNorm,
                    whose mean over one image is 0, so rounding decides; the score then counts as failed
    zeros-fisher    sum over samples n of (alpha * dL_n/dalpha)^2, L_n the cross-entropy of sample n (our definition)
    zeros-ntk       sum over samples and classes of (alpha * dlogit/dalpha)^2: the share of o on e in the trace of the
                    tangent kernel of log alpha; no labels (our definition)
    zeros-*-iterative   on each edge the operation that scores lowest is pruned, and all are scored again until one is
                    left; an operation's score is the round it went in
    zeros-*-global      as many rounds, but over all edges: after round t of T about n (edges / n)^(t / T) of all n
                    operations are left, those that score highest, and always one on each edge (our definition)
    weights-snip, weights-synflow   the control: sum over the operation's own weights w of |w * dL/dw| (or dR/dw), in
                    all cells; `-mean` divides by their number. Operations without weights have 0.

`none` adds nothing, so its zeros score is 0. One scalar an operation: by the chain rule dR/dalpha = <dR/dnode, o(x)>
does not grow with the number of weights, as the control does. Sources: FreeDARTS / ZEROS (Zhang et al.; the released
code scores once, the text speaks of iterations, whose form here is ours). Its code for GraSP has two variants, one
signed behind an optimiser step; here the absolute value is taken and no step. It has neither Fisher nor NTK.
"""

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.engine.scoring import as_seen
from harness.inputs.draw import Minibatch, ones
from harness.probe.view import View

SYNFLOW = View(precision="float64", absolute_weights=True)
LOSS = View()
KINDS = ("snip", "grasp", "synflow", "fisher", "ntk")
OF_WEIGHTS = ("snip", "synflow")
"""Kinds that there is a control of."""


def zeros(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str) -> np.ndarray:
    """Return the saliency of each architecture parameter, (edges, operations) float64; `supernet` stays as it is."""
    with torch.enable_grad():
        if kind in ("fisher", "ntk"):
            return _of_samples(supernet, alphas, minibatch, kind)
        _, alphas, objective = _objective(supernet, alphas, minibatch, kind)
        (first,) = torch.autograd.grad(objective, alphas, create_graph=kind == "grasp")
        if kind == "grasp":
            (first,) = torch.autograd.grad((first * first.detach()).sum(), alphas)
    return (alphas * first).detach().abs().double().cpu().numpy()


def zeros_iterative(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str) -> np.ndarray:
    """Return the round in which each operation is pruned, 1 .. operations; the one that stays has the last."""
    left, rounds = torch.ones_like(alphas), np.full(tuple(alphas.shape), float(alphas.shape[1]))
    for number in range(1, alphas.shape[1]):
        saliency = np.where(left.cpu() > 0, zeros(supernet, alphas * left, minibatch, kind), np.inf)
        for edge, operation in enumerate(np.where(np.isnan(saliency), -1, saliency).argmin(1)):
            rounds[edge, operation], left[edge, operation] = number, 0
    return rounds


def zeros_global(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str) -> np.ndarray:
    """Return the round in which each operation is pruned, 1 .. operations; those that stay have the last."""
    left, last = torch.ones_like(alphas), alphas.shape[1]
    rounds = np.full(tuple(alphas.shape), float(last))
    for number in range(1, last):
        keep = round(alphas.numel() * (len(alphas) / alphas.numel()) ** (number / (last - 1)))
        saliency = np.nan_to_num(zeros(supernet, alphas * left, minibatch, kind), nan=-1)
        for edge, operation in zip(
            *np.unravel_index(saliency.argsort(axis=None, kind="stable"), saliency.shape), strict=True
        ):
            if left.sum() > keep and left[edge, operation] and left[edge].sum() > 1:
                rounds[edge, operation], left[edge, operation] = number, 0
    return rounds


def _of_samples(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str) -> np.ndarray:
    """Return zeros-fisher or zeros-ntk: both are sums of squares of what each sample's outputs do with alpha."""
    network = as_seen(copy.deepcopy(supernet), LOSS)
    alphas = alphas.detach().to(minibatch.inputs.device).requires_grad_(True)
    logits = network(minibatch.inputs, alphas[None])[0]
    along = torch.zeros_like(logits, requires_grad=True)
    (pulled,) = torch.autograd.grad(logits, alphas, along, create_graph=True)  # linear in `along`
    errors = (logits.softmax(1) - functional.one_hot(minibatch.targets, logits.shape[1])).detach()
    total = torch.zeros_like(alphas, dtype=torch.float64, requires_grad=False)
    for edge, operation in np.ndindex(*alphas.shape):
        (column,) = torch.autograd.grad(pulled[edge, operation], along, retain_graph=True)  # dlogit/dalpha
        each = column if kind == "ntk" else (column * errors).sum(1)
        total[edge, operation] = (alphas[edge, operation].detach() * each).double().square().sum()
    return total.cpu().numpy()


def weight_saliency(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str, mean: bool = False) -> np.ndarray:
    """Return the sum (or mean) over each operation's weights, in all cells, of |w * gradient|; (edges, operations)."""
    with torch.enable_grad():
        network, _, objective = _objective(supernet, alphas, minibatch, kind)
        layers = [(edge, operation, layer.weight) for edge, operation, layer in network.convolutions()]
        gradients = torch.autograd.grad(objective, [weight for *_, weight in layers])
    total, count = np.zeros((2, *alphas.shape))
    for (edge, operation, weight), gradient in zip(layers, gradients, strict=True):
        total[edge, operation] += (weight * gradient).abs().sum().item()
        count[edge, operation] += weight.numel()
    return total / np.maximum(count, 1) if mean else total


def _objective(supernet: Any, alphas: Tensor, minibatch: Minibatch, kind: str) -> tuple[Any, Tensor, Tensor]:
    """Return a copy of the supernet as it is looked at, the parameters as a leaf, and what is differentiated."""
    view = SYNFLOW if kind == "synflow" else LOSS
    network = as_seen(copy.deepcopy(supernet), view).requires_grad_(True)
    alphas = alphas.detach().to(minibatch.inputs.device, getattr(torch, view.precision))
    if kind == "synflow":
        alphas = (alphas if network.signed else alphas.abs()).requires_grad_(True)
        image = ones(tuple(minibatch.inputs.shape[1:]), 1).inputs.to(alphas)
        return network, alphas, network(image, alphas[None]).sum()
    alphas.requires_grad_(True)
    logits = network(minibatch.inputs, alphas[None])[0]
    return network, alphas, functional.cross_entropy(logits, minibatch.targets)
