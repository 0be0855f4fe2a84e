"""Jobs -> results in worker processes of one thread each; an interrupt stops them, none outlives its parent."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from benchmarks.errors import UserError


def work(
    function: Callable, jobs: Iterable, workers: int, prepare: Callable | None = None, *shared: Any, large: Any = None
) -> Iterator:
    """Yield function(job) of every job, in the order they are done; `prepare(large, *shared)` runs once a process.

    Functions and jobs must be importable and picklable. `large` reaches a worker through a queue: what a process is
    started with must fit into a pipe, as a process that dies before it has read more would block this one for ever.
    Raises what a job raised, and UserError where a worker died. Closing the iterator, or an exception, ends the
    workers.
    """
    context = multiprocessing.get_context("spawn")
    before = set(multiprocessing.active_children())
    parcels = context.Queue()
    for _ in range(workers if prepare is not None else 0):
        parcels.put(large)
    initargs = (os.getpid(), prepare, parcels, shared)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=initargs)
    running: set[Future] = set()
    try:
        for job in jobs:
            with _undisturbed():
                running.add(pool.submit(function, job))
            if len(running) >= 2 * workers:
                yield from _finished(running)
        while running:
            yield from _finished(running)
        pool.shutdown()
    except BrokenProcessPool as error:
        again = "everything committed is kept: repeat the command, perhaps with fewer --workers"
        raise UserError(f"a worker process died (killed, or out of memory?); {again}") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        parcels.cancel_join_thread()
        parcels.close()
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


def _finished(running: set[Future]) -> Iterator:
    """Yield the results of all jobs that are done, waiting for one; what was done before a failure comes first."""
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    running -= done
    for future in sorted(done, key=lambda each: each.exception() is not None):
        yield future.result()


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread inside the block, as workers do, so that results have the same bits everywhere."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def few_collections() -> Iterator[None]:
    """Leave what is loaded by now out of garbage collections inside the block.

    A network is thousands of objects, so collections are frequent, and each full one looks through all of PyTorch's
    objects: half the time of building a network.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a process start that no Ctrl-C reaches before it is ready, and that does not run the user's script again."""
    main = sys.modules["__main__"]
    masks = hasattr(signal, "pthread_sigmask")
    caught: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        # The mask holds for this thread alone; a signal that another thread takes still runs its handler here.
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not None:
                handlers[number] = signal.signal(number, lambda number, _: caught.append(number))
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        if caught:
            signal.raise_signal(caught[0])


def _start(parent: int, prepare: Callable | None, parcels: Any, shared: tuple) -> None:
    """Prepare a worker: one thread, interrupts left to the parent, and an end when the parent is gone."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    if prepare is not None:
        prepare(parcels.get(), *shared)
    gc.collect()
    gc.freeze()  # as `few_collections`
