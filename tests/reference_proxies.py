"""Every proxy written out a second time, from its definition, for one ordinary network: plain autograd and NumPy.

Nothing of `harness` is called. `model` maps (samples, channels, height, width) to (samples, classes), in training mode,
in float64, no activation in place. Each function returns (score, scale): the score and what its error is relative to,
the score itself, or the sum of absolute terms where signed terms cancel.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def loss_gradients(model: nn.Module, x: Tensor, y: Tensor) -> list[np.ndarray]:
    model.zero_grad(set_to_none=True)
    functional.cross_entropy(model(x), y).backward()
    return [np.zeros(m.weight.shape) if m.weight.grad is None else m.weight.grad.numpy() for m in layers(model)]


def relative(score: float) -> tuple[float, float]:
    return float(score), abs(float(score))


def l2_norm(model, x, y):
    return relative(sum(math.sqrt((m.weight.detach().numpy() ** 2).sum()) for m in layers(model)))


def plain(model, x, y):
    terms = [m.weight.detach().numpy() * g for m, g in zip(layers(model), loss_gradients(model, x, y), strict=True)]
    return float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))


def grad_norm(model, x, y):
    return relative(sum(math.sqrt((g**2).sum()) for g in loss_gradients(model, x, y)))


def snip(model, x, y):
    """By its first definition: the gradient of the loss with respect to masks of ones on the weights."""
    names = {id(m): name for name, m in model.named_modules()}
    masks = {f"{names[id(m)]}.weight": torch.ones_like(m.weight, requires_grad=True) for m in layers(model)}
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    masked = {name: value * masks[name] if name in masks else value for name, value in weights.items()}
    functional.cross_entropy(torch.func.functional_call(model, masked, (x,)), y).backward()
    return relative(sum(mask.grad.abs().sum() for mask in masks.values() if mask.grad is not None))


def grasp(model, x, y):
    """Hessian times gradient by double backward with respect to every weight; minus weight times that, summed."""
    weights = [m.weight for m in layers(model)]
    grads = torch.autograd.grad(functional.cross_entropy(model(x), y), weights, create_graph=True, allow_unused=True)
    z = sum((g.detach() * g).sum() for g in grads if g is not None)
    if not z.requires_grad:
        return 0.0, 1.0
    products = torch.autograd.grad(z, weights, allow_unused=True)
    terms = [(-w.detach() * h).numpy() for w, h in zip(weights, products, strict=True) if h is not None]
    return float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))


def fisher(model, x, y):
    """Output and its gradient kept for each layer; each channel's value broadcast to its weights, as the authors do."""
    kept: dict[nn.Module, list[Tensor]] = {m: [] for m in layers(model)}

    def keep(module, _, output):
        output.retain_grad()
        kept[module].append(output)

    handles = [m.register_forward_hook(keep) for m in kept]
    functional.cross_entropy(model(x), y).backward()
    for handle in handles:
        handle.remove()
    total = 0.0
    for module, outputs in kept.items():
        summed = 0.0
        for a in outputs:
            product = (a.detach() * (torch.zeros_like(a) if a.grad is None else a.grad)).numpy()
            summed = summed + product.reshape(*product.shape[:2], -1).sum(2)
        by_channel = np.abs(0.5 * (summed**2).mean(0))
        shape = (-1,) + (1,) * (module.weight.dim() - 1)
        total += np.broadcast_to(by_channel.reshape(shape), module.weight.shape).sum()
    return relative(total)


def synflow(model, x, y):
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda value: value
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.abs_()
    total = model(torch.ones(1, *x.shape[1:], dtype=torch.float64)).sum()
    grads = torch.autograd.grad(total, [m.weight for m in layers(model)], allow_unused=True)
    return relative(sum((m.weight * g).abs().sum() for m, g in zip(layers(model), grads, strict=True) if g is not None))


def jacobian(model, x) -> np.ndarray:
    x = x.clone().requires_grad_(True)
    out = model(x)
    out.backward(torch.ones_like(out))
    return x.grad.flatten(1).numpy().astype(np.float64)


def jacob_cov(model, x, y):
    v = np.linalg.eigvalsh(np.corrcoef(jacobian(model, x)))
    return relative(-np.sum(np.log(v + 1e-5) + 1.0 / (v + 1e-5)))


def _by_class(model, x, y) -> dict[int, np.ndarray]:
    rows = jacobian(model, x)
    return {c: np.atleast_2d(np.corrcoef(rows[y.numpy() == c])) for c in sorted(set(y.tolist()))}


def epe_nas(model, x, y):
    return relative(sum(abs(np.log(np.abs(r) + 1e-5).sum()) for r in _by_class(model, x, y).values()))


def epe_nas_naslib(model, x, y):
    if model(x).shape[1] <= 100:
        return epe_nas(model, x, y)
    means = [np.log(np.abs(r) + 1e-5).sum() / len(r) for r in _by_class(model, x, y).values() if len(r) > 1]
    return relative(sum(abs(a - b) for a in means for b in means) / len(means))


def naswot(model, x, y):
    """Codes of the ReLUs the backward pass visits, counted pair by pair."""
    codes: list[np.ndarray] = []

    def watch(module, inputs, output):
        code = (inputs[0].detach() > 0).flatten(1).numpy()
        if output.requires_grad:
            output.register_hook(lambda _: codes.append(code))

    handles = [m.register_forward_hook(watch) for m in model.modules() if isinstance(m, nn.ReLU)]
    out = model(x.clone().requires_grad_(True))
    out.backward(torch.ones_like(out))
    for handle in handles:
        handle.remove()
    code = np.concatenate(codes, axis=1)
    kernel = np.array([[float((a == b).sum()) for b in code] for a in code])
    return relative(np.linalg.slogdet(kernel)[1])


def zico(model, both: list[tuple[Tensor, Tensor]]):
    first, second = (loss_gradients(model, x, y) for x, y in both)
    total = 0.0
    for a, b in zip(first, second, strict=True):
        g = np.stack([a.flatten(), b.flatten()])
        std = g.std(0)
        some = std > 0
        ratio = (np.abs(g).mean(0)[some] / std[some]).sum()
        total += math.log(ratio) if ratio > 0 else 0.0
    return relative(total)


def zen(
    model,
    pairs: list[tuple[Tensor, Tensor]],
    draw: Callable[[nn.Module, int], None],
    features: Callable[[nn.Module, Tensor], Tensor],
):
    """`draw(model, repeat)` sets the weights of a repeat; `pairs` are x and z of each."""
    scores = []
    for repeat, (x, z) in enumerate(pairs):
        copied = copy.deepcopy(model)
        draw(copied, repeat)
        with torch.no_grad():
            first, second = features(copied, x), features(copied, x + 0.01 * z)
        score = math.log(np.abs((first - second).numpy()).sum((1, 2, 3)).mean())
        for module in copied.modules():
            if isinstance(module, nn.BatchNorm2d):
                score += math.log(math.sqrt(module.running_var.numpy().mean()))
        scores.append(score)
    return relative(np.mean(scores))


BY_MINIBATCH = {
    "l2_norm": l2_norm, "plain": plain, "grad_norm": grad_norm, "snip": snip, "grasp": grasp, "fisher": fisher,
    "synflow": synflow, "jacob_cov": jacob_cov, "naswot": naswot, "epe_nas": epe_nas, "epe_nas@naslib": epe_nas_naslib,
}  # fmt: skip
"""Those that look at one minibatch: (model, x, y) -> (score, scale)."""
