"""How the passes over one stack run: once each, when a proxy first asks for what they yield.

What a proxy declares in `reads` is gathered during the first forward; whatever was not declared costs a pass of its
own. Sums over a whole layer are formed inside the hooks, so activations are not kept for a proxy's sake. What proxies
read is `harness.probe.probe.Probe`, which builds on this.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.probe.hooks import Hooks
from harness.probe.layers import Layer, owners_of, places, weighted_layers
from harness.probe.observers import WATCHERS as FEATURES
from harness.probe.precision import in_bfloat16
from harness.probe.relu_observers import RESPONSES

WATCHERS = FEATURES | RESPONSES
READS = (
    "weights", "outputs", "gradients", "other_gradients", "input_gradients", "channel_saliency",
    "relu_agreement", "relu_kernels", "weight_curvature", *WATCHERS,
)  # fmt: skip
"""What a proxy may read from a probe, by attribute name or, for those of `harness.probe.observers` and `harness.probe.relu_observers`, by
`watched(name)`."""
NEED_GRAPH = {"gradients", "channel_saliency", "weight_curvature", "input_gradients", "relu_agreement"}
NEED_GRAPH |= {name for name, watcher in WATCHERS.items() if watcher.graph}
"""Reads whose forward has to be differentiable; relu_agreement needs the graph to tell which ReLUs reach the output."""


class Passes:
    """The shared passes over one stack, and the sums per architecture of what they give."""

    def __init__(
        self,
        network: nn.Module,
        minibatches: Sequence,
        *,
        archs: int = 1,
        reads: Iterable[str] = (),
        objective: str = "loss",
        feature_map: Callable[[Tensor], Tensor] | None = None,
        blocks: Sequence[str] = (),
        channels_last: bool = False,
        precision: str = "float32",
    ) -> None:
        """`minibatches` are `harness.inputs.draw.Minibatch`; the first is what all passes use unless said otherwise.

        `channels_last` is the layout of the shared forward: on a CPU faster for one architecture, slower for a stack; a
        user's own module may not bear it. `precision` is the view's (`harness.probe.precision`).

        `objective`: "loss" is the cross-entropy, mean over samples; "sum" the sum of all outputs (labels unused).
        """
        self.network = network
        self.archs = archs
        self.minibatches = minibatches
        self.objective = objective
        self._channels_last = channels_last
        self._bfloat16 = precision == "bfloat16"
        self.blocks = blocks
        """Names of the modules whose outputs are the feature blocks, in order; none where nobody said."""
        self.passes: dict[str, int] = {}
        """How often each pass ran."""
        self.seconds: dict[str, float] = {}
        """Wall time of each pass."""
        self.reasons: dict[int, str] = {}
        """Position in the stack -> why the proxy at work gave no score there."""
        self._reads = set(reads)
        self._gathered: dict[str, object] = {}
        self._graph: tuple[Tensor, Tensor, Tensor] | None = None
        self._hooks: Hooks | None = None
        self._gradients: list[Tensor] | None = None
        self._used: set[str] = set()
        self._phase = ""
        self._feature_map = feature_map
        names = {module: name for name, module in network.named_modules()}
        self.layers = [Layer(names[m], m, owners_of(m)) for m in weighted_layers(network)]
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for layer in self.layers:
            layer.module.weight.requires_grad_(True)

    @property
    def inputs(self) -> Tensor:
        """(samples, channels, height, width) of the first minibatch, the same for every architecture."""
        return self.minibatches[0].inputs

    @property
    def targets(self) -> Tensor:
        """(samples,) labels of the first minibatch. Whoever reads them has `labels=True`."""
        return self.minibatches[0].targets

    def total(self, by_layer: Iterable[Tensor]) -> Tensor:
        """Return the sum of each architecture's elements over all layers, (archs,) float64."""
        pairs = zip(self.layers, by_layer, strict=True)
        rows = [(layer, v.reshape(len(layer.owners), -1).sum(1, dtype=torch.float64)) for layer, v in pairs]
        if self.archs == 1 and rows:
            return torch.cat([row for _, row in rows]).sum(0, keepdim=True)
        sums = torch.zeros(self.archs, dtype=torch.float64, device=self.inputs.device)
        for layer, row in rows:
            sums.index_add_(0, places(layer.owners, sums.device), row)
        return sums

    def fail(self, where: Tensor, reason: str) -> None:
        """Say why the scores at the True places of `where`, (archs,), are not finite."""
        for position in where.nonzero().flatten().tolist():
            self.reasons[position] = reason

    def close(self) -> None:
        """Let go of the graph at once; a cycle of references would keep it until Python's collector comes by."""
        self._graph = self._hooks = self._gradients = None
        self._gathered.clear()

    @contextmanager
    def reading(self) -> Iterator[set[str]]:
        """Give the set of passes that are used inside the block; forgets the reasons of the proxy before."""
        self._used, self.reasons = set(), {}
        yield self._used

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what happens inside as a pass of this name that the proxy at work used."""
        self._used.add(name)
        with self._pass(name):
            yield

    def _get(self, name: str, of: str) -> Any:
        if name not in self._gathered:
            run = {"forward": self._forward, "backward": self._backward, "jacobian": self._jacobian,
                   "curvature": self._curvature, "other minibatches": self._other_minibatches}[of]  # fmt: skip
            if of in ("forward", "backward") and name not in self._reads:  # not foreseen: a pass of its own
                self._reads.add(name)
                self._graph = None
            run()
        self._used.update({"forward", of} | ({"backward"} if of == "curvature" else set()))
        return self._gathered[name]

    @contextmanager
    def _pass(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.inputs.is_cuda:
            torch.cuda.synchronize()
        self.passes[name] = self.passes.get(name, 0) + 1
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def _forward(self) -> None:
        """Run the network on the first minibatch with the hooks that the reads need."""
        with self._pass("forward"):
            differentiable = bool(self._reads & NEED_GRAPH)
            for copying in (False, True):
                hooks = Hooks(self, copying)
                watchers = {name: WATCHERS[name](self) for name in sorted(self._reads & WATCHERS.keys())}
                hooks.watchers = list(watchers.values())
                inputs = self._stacked(self.inputs)
                if self._channels_last:
                    inputs = inputs.contiguous(memory_format=torch.channels_last)
                inputs.requires_grad_(differentiable)
                with hooks, torch.set_grad_enabled(differentiable):
                    outputs = self._logits(inputs.clone())  # not a leaf: a network may work in place on its input
                if not hooks.overwritten():
                    break
            self._gathered["outputs"] = outputs.detach()
            if "relu_kernels" in self._reads:
                self._gathered["relu_kernels"] = hooks.kernels()
            if "relu_agreement" in self._reads:
                self._gathered["relu_agreement"] = hooks.agreement(outputs)
            hooks.codes.clear()  # their graph nodes hold hooks that hold this object: a cycle no collector sees
            for name, watcher in watchers.items():
                self._gathered[name] = watcher.gathered()
            if differentiable:
                self._graph = (inputs, outputs, self._objective(outputs, self.targets))
                self._hooks = hooks

    def _stacked(self, inputs: Tensor) -> Tensor:
        """Give every architecture its own copy of the inputs: (samples, archs * channels, height, width)."""
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
        labels = targets.repeat_interleave(outputs.shape[1])
        return functional.cross_entropy(outputs.flatten(0, 1), labels, reduction="sum") / len(targets)

    def _ensure_graph(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._graph is None:
            self._reads.add("input_gradients")
            self._forward()
        assert self._graph is not None
        return self._graph

    def _weights(self) -> list[Tensor]:
        return [layer.module.weight for layer in self.layers]

    def _backward(self) -> None:
        _, _, loss = self._ensure_graph()
        curved = "weight_curvature" in self._reads
        with self._pass("backward"):
            self._phase = "backward"
            self._gradients = self._differentiate(loss, create_graph=curved)
            self._phase = ""
            self._gathered["gradients"] = [g.detach() for g in self._gradients]
            if "channel_saliency" in self._reads:
                assert self._hooks is not None  # they come with the graph
                self._gathered["channel_saliency"] = self._hooks.saliency()

    def _differentiate(self, objective: Tensor, create_graph: bool = False, retain_graph: bool = True) -> list[Tensor]:
        weights = self._weights()
        if not objective.requires_grad:  # no path from any weight to the objective
            return [torch.zeros_like(weight) for weight in weights]
        found = torch.autograd.grad(
            objective, weights, retain_graph=retain_graph, create_graph=create_graph, allow_unused=True
        )
        return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)]

    def _jacobian(self) -> None:
        inputs, outputs, _ = self._ensure_graph()
        with self._pass("jacobian"):
            found = None
            if outputs.requires_grad:
                self._phase = "jacobian"
                (found,) = torch.autograd.grad(outputs.sum(), inputs, retain_graph=True, allow_unused=True)
                self._phase = ""
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
        if "weight_curvature" not in self._reads:
            self._reads.add("weight_curvature")
            self._graph = None
        if self._graph is None or "gradients" not in self._gathered or self._gradients is None:
            self._ensure_graph()
            self._backward()
        inputs, _, _ = self._ensure_graph()
        with self._pass("curvature"):
            assert self._gradients is not None and self._hooks is not None  # just made, with the graph
            inner: Any = sum((g * g.detach()).sum() for g in self._gradients)
            self._hooks.curvature = torch.zeros(self.archs, dtype=torch.float64, device=inputs.device)
            if inner.requires_grad and self._hooks.euler:
                self._phase = "curvature"
                torch.autograd.grad(inner, inputs, retain_graph=True, allow_unused=True)
                self._phase = ""
            elif inner.requires_grad:
                products = self._differentiate(inner)
                self._hooks.curvature += self.total(
                    w.detach() * h for w, h in zip(self._weights(), products, strict=True)
                )
            self._gathered["weight_curvature"] = self._hooks.curvature

    def _other_minibatches(self) -> None:
        gathered = []
        if self._reads - {"weights", "other_gradients"} <= self._gathered.keys():  # nobody needs the first graph again
            self._graph = self._hooks = self._gradients = None
        with self._pass("other minibatches"):
            for minibatch in self.minibatches[1:]:
                objective = self._objective(self._logits(self._stacked(minibatch.inputs)), minibatch.targets)
                gathered.append(self._differentiate(objective, retain_graph=False))
        self._gathered["other_gradients"] = gathered
