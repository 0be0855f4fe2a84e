"""What hooks, observers and proxies may see of the passes over one stack, and how often and how long each pass ran."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.probe.layer_rules import layers_of
from harness.probe.layers import places


class PassContext:
    """One stack of architectures with its minibatches; the passes that ran over it."""

    def __init__(
        self, network: nn.Module, minibatches: Sequence, *, archs: int = 1, reads: Iterable[str] = (),
        blocks: Sequence[str] = (), channels_last: bool = False,
    ) -> None:  # fmt: skip
        self.network = network
        self.archs = archs
        self.minibatches = minibatches
        self.reads = set(reads)
        """What the forward collects."""
        self.blocks = blocks
        """Names of the modules whose outputs are the feature blocks, in order; none where they are not known."""
        self.channels_last = channels_last
        """Layout of the shared forward."""
        self.layers = layers_of(network)
        self.phase = ""
        """The backward that runs: "backward", "jacobian", "curvature", or empty."""
        self.passes: dict[str, int] = {}
        """How often each pass ran."""
        self.seconds: dict[str, float] = {}
        """Wall time of each pass."""
        self.reasons: dict[int, str] = {}
        """Position in the stack -> why the proxy at work gave no score there."""
        self.watch: Any = None
        """What guards it against users' own proxies."""
        self._used: set[str] = set()

    @property
    def inputs(self) -> Tensor:
        """(samples, channels, height, width) of the first minibatch, the same for every architecture."""
        return self.minibatches[0].inputs

    @property
    def targets(self) -> Tensor:
        """(samples,) labels of the first minibatch. A proxy that reads them has `labels=True`."""
        return self.minibatches[0].targets

    def zeros(self, *shape: int) -> Tensor:
        """Return zeros (archs, *shape) float64 to add to."""
        return torch.zeros(self.archs, *shape, dtype=torch.float64, device=self.inputs.device)

    def total(self, by_layer: Iterable[Tensor]) -> Tensor:
        """Return the sum of each architecture's elements over all layers, (archs,) float64."""
        pairs = self.by_layer(by_layer)
        rows = [(layer, v.reshape(len(layer.owners), -1).sum(1, dtype=torch.float64)) for layer, v in pairs]
        if self.archs == 1 and rows:
            return torch.cat([row for _, row in rows]).sum(0, keepdim=True)
        return self.sums((layer.owners, row) for layer, row in rows)

    def by_layer(self, *values: Iterable) -> Iterable[tuple]:
        """Give each layer with what it has of lists that are "by layer"."""
        return zip(self.layers, *values, strict=True)

    def sums(self, pairs: Iterable[tuple[tuple[int, ...], Tensor]], *shape: int) -> Tensor:
        """Return the sums of (owners, *shape) at the owners' places, (archs, *shape) float64."""
        total = self.zeros(*shape)
        for owners, values in pairs:
            total.index_add_(0, places(owners, total.device), values)
        return total

    def norms(self, by_layer: Iterable[Tensor]) -> list[Tensor]:
        """Return each owner's Frobenius norm by layer: (owners,) each."""
        return [values.reshape(len(layer.owners), -1).norm(dim=1) for layer, values in self.by_layer(by_layer)]

    def fail(self, where: Tensor, reason: str) -> None:
        """Say why the scores at the True places of `where`, (archs,), are not finite."""
        for position in where.nonzero().flatten().tolist():
            self.reasons[position] = reason

    @contextmanager
    def reading(self) -> Iterator[set[str]]:
        """Give the set of passes that are used inside the block; forgets the reasons of the proxy before."""
        self._used, self.reasons = set(), {}
        yield self._used

    def use(self, *names: str) -> None:
        """Record that the proxy at work used these passes."""
        self._used.update(names)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what happens inside as a pass of this name."""
        start = time.perf_counter()
        yield
        if self.inputs.is_cuda:
            torch.cuda.synchronize()
        self.passes[name] = self.passes.get(name, 0) + 1
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    @contextmanager
    def differentiating(self, phase: str) -> Iterator[None]:
        """Tell the hooks which backward runs inside."""
        self.phase = phase
        try:
            yield
        finally:
            self.phase = ""

    @contextmanager
    def own_pass(self, name: str) -> Iterator[None]:
        """Count what happens inside as a pass that the proxy at work used."""
        self.use(name)
        with self.timed(name):
            yield
