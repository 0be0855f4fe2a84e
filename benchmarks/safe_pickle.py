"""Reading pickles written by others without running anything they contain.

A pickle is a small program that may call any function it can name. Here it may name only what plain data need: the
built-in containers, `collections.OrderedDict`, and NumPy's numbers and arrays, under the names of NumPy 1 and 2. Even
those are not NumPy's own functions but the checked stand-ins below, because a forged dtype or shape can crash NumPy.
Every other name ends the reading with a UserError that says which one was refused, before anything is called.
"""

from __future__ import annotations

import _codecs
import bz2
import collections
import contextlib
import gzip
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from benchmarks.errors import UserError

MAX_BYTES = 64 << 30  # what a compressed file may unpack to
NUMBER_KINDS = "biufcSUV?"


class DType:
    """Stands in for `numpy.dtype` while unpickling; `resolve` gives the real one. Numbers and strings only."""

    def __init__(self, text: Any, *_flags: Any) -> None:
        if isinstance(text, bytes):
            text = text.decode("ascii", "replace")
        if not isinstance(text, str) or len(text) > 8 or "," in text:
            raise UserError(f"pickle with the array type {text!r}: only arrays of numbers and strings are read")
        self.text = text

    def __setstate__(self, state: Any) -> None:
        order, subtype, names, fields = state[1:5]
        if subtype is not None or names is not None or fields is not None:
            raise UserError("pickle with a structured array: only arrays of numbers and strings are read")
        self.order = order.decode("ascii") if isinstance(order, bytes) else order

    def resolve(self) -> np.dtype:
        """Return the NumPy dtype, in the byte order that was pickled."""
        dtype = np.dtype(self.text)
        if dtype.kind not in NUMBER_KINDS:
            raise UserError(f"pickle with an array of type {self.text!r}: only numbers and strings are read")
        return dtype.newbyteorder(getattr(self, "order", "|"))


class Array(np.ndarray):
    """An array whose pickled state is checked before NumPy sees it; otherwise an ordinary ndarray."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran, raw = state
        if not isinstance(dtype, DType):
            raise UserError("pickle with a malformed array")
        if isinstance(raw, str):  # written by Python 2
            raw = raw.encode("latin1")
        if not isinstance(raw, (bytes, bytearray)):
            raise UserError("pickle with an array of objects: only numbers and strings are read")
        real = dtype.resolve()
        super().__setstate__((1, _sizes(shape, real, len(raw)), real, bool(fortran), bytes(raw)))


def _sizes(shape: Any, dtype: np.dtype, n_bytes: int) -> tuple[int, ...]:
    """Return `shape` as a tuple, or raise where it does not hold exactly `n_bytes`."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    count = dtype.itemsize
    for n in shape:
        if not isinstance(n, int) or n < 0:
            raise UserError(f"pickle with an array of impossible shape {shape}")
        count *= n
    if count != n_bytes:
        raise UserError(f"pickle with an array of shape {shape} and {n_bytes} bytes: they do not fit")
    return shape


def _reconstruct(*_ignored: Any) -> Array:
    return np.empty(0, dtype="i1").view(Array)


def _scalar(dtype: DType, raw: Any) -> Any:
    if isinstance(raw, str):
        raw = raw.encode("latin1")
    real = dtype.resolve()
    _sizes((), real, len(raw))
    return np.frombuffer(raw, dtype=real)[0]


def _frombuffer(raw: Any, dtype: DType, shape: Any, order: str, *_axes: Any) -> np.ndarray:
    real = dtype.resolve()
    return np.frombuffer(raw, dtype=real).reshape(_sizes(shape, real, len(raw)), order="F" if order == "F" else "C")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise UserError(f"pickle that encodes text as {encoding!r}: only latin1 occurs in data files")
    return _codecs.encode(text, "latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _encode,  # how protocol 2 stores bytes
    ("numpy", "dtype"): DType,
    ("numpy", "ndarray"): Array,
}
for _module in ("builtins", "__builtin__"):
    for _type in (set, frozenset, bytearray, bytes, complex):
        ALLOWED[_module, _type.__name__] = _type
for _module in ("numpy.core", "numpy._core"):
    ALLOWED[f"{_module}.multiarray", "_reconstruct"] = _reconstruct
    ALLOWED[f"{_module}.multiarray", "scalar"] = _scalar
    ALLOWED[f"{_module}.numeric", "_frombuffer"] = _frombuffer


def find_allowed(module: str, name: str) -> Callable[..., Any]:
    """Return what a pickle may call under this name; raise UserError for everything that is not plain data."""
    try:
        return ALLOWED[module, name]
    except KeyError:
        raise UserError(
            f"it asks to run '{module}.{name}', which plain data never needs; nothing was run. "
            "Get the file again from its official page, and do not open this one with other tools"
        ) from None


class SafeUnpickler(pickle.Unpickler):
    """Python's unpickler, able to name only what `ALLOWED` lists."""

    def find_class(self, module: str, name: str) -> Any:
        return find_allowed(module, name)

    def persistent_load(self, pid: Any) -> Any:
        raise UserError("it refers to data outside itself; it is not a plain pickle")


class _Limited(io.RawIOBase):
    """A stream that ends with a UserError once it gave more than `limit` bytes."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._left, self._limit = stream, limit, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stream.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise UserError(f"it unpacks to more than {self._limit:,} bytes; refused")
        buffer[: len(block)] = block
        return len(block)


def decompressed(stream: BinaryIO, max_bytes: int = MAX_BYTES) -> BinaryIO:
    """Return a buffered stream of the plain bytes of `stream`: gzip and bz2 are recognised by their first bytes."""
    start = stream.read(3)
    stream.seek(-len(start), io.SEEK_CUR)
    if start[:2] == b"\x1f\x8b":
        stream = gzip.GzipFile(fileobj=stream)  # type: ignore[assignment]
    elif start == b"BZh":
        stream = bz2.BZ2File(stream)  # type: ignore[assignment]
    return io.BufferedReader(_Limited(stream, max_bytes), 1 << 20)  # type: ignore[return-value]


@contextlib.contextmanager
def readable_errors(name: str) -> Iterator[None]:
    """Turn whatever a broken or hostile file raises into one UserError that begins with the file's name."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    except MemoryError:
        raise UserError(f"{name}: it needs more memory than there is, or is built to; refused") from None
    except (EOFError, pickle.UnpicklingError, OSError) as error:
        said = str(error) or type(error).__name__
        raise UserError(f"{name}: truncated or not a pickle ({said}); get the file again") from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{name}: not a readable pickle ({type(error).__name__}: {error})") from None


def load_pickle(source: str | Path | BinaryIO, encoding: str = "ASCII", max_bytes: int = MAX_BYTES) -> Any:
    """Read one pickle (protocols 0 to 5; plain, gzip or bz2) that holds plain data, running nothing it contains.

    `source` is a path or an open, seekable binary file. `encoding` says what strings of Python 2 become: "bytes" for
    the official CIFAR files (their keys are then bytes), "latin1" for text. Arrays are ndarrays (of a subclass that
    behaves the same; `np.asarray` strips it). Raises UserError naming the file and what is wrong: a refused name, a
    truncated or foreign file, one that unpacks to more than `max_bytes`.
    """
    name = str(source) if isinstance(source, (str, Path)) else str(getattr(source, "name", "pickle"))
    with contextlib.ExitStack() as stack, readable_errors(name):
        if isinstance(source, (str, Path)):
            if not Path(source).is_file():
                raise UserError("no such file")
            stream: BinaryIO = stack.enter_context(open(source, "rb"))
        else:
            stream = source
        return SafeUnpickler(decompressed(stream, max_bytes), encoding=encoding).load()
