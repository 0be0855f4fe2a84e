"""What one process scores with: the setting of a run as plain data, and a `Scorer` made of it once."""

import copy
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.devices import current, kind
from harness.engine.guard import expendable
from harness.engine.processes import few_collections, one_thread, work
from harness.engine.scoring import Counts, ViewInputs, of_space, score_adaptively, scores_of
from harness.inputs.draw import minibatches
from harness.inputs.images import Images
from harness.probe.initialise import stream
from harness.proxies.own import Reference, references, resolve
from harness.proxies.protocols import PROTOCOLS, seen_under
from harness.proxies.registry import Proxy
from harness.store.parts import Part

SMALL = 2**16
"""Floats of one network's first map (batch x channels x height x width) up to which stacks pay on a CPU."""


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
    proxy_timeout: float = 0.0
    """Seconds that one call of a user's own proxy may take; 0 is for ever."""

    def usual_stack(self, together: int | None) -> tuple[int, bool]:
        """Return how many architectures run together as is usual, and whether another size may be better.

        `together` is the size beyond which the space's networks gain nothing, if there is one.
        """
        if PROTOCOLS[self.protocol].own_minibatch:
            return 1, False
        if kind(self.device) == "cuda":
            return together or 64, True
        floats = self.batch_size * self.network.get("channels", 16) * (self.resolution or 32) ** 2
        return (min(32, together or 32), True) if floats <= SMALL else (1, False)  # measured in docs/speed.md


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

    def stacks(self, stack: int) -> dict[int, tuple[str, ...]]:
        """Return {architectures in a stack: proxies} of a run with stacks of this size.

        A GPU is not filled by small minibatches: there, a proxy that repeats passes of a minibatch n times smaller than
        the run's (zen, swap) takes stacks n times as large.
        """
        found: dict[int, tuple[str, ...]] = {}
        for name in self.names:
            view, times = self.proxies[name].view, 1
            if kind(self.setting.device) == "cuda" and view.repeats > 1 and view.batch_size and stack > 1:
                times = max(1, self.setting.batch_size // view.batch_size)
            found[times * stack] = (*found.get(times * stack, ()), name)
        return found

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


class Rescue:
    """What becomes of a chunk whose process a user's own proxy ended: that proxy fails on it, the others go on.

    That a process was killed may be no fault of the proxy that was at work, so its chunk is tried once more. A proxy
    that ended `STRIKES` processes, or one before it gave any score, is given up: it fails on all chunks that are left.
    """

    STRIKES = 3

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.failed: list[Part] = []
        """Parts of chunks that were not tried, until somebody takes them."""
        self.suspects: set[tuple[Chunk, str]] = set()
        self.strikes: Counter[str] = Counter()
        self.answered: set[str] = set()
        self.given_up: dict[str, str] = {}

    def __call__(self, chunk: Chunk, note: tuple[str, str, float], killed: bool) -> tuple[list[Part], list[Chunk]]:
        """Return parts and chunks in place of a chunk that a process died at; the note is that of `guard.call`."""
        name, reason, started = note
        if not reason and self.limit and time.monotonic() - started >= self.limit:
            reason = f"{name} took longer than {self.limit:g} s (--proxy-timeout)"
        if not reason and killed and (chunk, name) not in self.suspects:
            self.suspects.add((chunk, name))
            return [], [chunk]
        ended = "was killed twice at work" if killed else "ended its process (os._exit or a crash)"
        return self.without(chunk, name, reason or f"{name} {ended}")

    def without(self, chunk: Chunk, name: str, reason: str) -> tuple[list[Part], list[Chunk]]:
        """Return the part in which a proxy failed, and what is left of the chunk."""
        self.strikes[name] += 1
        if self.strikes[name] == self.STRIKES or name not in self.answered:
            self.given_up.setdefault(name, f"{reason}; given up")
        rest = tuple(each for each in chunk.proxies if each != name)
        return [failed(chunk, name, reason)], [replace(chunk, proxies=rest)] if rest else []

    def lessened(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """Give chunks without the proxies that are given up by then."""
        for chunk in chunks:
            gone = [name for name in chunk.proxies if name in self.given_up]
            self.failed += [failed(chunk, name, self.given_up[name]) for name in gone]
            if rest := tuple(name for name in chunk.proxies if name not in gone):
                yield replace(chunk, proxies=rest)

    def seen(self, parts: Iterable[Part]) -> Iterator[Part]:
        """Give parts as they come, and those of chunks that were not tried."""
        for part in parts:
            self.answered.update(n for n, row in zip(part.proxies, part.scores, strict=True) if np.isfinite(row).any())
            yield part
            yield from self.untried()
        yield from self.untried()

    def untried(self) -> Iterator[Part]:
        """Take the parts of chunks that were not tried."""
        while self.failed:
            yield self.failed.pop()


def failed(chunk: Chunk, name: str, reason: str) -> Part:
    """Return the part in which a proxy failed on all of a chunk."""
    nan = np.full((1, len(chunk.index)), np.nan)
    reasons = (dict.fromkeys(range(len(chunk.index)), reason),)
    return Part(chunk.seed, (name,), np.array(chunk.index), nan, np.zeros_like(nan), reasons)


def in_files(setting: Setting) -> bool:
    """Return whether some proxies of a setting are users' own, which only processes apart can survive."""
    return any(reference.path for reference in setting.proxies)


def execute(chunks: list[Chunk], scorer: Scorer, devices: Sequence[str]) -> Generator[Part, None, None]:
    """Yield the parts of all chunks as they are done, in any order: by a process for each of `devices`, which may name
    one several times; by `scorer` where this process is enough. A free process takes the next chunk."""
    if not chunks:
        return
    own = in_files(scorer.setting)
    if own or (len(devices) > 1 and len(chunks) > 1):
        rescue = Rescue(scorer.setting.proxy_timeout)
        jobs, count = rescue.lessened(chunks), min(len(devices), len(chunks))
        saved = rescue if own else None
        with closing(work(_score, jobs, count, _start, large=scorer.setting, each=devices, rescue=saved)) as parts:
            yield from rescue.seen(parts) if own else parts
        return
    with one_thread(), few_collections(), current(devices[0]):
        for chunk in chunks:
            yield scorer.score(chunk)


def score_counts(proxies: Sequence[Proxy], counts: Counts, timeout: float) -> dict[str, tuple[np.ndarray, str]]:
    """Return {proxy: (scores (archs,), why it failed)} of users' own static proxies, in a process apart where a file
    holds them."""
    found = {proxy.name: _on_counts(proxy, counts) for proxy in proxies if not proxy.path}
    jobs = [(each, counts) for each in references(proxy for proxy in proxies if proxy.path)]
    if jobs:
        rescue = partial(_no_counts, Rescue(timeout))
        found |= dict(work(_in_file, jobs, 1, expendable, large=timeout, rescue=rescue))
    return found


def _on_counts(proxy: Proxy, counts: Counts) -> tuple[np.ndarray, str]:
    scores, reasons = scores_of(proxy, copy.deepcopy(counts), len(counts.params))
    return scores.numpy(), reasons.get(0, "")


def _in_file(job: tuple[Reference, Counts]) -> tuple[str, tuple[np.ndarray, str]]:
    (proxy,) = resolve([job[0]])
    return proxy.name, _on_counts(proxy, job[1])


def _no_counts(rescue: Rescue, job: tuple[Reference, Counts], note: tuple, killed: bool) -> tuple[list, list]:
    """Return what a static proxy gave that ended its process."""
    parts, again = rescue(Chunk(0, tuple(range(len(job[1].params))), (job[0].name,)), note, killed)
    return [(job[0].name, (part.scores[0], part.reasons[0][0])) for part in parts], [job] * len(again)


_scorer: Scorer
"""Of a worker process."""


def _start(setting: Setting, device: str) -> None:
    """Prepare a worker."""
    global _scorer
    if kind(device) == "cuda":
        torch.cuda.set_device(device)
    expendable(setting.proxy_timeout)
    _scorer = Scorer(replace(setting, device=device))


def _score(chunk: Chunk) -> Part:
    return _scorer.score(chunk)
