"""Cases that may crash, hang or fill the memory, each in a process that is watched: what becomes of it.

An outcome is "read", "refused" (a UserError), or what must not be: another exception, a crash, more than `SECONDS`,
more than `MEMORY`.
"""

import collections
import contextlib
import json
import os
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.errors import UserError

SECONDS, MEMORY = 10, 1 << 30
"""Time and memory that no case may take."""
Case = tuple[str, Callable[[], Callable[[], object]]]
"""What it is called, and what prepares it and returns what reads it (and may return its outcome)."""
WAIT = 60
"""Seconds by the clock after which a case hangs; `SECONDS` are those of a processor."""


LATE = (signal.SIGALRM, signal.SIGPROF)


def outcomes(cases: Iterable[Case]) -> collections.Counter[tuple[str, str]]:
    """Return (case, outcome) -> how often, each case read in a process that is replaced where it ends or hangs."""
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    waiting = list(enumerate(cases))
    while waiting:
        reader, writer = os.pipe()
        worker = os.fork()
        if not worker:
            _work(waiting, reader, writer)
        os.close(writer)
        done = waiting[0][0]
        with os.fdopen(reader) as answers:
            for line in answers:
                number, outcome = json.loads(line)
                found[waiting[0][1][0], outcome] += 1
                waiting.pop(0)
                done = number + 1
        _, status = os.waitpid(worker, 0)
        if waiting:
            assert waiting[0][0] == done
            ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            found[waiting.pop(0)[1][0], f"more than {SECONDS} s" if ended in LATE else f"ended by {ended}"] += 1
    return found


def _work(cases: list[tuple[int, Case]], reader: int, writer: int) -> None:
    """Read cases and write an outcome for each, in the process of its own that this is."""
    os.close(reader)
    warnings.simplefilter("ignore")
    for late in LATE:
        signal.signal(late, signal.SIG_DFL)
    with os.fdopen(writer, "w") as answers, open(os.devnull, "w") as nothing, contextlib.redirect_stderr(nothing):
        for number, (_, prepare) in cases:
            read_it = prepare()
            before = _peak(new=True)
            signal.alarm(WAIT)
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            outcome = _outcome(read_it)
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            if _peak() - before > MEMORY:
                outcome = "more than 1 GiB"
            print(json.dumps([number, outcome]), file=answers, flush=True)
    os._exit(0)


def _outcome(read_it: Callable[[], object]) -> str:
    try:
        found = read_it()
    except UserError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 5000 else "a message of several lines"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
    return found if isinstance(found, str) else "read"


def _peak(new: bool = False) -> int:
    """Return the most bytes of memory that this process had since the last call with `new`."""
    if new:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
