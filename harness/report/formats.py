"""MISSING DOC"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.files.write import write_atomically

if TYPE_CHECKING:
    pass


def write_csv(frame: pd.DataFrame, path: Path, *, index: bool = False) -> Path:
    """Write a frame as CSV: shortest digits that read back to the same number, empty for undefined, \\n line ends."""
    form: dict[str, Any] = {"index": index, "lineterminator": "\n", "encoding": "utf-8", "errors": "replace"}
    return write_atomically(path, lambda file: frame.to_csv(file, mode="wb", **form))


def cell(given: object) -> str:
    """Return text that stays inside a markdown cell and starts no HTML, link, emphasis or code."""
    line = " ".join(str(given).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        line = line.replace(sign, "\\" + sign)
    return line
