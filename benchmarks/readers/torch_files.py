"""Reads the plain data in files of torch.save, without torch and without running anything; weights become None."""

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from benchmarks.errors import Progress, UserError
from benchmarks.readers.foreign import existing, refusing
from benchmarks.readers.pickle_machine import Machine
from benchmarks.readers.safe_pickle import load_pickle

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def is_torch_file(path: Path) -> bool:
    """Say whether this is a file of torch.save: the zip archive of today or the form of 2020."""
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
    return start == MAGIC or start[:4] == b"PK\x03\x04"


class Watched(io.FileIO):
    """A binary file that reports how far it was read."""

    def __init__(self, path: Path, on_progress: Progress | None) -> None:
        super().__init__(path)
        self._size, self._on_progress = path.stat().st_size, on_progress

    def read(self, n: int | None = -1) -> bytes:
        """Read up to `n` bytes."""
        block = super().read(-1 if n is None else n)
        if self._on_progress is not None:
            self._on_progress(self.tell(), self._size)
        return block


@contextlib.contextmanager
def _object_stream(stream: Any) -> Iterator[tuple[BinaryIO, int]]:
    """Give the stream with the object of a torch file, and how many other pickles stand before it."""
    if stream.read(4) != b"PK\x03\x04":
        stream.seek(0)
        yield stream, 3  # magic number, version, system
        return
    archive = zipfile.ZipFile(stream)
    held = [info for info in archive.infolist() if info.filename.endswith("/data.pkl")]
    code = [info.filename for info in archive.infolist() if "/code/" in info.filename]
    if code or not held:
        what = "a TorchScript program" if code else "a zip archive that torch did not write"
        raise UserError(f"{what}, which holds no data of a benchmark; get the file again")
    if held[0].compress_type != zipfile.ZIP_STORED:  # torch never packs; a small file could fill memory
        raise UserError(f"a zip archive that torch did not write ({held[0].filename} is packed); get the file again")
    with archive.open(held[0]) as data:
        yield data, 0  # type: ignore[misc]


def load_torch(stream: Any, on_dict: Callable[[dict], None] | None = None) -> Any:
    """Return the object of a torch file open as `stream`; `on_dict` as for `pickle_machine.Machine`. UserError."""
    with refusing(stream.name, "a file of torch.save"), _object_stream(stream) as (data, before):
        machine = Machine(data, on_dict=on_dict, drop_tensors=True)
        for _ in range(before):
            machine.load()
        return machine.load()


def read_numbers(path: Path) -> np.ndarray:
    """Return the list of numbers that a pickle or a file of torch.save holds, (numbers,) float64. UserError."""
    with refusing(path, "a list of numbers"), open(existing(path, "a list of numbers"), "rb") as stream:
        held = (load_torch if is_torch_file(path) else load_pickle)(stream)
        if not isinstance(held, list) or not all(isinstance(each, (int, float, np.number)) for each in held):
            raise UserError("something else than a list of numbers")
        return np.array(held, dtype=np.float64)
