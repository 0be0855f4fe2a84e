"""Files that others made: sizes are capped, nothing is executed, and whatever goes wrong is one UserError.

Every reader of this project opens its files here. A file may grow to `allowance` of its size on the disk, so that a
small one cannot fill the memory; an HDF5 file is read through in another process first (`hdf5_check`), where the
library may hang or crash.
"""

import contextlib
import json
import math
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from benchmarks.errors import UserError
from benchmarks.readers import hdf5_check
from benchmarks.readers.hdf5_check import allowance

NUMBERS_AND_TEXT = "biufcSU"
"""Kinds of NumPy types that arrays may have."""
JSON_MOST = 1 << 27
"""Bytes of a JSON file."""
OBJECTS_MOST = 700 << 20
"""Bytes that its objects may take."""
HEADER_MOST = 10_000
"""Characters of the head of an array in a NumPy archive."""


@contextlib.contextmanager
def refusing(path: str | Path, kind: str, advice: str = "get the file again") -> Iterator[None]:
    """Turn whatever a damaged or hostile file raises into one UserError: its name, what it should be, what to do.

    `kind` says what the file should be ("a NumPy archive"). A UserError gets the name in front where it lacks it.
    """
    try:
        yield
    except UserError as error:
        said = str(error)
        raise UserError(said if said.startswith(str(UserError(path))) else f"{path}: {said}") from None
    except MemoryError as error:
        raise UserError(f"{path}: it needs more memory than there is, or is built to; {advice}") from error
    except Exception as error:  # a damaged file makes libraries raise anything
        raise UserError(f"{path}: truncated or not {kind} ({reason(error)}); {advice}") from error


def reason(error: Exception) -> str:
    """Return the first line of what an error says, and its type where that says more."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    said = getattr(error, "strerror", None) or next(iter(text.splitlines()), "")
    plain = type(error) in (UserError, ValueError, OSError, EOFError) or not said
    return (said if said and plain else f"{type(error).__name__}: {said}".removesuffix(": "))[:300]


def existing(path: str | Path, expected: str) -> Path:
    """Return the path of a regular file; UserError, which says what is `expected`, where there is none."""
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({reason(error)})"
        raise UserError(f"{path}: no such file{why}; expected {expected}") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no such file, but a pipe or a device"
        raise UserError(f"{path}: {what}; expected {expected}")
    return path


def read_json(path: str | Path, kind: str, advice: str = "get the file again", **options: Any) -> Any:
    """Return the content of a JSON file; `options` are those of `json.loads`."""
    path = existing(path, kind)
    with refusing(path, f"JSON, expected {kind}", advice):
        if (size := path.stat().st_size) > JSON_MOST:
            raise UserError(f"{size:,} bytes, too many for {kind}")
        raw = path.read_bytes()
        objects = 160 * (raw.count(b"{") + raw.count(b"[")) + 60 * (raw.count(b",") + raw.count(b":"))
        if objects + 3 * size > OBJECTS_MOST:
            raise UserError(f"its objects would take {objects + 3 * size:,} bytes, too many for {kind}; refused")
        return json.loads(raw.decode("utf-8"), **options)


def read_arrays(
    path: str | Path, wanted: Collection[str] | None, kind: str, advice: str = "get the file again"
) -> dict[str, np.ndarray]:
    """Return those of the wanted arrays that a NumPy archive (.npz) holds; None is all of them.

    Numbers and texts only. Sizes are checked before anything is unpacked.
    """
    path = existing(path, kind)
    with refusing(path, f"a NumPy archive of plain arrays, {kind}", advice), zipfile.ZipFile(path) as archive:
        held = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if wanted is not None:
            held = {name: info for name, info in held.items() if name in wanted}
        heads = {}
        for name, info in held.items():
            with archive.open(info) as stream:
                heads[name] = _array_head(stream)
                if math.prod(heads[name][0]) * heads[name][2].itemsize > info.file_size:
                    raise UserError(f"it claims an array {name} of shape {heads[name][0]}")
        unpacked = sum(info.file_size for info in held.values())
        if unpacked > allowance(path.stat().st_size):
            raise UserError(f"it unpacks to {unpacked:,} bytes, too many for a file of its size; refused")
        return {name: _array(archive, info, *heads[name]) for name, info in held.items()}


def _array_head(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether columns come first, and type of an array; ValueError for anything but numbers and text."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=HEADER_MOST)
    sides: list[Any] = list(shape)
    if dtype.kind not in NUMBERS_AND_TEXT or dtype.subdtype is not None:
        raise ValueError(f"an array of {dtype}")
    if any(type(side) is not int or side < 0 for side in sides) or (not dtype.itemsize and math.prod(sides)):
        raise ValueError(f"an array of shape {shape} and type {dtype}")
    return shape, fortran, dtype


def _array(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, shape: tuple[int, ...], fortran: bool, dtype: np.dtype
) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    with archive.open(info) as stream:
        _array_head(stream)
        raw = stream.read(size)
        if len(raw) < size or stream.read(1):  # the second reads to the end, where the checksum is compared
            raise EOFError(f"{info.filename} has another length than it says")
    if not size:
        return np.empty(shape, dtype)
    return np.frombuffer(bytearray(raw), dtype).reshape(shape, order="F" if fortran else "C")


@contextlib.contextmanager
def open_hdf5(path: str | Path, kind: str, advice: str) -> Iterator[Any]:
    """Open an HDF5 file for reading, once another process has read all of it within its limits."""
    import h5py

    path = existing(path, kind)
    with refusing(path, kind, advice):
        if problem := hdf5_problem(path):
            raise OSError(problem)
        with h5py.File(path, "r") as file:
            yield file


class Capped:
    """A stream that refuses to give more than `most` bytes."""

    def __init__(self, stream: BinaryIO | Any, most: int) -> None:
        self._stream, self._most, self._given = stream, most, 0

    def read(self, n: int = -1) -> bytes:
        """Read up to `n` bytes, a little more than the rest of what is allowed at most."""
        left = self._most - self._given + 1
        block = self._stream.read(left if n < 0 else min(n, left))
        self._given += len(block)
        if self._given > self._most:
            raise UserError(f"it unpacks to more than {self._most:,} bytes; refused")
        return block


def size_of(stream: Any) -> int:
    """Return the bytes of an open, seekable file."""
    at = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(at)
    return end


SHIPPED = Path(__file__).resolve().parents[1] / "embedded"
"""Files of this project, which need no check."""
KNOWN: dict[tuple, str] = {}
"""What is wrong, or nothing, with the files that were checked or written by this process."""


def hdf5_problem(path: Path) -> str:
    """Return what is wrong with an HDF5 file, or nothing; a file that was right before is not read again."""
    if path.resolve().parent == SHIPPED or not hasattr(signal, "setitimer"):  # not on this system
        return ""
    identity = _identity(path)
    if identity not in KNOWN:
        KNOWN[identity] = READER.ask(str(path.resolve()))
    return KNOWN[identity]


def trust(path: Path) -> None:
    """Take note that this process has written a file, which then needs no check."""
    KNOWN[_identity(path)] = ""


def _identity(path: Path) -> tuple:
    found = path.stat()
    return str(path.resolve()), found.st_ino, found.st_size, found.st_mtime_ns


class Reader:
    """The process that reads; it is started when it is first needed and again after it ended itself."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, path: str) -> str:
        """Return what is wrong with a file, or nothing."""
        with self._lock:
            if self._process is None or self._process.poll() is not None or self._owner != os.getpid():
                self._process = self._start()
                self._owner = os.getpid()
            assert self._process.stdin is not None and self._process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(path) + "\n")
                self._process.stdin.flush()
            answer = self._process.stdout.readline()
            problem = json.loads(answer) if answer else "the HDF5 library does not come to an end with it, or crashes"
            if problem:  # a damaged file may leave the library in any state
                self._process.kill()
                self._process.wait()
                self._process = None
            return problem

    @staticmethod
    def _start() -> subprocess.Popen:
        command = [sys.executable, "-P", hdf5_check.__file__]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,  # Ctrl-C is not for it
        )  # fmt: skip


READER = Reader()
