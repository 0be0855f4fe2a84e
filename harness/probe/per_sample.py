"""Gradients of each sample alone, without a loop over samples, and never for more than one layer at a time.

Two meanings, by what BatchNorm does:

- `coupled_gram`, `coupled_norms`: samples go through training-mode BatchNorm together, so the gradient of sample n's
  output also flows through the others' activations. One forward, and a backward with all samples' cotangents at once
  (`torch.func.vmap`): as much arithmetic as the authors' loop of one backward a sample, in one go. As soon as a layer's
  gradients (samples, *weight) are there, they are reduced.
- `each_sample`: samples are not coupled (a view whose BatchNorm is "one", "eval" or "off"). One forward and one
  backward; a layer's gradients follow from its inputs and the gradients of its outputs.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.probe.layer_rules import refuse_coupled, rule_of
from harness.probe.layers import by_sample, owners_of, places
from harness.probe.precision import widened
from harness.probe.probe import Probe
from harness.probe.twin import Twin

Sink = Callable[[tuple[int, ...], Tensor], None]
"""Takes the owners and their gradients (owners, cotangents, weights of an owner)."""


def coupled_gram(probe: Probe, *, of: str, every_weight: bool) -> Tensor:
    """(archs, samples, samples) float64: inner products of the gradients of the samples' outputs.

    `of`: the "sum" of a sample's outputs, or its "label"'s output. `every_weight` takes all tensors called weight,
    BatchNorm's too; else convolutions and linear layers.
    """
    samples = len(probe.inputs)
    gram = probe.zeros(samples, samples)

    def add(owners: tuple[int, ...], rows: Tensor) -> None:
        rows = rows.double()
        gram.index_add_(0, places(owners, gram.device), rows @ rows.transpose(1, 2))

    _coupled(probe, of, every_weight, samples, add)
    return gram


def coupled_norms(probe: Probe, *, of: str, at_once: int = 8) -> Tensor:
    """(archs,) float64: squared norms, summed over samples, of the gradients of convolution and linear weights.

    `at_once` samples share a backward: there are no pairs to form, so memory need not hold all of them.
    """
    total = probe.zeros()

    def add(owners: tuple[int, ...], rows: Tensor) -> None:
        total.index_add_(0, places(owners, total.device), rows.double().square().sum((1, 2)))

    _coupled(probe, of, False, at_once, add)
    return total


class _ToSink(torch.autograd.Function):
    """Hands a gradient to a sink together with its batch of cotangents, which only vmap's rule gets to see."""

    @staticmethod
    def forward(gradient: Tensor, sink: Callable[[Tensor], None]) -> Tensor:
        return gradient.new_zeros(())

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def vmap(info, in_dims, gradient: Tensor, sink: Callable[[Tensor], None]):
        if in_dims[0] is None:
            sink(gradient.expand(info.batch_size, *gradient.shape))
        else:
            sink(gradient.movedim(in_dims[0], 0))
        return gradient.new_zeros(()), None


def _coupled(probe: Probe, of: str, every_weight: bool, at_once: int, sink: Sink) -> None:
    """Run one forward and the backwards of all samples' outputs; hand each weight's gradients to the sink."""
    weights = {layer.parameter: layer.owners for layer in probe.layers}
    if every_weight:
        weights = {
            parameter: owners_of(module)
            for module in probe.network.modules()
            for name, parameter in module.named_parameters(recurse=False)
            if "weight" in name
        }
    fixed = [weight for weight in weights if not weight.requires_grad]
    with probe.own_pass("per-sample gradients"):
        handles = [
            w.requires_grad_(True).register_hook(partial(_pass_on, owners, sink)) for w, owners in weights.items()
        ]
        handles += [  # vmap knows no backward of BatchNorm whose input is bfloat16
            module.register_forward_pre_hook(lambda _, given: (widened(given[0]), *given[1:]))
            for module in probe.network.modules() if rule_of(module).batch_statistics
        ]  # fmt: skip
        try:
            outputs = probe.logits()  # (samples, archs, classes)
            if probe.has_gradient(outputs):
                _backwards(outputs, list(weights), _cotangents(probe, of, outputs), at_once)
        finally:
            for handle in handles:
                handle.remove()
            for weight in fixed:
                weight.requires_grad_(False)


def _pass_on(owners: tuple[int, ...], sink: Sink, gradient: Tensor) -> Tensor:
    def reduce(rows: Tensor) -> None:
        sink(owners, rows.reshape(len(rows), len(owners), -1).transpose(0, 1))

    _ToSink.apply(gradient, reduce)
    return gradient.new_zeros(()).expand(gradient.shape)  # so that the gradients of one layer can go


def _cotangents(probe: Probe, of: str, outputs: Tensor) -> Tensor:
    """(samples, samples, classes): row n picks what of sample n is differentiated; the same for every architecture."""
    samples, _, classes = outputs.shape
    chosen = torch.ones(samples, classes, device=outputs.device, dtype=outputs.dtype)
    if of == "label":
        chosen = functional.one_hot(probe.targets, classes).to(outputs.dtype)
    return torch.diag_embed(chosen.T).permute(1, 2, 0)


def _backwards(outputs: Tensor, weights: list[Tensor], cotangents: Tensor, at_once: int) -> None:
    def backward(cotangent: Tensor) -> Tensor:
        cotangent = cotangent.unsqueeze(1).expand_as(outputs)  # architectures do not touch one another
        torch.autograd.grad(outputs, weights, cotangent, retain_graph=True, allow_unused=True)
        return cotangent.new_zeros(())

    for some in cotangents.split(at_once):
        torch.func.vmap(backward)(some)


def each_sample(probe: Probe, reduce: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """By layer: `reduce` of the gradients (samples, *weight) of each sample's own loss, a sum over samples; zeros like
    the weight where no path leads.

    A user's module with layers of a kind whose gradient does not follow from inputs and outputs runs once for each
    sample; in a stack that is a TypeError. Raises ValueError where training-mode BatchNorm couples the samples.
    """
    refuse_coupled(probe.network)
    try:
        return _each_at_once(probe, reduce)
    except TypeError:
        if not isinstance(probe.network, Twin):
            raise
    with probe.own_pass("gradients of each sample"):
        totals: list[Tensor] = []
        for n in range(len(probe.inputs)):
            gradients = [reduce(g.unsqueeze(0)) for g in probe.loss_gradients(slice(n, n + 1))]
            totals = [a + b for a, b in zip(totals, gradients, strict=True)] if totals else gradients
    return totals


def _each_at_once(probe: Probe, reduce: Callable[[Tensor], Tensor]) -> list[Tensor]:
    reduced: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, rows: Tensor, _: Tensor) -> None:
        reduced[module] = reduce(rows)

    with probe.own_pass("gradients of each sample"):
        _by_layer(probe, lambda: probe.loss() * len(probe.inputs), keep)
    return [reduced.get(layer.module, torch.zeros_like(layer.weight)) for layer in probe.layers]


def backprops_gram(probe: Probe) -> Tensor:
    """(archs, samples, samples) float64: inner products of the rows that one backward of all samples' labels' outputs
    gives, weights and biases of convolutions and linear layers.

    A sample's row pairs its own activations with its own part of that backward. Where training-mode BatchNorm couples
    the samples that is not the gradient of its output, which `coupled_gram` has. Raises TypeError as `each_sample`.
    """
    samples = len(probe.inputs)
    gram = probe.zeros(samples, samples)

    def add(module: nn.Module, rows: Tensor, bias: Tensor) -> None:
        owners = owners_of(module)
        for part in (rows, bias) if getattr(module, "bias", None) is not None else (rows,):
            each = part.reshape(samples, len(owners), -1).transpose(0, 1).double()
            gram.index_add_(0, places(owners, gram.device), each @ each.transpose(1, 2))

    _by_layer(probe, lambda: probe.logits()[torch.arange(samples), :, probe.targets].sum(), add)
    return gram


def _by_layer(probe: Probe, objective: Callable[[], Tensor], take: Callable[[nn.Module, Tensor, Tensor], None]) -> None:
    """Run a forward and a backward; hand each layer to `take` with the rows (samples, *weight) and (samples, *bias)."""
    for layer in probe.layers:
        if not rule_of(layer.module).knows(layer.module):
            raise TypeError(f"gradients of single samples are not known for a {type(layer.module).__name__}")
    samples = len(probe.inputs)
    calls: dict[nn.Module, int] = {}
    waiting: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def forward_hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if output.requires_grad:
            calls[module] = calls.get(module, 0) + 1
            output.register_hook(partial(arrive, module, inputs[0].detach()))

    def arrive(module: nn.Module, x: Tensor, gradient: Tensor) -> None:
        gradient = widened(gradient.detach())
        rule = rule_of(module)
        x, gradient = (by_sample(each, samples, rule.axis(module)) for each in (x, gradient))
        rows, bias = rule.weight_rows(module, widened(x), gradient), rule.by_channel(module, gradient)
        if module in waiting:
            rows, bias = (a + b for a, b in zip(waiting[module], (rows, bias), strict=True))
        waiting[module] = rows, bias
        calls[module] -= 1
        if not calls[module]:  # a layer that is used twice has one gradient
            take(module, *waiting.pop(module))

    handles = [layer.module.register_forward_hook(forward_hook) for layer in probe.layers]
    try:
        differentiated = objective()
    finally:
        for handle in handles:
            handle.remove()
    if probe.has_gradient(differentiated):
        torch.autograd.grad(differentiated, [layer.parameter for layer in probe.layers], allow_unused=True)
    for module, both in waiting.items():  # a use that the objective does not depend on
        take(module, *both)
