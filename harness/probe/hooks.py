"""The forward hooks of one pass over a network: they reduce what flows by, so that activations need not be kept.

Made by `harness.probe.passes.Passes`; what they collect are the probe's quantities of the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from harness.probe.context import PassContext
from harness.probe.layer_rules import is_relu, rule_of
from harness.probe.layers import Layer, by_sample, places
from harness.probe.observer import Observer
from harness.probe.precision import memory_ran_out, widened
from harness.probe.relu_codes import ReluCodes
from harness.probe.twin import Twin


class Hooks:
    """The forward hooks of one pass, removed when the forward is done."""

    def __init__(self, context: PassContext, observers: Sequence[Observer] = (), copying: bool = False) -> None:
        """`copying` outputs that are needed later: for networks that change them in place afterwards."""
        self.context = context
        self.observers = observers
        self.copying = copying
        self.kept: list[tuple[Tensor, int]] = []
        self.handles: list = []
        self.replaced: list[nn.Module] = []
        """Modules whose forward is another one during the pass."""
        self.error: Exception | None = None
        """What went wrong with saliencies."""
        self.codes = ReluCodes(context)
        self.salient: dict[nn.Module, Tensor] = {}
        self.curvature: Tensor | None = None
        self.seen = context.network.seen if isinstance(context.network, Twin) else None
        self.known = all(rule_of(layer.module).knows(layer.module) for layer in context.layers)
        self.constant = False
        """Whether a layer's input does not depend on the network's."""

    def __enter__(self) -> Hooks:
        reads = self.context.reads
        for layer in self.context.layers:
            if "channel_saliency" in reads:
                self.handles.append(layer.module.register_forward_hook(self._saliency_of(layer)))
            if "weight_curvature" in reads:
                self.handles.append(layer.module.register_forward_pre_hook(self._inputs_of(layer)))
                self.handles.append(layer.module.register_forward_hook(self._output_of(layer)))
        if reads & {"relu_agreement", "relu_kernels"}:
            relus = [module for module in self.context.network.modules() if is_relu(module)]  # LeakyReLU, ... too
            self.handles += [module.register_forward_hook(self.codes.hook) for module in relus]
        for observer in self.observers:
            observer.attach()
        curved = "weight_curvature" in reads
        for module in self.context.network.modules():  # forwards whose second derivative is cheap; exact BatchNorm
            rule = rule_of(module)
            if curved or (self.context.channels_last and rule.batch_statistics):
                if (forward := rule.second_order(module, self._skip_weights)) is not None:
                    module.forward = forward
                    self.replaced.append(module)
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
        for observer in self.observers:
            observer.detach()
        self.observers = ()
        for module in self.replaced:
            del module.forward

    @property
    def euler(self) -> bool:
        """Whether Euler's rule holds: every weight is used by its layer alone, on what depends on the input."""
        return self.known and not self.constant and not (self.seen is not None and self.seen.elsewhere)

    def _skip_weights(self) -> bool:
        """Return whether the backward that runs needs no gradients of weights."""
        return self.context.phase in ("jacobian", "curvature")

    def _keep(self, output: Tensor, name: str) -> Tensor:
        kept = output.detach()
        if self.copying or (self.seen is not None and name in self.seen.rewritten):
            return kept.clone()
        self.kept.append((kept, kept._version))
        return kept

    def overwritten(self) -> bool:
        """Return whether the network changed an output in place that had to be kept as it was."""
        changed = any(kept._version != version for kept, version in self.kept)
        self.kept.clear()
        return changed

    def _saliency_of(self, layer: Layer):
        rule, samples = rule_of(layer.module), len(self.context.inputs)

        def hook(module: nn.Module, _: object, output: Tensor) -> None:
            if not output.requires_grad:
                return
            kept = self._keep(output, layer.name)  # a hook that holds `output` itself keeps the whole graph for good

            def reduce(gradient: Tensor) -> None:
                if self.context.phase != "backward":
                    return
                try:
                    product = by_sample(widened(kept) * gradient.detach(), samples, rule.axis(module))
                    summed = rule.by_channel(module, product)
                except Exception as error:  # saliencies alone fail
                    if memory_ran_out(error):
                        raise
                    self.error = error
                    return
                self.salient[module] = self.salient[module] + summed if module in self.salient else summed

            output.register_hook(reduce)

        return hook

    def saliency(self, gradients: list[Tensor]) -> list[Tensor] | Exception:
        """By layer, (samples, owners * out), zeros where the loss does not depend on the layer; or what a proxy that
        reads it shall fail with, such as a LookupError where no output of the layer was seen."""
        samples = len(self.context.inputs)
        for layer, gradient in zip(self.context.layers if self.seen is not None else (), gradients, strict=False):
            if self.error is None and layer.module not in self.salient and gradient.any():
                name = layer.name.removeprefix("network.")
                self.error = LookupError(f"no output of {name} is seen: a function uses its weight")
        return self.error or [
            self.salient.get(layer.module, torch.zeros(samples, layer.channels, device=layer.weight.device))
            for layer in self.context.layers
        ]

    def _inputs_of(self, layer: Layer):
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            self.constant |= not any(each.requires_grad for each in inputs if isinstance(each, Tensor))
            return tuple(only_here(each) if isinstance(each, Tensor) else each for each in inputs)

        def only_here(x: Tensor) -> Tensor:
            """Return an input whose gradient is this layer's part."""
            part = x.view_as(x)
            if part.requires_grad:
                part.register_hook(first)
            return part

        def first(gradient: Tensor) -> None:
            if self.context.phase == "backward" and gradient.requires_grad:
                kept = gradient.detach()
                gradient.register_hook(lambda second: self._add(widened(second.detach()) * kept, layer.owners))

        return hook

    def _output_of(self, layer: Layer):
        without_bias = rule_of(layer.module).without_bias

        def hook(module: nn.Module, _: object, output: Tensor) -> None:
            if output.requires_grad:
                kept = without_bias(module, self._keep(output, layer.name))
                output.register_hook(lambda second: self._add(widened(second.detach()) * kept, layer.owners))

        return hook

    def _add(self, product: Tensor, owners: tuple[int, ...]) -> None:
        """Add the sums of (samples, owners * channels, ...) to the curvature of each owner."""
        if self.context.phase == "curvature" and self.curvature is not None:
            if product.dim() == 4:
                product = product.sum((2, 3))  # float64 throughout costs as much as a convolution
            rows = product.reshape(len(product), len(owners), -1).sum((0, 2), dtype=torch.float64)
            self.curvature += self.context.zeros().index_add_(0, places(owners, product.device), rows)
