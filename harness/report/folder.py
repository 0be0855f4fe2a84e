"""Folders of results: which ones may be written to, and what a failed write says."""

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import UserError


def checked(folder: Path, kind: str, noun: str = "", ignore: Collection[str] | None = ("supernets",)) -> Path:
    """Return the folder; UserError where it is a file, or holds anything but an earlier result of this kind.

    The kind of a result is the entry `kind` of its manifest.json. noun: what the message calls it (default: the kind).
    ignore: names of files and folders that may be there without a manifest; None for any.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give another --out")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    held = names & {"manifest.json"} if ignore is None else names - set(ignore)
    if held and _kind(folder) != kind:
        raise UserError(f"{folder} holds something else than an earlier {noun or kind}: give another --out")
    return folder


def _kind(folder: Path) -> str | None:
    try:
        return json.loads((folder / "manifest.json").read_text("utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        return None


@contextmanager
def writing(folder: Path, advice: str = "give another --out") -> Iterator[Path]:
    """Make the folder, and turn an error of the operating system in the block into a UserError of one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}; {advice}") from error
