"""The other side of the speed comparison: each proxy alone, on a fresh copy of the network, with separate passes.

Plain PyTorch and NumPy, written as zero-cost-nas (arXiv 2101.08134), NASLib and the authors' repositories do it,
deliberately without `harness.probe.probe`. Only for benchmarks; the proxies are in `harness.proxies`.
Every function takes (network, inputs (samples, channels, height, width), targets (samples,)) and returns
(score, scale), `scale` the size of what was summed, so that signed sums that cancel can be compared.
"""

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Result = tuple[float, float]


def layers_of(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers in module order."""
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """(samples, classes) of a stack of one, or of a plain module."""
    outputs = network(inputs)
    return outputs[:, 0] if outputs.dim() == 3 else outputs


def without_batchnorm(network: nn.Module) -> nn.Module:
    """Return the network in float64 with BatchNorm skipped and absolute weights, as synflow wants it; changes it."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda x: x  # type: ignore[method-assign, assignment]  # of this copy only
    network.double()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.abs_()
    return network


def _loss_backward(network: nn.Module, inputs: Tensor, targets: Tensor) -> list[nn.Conv2d | nn.Linear]:
    network.zero_grad()
    functional.cross_entropy(logits(network, inputs), targets).backward()
    return [layer for layer in layers_of(network) if layer.weight.grad is not None]


def _gradient(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Return what a backward left on a layer that it reached."""
    assert layer.weight.grad is not None
    return layer.weight.grad


def plain(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Sum of weight times gradient."""
    products = [layer.weight.detach() * _gradient(layer) for layer in _loss_backward(network, inputs, targets)]
    return sum(p.sum().item() for p in products), sum(p.abs().sum().item() for p in products)


def grad_norm(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Sum of the norms of the layers' gradients."""
    score = sum(_gradient(layer).norm().item() for layer in _loss_backward(network, inputs, targets))
    return score, abs(score)


def snip(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Sum of the absolute gradients of masks of ones on the weights."""

    def conv(self: Any, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.weight * self.weight_mask, None, self.stride, self.padding)

    def linear(self: Any, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight * self.weight_mask, self.bias).unsqueeze(1)

    for layer in layers_of(network):
        layer.weight_mask = nn.Parameter(torch.ones_like(layer.weight))
        layer.weight.requires_grad = False
        layer.forward = types.MethodType(  # type: ignore[method-assign]  # as zero-cost-nas does
            conv if isinstance(layer, nn.Conv2d) else linear, layer
        )
    network.zero_grad()
    functional.cross_entropy(logits(network, inputs), targets).backward()
    masks = [layer.get_parameter("weight_mask") for layer in layers_of(network)]
    score = sum(mask.grad.abs().sum().item() for mask in masks if mask.grad is not None)
    return score, abs(score)


def fisher(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Squared channel saliency, with hooks that keep the activations."""
    found: dict[nn.Module, Tensor] = {}

    def after(module: nn.Module, _: object, output: Tensor) -> None:
        def reduce(gradient: Tensor) -> None:
            product = output.detach() * gradient
            summed = product.sum([2, 3]) if output.dim() == 4 else product.flatten(1)
            found[module] = summed.pow(2).mean(0).mul(0.5)

        output.register_hook(reduce)

    handles = [layer.register_forward_hook(after) for layer in layers_of(network)]
    _loss_backward(network, inputs, targets)
    for handle in handles:
        handle.remove()
    score = sum((found[m].sum() * m.weight[0].numel()).item() for m in layers_of(network) if m in found)
    return score, abs(score)


def grasp(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Minus weight times Hessian times gradient: two forwards, two backwards, the second with a graph, and a third."""
    weights = [layer.weight for layer in layers_of(network)]
    network.zero_grad()
    loss = functional.cross_entropy(logits(network, inputs), targets)
    fixed = torch.autograd.grad(loss, weights, allow_unused=True)
    loss = functional.cross_entropy(logits(network, inputs), targets)
    flowing = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    z = sum((f.detach() * g).sum() for f, g in zip(fixed, flowing, strict=True) if f is not None and g is not None)
    assert isinstance(z, Tensor)  # the classifier has a gradient
    z.backward()
    products = [-weight.detach() * weight.grad for weight in weights if weight.grad is not None]
    return sum(p.sum().item() for p in products), sum(p.abs().sum().item() for p in products)


def synflow(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Synaptic flow in float64 without BatchNorm on one image of ones."""
    without_batchnorm(network).zero_grad()
    logits(network, torch.ones(1, *inputs.shape[1:], dtype=torch.float64, device=inputs.device)).sum().backward()
    layers = [layer for layer in layers_of(network) if layer.weight.grad is not None]
    score = sum((layer.weight.detach() * _gradient(layer)).abs().sum().item() for layer in layers)
    return score, abs(score)


def _jacobian(network: nn.Module, inputs: Tensor) -> np.ndarray:
    """(samples, features): as the authors, by a backward that fills the weights' gradients too."""
    network.zero_grad()
    x = inputs.clone().requires_grad_(True)
    y = logits(network, x)
    y.backward(torch.ones_like(y))
    assert x.grad is not None
    return x.grad.reshape(len(x), -1).cpu().numpy()


def jacob_cov(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Eigenvalues of the correlations between input Jacobians."""
    eigenvalues = np.linalg.eigvals(np.corrcoef(_jacobian(network, inputs))).real + 1e-5
    score = -float(np.sum(np.log(eigenvalues) + 1 / eigenvalues))
    return score, abs(score)


def epe_nas(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Correlations between input Jacobians within each class."""
    jacobian, labels = _jacobian(network, inputs), targets.cpu().numpy()
    score = 0.0
    for label in np.unique(labels):
        matrix = np.atleast_2d(np.corrcoef(jacobian[labels == label]))
        score += abs(float(np.sum(np.log(np.abs(matrix) + 1e-5))))
    return score, abs(score)


def _agreement(network: nn.Module, inputs: Tensor, wanted: Callable[[nn.Module], bool]) -> Result:
    """Log-determinant of the agreements over the ReLUs that are wanted, by a separate forward."""
    kernel = np.zeros((len(inputs), len(inputs)))

    def count(module: nn.Module, given: tuple[Tensor, ...], _: object) -> None:
        if wanted(module):
            x = (given[0].reshape(len(inputs), -1) > 0).float()
            kernel[:] += (x @ x.t()).cpu().numpy() + ((1.0 - x) @ (1.0 - x.t())).cpu().numpy()

    handles = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.ReLU)]
    with torch.no_grad():
        logits(network, inputs)
    for handle in handles:
        handle.remove()
    score = float(np.linalg.slogdet(kernel)[1])
    return score, abs(score)


def naswot(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Agreement of ReLU codes; as the authors, a forward and a backward find the ReLUs that count, a forward counts."""
    visited: set[nn.Module] = set()
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU)]
    handles = [module.register_full_backward_hook(lambda module, *_: visited.add(module)) for module in relus]
    _jacobian(network, inputs)
    for handle in handles:
        handle.remove()
    return _agreement(network, inputs, visited.__contains__)


def naswot_forward(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """naswot as NASLib computes it: every ReLU counts, so a forward is enough."""
    return _agreement(network, inputs, lambda module: True)


def l2_norm(network: nn.Module, inputs: Tensor, targets: Tensor) -> Result:
    """Sum of the norms of the weights."""
    score = sum(layer.weight.detach().norm().item() for layer in layers_of(network))
    return score, abs(score)


FUNCTIONS = (plain, grad_norm, snip, fisher, synflow, jacob_cov, naswot, naswot_forward, l2_norm, epe_nas, grasp)
ALONE: dict[str, Callable[[nn.Module, Tensor, Tensor], Result]] = {each.__name__: each for each in FUNCTIONS}
"""Every proxy the comparison knows, by name."""
TOLERANCE = 1e-3
"""Relative difference that is allowed between a score here and the harness's."""
LOOSE = {"epe_nas": 1e-2}
"""Proxies with another tolerance. epe_nas sums logarithms of correlations near zero: rounding in float32 changes it by
about 1e-3 (see docs/speed.md)."""
