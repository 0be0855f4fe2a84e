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
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.errors import UserError
from harness.engine.devices import kind
from harness.engine.processes import one_thread
from harness.engine.scorer import Chunk, Scorer, Setting
from harness.engine.stack_size import Found, find_of
from harness.store.stored_run import Part
from harness.store.version import VERSION

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
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        start, why = "start one with: ray start --head, or set RAY_ADDRESS", str(error).splitlines()[0]
        raise UserError(f"--executor ray: no Ray cluster answers ({why}); {start}") from error
    try:
        yield ray
    finally:
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
    return _result(ray, task.remote((setting, networks, seeds, workers)))


def _needs(setting: Setting, gpu_share: float) -> dict[str, float]:
    return {"num_gpus": gpu_share} if kind(setting.device) == "cuda" else {}


def execute_on(ray: Any, chunks: list[Chunk], setting: Setting, gpu_share: float) -> Generator[Part, None, None]:
    """Yield the parts of all chunks as they are done, in any order; `gpu_share` is the part of a GPU a worker has.

    Raises what a chunk raised, and UserError where workers were lost too often or differ in their versions.
    """
    needs = _needs(setting, gpu_share)
    task = ray.remote(num_cpus=1, max_retries=RETRIES, **needs)(_score)
    known, waiting = ray.put(setting), list(reversed(chunks))
    running: list[Any] = []
    try:
        while waiting or running:
            cpus, gpus = resources(ray)  # a cluster may grow and shrink
            together = 2 * max(1, int(gpus / gpu_share) if needs else cpus)
            while waiting and len(running) < together:
                running.append(task.remote([known], known.hex(), _versions(), waiting.pop()))
            done, running = ray.wait(running)
            for part in done:
                yield _result(ray, part)
    finally:
        for part in running:
            ray.cancel(part, force=True)


def _result(ray: Any, part: Any) -> Any:
    try:
        return ray.get(part)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"a chunk was lost {RETRIES + 1} times on the cluster ({reason}); {KEPT}") from error


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
            _kept = name, Scorer(ray.get(setting[0]))
            gc.collect()
            gc.freeze()  # as in a local worker
        return _kept[1].score(chunk)
