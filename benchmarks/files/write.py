"""Crash-safe writing, so that a reader never sees half a file, and checksums."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from benchmarks.readers.foreign import trust


def digest(path: str | Path, kind: str = "sha256") -> str:
    """Return a checksum of a file, hexadecimal; `kind` is a name of `hashlib`."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the same folder, which is made; the block writes a file there.

    When the block ends, the file is on the disk and replaces `path`; where it raises, the file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        put_in_place(part, path)
    finally:
        part.unlink(missing_ok=True)


def put_in_place(part: Path, path: Path) -> None:
    """Rename a finished file of the same folder to `path`, once all of it is on the disk."""
    _sync(part)
    os.replace(part, path)
    with contextlib.suppress(OSError):  # some network file systems sync no folders
        _sync(path.parent)


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Call `write` with a temporary file, which then replaces `path`; return `path`."""
    with atomic_path(path) as part, open(part, "wb") as file:
        write(file)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8; return `path`."""
    return write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))


def write_hdf5(path: str | Path, fill: Callable[[Any], object]) -> None:
    """Call `fill` with an HDF5 file in memory, which then replaces `path`: the library never meets a full disk."""
    import h5py

    with h5py.File(str(path), "w", driver="core", backing_store=False) as file:
        fill(file)
        file.flush()
        image = file.id.get_file_image()
    write_atomically(Path(path), lambda target: target.write(image))
    trust(Path(path))


def _sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
