"""The folder of a result that is no run: CSV files, a page of markdown, figures and, last, manifest.json."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files.write import write_text
from harness.report.folder import checked, writing
from harness.report.style import markdown_table, write_csv

ResultTable = tuple[str, Sequence[str], Sequence[Sequence[object]], Collection[int]]
"""A heading ("" for none), the heads of the columns, the rows, and the places of the columns of numbers."""


def result_folder(out: str | None, words: list[str | None], kind: str, noun: str = "") -> Path:
    """Return `out`, by default results/ and `words` with dashes; UserError where it holds anything else (`checked`)."""
    return checked(Path(out) if out else Path("results") / "-".join(filter(None, words)), kind, noun)


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
