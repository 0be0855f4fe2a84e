"""CSV files and markdown tables: the one way in which results are written as text."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files.write import write_atomically


def write_csv(frame: pd.DataFrame, path: Path, *, index: bool = False) -> Path:
    """Write a frame as CSV: shortest digits that read back to the same number, empty for undefined, \\n line ends."""
    form: dict[str, Any] = {"index": index, "lineterminator": "\n", "encoding": "utf-8", "errors": "replace"}
    return write_atomically(path, lambda file: frame.to_csv(file, mode="wb", **form))


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], numeric_columns: Collection[int] | None = None
) -> list[str]:
    """Return the lines of a markdown table.

    numeric_columns: places of the columns that hold formatted numbers, aligned right (default: all but the first).
    Headings and the other columns are escaped with `cell`; numbers stay as they are, "0.71 [0.66, 0.75]" too.
    """
    numeric = range(1, len(heads)) if numeric_columns is None else numeric_columns
    lines = [_line(map(cell, heads)), "|" + "".join("---:|" if i in numeric else "---|" for i in range(len(heads)))]
    return lines + [_line(str(v) if i in numeric else cell(v) for i, v in enumerate(row)) for row in rows]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(value: object) -> str:
    """Return text that stays inside a markdown cell and starts no HTML, link, emphasis or code."""
    line = " ".join(str(value).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        line = line.replace(sign, "\\" + sign)
    return line
