"""How many architectures memory has room for, from the peak that a smaller stack of them had."""

import ctypes
import gc
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from harness.engine.devices import kind

MARGIN = {"cpu": 0.5, "cuda": 0.8}
"""The part of free memory that stacks may take. Too much is an error on a GPU, which halves the stack; on a CPU it is
the end of the process."""
UNKNOWN = 32
"""The largest stack on a CPU whose peak is not known: it needed less than 1 GB wherever stacks pay."""


class Cuda:
    """Memory of a GPU that `sharing` processes have."""

    def __init__(self, device: str, sharing: int) -> None:
        self.device = torch.device(device)
        self.before = torch.cuda.memory_allocated(self.device)
        kept = torch.cuda.memory_reserved(self.device) - self.before
        self.room = MARGIN["cuda"] * (torch.cuda.mem_get_info(self.device)[0] + kept) / sharing

    def start(self) -> None:
        """Measure a stack from here on."""
        torch.cuda.reset_peak_memory_stats(self.device)

    def fitting(self, stack: int) -> int:
        """Return how many architectures fit, as a stack of `stack` has been scored since `start`."""
        used = torch.cuda.max_memory_allocated(self.device) - self.before
        return int(self.room * stack / max(1, used))


class Resident:
    """Memory of a machine that `sharing` processes have; the peak is known on Linux alone.

    What a stack needs is the peak since `start` less what the process had at the beginning, each time after it gave
    back what it no longer used.
    """

    def __init__(self, sharing: int) -> None:
        self.room = MARGIN["cpu"] * available() / sharing
        _give_back()
        self.before = psutil.Process().memory_info().rss

    def start(self) -> None:
        """Measure a stack from here on."""
        _give_back()
        with suppress(OSError):  # else the peak is that of the whole process: no less
            Path("/proc/self/clear_refs").write_text("5")

    def fitting(self, stack: int) -> int:
        """Return how many architectures fit, as a stack of `stack` has been scored since `start`."""
        peak = _number(Path("/proc/self/status"), "VmHWM:")  # kB since `start`, which psutil does not know
        return UNKNOWN if peak is None else int(self.room * stack / max(1, 1024 * peak - self.before))


def _give_back() -> None:
    """Return freed memory to the system, where the C library can; else a process that was larger hides its needs."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def meter(workers: Sequence[str]) -> Cuda | Resident:
    """Return the meter of the first device of a run's workers, which some of them share."""
    if kind(workers[0]) == "cuda":
        return Cuda(workers[0], workers.count(workers[0]))
    return Resident(len(workers))


def available() -> int:
    """Return the bytes that new processes can have, of the machine and of the container."""
    free = [psutil.virtual_memory().available]
    for folder, limit, used in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most, now = int((folder / limit).read_text()), int((folder / used).read_text())
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
        free.append(most - now + (_number(folder / "memory.stat", "inactive_file ") or 0))
    return max(0, min(free))


def _number(path: Path, label: str) -> int | None:
    """Return the number behind a label at the start of a line; None where it is not there."""
    try:
        line = next((line for line in path.read_text().splitlines() if line.startswith(label)), "")
    except OSError:
        return None
    return int(line.removeprefix(label).split()[0]) if line else None
