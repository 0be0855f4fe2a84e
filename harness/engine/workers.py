"""Chunks of architectures -> parts of scores, in this process or in several; one writes, workers only return.

Each worker runs one thread, so that a score has the same bits whatever the number of workers.
"""

import multiprocessing
from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.errors import UserError
from harness.engine.devices import current, kind
from harness.engine.processes import few_collections, one_thread, work
from harness.engine.scorer import Chunk, Scorer, Setting
from harness.store.parts import Part


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
