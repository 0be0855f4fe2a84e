"""Results as text: numbers with fixed decimals and a dash for what is undefined, markdown tables, CSV files."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.files.write import write_atomically
from harness.analysis.statistics import STATISTICS, Statistic, shown_in

DASH = "–"


def number(value: Any, digits: int = 3) -> str:
    """Print a number to so many decimals; a dash stands for undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def count(value: Any) -> str:
    """Print a whole number with thousands separated; a dash stands for undefined."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value):,}"


def duration(value: Any) -> str:
    """Print seconds to two significant digits."""
    if value is None or not math.isfinite(value):
        return DASH
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """Print an interval as [low, high]; empty where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def statistic_value(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic of one row of `Summary.table`."""
    value = row[statistic.name]
    if isinstance(statistic.form, int):
        return number(value, statistic.form)
    return count(value) if statistic.form == "count" else duration(value)


def statistic_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print the interval of a statistic of one row; empty where it has none."""
    return interval(row[f"{statistic.name}_low"], row[f"{statistic.name}_high"]) if statistic.interval else ""


def with_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic and its interval."""
    around = statistic_interval(statistic, row) if statistic.interval else ""
    return f"{statistic_value(statistic, row)} {around}".strip()


def measured(table: str) -> list[Statistic]:
    """Return the measured values of a table, without counts and times."""
    return [each for each in shown_in(table) if each.is_number]


def counted(table: str) -> list[Statistic]:
    """Return the counts and times of a table."""
    return [each for each in shown_in(table) if not each.is_number]


def definitions() -> list[str]:
    """Return the markdown table of all statistics that stands in docs/concepts.md."""
    rows = [[each.name, each.meaning, each.direction or DASH, each.fewest or DASH] for each in STATISTICS]
    return markdown_table(["column", "definition", "better", "needs n"], rows, [3])


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
