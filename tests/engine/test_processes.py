"""Worker processes: what they return, and that one which dies never leaves the main process waiting."""

import contextlib
import platform
import resource
import threading
import time

import psutil
import pytest
import torch

from benchmarks import UserError
from harness.engine.processes import one_thread, work

SEEN: list = []


def keep(large: bytes, *shared: int) -> None:
    SEEN.append((len(large), shared))


def told(job: int) -> tuple:
    return job, SEEN[0]


def test_what_is_large_reaches_every_worker():
    found = list(work(told, range(6), 2, keep, 5, large=bytes(3_000_000)))
    assert sorted(found) == [(job, (3_000_000, (5,))) for job in range(6)]


def test_a_worker_killed_while_it_starts_is_an_error_at_once():
    """Whatever it has read by then."""
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process().children():  # multiprocessing knows a child only when it has started
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.kill()
            time.sleep(0.001)

    killer = threading.Thread(target=kill)
    killer.start()
    started = time.monotonic()
    try:
        with pytest.raises(UserError, match="a worker process died"):
            list(work(told, range(6), 2, keep, large=bytes(3_000_000)))
    finally:
        stop.set()
        killer.join()
    assert time.monotonic() - started < 120


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_of_a_freed_tensor_is_kept_for_the_next_one():
    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**24)  # 64 MB, 16,384 pages
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    with one_thread():
        kept = [faults() for _ in range(20)]
    assert kept[-1] < 100 and faults() > 1000  # a part may be served from what is kept
