"""Jobs -> results in worker processes of one thread each; an interrupt stops them, none outlives its parent."""

import contextlib
import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from types import ModuleType
from typing import Any

import psutil

from benchmarks.errors import UserError

Rescue = Callable[[Any, Any, bool], tuple[list, list]]
"""(job, the last note, whether it was killed) of a worker that died -> results to yield, jobs to do in its place."""
KILLED = (-signal.SIGKILL, -signal.SIGTERM)
"""Exit codes of what others ended: the system where memory ran out, or a user."""


def work(
    function: Callable, jobs: Iterable, workers: int, prepare: Callable | None = None, *shared: Any, large: Any = None,
    each: Sequence = (), rescue: Rescue | None = None,
) -> Generator:  # fmt: skip
    """Yield function(job) of every job, in the order they are done; `prepare(large, *shared)` runs once a process.

    Functions and jobs must be importable and picklable. `each` has one more argument of `prepare` for each worker. A
    worker that dies is replaced where `rescue` says how to go on; otherwise it is a UserError. Raises what a job
    raised. Closing the iterator, or an exception, ends the workers.
    """
    free = deque((function, prepare, large, (*shared, *each[i : i + 1])) for i in range(workers))
    before = set(multiprocessing.active_children())
    pool: list[_Worker] = []
    again: deque = deque()
    waiting = iter(jobs)
    patience = 0.0
    try:
        while _feed(pool, free, again, waiting):
            errors = []
            for worker, message in _messages(pool):
                if message is None:
                    results, more = _lost(worker, rescue)
                    again.extend(more)
                    pool.remove(worker)
                    free.append(worker.start)
                    yield from results
                elif message[0] == "note":
                    worker.note = message[1]
                elif message[0] == "done":
                    worker.jobs.popleft()
                    yield message[1]
                else:
                    errors.append(message[1:])
            for error, trace in errors:
                error.add_note(trace)
                raise error
        patience = 2.0  # for all, to end by themselves
    finally:
        for worker in pool:
            worker.pipe.close()
        _end(set(multiprocessing.active_children()) - before, time.monotonic() + patience)


class _Worker:
    """A process, and the jobs that it has: the one at work first, then one that waits."""

    def __init__(self, start: tuple) -> None:
        self.start = start
        self.jobs: deque = deque()
        self.note: Any = None
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there, os.getpid()))
        with _starting():  # what it is started with fits into a pipe: one that dies at once blocks nobody
            self.process.start()
        there.close()

    def give(self, job: Any) -> None:
        """Send a job."""
        self.jobs.append(job)
        self.send(job)

    def send(self, what: Any) -> None:
        """Send an object; nothing happens where the process is dead, which `_messages` sees."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.pipe.send(what)


def _end(processes: Iterable, until: float) -> None:
    """End processes and what they started; they have until this time to do so by themselves."""
    started = [child for process in processes for child in _children(process.pid)]
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()
    for child in started:
        with contextlib.suppress(psutil.Error):
            child.kill()
    for process in processes:
        process.join()


def _children(pid: int) -> list[psutil.Process]:
    """Return the processes that a process started, and those that they did."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []


def _feed(pool: list[_Worker], free: deque, again: deque, waiting: Iterator) -> bool:
    """Give each worker a job, start workers for more, give each a second job that waits; say whether any is at work."""
    _give([worker for worker in pool if not worker.jobs], again, waiting)
    started = []
    while free and (job := _next(again, waiting)) is not _NONE:
        started.append((_Worker(free.popleft()), job))
    for worker, job in started:  # once all of them are on their way
        pool.append(worker)
        worker.send(worker.start)
        worker.give(job)
    _give([worker for worker in pool if len(worker.jobs) < 2], again, waiting)
    return any(worker.jobs for worker in pool)


_NONE = object()


def _next(again: deque, waiting: Iterator) -> Any:
    """Return the next job; _NONE where there is none."""
    return again.popleft() if again else next(waiting, _NONE)


def _give(workers: list[_Worker], again: deque, waiting: Iterator) -> None:
    for worker in workers:
        if (job := _next(again, waiting)) is not _NONE:
            worker.give(job)


def _messages(pool: list[_Worker]) -> Iterator[tuple[_Worker, Any]]:
    """Yield (worker, message) of all that have said something, waiting for one; None is a worker's death."""
    wait([worker.pipe for worker in pool], timeout=1)
    for worker in list(pool):
        gone = worker.process.exitcode is not None  # a process that it left behind may hold its pipe open
        try:
            while worker.pipe.poll():
                yield worker, worker.pipe.recv()
        except (EOFError, OSError):
            gone = True
        if gone:
            yield worker, None


def _lost(worker: _Worker, rescue: Rescue | None) -> tuple[list, list]:
    """Return results and jobs in place of those that a dead worker had; UserError where there is no way to go on."""
    if rescue is None or worker.note is None:
        again = "everything committed is kept: repeat the command, perhaps with fewer --workers"
        raise UserError(f"a worker process died (killed, or out of memory?); {again}")
    worker.process.join(5)
    results, jobs = rescue(worker.jobs.popleft(), worker.note, worker.process.exitcode in KILLED)
    worker.pipe.close()
    _end([worker.process], 0.0)
    return results, [*jobs, *worker.jobs]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute inside the block as workers do: one thread, so that results have the same bits everywhere, and freed
    memory is kept."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    _keep_freed_memory(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _keep_freed_memory(False)


def _keep_freed_memory(on: bool) -> None:
    """Let the GNU C library keep the memory of freed tensors for the next ones, or do as by default.

    By default it gives blocks of 32 MB and more back to the system at once, which then clears every page of the next
    one: a fifth of the time of a stack of 8 full-size networks (`python -m speed.stack`). Other libraries ignore it.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        library = ctypes.CDLL(None)
        for option, kept, usual in ((_MOST_MAPPED, 0, 65536), (_TRIM_ABOVE, 2**31 - 1, 131072)):
            library.mallopt(option, kept if on else usual)
        if not on:
            library.malloc_trim(0)


_MOST_MAPPED, _TRIM_ABOVE = -4, -1
"""Options of mallopt(3): M_MMAP_MAX, M_TRIM_THRESHOLD."""


@contextmanager
def few_collections() -> Iterator[None]:
    """Leave what is loaded by now out of garbage collections inside the block.

    A network is thousands of objects, so collections are frequent, and each full one looks through all of PyTorch's
    objects: half the time of building a network. Inside another such block nothing changes.
    """
    if gc.get_freeze_count() > 1000:  # Python 3.12 starts with some hundreds
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let nothing be interrupted by Ctrl-C or SIGTERM inside the block; what came in the meantime comes after it."""
    masks = hasattr(signal, "pthread_sigmask")
    caught: list[int] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        # The mask holds for this thread alone; a signal that another thread takes still runs its handler here.
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not None:
                handlers[number] = signal.signal(number, lambda number, _: caught.append(number))
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, old)
        if caught:
            signal.raise_signal(caught[0])


@contextmanager
def _starting() -> Iterator[None]:
    """Let a process start that no Ctrl-C reaches before it is ready, and that does not run the user's script again."""
    main = sys.modules["__main__"]
    if hasattr(signal, "pthread_sigmask"):
        ensure_running()  # else it starts beside the first process, and takes the mask away from that one
    with undisturbed():
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


_parent: Connection | None = None
"""In a worker, the pipe to the process that gives it jobs."""


def in_worker() -> bool:
    """Return whether this process does the jobs of another one."""
    return _parent is not None


def note(what: Any) -> None:
    """Let the parent know what a worker is at; None: nothing that might end it."""
    if _parent is not None:
        try:
            _parent.send(("note", what))
        except OSError:  # the parent is gone
            os._exit(1)


def _serve(pipe: Connection, parent: int) -> None:
    """Do jobs with one thread until the pipe closes; interrupts are left to the parent."""
    global _parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        start = pipe.recv_bytes()
        import torch

        torch.set_num_threads(1)
        _keep_freed_memory(True)
        _parent = pipe
        job = _prepared(*pickle.loads(start))
        while True:
            pipe.send(job(pipe.recv()))
    except (EOFError, OSError):  # no more jobs, or nobody to do them for
        return


def _prepared(function: Callable, prepare: Callable | None, large: Any, shared: tuple) -> Callable[[Any], tuple]:
    """Prepare this process; return what turns a job into a message."""
    made: BaseException | None = None
    try:
        if prepare is not None:
            prepare(large, *shared)
    except Exception as error:  # what the first job raises
        made = error
    gc.collect()
    gc.freeze()  # as `few_collections`

    def job(what: Any) -> tuple:
        try:
            if made is not None:
                raise made
            return "done", function(what)
        except BaseException as error:
            return "failed", _sendable(error), traceback.format_exc()

    return job


def _sendable(error: BaseException) -> BaseException:
    """Return an exception that survives pickling."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
