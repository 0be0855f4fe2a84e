"""Chunks of architectures -> parts of scores, on a Ray cluster that is there already (`ray start`).

The process that starts the run is the only one that writes: workers return parts, so nothing is counted twice, whatever
is lost or done again. Each chunk is one task of one thread; Ray gives the next one to a free worker and repeats what a
lost worker had. Workers need the same versions of this project, PyTorch and Python, and a user's FILE.py under the same
path.
"""

import gc
import logging
import os
import platform
import socket
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from benchmarks.errors import UserError
from harness.engine.devices import kind
from harness.engine.guard import expendable
from harness.engine.processes import one_thread, undisturbed
from harness.engine.scorer import Chunk, Rescue, Scorer, Setting
from harness.engine.stack_size import Found, find_of
from harness.store.parts import Part
from harness.store.version import VERSION

POLL = 0.2
"""Seconds after which a wait looks for signals."""
RETRIES = 3
"""How often a chunk is repeated after its worker was lost."""
KEPT = "everything committed is kept: repeat the command"


@contextmanager
def connected() -> Iterator[Any]:
    """Connect to the cluster of RAY_ADDRESS, or of this machine, inside the block, and give the module `ray`.

    A connection that is there already is used and left. UserError where there is no Ray, or no cluster.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray needs Ray; install it with: python -m pip install -e '.[cluster]'") from None
    if ray.is_initialized():
        yield ray
        return
    address = os.environ.get("RAY_ADDRESS", "auto")
    try:
        host, _, port = address.rpartition(":")
        if host and port.isdecimal() and "//" not in host:  # Ray itself waits for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        with undisturbed():  # Ray takes SIGTERM for itself, and ends the process where it is interrupted
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        start, why = "start one with: ray start --head, or set RAY_ADDRESS", str(error).splitlines()[0]
        raise UserError(f"--executor ray: no Ray cluster answers ({why}); {start}") from error
    try:
        yield ray
    finally:
        with undisturbed():
            ray.shutdown()


def resources(ray: Any) -> tuple[int, float]:
    """Return the CPUs and GPUs of the cluster as it is now."""
    there = ray.cluster_resources()
    return int(there.get("CPU", 0)), float(there.get("GPU", 0))


def described(ray: Any) -> str:
    """Return what computes, for a reader."""
    return "Ray cluster, {} CPUs, {:g} GPUs".format(*resources(ray))


def workers(ray: Any, device: str, gpu_share: float) -> list[str]:
    """Return the device of each worker that the cluster has room for; the name of a GPU is that in a worker."""
    cpus, gpus = resources(ray)
    if kind(device) == "cpu":
        return ["cpu"] * max(1, cpus)
    return [f"cuda:{number}" for number in range(max(1, int(gpus)))] * max(1, int(1 / gpu_share))


def found_on(
    ray: Any, gpu_share: float, setting: Setting, networks: tuple[int, ...], seeds: int, workers: tuple[str, ...]
) -> Found:
    """Return how many architectures to run together, as a worker of the cluster finds (`stack_size.find`)."""
    task = ray.remote(num_cpus=1, **_needs(setting, gpu_share))(find_of)
    try:
        return _result(ray, task.remote((setting, networks, seeds, workers)))
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"the worker that looked for a size of stacks was lost ({reason}); give --stack") from error


def _needs(setting: Setting, gpu_share: float) -> dict[str, float]:
    return {"num_gpus": gpu_share} if kind(setting.device) == "cuda" else {}


def execute_on(ray: Any, chunks: list[Chunk], setting: Setting, gpu_share: float) -> Generator[Part, None, None]:
    """Yield the parts of all chunks as they are done, in any order; `gpu_share` is the part of a GPU a worker has.

    Raises what a chunk raised, and UserError where workers were lost too often or differ in their versions.
    """
    needs, losses = _needs(setting, gpu_share), _Losses(setting)
    task = ray.remote(num_cpus=1, max_retries=0, **needs)(_score)
    waiting, running = list(reversed(chunks)), dict[Any, Chunk]()
    with undisturbed():
        known = ray.put(setting)
    try:
        while waiting or running:
            with undisturbed():
                cpus, gpus = resources(ray)  # a cluster may grow and shrink
                together = 2 * max(1, int(gpus / gpu_share) if needs else cpus)
                while waiting and len(running) < together:
                    for chunk in losses.rescue.lessened([waiting.pop()]):
                        running[task.remote([known], known.hex(), _versions(), chunk)] = chunk
                done, _ = ray.wait(list(running), timeout=POLL) if running else ([], [])
            yield from losses.rescue.untried()
            for part in done:
                chunk = running.pop(part)
                try:
                    found = [_result(ray, part)]
                except ray.exceptions.RayError as error:
                    found, again = losses.instead(chunk, str(error).strip().splitlines()[0])
                    waiting += again
                yield from losses.rescue.seen(found)
    finally:
        with undisturbed():
            for part in running:
                ray.cancel(part, force=True)


class _Losses:
    """What is done in place of chunks whose workers were lost. A chunk is tried again, as often as `RETRIES`; of one
    with users' own proxies these are tried alone after the first two losses, and fail where they lose workers."""

    def __init__(self, setting: Setting) -> None:
        self.own = {reference.name for reference in setting.proxies if reference.path}
        self.rescue = Rescue(setting.proxy_timeout)
        self.lost: Counter[Chunk] = Counter()

    def instead(self, chunk: Chunk, reason: str) -> tuple[list[Part], list[Chunk]]:
        """Return parts and chunks in place of a lost one; UserError where it was lost too often."""
        self.lost[chunk] += 1
        own = [name for name in chunk.proxies if name in self.own]
        if self.lost[chunk] > RETRIES and not own:
            raise UserError(f"a chunk was lost {RETRIES + 1} times on the cluster ({reason}); {KEPT}")
        if self.lost[chunk] < 2 or not own:
            return [], [chunk]
        if len(chunk.proxies) == 1:
            return self.rescue.without(
                chunk, own[0], f"{own[0]} ended its process, or took longer than --proxy-timeout"
            )
        alone = [replace(chunk, proxies=(name,)) for name in own]
        self.lost.update(alone)  # one more loss, and they fail
        rest = tuple(name for name in chunk.proxies if name not in own)
        return [], alone + [replace(chunk, proxies=rest)] * bool(rest)


def _result(ray: Any, part: Any) -> Any:
    """Return the result of a task. Between calls of Ray, never in one, a signal may interrupt."""
    try:
        while True:
            with undisturbed():
                if ray.wait([part], timeout=POLL)[0]:
                    return ray.get(part)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None


def _versions() -> tuple[str, ...]:
    return VERSION, torch.__version__, platform.python_version()


_kept: tuple[str, Scorer] | None = None


def _score(setting: list, name: str, versions: tuple[str, ...], chunk: Chunk) -> Part:
    """Score a chunk in a worker, which keeps what it made of the last setting; `setting` is a reference to it."""
    global _kept
    import ray

    if versions != _versions():
        has = f"versions {_versions()} of harness, PyTorch and Python"
        raise UserError(f"a worker of the cluster has {has}, expected {versions}: install the same everywhere")
    with one_thread():
        if _kept is None or _kept[0] != name:
            expendable(ray.get(setting[0]).proxy_timeout)
            _kept = name, Scorer(ray.get(setting[0]))
            gc.collect()
            gc.freeze()  # as in a local worker
        return _kept[1].score(chunk)
