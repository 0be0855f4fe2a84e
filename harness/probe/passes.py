"""How the passes over one stack run: once each, when a proxy first asks for what they yield.

What a proxy declares in `reads` is gathered during the first forward; whatever was not declared costs another pass.
Sums over a whole layer are formed inside the hooks, so activations are not kept. What proxies read is
`harness.probe.probe.Probe`, which builds on this.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.probe.context import PassContext
from harness.probe.hooks import Hooks
from harness.probe.observers import OBSERVERS
from harness.probe.precision import in_bfloat16, memory_ran_out
from harness.probe.twin import Twin

READS = (
    "weights", "outputs", "gradients", "other_gradients", "input_gradients", "channel_saliency",
    "relu_agreement", "relu_kernels", "weight_curvature", *OBSERVERS,
)  # fmt: skip
"""What a proxy may read from a probe, by attribute name or, for those of `harness.probe.observers`, by
`observed(name)`."""
NEED_GRAPH = {"gradients", "channel_saliency", "weight_curvature", "input_gradients", "relu_agreement"}
NEED_GRAPH |= {name for name, observer in OBSERVERS.items() if observer.graph}
"""Reads whose forward has to be differentiable; relu_agreement needs the graph to tell which ReLUs reach the output."""


class Passes(PassContext):
    """The shared passes over one stack."""

    def __init__(
        self, network: nn.Module, minibatches: Sequence, *, archs: int = 1, reads: Iterable[str] = (),
        objective: str = "loss", feature_map: Callable[[Tensor], Tensor] | None = None, blocks: Sequence[str] = (),
        channels_last: bool = False, precision: str = "float32",
    ) -> None:  # fmt: skip
        """`minibatches` are `harness.inputs.draw.Minibatch`; the first is what all passes use unless said otherwise.

        `channels_last` is the layout of the shared forward: on a CPU faster for one architecture, slower for a stack; a
        user's own module may not bear it. `precision` is the view's (`harness.probe.precision`).

        `objective`: "loss" is the cross-entropy, mean over samples; "sum" the sum of all outputs (labels unused).
        """
        super().__init__(network, minibatches, archs=archs, reads=reads, blocks=blocks, channels_last=channels_last)
        if isinstance(network, Twin) and "other_gradients" in self.reads:
            self.channels_last = False  # every minibatch by the same kernels: equal ones give equal gradients
        self.objective = objective
        self._bfloat16 = precision == "bfloat16"
        self._gathered: dict[str, object] = {}
        self._graph: tuple[Tensor, Tensor] | None = None
        self._hooks: Hooks | None = None
        self._gradients: list[Tensor] | None = None
        self._feature_map = feature_map
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for layer in self.layers:
            layer.parameter.requires_grad_(True)

    def close(self) -> None:
        """Let go of the graph at once; a cycle of references would keep it until Python's collector comes by."""
        self._graph = self._hooks = self._gradients = None
        self._gathered.clear()

    def _get(self, name: str, of: str) -> Any:
        if name not in self._gathered:
            run = {"forward": self._forward, "backward": self._backward, "jacobian": self._jacobian,
                   "curvature": self._curvature, "other minibatches": self._other_minibatches}[of]  # fmt: skip
            if of in ("forward", "backward") and name not in self.reads:  # not declared: another forward
                self.reads.add(name)
                self._graph = None
            run()
        self.use("forward", of, *["backward"] * (of == "curvature"))
        return self._gathered[name]

    def _forward(self) -> None:
        """Run the network on the first minibatch with the hooks that the reads need."""
        with self.timed("forward"):
            differentiable = bool(self.reads & NEED_GRAPH)
            for copying in (False, True):
                observers = {name: OBSERVERS[name](self) for name in sorted(self.reads & OBSERVERS.keys())}
                hooks = Hooks(self, list(observers.values()), copying)
                inputs = self._stacked(self.inputs)
                if self.channels_last and isinstance(inputs, Tensor) and inputs.dim() == 4:
                    inputs = inputs.contiguous(memory_format=torch.channels_last)
                if inputs.is_floating_point():
                    getattr(inputs, "main", inputs).requires_grad_(differentiable)
                try:
                    with hooks, torch.set_grad_enabled(differentiable):
                        outputs = self._logits(inputs.clone())  # not a leaf: a network may work in place on its input
                except RuntimeError as error:
                    if not (self.channels_last and isinstance(self.network, Twin)) or memory_ran_out(error):
                        raise
                    self.channels_last = False  # a module that takes its maps apart may not bear it
                    return self._forward()
                if not hooks.overwritten():
                    break
            self._gathered["outputs"] = outputs.detach()
            if "relu_kernels" in self.reads:
                self._gathered["relu_kernels"] = hooks.codes.error or hooks.codes.kernels()
            if "relu_agreement" in self.reads:
                self._gathered["relu_agreement"] = hooks.codes.error or hooks.codes.reaching(outputs)
            hooks.codes.calls.clear()  # their graph nodes hold hooks that hold this object: a cycle no collector sees
            for name, observer in observers.items():
                self._gathered[name] = observer.gathered()
            if differentiable:
                self._graph = (inputs, outputs)
                self._hooks = hooks

    def _stacked(self, inputs: Tensor) -> Tensor:
        """Give every architecture its own copy of the inputs: (samples, archs * channels, height, width)."""
        if self.archs == 1:
            return inputs.clone()
        return inputs.repeat(1, self.archs, *[1] * (inputs.dim() - 2))

    def run(self, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Return what the network, or a part of it, gives in the view's precision."""
        return in_bfloat16(forward, inputs) if self._bfloat16 else forward(inputs)

    def _logits(self, inputs: Tensor) -> Tensor:
        outputs = self.run(self.network, inputs)
        return outputs.unsqueeze(1) if outputs.dim() == 2 else outputs

    def _objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Summed over architectures, which do not touch one another: each gets its own gradient."""
        if self.objective == "sum":
            return outputs.sum()
        if len(targets) != len(outputs):
            raise LookupError("needs labels, and there are none")
        labels = targets.repeat_interleave(outputs.shape[1])
        return functional.cross_entropy(outputs.flatten(0, 1), labels, reduction="sum") / len(targets)

    def _ensure_graph(self) -> tuple[Tensor, Tensor]:
        if self._graph is None:
            self.reads.add("input_gradients")
            self._forward()
        assert self._graph is not None
        return self._graph

    def _backward(self) -> None:
        _, outputs = self._ensure_graph()
        loss = self._objective(outputs, self.targets)
        curved = "weight_curvature" in self.reads
        with self.timed("backward"):
            with self.differentiating("backward"):
                self._gradients = self._differentiate(loss, create_graph=curved)
            self._gathered["gradients"] = [g.detach() for g in self._gradients]
            if "channel_saliency" in self.reads:
                assert self._hooks is not None  # they come with the graph
                self._gathered["channel_saliency"] = self._hooks.saliency(self._gradients)

    def _differentiate(self, objective: Tensor, create_graph: bool = False, retain_graph: bool = True) -> list[Tensor]:
        weights = [layer.parameter for layer in self.layers]
        if not self.has_gradient(objective):  # no path from any weight to the objective
            return [torch.zeros_like(weight) for weight in weights]
        found = torch.autograd.grad(objective, weights, None, retain_graph, create_graph, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)]

    def has_gradient(self, outputs: Tensor) -> bool:
        """Return whether outputs, or an objective of them, can be differentiated. LookupError where those of a user's
        module cannot, which is no property of its architecture."""
        if not outputs.requires_grad and isinstance(self.network, Twin):
            raise LookupError("the outputs have no gradient: the model computes them under no_grad, or detaches them")
        return outputs.requires_grad

    def _jacobian(self) -> None:
        inputs, outputs = self._ensure_graph()
        inputs = getattr(inputs, "main", inputs)
        if not inputs.is_floating_point():
            raise LookupError("needs the gradient of the inputs, which are whole numbers")
        with self.timed("jacobian"):
            found = None
            if self.has_gradient(outputs):
                with self.differentiating("jacobian"):
                    (found,) = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True, allow_unused=True)
            gradient = torch.zeros_like(inputs) if found is None else found
            by_arch = gradient.unflatten(1, (self.archs, -1)).transpose(0, 1)
            self._gathered["input_gradients"] = by_arch.flatten(2)

    def _curvature(self) -> None:
        """w^T H g without weight gradients in the second backward.

        With z = <stop(g), dL/dw>, w^T dz/dw is, layer by layer, <y, dz/dy> + <dx, dz/d(dx)>, y the layer's output
        before its bias and dx the gradient it sends to its input (Euler's rule for what is linear in w, both passes).
        Layers that may use their weight in another way (subclasses: weight standardisation, parametrisations) or whose
        input does not depend on the network's, take the long way for the whole network: H g, then its sum with w.
        """
        if "weight_curvature" not in self.reads:
            self.reads.add("weight_curvature")
            self._graph = None
        if self._graph is None or "gradients" not in self._gathered or self._gradients is None:
            self._ensure_graph()
            self._backward()
        inputs, _ = self._ensure_graph()
        with self.timed("curvature"):
            assert self._gradients is not None and self._hooks is not None  # just made, with the graph
            inner: Any = sum((g * g.detach()).sum() for g in self._gradients)
            self._hooks.curvature = self.zeros()
            if inner.requires_grad and self._hooks.euler:
                with self.differentiating("curvature"):
                    torch.autograd.grad(inner, getattr(inputs, "main", inputs), retain_graph=True, allow_unused=True)
            elif inner.requires_grad:
                products = self._differentiate(inner)
                self._hooks.curvature += self.total(layer.weight * h for layer, h in self.by_layer(products))
            self._gathered["weight_curvature"] = self._hooks.curvature

    def _other_minibatches(self) -> None:
        gathered = []
        if self.reads - {"weights", "other_gradients"} <= self._gathered.keys():  # the first graph is not needed again
            self._graph = self._hooks = self._gradients = None
        with self.timed("other minibatches"):
            for minibatch in self.minibatches[1:]:
                objective = self._objective(self._logits(self._stacked(minibatch.inputs)), minibatch.targets)
                gathered.append(self._differentiate(objective, retain_graph=False))
        self._gathered["other_gradients"] = gathered
