"""How many architectures memory has room for, from the peak that a smaller stack of them had."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from harness.engine.devices import kind

MARGIN = {"cpu": 0.5, "cuda": 0.8}
"""The part of free memory that stacks may take. Too much is an error on a GPU, which halves the stack; on a CPU it is
the end of the process."""
UNKNOWN = 32
"""The largest stack on a CPU whose memory cannot be seen: it needed less than 1 GB wherever stacks pay."""


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
    """Memory of a machine that `sharing` processes have, as Linux tells it; elsewhere nothing is known.

    What a stack needs is the peak since `start` less what the process had at the beginning, each time after it gave
    back what it no longer used.
    """

    def __init__(self, sharing: int) -> None:
        free = available()
        self.room = None if free is None else MARGIN["cpu"] * free / sharing
        _give_back()
        self.before = _status("VmRSS")

    def start(self) -> None:
        """Measure a stack from here on."""
        _give_back()
        with suppress(OSError):  # else the peak is that of the whole process: no less
            Path("/proc/self/clear_refs").write_text("5")

    def fitting(self, stack: int) -> int:
        """Return how many architectures fit, as a stack of `stack` has been scored since `start`."""
        peak = _status("VmHWM")
        if self.room is None or self.before is None or peak is None:
            return UNKNOWN
        return int(self.room * stack / max(1, peak - self.before))


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


def available() -> int | None:
    """Return the bytes that new processes can have, of the machine and of the container; None where not known."""
    free = []
    machine = _lines(Path("/proc/meminfo"))
    if "MemAvailable" in machine:
        free.append(1024 * machine["MemAvailable"])
    for folder, limit, used in (
        (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            most, now = int((folder / limit).read_text()), int((folder / used).read_text())
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
        free.append(most - now + _lines(folder / "memory.stat").get("inactive_file", 0))
    return max(0, min(free)) if free else None


def _status(name: str) -> int | None:
    """Return a number of this process in bytes."""
    found = _lines(Path("/proc/self/status")).get(name)
    return None if found is None else 1024 * found


def _lines(path: Path) -> dict[str, int]:
    """Return the numbers of a file of `name: number` lines by name; none where it is not there."""
    try:
        words = [line.replace(":", " ").split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}
