"""What one process scores with: the setting of a run as plain data, and a `Scorer` made of it once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.registry import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.features import of_space
from harness.engine.inputs import ViewInputs
from harness.engine.scoring import score_adaptively
from harness.inputs.draw import minibatches
from harness.inputs.images import Images
from harness.probe.view import stream
from harness.proxies.own import Reference, resolve
from harness.proxies.protocols import PROTOCOLS, seen_under
from harness.proxies.registry import Proxy
from harness.store.parts import Part


@dataclass(frozen=True)
class Setting:
    """What a worker has to know to score any architecture of a run; plain data, so that it can be sent."""

    bench: str
    proxies: tuple[Reference, ...]
    network: dict[str, int]
    """Settings of the space's networks, classes among them."""
    resolution: int | None
    inputs: str | Images
    """gaussian, or images as they were read."""
    dataset: str
    batch_size: int
    balanced: bool
    share: bool
    keep_unreachable: bool
    device: str
    protocol: str = "default"
    """A key of harness.proxies.protocols.PROTOCOLS."""
    archs: tuple[str, ...] | None = None
    """The architectures of the table, where it is they that make the space; None where the space is known without."""
    form: str | None = None
    """Which networks stand for the architectures (`benchmarks.space_of`); None is those that were trained."""
    precision: str = "float32"
    """A word of harness.probe.precision.PRECISIONS."""


@dataclass(frozen=True)
class Chunk:
    """One piece of work: architectures (indices in the space, class representatives) under one seed."""

    seed: int
    index: tuple[int, ...]
    proxies: tuple[str, ...]


class Scorer:
    """Scores chunks in one process; keeps the minibatches of each seed."""

    def __init__(self, setting: Setting, proxies: Sequence[Proxy] | None = None) -> None:
        """`proxies` are those of the setting where this process has them already."""
        self.setting = setting
        self.space = space_of(setting.bench, setting.archs, setting.form)
        self.protocol = PROTOCOLS[setting.protocol]
        proxies = resolve(setting.proxies) if proxies is None else proxies
        chosen = seen_under(proxies, self.protocol, setting.batch_size, setting.precision)
        self.proxies: dict[str, Proxy] = {proxy.name: proxy for proxy in chosen}
        self.inputs: dict[int, ViewInputs] = {}
        self.description = ""
        """What the minibatches are, for people."""

    @property
    def names(self) -> tuple[str, ...]:
        """The proxies that look at a network."""
        return tuple(name for name, proxy in self.proxies.items() if not proxy.static)

    def inputs_of(self, seed: int) -> ViewInputs:
        """Return the minibatches of a seed, drawn once."""
        if seed not in self.inputs:
            self.inputs[seed] = self._draw(seed)
        return self.inputs[seed]

    def _draw(self, seed: int) -> ViewInputs:
        s = self.setting
        drawn, self.description = minibatches(
            s.inputs, dataset=s.dataset, folder=None, batch_size=s.batch_size,
            count=max(proxy.view.minibatches for proxy in self.proxies.values()), seed=seed,
            channels=s.network["input_channels"], resolution=s.resolution, classes=s.network["classes"],
            balanced=s.balanced, augment=self.protocol.augment,
        )  # fmt: skip
        return ViewInputs(drawn, s.network["classes"], seed, s.device)

    def build(self, indices: Iterable[int]) -> torch.nn.Module:
        """Return the stack of these architectures, its weights not drawn yet."""
        s = self.setting
        network = self.space.build(list(indices), keep_unreachable=s.keep_unreachable, **s.network)
        return allocate(network, s.device)

    def score(self, chunk: Chunk) -> Part:
        """Return the scores of a chunk."""
        names = [self.space.canonical(i) if self.setting.share else self.space.archs[i] for i in chunk.index]
        if self.protocol.own_minibatch:
            (name,) = names  # the runner makes chunks of one architecture then
            inputs = self._draw(stream(chunk.seed, name, "minibatch").initial_seed())
        else:
            inputs = self.inputs_of(chunk.seed)
        proxies = [self.proxies[name] for name in chunk.proxies]
        results, _ = score_adaptively(
            self.build, chunk.index, names, proxies, inputs, seed=chunk.seed, features=of_space
        )
        scored = [results[name] for name in chunk.proxies]
        return Part(
            chunk.seed, chunk.proxies, np.array(chunk.index), np.stack([each.scores.numpy() for each in scored]),
            np.array([[each.seconds] * len(chunk.index) for each in scored]), tuple(each.reasons for each in scored),
        )  # fmt: skip
