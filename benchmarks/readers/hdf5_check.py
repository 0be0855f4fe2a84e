"""The process that HDF5 files are read through in, because a damaged one can hang or crash the library.

Started as a script, by `benchmarks.readers.foreign`, it answers, for each path on its standard input, a line of JSON:
what is wrong, or nothing. It ends itself where a file takes too much time or memory, and with its parent, whose end
closes the input.
"""

import contextlib
import json
import math
import os
import signal
import sys
from typing import Any

LEAST = 1 << 28
GROWTH = 64
"""A file may become `LEAST` bytes in memory, or `GROWTH` times its own, whichever is more."""
OBJECTS = 20_000
"""Groups, arrays and attributes that a file may have."""
BLOCK = 1 << 22
CHUNK = 1 << 26
"""Bytes of one chunk of an array, which the library unpacks as a whole."""
SECONDS, BYTES_PER_SECOND = 3, 20_000_000
"""A file may take `SECONDS` of a processor, and one more for each so many bytes."""
ROOM = 640 << 20
"""Bytes of memory, beyond those of the process at its start."""


def allowance(size: int) -> int:
    """Return the bytes that a file of `size` bytes may become in memory."""
    return max(LEAST, GROWTH * size)


def read_through(path: str) -> str:
    """Read everything in an HDF5 file; return what is wrong with it, or nothing."""
    import h5py

    size = os.path.getsize(path)
    room = allowance(size)
    signal.setitimer(signal.ITIMER_PROF, SECONDS + size / BYTES_PER_SECOND)
    try:
        with h5py.File(path, "r") as file:
            seen: set[tuple] = set()
            waiting: list[Any] = [file]
            while waiting:
                each = waiting.pop()
                info = h5py.h5o.get_info(each.id)
                if (info.fileno, info.addr) in seen:
                    continue
                seen.add((info.fileno, info.addr))
                if len(seen) + len(each.attrs) > OBJECTS:
                    return "it has too many groups and arrays"
                for name in each.attrs:
                    room -= math.prod(each.attrs.get_id(name).shape) * each.attrs.get_id(name).dtype.itemsize
                    if room < 0:
                        return "it claims attributes that are too large for a file of its size"
                    each.attrs[name]
                if isinstance(each, h5py.Group):
                    waiting += [each[name] for name in each if isinstance(each.get(name, getlink=True), h5py.HardLink)]
                elif isinstance(each, h5py.Dataset):
                    room -= (each.size or 0) * each.dtype.itemsize
                    if problem := _unfit(each, room):
                        return problem
                    _read(each)
    except Exception as error:  # a damaged file makes the library raise anything
        return (str(error).splitlines() or [""])[0][:300] or type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def _unfit(dataset: Any, room: int) -> str:
    """Return why an array is not read, or nothing; `room` is what is left after it."""
    if room < 0:
        return f"{dataset.name} claims the shape {dataset.shape}, too large for a file of its size"
    if dataset.external or dataset.is_virtual:
        return f"{dataset.name} lies in another file"
    if math.prod(dataset.chunks or ()) * dataset.dtype.itemsize > CHUNK:
        return f"{dataset.name} comes in chunks of {dataset.chunks}"
    return ""


def _read(dataset: Any) -> None:
    if not dataset.shape:
        dataset[()]
        return
    row = math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    step = max(1, BLOCK // max(1, row))
    if dataset.chunks:
        step = -(-step // dataset.chunks[0]) * dataset.chunks[0]  # each chunk is unpacked once
    for start in range(0, dataset.shape[0] if row else 0, step):
        dataset[start : start + step]


def main() -> None:
    """Answer for each path on the standard input."""
    import resource

    import h5py  # noqa: F401  before the memory is limited

    with contextlib.suppress(OSError), open("/proc/self/statm") as file:  # Linux alone says it there
        most = int(file.read().split()[0]) * resource.getpagesize() + ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        print(json.dumps(read_through(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
