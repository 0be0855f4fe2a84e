"""What one process scores with: the setting of a run as plain data, and a `Scorer` made of it once."""

import multiprocessing
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.spaces.layers import allocate
from harness.engine.devices import current, kind
from harness.engine.processes import few_collections, one_thread, work
from harness.engine.scoring import ViewInputs, of_space, score_adaptively
from harness.inputs.draw import minibatches
from harness.inputs.images import Images
from harness.probe.view import stream
from harness.proxies.own import Reference, resolve
from harness.proxies.protocols import PROTOCOLS, seen_under
from harness.proxies.registry import Proxy
from harness.store.stored_run import Part


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


def join(parts: list[Part]) -> list[Part]:
    """Put parts of the same seed and proxies together, so that few files are committed."""
    groups: dict[tuple, list[Part]] = {}
    for part in parts:
        groups.setdefault((part.seed, part.proxies), []).append(part)
    joined = []
    for (seed, proxies), group in groups.items():
        offsets = np.cumsum([0, *(len(part.index) for part in group)])
        reasons = tuple(
            {
                int(at) + position: text
                for at, part in zip(offsets, group, strict=False)
                for position, text in part.reasons[row].items()
            }
            for row in range(len(proxies))
        )
        index, scores, seconds = (
            np.concatenate([getattr(part, name) for part in group], axis=-1) for name in ("index", "scores", "seconds")
        )
        joined.append(Part(seed, proxies, index, scores, seconds, reasons))
    return joined


def execute(chunks: list[Chunk], scorer: Scorer, devices: Sequence[str]) -> Generator[Part, None, None]:
    """Yield the parts of all chunks as they are done, in any order: by a process for each of `devices`, which may name
    one several times; by `scorer` where this process is enough. A free process takes the next chunk."""
    if len(devices) > 1 and len(chunks) > 1:
        free = multiprocessing.get_context("spawn").SimpleQueue()
        for device in devices:
            free.put(device)
        yield from work(_score, chunks, len(devices), _start, free, large=scorer.setting)
        return
    with one_thread(), few_collections(), current(devices[0]):
        for chunk in chunks:
            yield scorer.score(chunk)


_scorer: Scorer | UserError
"""Of a worker process, or why it has none."""


def _start(setting: Setting, free: Any) -> None:
    """Prepare a worker: it takes a device that no other has taken."""
    global _scorer
    device = free.get()
    if kind(device) == "cuda":
        torch.cuda.set_device(device)
    try:
        _scorer = Scorer(replace(setting, device=device))
    except UserError as error:  # raised by the first job: here it would look like the death of the process
        _scorer = error


def _score(chunk: Chunk) -> Part:
    if isinstance(_scorer, UserError):
        raise _scorer
    return _scorer.score(chunk)
