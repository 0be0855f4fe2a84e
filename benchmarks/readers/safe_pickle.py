"""Reading pickle files written by others (image batches, benchmark files) without running anything they contain.

`load_pickle` gives the plain data or raises a UserError; `pickle_machine` says what is allowed and why.
"""

import bz2
import contextlib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.errors import UserError
from benchmarks.readers.pickle_machine import MAX_BYTES, Machine


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Return a stream of the plain bytes of `stream`: gzip and bz2 are recognised by their first bytes."""
    start = stream.read(3)
    stream.seek(-len(start), io.SEEK_CUR)
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
    return bz2.BZ2File(stream) if start == b"BZh" else stream  # type: ignore[return-value]


@contextlib.contextmanager
def readable_errors(name: str) -> Iterator[None]:
    """Turn whatever a broken or hostile file raises into one UserError that begins with the file's name."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except MemoryError:
        raise UserError(f"{name}: it needs more memory than there is, or is built to; refused") from None
    except (EOFError, OSError, zlib.error) as error:
        said = str(error) or type(error).__name__
        raise UserError(f"{name}: truncated or not a pickle ({said}); get the file again") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{name}: not a readable pickle ({type(error).__name__}: {error})") from None


def load_pickle(
    source: str | Path | Any, encoding: str = "ASCII", max_bytes: int = MAX_BYTES,
    on_dict: Callable[[dict], None] | None = None,
) -> Any:  # fmt: skip
    """Read one pickle (protocols 2 to 5; plain, gzip or bz2) that holds plain data, running nothing it contains.

    `source` is a path or an open, seekable binary file. `encoding` says what strings of Python 2 become: "bytes" for
    the official CIFAR files (their keys are then bytes), "latin1" for text. Arrays are ndarrays (of a subclass that
    behaves the same; `np.asarray` strips it). `on_dict(dictionary)` is called whenever pairs were put into a
    dictionary and may thin it out. Raises UserError naming the file and what is wrong: a refused name, a truncated or
    foreign file, one that unpacks to more than `max_bytes`.
    """
    name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "pickle"))
    with contextlib.ExitStack() as stack, readable_errors(name):
        if isinstance(source, (str, Path)):
            if not Path(source).is_file():
                raise UserError("no such file")
            stream: BinaryIO = stack.enter_context(open(source, "rb"))
        else:
            stream = source
        return Machine(decompressed(stream), encoding, on_dict, max_bytes=max_bytes).load()
