"""Reading pickle files written by others (image batches, benchmark files) without running anything they contain.

`load_pickle` gives the plain data or raises a UserError; `pickle_machine` says what is allowed and why.
"""

import bz2
import contextlib
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.readers.foreign import Capped, existing, refusing, size_of
from benchmarks.readers.pickle_machine import Machine

UNPACKED, TIMES = 1 << 24, 64
"""Bytes that a compressed file may unpack to, or so many times its own, whichever is more; those of NATS-Bench unpack
to 40 times their size at most."""


def decompressed(stream: Any) -> Any:
    """Return a stream of the plain bytes of `stream`: gzip and bz2 are recognised by their first bytes."""
    start = stream.read(3)
    stream.seek(-len(start), io.SEEK_CUR)
    most = max(UNPACKED, TIMES * size_of(stream))
    if start[:2] == b"\x1f\x8b":
        return Capped(gzip.GzipFile(fileobj=stream), most)
    return Capped(bz2.BZ2File(stream), most) if start == b"BZh" else stream


def load_pickle(
    source: str | Path | Any, encoding: str = "ASCII", on_dict: Callable[[dict], None] | None = None
) -> Any:
    """Read one pickle (protocols 2 to 5; plain, gzip or bz2) that holds plain data, running nothing it contains.

    `source` is a path or an open, seekable binary file. `encoding` says what strings of Python 2 become: "bytes" for
    the official CIFAR files (their keys are then bytes), "latin1" for text. Arrays are ndarrays (of a subclass that
    behaves the same; `np.asarray` strips it). `on_dict(dictionary)` is called whenever pairs were put into a
    dictionary and may thin it out. Raises UserError naming the file and what is wrong: a refused name, a truncated or
    foreign file, one that unpacks to more than `unpacked` allows.
    """
    name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "pickle"))
    with contextlib.ExitStack() as stack, refusing(name, "a pickle"):
        stream: Any = source
        if isinstance(source, (str, Path)):
            stream = stack.enter_context(open(existing(source, "a pickle"), "rb"))
        return Machine(decompressed(stream), encoding, on_dict).load()
