"""Scores computed elsewhere: a file or Python values -> arrays in the order of the rows, with a reason for each gap.

A file is a CSV (`benchmarks.readers.csv_file` says how columns may be called) or a JSON file in the form of
NAS-Bench-Suite-Zero, {dataset: {architecture: {proxy: {"score": number}}}}. Python values are DataFrames, Series and
dictionaries by architecture or index, or arrays of one score for each architecture of the table.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from benchmarks.readers.csv_file import DECIMAL_COMMA, known_columns, opened
from benchmarks.readers.csv_table import dataset_key
from benchmarks.readers.foreign import existing, read_json, refusing

Scored = dict[str, tuple[np.ndarray, np.ndarray]]
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


def sheet_of(scores: Any, benchmark: Benchmark) -> Sheet:
    """Return scores, the path of a file or values, as a table; UserError where they are none."""
    if not isinstance(scores, (str, Path)):
        return _sheet([_frame(scores, benchmark)])
    path = existing(scores, "scores, as CSV with a column arch or index and one for each proxy, or as JSON")
    with refusing(path, "a file that can be read"), open(path, "rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    if start[:1] == b"{":
        return _sheet([_suite_zero(path, benchmark.table.dataset)])
    with opened(path, "a CSV with a column arch or index and one for each proxy") as (names, rows):
        chunks = iter(lambda: list(islice(rows, ROWS)), [])
        frames = (pd.DataFrame(chunk, columns=names, dtype=str) for chunk in chunks)
        return _sheet(chain([pd.DataFrame(columns=names, dtype=str)], frames))


def _frame(scores: Any, benchmark: Benchmark) -> pd.DataFrame:
    """Return Python values as a table with a column arch or index; UserError for values of another kind."""
    if isinstance(scores, dict):
        nested = any(isinstance(value, (dict, list, tuple, np.ndarray, pd.Series)) for value in scores.values())
        try:
            scores = pd.DataFrame(scores) if nested else pd.Series(scores, dtype=object)
        except (ValueError, TypeError) as error:
            raise UserError(f"the scores: a dictionary of lists that do not fit together ({error})") from None
    if isinstance(scores, pd.Series):
        scores = scores.to_frame(scores.name if isinstance(scores.name, str) and scores.name else "score")
    if isinstance(scores, pd.DataFrame):
        plain = isinstance(scores.index, pd.RangeIndex) or {"arch", "index"} & set(known_columns(scores.columns))
        if plain or isinstance(scores.index, pd.MultiIndex):
            return scores
        name = "arch" if scores.index.inferred_type == "string" else "index"
        return scores.rename_axis(name).reset_index() if name not in scores.columns else scores
    try:
        values = np.asarray(scores, dtype=np.float64)
    except (ValueError, TypeError):
        values = np.empty(())
    if values.ndim not in (1, 2) or len(values) != len(benchmark.table):
        has = f"{len(values):,} of them" if values.ndim else f"a {type(scores).__name__}"
        raise UserError(
            f"the scores: {has}; expected a path, a DataFrame, a Series or dictionary by architecture, or"
            f" {len(benchmark.table):,} numbers, one for each architecture of {benchmark.table.source}"
        )
    names = ["score"] if values.ndim == 1 else [f"score_{at + 1}" for at in range(values.shape[1])]
    return pd.DataFrame(values.reshape(len(values), -1), columns=names)


def _suite_zero(path: Path, dataset: str) -> pd.DataFrame:
    """Return the scores of a dataset in a JSON file of NAS-Bench-Suite-Zero, a row for each architecture."""
    kind = "scores as NAS-Bench-Suite-Zero has them, {dataset: {architecture: {proxy: {score}}}}"
    content = read_json(path, kind)
    with refusing(path, kind, "give a CSV instead"):
        by_dataset = {dataset_key(name): value for name, value in content.items()}
        if all(_is_record(value) for value in content.values()):
            by_dataset = {dataset: content}
        if dataset not in by_dataset:
            raise UserError(f"no scores on '{dataset}'; it has {', '.join(by_dataset)}: name one with --dataset")
        rows = []
        for arch, record in by_dataset[dataset].items():
            if not _is_record(record):
                raise ValueError(f"no scores by proxy of '{arch}'")
            values = {name: each["score"] if isinstance(each, dict) else each for name, each in record.items()}
            rows.append({"arch": arch} | {name: value for name, value in values.items() if name not in NO_PROXIES})
        return pd.DataFrame(rows)


NO_PROXIES = ("arch", "id", "val_accuracy", "test_accuracy", "accuracy", "train_time")
"""Entries of a record of NAS-Bench-Suite-Zero that are no scores."""


def _is_record(value: Any) -> bool:
    """Whether a value has the scores of one architecture by proxy."""
    return isinstance(value, dict) and all(
        isinstance(each, (int, float)) or (isinstance(each, dict) and "score" in each) for each in value.values()
    )


def _sheet(frames: Iterable[pd.DataFrame]) -> Sheet:
    """Return a table that comes in parts, each with the same columns."""
    columns: list[str] = []
    keys, parts, rows = [], [], 0
    for frame in frames:
        columns = known_columns(frame.columns)
        first = np.array([bool(name) and name not in columns[:i] for i, name in enumerate(columns)], dtype=bool)
        named, columns = frame.set_axis(columns, axis=1).loc[:, first], [name for name in columns if name]
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


def arrange(scores: Any, benchmark: Benchmark, source: str) -> tuple[np.ndarray, Scored]:
    """Return the rows of the table that were scored, (archs,), and the scores of each proxy.

    `scores` are those `sheet_of` takes, `source` what messages call them. Raises UserError.
    """
    sheet = _identified(sheet_of(scores, benchmark), benchmark)
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
    scored: Scored = {}
    for name, mine in _rows_of(labels, len(key), long):
        scores = np.full((len(seeds), len(rows)), np.nan)
        why = np.full(scores.shape, "no score given", dtype=object)
        column = cells["score" if long else name]
        scores[at[0][mine], at[1][mine]] = column.numbers[mine]
        for cell in np.flatnonzero(~np.isfinite(column.numbers) & mine):
            text = column.odd[int(cell)]
            why[at[0][cell], at[1][cell]] = f"the cell is '{text}'" if text else "the cell is empty"
        scored[name] = scores, why
    return rows, scored


def _identified(sheet: Sheet, benchmark: Benchmark) -> Sheet:
    """Return a table with a column arch or index: one of another name, or the order of the rows."""
    if {"arch", "index"} & set(sheet.columns):
        return sheet
    count = len(next(iter(sheet.cells.values())).numbers) if sheet.cells else 0
    texts = {name: cells.odd for name, cells in sheet.cells.items() if len(cells.odd) == count > 0}
    for name, odd in texts.items():
        if _row(odd[0], {}, benchmark, {}) is not None:
            keys = sheet.keys.assign(arch=[odd[row] for row in range(count)])
            columns = ["arch" if each == name else each for each in sheet.columns]
            return Sheet(columns, keys, {each: cells for each, cells in sheet.cells.items() if each != name})
    if texts or count != len(benchmark.table):
        return sheet
    keys = pd.DataFrame({"index": benchmark.indices.astype(str)}).join(sheet.keys.reset_index(drop=True))
    return Sheet(["index", *sheet.columns], keys, sheet.cells)


def _row(name: str, literal: dict[str, int], benchmark: Benchmark, rows: dict[int, int]) -> int | None:
    """Return the row in the table of an architecture by any spelling; None where it is none.

    `literal` are the rows by the table's own strings, `rows` those by index in the space.
    """
    if name in literal:
        return literal[name]
    try:
        index = benchmark.space.locate(name)
    except UserError:
        return None
    return rows.get(index) if rows else index


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
    if bad := sorted(
        {label for label in labels if not label or "/" in label or label == "." or not label.isprintable()}
    ):
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
    hint = "; write decimal points" if any(DECIMAL_COMMA.fullmatch(column.odd[row]) for row in wrong[:3]) else ""
    return f"cells that are no numbers: {shown}{more}{hint}"


def _rows(frame: pd.DataFrame, benchmark: Benchmark) -> tuple[np.ndarray, list[str]]:
    """Return the row in the table of each row of the frame, and what is wrong."""
    table, space, problems, found = benchmark.table, benchmark.space, [], {}
    of_index = {int(index): row for row, index in enumerate(benchmark.indices)}
    if "arch" in frame:
        place = {arch: row for row, arch in enumerate(table.archs)}
        names = [str(name).strip() for name in frame["arch"]]
        rows = [_row(name, place, benchmark, of_index) for name in names]
        found["arch"] = np.array([-1 if row is None else row for row in rows])
        if unknown := list(dict.fromkeys(name for name, row in zip(names, rows, strict=True) if row is None)):
            problems.append(_unknown(unknown, "architectures", table.source, space.archs[0]))
    if "index" in frame:
        names = [str(name).strip().removesuffix(".0") for name in frame["index"]]
        numbers = [int(name) if name.isdecimal() and len(name) < 10 else -1 for name in names]
        found["index"] = np.array([of_index.get(number, -1) for number in numbers])
        if unknown := list(dict.fromkeys(name for name, row in zip(names, found["index"], strict=True) if row < 0)):
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
