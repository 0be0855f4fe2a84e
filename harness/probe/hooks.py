"""The forward hooks of one pass over a network: they reduce what flows by, so that activations need not be kept.

Made by `harness.probe.passes.Passes`, which says what is read; what they gather are the probe's quantities of the same names.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch
from torch import Tensor, nn

from benchmarks.spaces.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear
from harness.probe.batchnorm import batch_norm
from harness.probe.convolution import convolution
from harness.probe.layers import owners_of, places
from harness.probe.observers import Watcher, is_relu
from harness.probe.precision import widened
from harness.probe.relu_codes import agreements

if TYPE_CHECKING:
    from harness.probe.passes import Passes

LINEAR_IN_WEIGHT = (nn.Conv2d, nn.Linear, StackedConv2d, StackedLinear)
"""Layers whose output before the bias is known to be linear in their weight."""
PLAIN_BATCHNORM = (nn.BatchNorm2d, StackedBatchNorm2d)
PLAIN_CONVOLUTION = (nn.Conv2d, StackedConv2d)
"""Nothing more than that, so that `harness.probe.batchnorm` and `harness.probe.convolution` may stand in for them."""


class Hooks:
    """The forward hooks of one pass: they reduce what flows by, and go when the forward is done."""

    def __init__(self, probe: Passes, copying: bool = False) -> None:
        """`copying` outputs that are needed later: for networks that go on to change them in place."""
        self.probe = probe
        self.copying = copying
        self.kept: list[tuple[Tensor, int]] = []
        self.reads = probe._reads
        self.handles: list = []
        self.codes: list[tuple[nn.Module, Tensor, int, object]] = []
        self.latest: deque[tuple[ref[Tensor], int, Tensor]] = deque(maxlen=4)
        """The ReLU inputs seen last, their versions and agreements: several ReLUs of a cell may read one node."""
        self.salient: dict[nn.Module, Tensor] = {}
        self.watchers: list[Watcher] = []
        self.curvature: Tensor | None = None
        self.euler = all(type(layer.module) in LINEAR_IN_WEIGHT for layer in probe.layers)

    def __enter__(self) -> Hooks:
        layers = {layer.module for layer in self.probe.layers}
        for module in self.probe.network.modules():
            if module in layers and "channel_saliency" in self.reads:
                self.handles.append(module.register_forward_hook(self._watch_saliency))
            if module in layers and "weight_curvature" in self.reads:
                self.handles.append(module.register_forward_pre_hook(self._watch_input))
                self.handles.append(module.register_forward_hook(self._watch_output))
            if self.reads & {"relu_agreement", "relu_kernels"} and is_relu(module):  # ReLU6, LeakyReLU, ... too
                self.handles.append(module.register_forward_hook(self._watch_relu))
        for watcher in self.watchers:
            watcher.attach()
        self.plain: list[nn.Module] = []
        if "weight_curvature" in self.reads or self.probe._channels_last:
            batchnorms = [m for m in self.probe.network.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
            plain = [m for m in batchnorms if type(m) in PLAIN_BATCHNORM]
            plain = [m for m in plain if "forward" not in vars(m)]  # else of each sample by itself
            for module in plain:
                module.forward = partial(batch_norm, module)  # type: ignore[method-assign]  # deleted on exit
            self.plain += plain
        if "weight_curvature" in self.reads:
            convolutions = [m for m in layers if isinstance(m, nn.Conv2d) and type(m) in PLAIN_CONVOLUTION]
            convolutions = [m for m in convolutions if "forward" not in vars(m)]
            convolutions = [m for m in convolutions if m.padding_mode == "zeros" and not isinstance(m.padding, str)]
            for conv in convolutions:
                conv.forward = partial(convolution, conv, self._skip_weights)  # type: ignore[method-assign]
            self.plain += convolutions
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()
        for watcher in self.watchers:
            watcher.detach()
        self.watchers = []
        for module in self.plain:
            del module.forward

    def _skip_weights(self) -> bool:
        """Return whether nobody wants the weights' gradients of the backward that is running."""
        return self.probe._phase in ("jacobian", "curvature")

    def _per_owner(self, values: Tensor, owners: tuple[int, ...]) -> Tensor:
        """(samples, owners * channels, ...) -> sums (archs,) float64, zero where the layer has no part."""
        if values.dim() == 4:
            values = values.sum((2, 3))  # float64 throughout costs as much as a convolution
        rows = values.reshape(len(values), len(owners), -1).sum((0, 2), dtype=torch.float64)
        sums = torch.zeros(self.probe.archs, dtype=torch.float64, device=values.device)
        return sums.index_add_(0, places(owners, values.device), rows)

    def _keep(self, output: Tensor) -> Tensor:
        kept = output.detach()
        if self.copying:
            return kept.clone()
        self.kept.append((kept, kept._version))
        return kept

    def overwritten(self) -> bool:
        """Return whether the network changed an output in place that had to be kept as it was."""
        changed = any(kept._version != version for kept, version in self.kept)
        self.kept.clear()
        return changed

    def _watch_saliency(self, module: nn.Conv2d | nn.Linear, _: object, output: Tensor) -> None:
        if not output.requires_grad:
            return
        kept = self._keep(output)  # not `output`: a hook that holds its own tensor keeps the whole graph alive for good

        def reduce(gradient: Tensor) -> None:
            if self.probe._phase == "backward":
                summed = _by_channel(widened(kept) * gradient.detach(), module)
                self.salient[module] = self.salient[module] + summed if module in self.salient else summed

        output.register_hook(reduce)

    def saliency(self) -> list[Tensor]:
        """By layer, (samples, owners * out); zeros where the loss does not depend on the layer."""
        samples = len(self.probe.inputs)
        return [
            self.salient.get(layer.module, torch.zeros(samples, layer.weight.shape[0], device=layer.weight.device))
            for layer in self.probe.layers
        ]

    def _watch_input(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        only_here = inputs[0].view_as(inputs[0])  # this layer's own tensor, so that its gradient is this layer's part
        if not only_here.requires_grad:
            self.euler = False
            return (only_here,)
        owners = owners_of(module)

        def first(gradient: Tensor) -> None:
            if self.probe._phase == "backward" and gradient.requires_grad:
                kept = gradient.detach()
                gradient.register_hook(lambda second: self._add(widened(second.detach()) * kept, owners))

        only_here.register_hook(first)
        return (only_here,)

    def _watch_output(self, module: nn.Conv2d | nn.Linear, _: object, output: Tensor) -> None:
        if not output.requires_grad:
            return
        owners, kept = owners_of(module), self._keep(output)
        if module.bias is not None:
            bias = module.bias.detach()
            if isinstance(module, nn.Linear):  # channels come last, behind an axis of owners in a stack
                kept = kept - (bias.view(len(owners), -1) if len(owners) > 1 else bias)
            else:
                kept = kept - bias.view(1, -1, *[1] * (output.dim() - 2))
        output.register_hook(lambda second: self._add(widened(second.detach()) * kept, owners))

    def _add(self, product: Tensor, owners: tuple[int, ...]) -> None:
        if self.probe._phase == "curvature" and self.curvature is not None:
            self.curvature += self._per_owner(product, owners)

    @torch.no_grad()
    def _watch_relu(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        owners, x = owners_of(module), inputs[0]
        seen = (a for of, version, a in self.latest if of() is x and version == x._version and len(a) == len(owners))
        if (agreement := next(seen, None)) is None:
            agreement = self._agreement(x.detach(), len(owners))
            self.latest.append((ref(x), x._version, agreement))
        self.codes.append((module, agreement, x[0].numel() // len(owners), output.grad_fn))

    @staticmethod
    def _agreement(x: Tensor, owners: int) -> Tensor:
        """(owners, samples, samples) float64 of one ReLU's input."""
        if owners == 1 and x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last):
            x = x.movedim(1, 3)  # the order of units does not matter, a copy would cost
        return agreements(x.reshape(len(x), owners, -1))

    def agreement(self, outputs: Tensor) -> Tensor:
        """Agreements over the ReLUs that reach the output."""
        samples = len(self.probe.inputs)
        total = torch.zeros(self.probe.archs, samples, samples, dtype=torch.float64, device=self.probe.inputs.device)
        reached = _ancestors(outputs.grad_fn)
        for module, agreement, _, node in self.codes:
            owners = owners_of(module)
            if not all(on_path := getattr(module, "on_path", ())):  # the graph cannot tell one owner from another
                owners = tuple(owner for owner, counts in zip(owners, on_path, strict=True) if counts)
                agreement = agreement[list(on_path)]
            if owners and node in reached:
                total.index_add_(0, places(owners, total.device), agreement)
        return total

    def kernels(self) -> list[tuple[tuple[int, ...], Tensor, int]]:
        """Agreements ReLU by ReLU."""
        return [(owners_of(module), agreement, units) for module, agreement, units, _ in self.codes]


def _by_channel(product: Tensor, module: nn.Conv2d | nn.Linear) -> Tensor:
    """Sum what is shaped like a layer's output over positions: (samples, owners * channels)."""
    if not isinstance(module, nn.Linear):
        return product.flatten(2).sum(2)
    if len(owners_of(module)) > 1:
        return product.flatten(1)
    return product.reshape(len(product), -1, product.shape[-1]).sum(1)  # a linear layer has its channels last


def _ancestors(node: Any) -> set:
    """Return every node of the autograd graph that leads to this one."""
    if node is None:
        return set()
    seen, todo = {node}, [node]
    while todo:
        for parent, _ in todo.pop().next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen
