"""Folders of results: which may be written to; of one that is no run CSV files, a page, figures and manifest.json."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.errors import UserError
from benchmarks.files.write import write_text
from harness.report.style import markdown_table, write_csv
from harness.store.version import RUNS


def checked(folder: Path, kind: str, noun: str = "", ignore: Collection[str] | None = ("supernets", "ranks")) -> Path:
    """Return the folder; UserError where it is a file, or holds anything but an earlier result of this kind.

    The kind of a result is the entry `kind` of its manifest.json. noun: what the message calls it (default: the kind).
    ignore: names of files and folders that may be there without a manifest; None for any.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file: give another --out")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    held = names & {"manifest.json"} if ignore is None else names - set(ignore)
    if held and manifest_of(folder).get("kind") != kind:
        raise UserError(f"{folder} holds something else than an earlier {noun or kind}: give another --out")
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    """Return the manifest of a result; empty where there is none that can be read."""
    try:
        found = json.loads((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def writing(folder: Path, advice: str = "give another --out") -> Iterator[Path]:
    """Make the folder, and turn an error of the operating system in the block into a UserError of one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}; {advice}") from error


ResultTable = tuple[str, Sequence[str], Sequence[Sequence[object]], Collection[int]]
"""A heading ("" for none), the heads of the columns, the rows, and the places of the columns of numbers."""


def result_folder(
    out: str | Path | None, words: list[str | None], kind: str, noun: str = "",
    settings: Mapping[str, Any] | None = None, ignore: Collection[str] | None = ("supernets",),
) -> Path:  # fmt: skip
    """Return `out`, by default results/runs/ and `words` with dashes, and a mark for every set of settings.

    UserError where it holds anything else (`checked`).
    """
    name = "-".join(filter(None, [*words, settings_mark(settings) if settings is not None else None]))
    return checked(Path(out) if out else RUNS / name, kind, noun, ignore)


def settings_mark(settings: Mapping[str, Any]) -> str:
    """Return eight letters that differ for every set of settings, for the name of a folder; `out` is left out."""
    text = json.dumps({name: value for name, value in settings.items() if name != "out"}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def markdown_page(title: str, notes: Iterable[str], tables: Iterable[ResultTable], end: str) -> str:
    """Return a page of markdown: notes as a list, tables, and a closing line; `notes` are escaped already."""
    lines = [f"# {title}", "", *(f"- {note}" for note in notes)]
    for heading, heads, rows, numeric in tables:
        lines += ["", *([f"## {heading}", ""] if heading else []), *markdown_table(heads, rows, numeric)]
    return "\n".join([*lines, "", end, ""])


def write_result(
    folder: Path, frames: Mapping[str, pd.DataFrame], page: tuple[str, str], manifest: Mapping[str, Any],
    *figures: Callable[[Path], object],
) -> Path:  # fmt: skip
    """Write NAME.csv of each frame with columns, the page (name, text), the figures and the manifest.

    Returns the folder. UserError where it cannot be written.
    """
    with writing(folder):
        for name, frame in frames.items():
            if len(frame.columns):
                write_csv(frame, folder / f"{name}.csv")
        write_text(folder / page[0], page[1])
        for draw in figures:
            draw(folder)
        write_manifest(folder, manifest)
    return folder


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Write manifest.json: the mark of a finished result."""
    return write_text(folder / "manifest.json", json.dumps(manifest, indent=1, default=str) + "\n")
