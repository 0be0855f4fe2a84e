"""Chunks of architectures -> parts of scores, in this process or in several; one writes, workers only return.

Each worker runs one thread, so that a score has the same bits whatever the number of workers.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmarks import space_of
from benchmarks.layers import allocate
from harness.devices import current, kind
from harness.engine import ViewInputs, score_adaptively
from harness.inputs import Images, minibatches
from harness.processes import few_collections, one_thread, work
from harness.protocols import PROTOCOLS, seen_under
from harness.proxies import Proxy, choose
from harness.store import Part
from harness.view import stream


@dataclass(frozen=True)
class Setting:
    """What a worker has to know to score any architecture of a run; plain data, so that it can be sent."""

    bench: str
    proxies: str
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
    """A key of harness.protocols.PROTOCOLS."""
    archs: tuple[str, ...] | None = None
    """The architectures of the table, where it is they that make the space; None where the space is known without."""
    form: str | None = None
    """Which networks stand for the architectures (`benchmarks.space_of`); None is those that were trained."""
    precision: str = "float32"
    """A word of harness.precision.PRECISIONS."""


@dataclass(frozen=True)
class Chunk:
    """One piece of work: architectures (indices in the space, class representatives) under one seed."""

    seed: int
    index: tuple[int, ...]
    proxies: tuple[str, ...]


class Scorer:
    """Scores chunks in one process; keeps the minibatches of each seed."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.space = space_of(setting.bench, setting.archs, setting.form)
        self.protocol = PROTOCOLS[setting.protocol]
        chosen = seen_under(choose(setting.proxies), self.protocol, setting.batch_size, setting.precision)
        self.proxies: dict[str, Proxy] = {proxy.name: proxy for proxy in chosen}
        self.inputs: dict[int, ViewInputs] = {}
        self.description = ""

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
        network = self.space.build(
            list(indices), keep_unreachable=self.setting.keep_unreachable, **self.setting.network
        )
        return allocate(network, self.setting.device)

    def score(self, chunk: Chunk) -> Part:
        """Return the scores of a chunk."""
        names = [self.space.canonical(i) if self.setting.share else self.space.archs[i] for i in chunk.index]
        if self.protocol.own_minibatch:
            (name,) = names  # the runner makes chunks of one architecture then
            inputs = self._draw(stream(chunk.seed, name, "minibatch").initial_seed())
        else:
            inputs = self.inputs_of(chunk.seed)
        results, _ = score_adaptively(
            self.build, chunk.index, names, [self.proxies[name] for name in chunk.proxies], inputs, seed=chunk.seed,
            feature_map=lambda network, x: network.features(x),  # type: ignore[operator]  # networks of spaces have both
            blocks=lambda network: network.blocks(),  # type: ignore[operator]
        )  # fmt: skip
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


def execute(chunks: list[Chunk], setting: Setting, devices: Sequence[str]) -> Generator[Part, None, None]:
    """Yield the parts of all chunks as they are done, in any order: by a process for each of `devices`, which may name
    one several times. Whoever is free takes the next chunk."""
    if len(devices) > 1 and len(chunks) > 1:
        free = multiprocessing.get_context("spawn").SimpleQueue()
        for device in devices:
            free.put(device)
        yield from work(_score, chunks, len(devices), _start, setting, free)
        return
    with one_thread(), few_collections(), current(devices[0]):
        scorer = Scorer(replace(setting, device=devices[0]))
        for chunk in chunks:
            yield scorer.score(chunk)


_scorer: Any = None


def _start(setting: Setting, free: Any) -> None:
    """Prepare a worker: it takes a device that no other has taken."""
    global _scorer
    device = free.get()
    if kind(device) == "cuda":
        torch.cuda.set_device(device)
    _scorer = Scorer(replace(setting, device=device))


def _score(chunk: Chunk) -> Part:
    return _scorer.score(chunk)
