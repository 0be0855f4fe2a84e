"""Worker processes: what they return, and that one which dies never leaves the main process waiting."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from benchmarks import UserError
from harness.engine.processes import work

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
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)
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
    assert time.monotonic() - started < 10
