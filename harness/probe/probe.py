"""One stack of architectures under one view, as proxies read it: every quantity from passes that all of them share.

Every per-architecture tensor has the architectures of the stack on its own axis, `archs`; an ordinary module is a stack
of one. Lists that are "by layer" go with `probe.layers`: convolutions and linear layers in module order; their tensors
have owners * channels on the first axis (see `benchmarks.spaces.layers`), and `probe.total` sums them per architecture.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from harness.probe.batchnorm import constant_statistics
from harness.probe.layer_rules import batchnorms, rule_of
from harness.probe.layers import owners_of
from harness.probe.observers import OBSERVERS
from harness.probe.passes import Passes
from harness.probe.precision import widened
from harness.probe.twin import Twin


class Probe(Passes):
    """What proxies read of one stack. Made by the engine or by `harness.score`."""

    @property
    def outputs(self) -> Tensor:
        """(samples, archs, classes) logits."""
        return self._get("outputs", "forward")

    @property
    def relu_agreement(self) -> Tensor:
        """(archs, samples, samples) float64: Hamming kernel of activation patterns, the ReLU units in the same state in
        two samples, over all ReLUs that reach the output. A unit is on where its input is above zero."""
        return _raised(self._get("relu_agreement", "forward"))

    @property
    def relu_kernels(self) -> list[tuple[tuple[int, ...], Tensor, int]]:
        """By ReLU call, whether it reaches the output or not: owners, `relu_agreement` of that ReLU alone (owners,
        samples, samples), and its units."""
        return _raised(self._get("relu_kernels", "forward"))

    def observed(self, name: str) -> Any:
        """Return a quantity of `harness.probe.observers`; raises what went wrong with it."""
        return _raised(self._get(name, "forward"))

    def observed_on(self, name: str, inputs: Tensor, weights: Mapping[str, Tensor] | None = None) -> Any:
        """Return such a quantity of a separate forward on other inputs (samples, channels, height, width).

        `weights`, by parameter name, replace the network's own. Raises what went wrong.
        """
        observer = OBSERVERS[name](self)
        observer.attach()
        try:
            with self.own_pass(f"{name} of other inputs"), torch.no_grad():
                self.run(partial(torch.func.functional_call, self.network, dict(weights or {})), self._stacked(inputs))
        finally:
            observer.detach()
        return _raised(observer.gathered())

    @property
    def not_linear(self) -> set[str]:
        """Names of modules, and of functions seen so far, that are not piecewise linear, running statistics given."""
        if isinstance(self.network, Twin):
            return self.network.not_linear
        return {type(module).__name__ for module in self.network.modules() if rule_of(module).smooth}

    def pushforward(self, inputs: Tensor, tangents: Tensor) -> Tensor:
        """Return how the outputs move, (samples, archs, classes), when the inputs move along the tangents.

        Both are (samples, channels, height, width). One forward in forward mode, with a tangent beside every map; the
        statistics of training-mode BatchNorm are those of the inputs and stay as they are while those move.
        """
        frozen = [module for module in batchnorms(self.network) if module.training]
        for module in frozen:
            module.forward = partial(constant_statistics, module)  # deleted below
        try:
            with self.own_pass("pushforward"), torch.no_grad(), forward_ad.dual_level():
                outputs = self._logits(self._stacked(forward_ad.make_dual(inputs, tangents)))
                moved = forward_ad.unpack_dual(outputs).tangent
                return torch.zeros_like(outputs) if moved is None else moved.clone()
        finally:
            for module in frozen:
                del module.forward

    @property
    def block_maps(self) -> list[Tensor]:
        """By feature block: its map (samples, archs, channels, height, width). LookupError where none are known."""
        return [widened(self._as_map(maps.detach(), axis)) for maps, axis in self.observed("block_maps")]

    def block_pullback(self, position: int, vector: Tensor) -> Tensor:
        """Return the gradient of <vector, block `position`> with respect to the block before it.

        Both are (samples, archs, channels, height, width), each of its own block. Zeros where no path leads.
        """
        maps = self.observed("block_maps")
        with self.own_pass("block pullback"):
            (before, axis), (after, _) = maps[position - 1], maps[position]
            found = None
            if after.requires_grad and before.requires_grad:
                (found,) = torch.autograd.grad(
                    self._as_map(*maps[position]), before, vector.to(after.dtype), retain_graph=True, allow_unused=True
                )
            return widened(self._as_map(torch.zeros_like(before) if found is None else found, axis))

    def _as_map(self, values: Tensor, axis: int | None) -> Tensor:
        """(samples, archs, channels, height, width) of a block's output; `axis` is that of its channels."""
        if not isinstance(self.network, Twin):
            return values.unflatten(1, (self.archs, -1))
        maps = self.network.arranged(values, axis)
        maps = maps[(..., *[None] * (4 - maps.dim()))] if maps.dim() < 4 else maps.flatten(2, -2)
        return maps.unsqueeze(1)

    @property
    def gradients(self) -> list[Tensor]:
        """By layer: gradient of the objective with respect to the weight, shaped like it; zeros where no path leads."""
        return self._get("gradients", "backward")

    @property
    def channel_saliency(self) -> list[Tensor]:
        """By layer: (samples, owners * out), the sum over positions of output times its loss gradient."""
        return _raised(self._get("channel_saliency", "backward"))

    @property
    def input_gradients(self) -> Tensor:
        """(archs, samples, features): gradient of the sum of all outputs with respect to each architecture's input."""
        return self._get("input_gradients", "jacobian")

    @property
    def weight_curvature(self) -> Tensor:
        """(archs,) float64: w^T H g over convolution and linear weights, g the gradient, H the Hessian of the loss."""
        return self._get("weight_curvature", "curvature")

    @property
    def other_gradients(self) -> list[list[Tensor]]:
        """By further minibatch, then by layer: gradients as in `gradients`, a forward and a backward each."""
        return self._get("other_gradients", "other minibatches")

    def logits(self) -> Tensor:
        """(samples, archs, classes), by a forward of its own, with a graph of its own and none of the probe's hooks."""
        inputs = self._stacked(self.inputs)
        laid = isinstance(inputs, Tensor) and inputs.dim() == 4
        if (
            laid and self.channels_last and not self.network.training
        ):  # with BatchNorm's statistics it is not exact enough
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self._logits(inputs)

    def loss(self) -> Tensor:
        """The objective by `logits`: summed over architectures, mean over samples where it is the loss."""
        return self._objective(self.logits(), self.targets)

    def loss_gradients(self, samples: slice) -> list[Tensor]:
        """By layer: gradient of the objective of some samples, by a forward and a backward of their own."""
        outputs = self._logits(self._stacked(self.inputs[samples]))
        return self._differentiate(self._objective(outputs, self.targets[samples]), retain_graph=False)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, and of inputs that are floats."""
        return next(self.network.parameters()).dtype if self.layers else self.inputs.dtype

    def all_gradients(self) -> list[tuple[tuple[int, ...], Tensor]]:
        """By trainable tensor, BatchNorm's and biases too: owners, and the gradient of the objective, shaped like it.

        A forward and a backward of its own; zeros where no path leads.
        """
        owners = {p: owners_of(module) for module in self.network.modules() for p in module.parameters(recurse=False)}
        with self.own_pass("all gradients"):
            for parameter in owners:
                parameter.requires_grad_(True)
            try:
                loss = self.loss()
                self.has_gradient(loss)  # else a LookupError, clearer than PyTorch's
                found = torch.autograd.grad(loss, list(owners), allow_unused=True)
            finally:
                for parameter in owners.keys() - {layer.parameter for layer in self.layers}:
                    parameter.requires_grad_(False)
        zeros = (torch.zeros_like(p) if g is None else g for p, g in zip(owners, found, strict=True))
        return list(zip(owners.values(), zeros, strict=True))

    def feature_map(self, inputs: Tensor) -> Tensor:
        """Return the map before global pooling, (samples, archs * channels, height, width), without gradients.

        Each call is a forward pass of its own. Raises LookupError where the network does not say which map that is.
        """
        if self._feature_map is None:
            raise LookupError("needs the map before pooling: name the modules that give feature blocks in blocks=")
        with self.own_pass("feature map"), torch.no_grad():
            return self.run(self._feature_map, self._stacked(inputs))

    def modules(self) -> Iterator[tuple[nn.Module, Tensor, Tensor]]:
        """Give the architecture of a stack of one as an ordinary module, outputs (samples, classes), and the data."""
        assert self.archs == 1, "a model-level proxy takes one architecture at a time"
        model = copy.deepcopy(self.network)
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        model.register_forward_hook(lambda _, __, outputs: outputs.squeeze(1) if outputs.dim() == 3 else outputs)
        yield model, self.inputs.clone(), self.targets.clone()

    def once(self, name: str, compute: Callable[[Probe], Any]) -> Any:
        """Return what `compute` makes of this probe: a pass of this name, run for the first proxy that asks."""
        if name not in self._gathered:
            with self.timed(name):
                self._gathered[name] = compute(self)
        self.use(name)
        return self._gathered[name]


def _raised(value: Any) -> Any:
    """Return a quantity; raise what an observer gathered in its place."""
    if isinstance(value, Exception):
        raise value
    return value
