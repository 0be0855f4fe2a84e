"""Scores computed elsewhere: a CSV or a DataFrame -> arrays in the order of the rows, with a reason for each gap."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from benchmarks.readers.csv_file import opened

Given = dict[str, tuple[np.ndarray, np.ndarray]]
"""proxy -> scores (seeds, archs) float64 and why they are not finite (seeds, archs) str."""
KEYS = ("arch", "index", "seed", "proxy")
EMPTY = ("", "nan", "na", "n/a", "none", "null")
ROWS = 20_000
"""Rows of a CSV that are text at a time: as text a large table takes ten times its memory."""


class Cells(NamedTuple):
    """A column of scores, (rows,), and what stood in the cells that are not finite."""

    numbers: np.ndarray
    odd: dict[int, str]


@dataclass(frozen=True)
class Sheet:
    """A table of scores: its columns in order (names may repeat), `KEYS` as they are, the others as numbers."""

    columns: list[str]
    keys: pd.DataFrame
    cells: dict[str, Cells]

    def column(self, name: str) -> Cells:
        """Return a column as scores, whatever its name."""
        return self.cells[name] if name in self.cells else _cells(self.keys[name])


def read_csv(path: str | Path) -> Sheet:
    """Return a CSV file; UserError where it is not one."""
    with opened(path, "a CSV with a column arch or index and one for each proxy") as (names, rows):
        chunks = iter(lambda: list(islice(rows, ROWS)), [])
        frames = (pd.DataFrame(chunk, columns=names, dtype=str) for chunk in chunks)
        return _sheet(chain([pd.DataFrame(columns=names, dtype=str)], frames))


def _sheet(frames: Iterable[pd.DataFrame]) -> Sheet:
    """Return a table that comes in parts, each with the same columns."""
    columns: list[str] = []
    keys, parts, rows = [], [], 0
    for frame in frames:
        columns = [str(name) for name in frame.columns]
        named = frame.set_axis(columns, axis=1).loc[
            :, ~np.array([name in columns[:i] for i, name in enumerate(columns)])
        ]
        keys.append(named[[name for name in KEYS if name in columns]])
        parts.append({name: _cells(named[name], rows) for name in named.columns if name not in KEYS})
        rows += len(frame)
    return Sheet(columns, pd.concat(keys, ignore_index=True), {
        name: Cells(
            np.concatenate([part[name].numbers for part in parts]),
            {row: text for part in parts for row, text in part[name].odd.items()},
        )
        for name in parts[0]
    })  # fmt: skip


def arrange(frame: pd.DataFrame | Sheet, benchmark: Benchmark, source: str) -> tuple[np.ndarray, Given]:
    """Return the rows of the table that were scored, (archs,), and the scores of each proxy."""
    sheet = frame if isinstance(frame, Sheet) else _sheet([frame])
    names, long, labels = _names(sheet, source)
    keys, problems = sheet.keys, []
    cells = {name: sheet.column(name) for name in (["score"] if long else names)}
    problems = [f"column '{name}' has {wrong}" for name, column in cells.items() if (wrong := _wrong(column))]
    row, unusable = _rows(keys, benchmark)
    problems += unusable
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}")
    key = pd.DataFrame({
        "row": row, "seed": keys["seed"].astype(str) if "seed" in keys else "", "proxy": labels if long else "",
    })  # fmt: skip
    if (again := key[key.duplicated()]).size:
        arch = benchmark.table.archs[int(again["row"].iloc[0])]
        said = " and ".join([*["seed"] * ("seed" in keys), *["proxy"] * long])
        which = f" with the same {said}" if said else ""
        raise UserError(f"{source}: {len(again)} architectures occur more than once{which}, the first {arch}")
    rows = np.array(list(dict.fromkeys(row)))
    place = {row: at for at, row in enumerate(rows)}
    seeds = {label: at for at, label in enumerate(sorted(set(key["seed"]), key=_seed_order))}
    at = key["seed"].map(seeds).to_numpy(), key["row"].map(place).to_numpy()
    given: Given = {}
    for name, mine in _rows_of(labels, len(key), long):
        scores = np.full((len(seeds), len(rows)), np.nan)
        why = np.full(scores.shape, "no score given", dtype=object)
        column = cells["score" if long else name]
        scores[at[0][mine], at[1][mine]] = column.numbers[mine]
        for cell in np.flatnonzero(~np.isfinite(column.numbers) & mine):
            text = column.odd[int(cell)]
            why[at[0][cell], at[1][cell]] = f"the cell is '{text}'" if text else "the cell is empty"
        given[name] = scores, why
    return rows, given


def _rows_of(labels: list[str], count: int, long: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each proxy and which rows hold its scores, bool (rows,)."""
    codes, names = pd.factorize(np.array(labels, dtype=object))
    for code, name in enumerate(names):
        yield str(name), codes == code if long else np.ones(count, dtype=bool)


def _names(sheet: Sheet, source: str) -> tuple[list[str], bool, list[str]]:
    """Return the columns of scores, whether there is a row for each score, and the proxies' names (by row then, by
    column otherwise)."""
    columns, problems = sheet.columns, []
    if not {"arch", "index"} & set(columns):
        found = ", ".join(columns[:5]) or "none"
        problems.append(f"no column 'arch' or 'index' (columns: {found}{' ...' if len(columns) > 5 else ''})")
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        problems.append(f"columns that occur more than once: {', '.join(twice)}")
    names = [name for name in columns if name not in ("arch", "index", "seed")]
    long = {"proxy", "score"} <= set(names)
    if long and (extra := [name for name in names if name not in ("proxy", "score")]):
        problems.append(
            f"columns besides proxy and score: {', '.join(extra)} (one row for each score has only these two)"
        )
    if not names:
        problems.append("no column of scores")
    if not len(sheet.keys) and not any(len(column.numbers) for column in sheet.cells.values()):
        problems.append("no rows")
    labels = [str(value).strip() for value in sheet.keys["proxy"]] if long and not problems else names
    if bad := sorted({label for label in labels if not label or "/" in label or label == "."}):
        problems.append(f"names that no proxy can have: {', '.join(map(repr, bad))}")
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}")
    return names, long, labels


def _seed_order(label: str) -> tuple:
    return (0, int(label), "") if label.isdecimal() else (1, 0, label)


def _cells(column: pd.Series, first: int = 0) -> Cells:
    """Return a column as numbers, NaN for what is none; `first` is the number of its first row."""
    plain = isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu"
    if not plain and column.dtype != "str":
        column = column.map(lambda cell: "" if cell is None or cell is pd.NA else str(cell)).astype("str")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    odd = np.flatnonzero(~np.isfinite(numbers))
    return Cells(numbers, {first + int(row): str(column.iloc[row]).strip() for row in odd})


def _wrong(column: Cells) -> str:
    """Return what is wrong with a column, "" if nothing."""
    wrong = [row for row, text in column.odd.items() if np.isnan(column.numbers[row]) and text.lower() not in EMPTY]
    if not wrong:
        return ""
    shown = ", ".join(f"'{column.odd[row][:30]}' in row {row + 1}" for row in wrong[:3])
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"cells that are no numbers: {shown}{more}"


def _rows(frame: pd.DataFrame, benchmark: Benchmark) -> tuple[np.ndarray, list[str]]:
    """Return the row in the table of each row of the frame, and what is wrong."""
    table, space, problems, found = benchmark.table, benchmark.space, [], {}
    if "arch" in frame:
        place = {arch: row for row, arch in enumerate(table.archs)}
        names = [str(name).strip() for name in frame["arch"]]
        found["arch"] = np.array([place.get(name, -1) for name in names])
        if unknown := list(dict.fromkeys(name for name in names if name not in place)):
            problems.append(_unknown(unknown, "architectures", table.source, space.archs[0]))
    if "index" in frame:
        place = {str(index): row for row, index in enumerate(benchmark.indices)}
        names = [str(name).strip() for name in frame["index"]]
        found["index"] = np.array([place.get(name, -1) for name in names])
        if unknown := list(dict.fromkeys(name for name in names if name not in place)):
            problems.append(_unknown(unknown, "indices", table.source, f"0 to {len(space) - 1}"))
    if len(found) == 2 and not problems and (differ := np.flatnonzero(found["arch"] != found["index"])).size:
        at = int(differ[0])
        arch, right = frame["arch"][at], benchmark.indices[found["arch"][at]]
        problems.append(
            f"{differ.size} rows whose index is not that of their arch, the first in row {at + 1}:"
            f" {arch} has the index {right}, not {frame['index'][at]}"
        )
    return found["arch" if "arch" in found else "index"], problems


def _unknown(names: list[str], what: str, source: str, example: str) -> str:
    shown = ", ".join(f"'{name[:80]}'" for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{len(names)} {what} without ground truth in {source}: {shown}{more} (expected the form {example})"
