"""Scores computed elsewhere: a CSV or a DataFrame -> arrays in the order of the rows, with a reason for each gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import Benchmark
from benchmarks.errors import UserError

Given = dict[str, tuple[np.ndarray, np.ndarray]]
"""proxy -> scores (seeds, archs) float64 and why they are not finite (seeds, archs) str."""


def read_csv(path: str | Path) -> pd.DataFrame:
    """Return a CSV file as text cells; UserError where it is not one."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected a CSV with a column arch or index and one for each proxy")
    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        frame = pd.read_csv(
            path, dtype=str, keep_default_na=False, skipinitialspace=True, encoding="utf-8-sig", index_col=False,
            on_bad_lines="error",
        )  # fmt: skip
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: not a CSV of scores ({reason}); expected columns arch and one for each proxy"
        ) from None
    frame.columns = [str(name).strip() for name in header.iloc[0]][: len(frame.columns)]
    return frame


def arrange(frame: pd.DataFrame, benchmark: Benchmark, source: str) -> tuple[np.ndarray, Given]:
    """Return the rows of the table that were scored, (archs,), and the scores of each proxy."""
    columns, names, long, labels = _columns(frame, source)
    problems: list[str] = []
    frame = frame.set_axis(columns, axis=1).reset_index(drop=True)
    values, reasons = {}, {}
    for name in ["score"] if long else names:
        values[name], reasons[name], wrong = _numbers(frame[name])
        if wrong:
            problems.append(f"column '{name}' has {wrong}")
    row, unusable = _rows(frame, benchmark)
    problems += unusable
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}")
    key = pd.DataFrame({
        "row": row, "seed": frame["seed"].astype(str) if "seed" in frame else "", "proxy": labels if long else "",
    })  # fmt: skip
    if (again := key[key.duplicated()]).size:
        arch = benchmark.table.archs[int(again["row"].iloc[0])]
        said = " and ".join([*["seed"] * ("seed" in frame), *["proxy"] * long])
        which = f" with the same {said}" if said else ""
        raise UserError(f"{source}: {len(again)} architectures occur more than once{which}, the first {arch}")
    rows = np.array(list(dict.fromkeys(row)))
    place = {row: at for at, row in enumerate(rows)}
    seeds = {label: at for at, label in enumerate(sorted(set(key["seed"]), key=_seed_order))}
    at = key["seed"].map(seeds).to_numpy(), key["row"].map(place).to_numpy()
    given: Given = {}
    for name in dict.fromkeys(labels):
        mine = np.array([label == name for label in labels]) if long else np.ones(len(frame), dtype=bool)
        scores = np.full((len(seeds), len(rows)), np.nan)
        why = np.full(scores.shape, "no score given", dtype=object)
        where = at[0][mine], at[1][mine]
        scores[where] = values["score" if long else name][mine]
        why[where] = reasons["score" if long else name][mine]
        given[name] = scores, why
    return rows, given


def _columns(frame: pd.DataFrame, source: str) -> tuple[list[str], list[str], bool, list[str]]:
    """Return all column names, those of scores, whether there is a row for each score, and the proxies' names (by row
    then, by column otherwise)."""
    columns = [str(name) for name in frame.columns]
    problems = []
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
    if not len(frame):
        problems.append("no rows")
    labels = [str(value).strip() for value in frame["proxy"]] if long and not problems else names
    if bad := sorted({label for label in labels if not label or "/" in label or label == "."}):
        problems.append(f"names that no proxy can have: {', '.join(map(repr, bad))}")
    if problems:
        raise UserError(f"{source}: {'; '.join(problems)}")
    return columns, names, long, labels


def _seed_order(label: str) -> tuple:
    return (0, int(label), "") if label.isdecimal() else (1, 0, label)


def _numbers(column: pd.Series) -> tuple[np.ndarray, np.ndarray, str]:
    """Return a column as numbers, why some are not finite, and what is wrong with it ("" if nothing)."""
    text = column.map(lambda cell: "" if cell is None or cell is pd.NA else str(cell).strip())
    empty = text.str.lower().isin(["", "nan", "na", "n/a", "none", "null"])
    numbers = pd.to_numeric(text.where(~empty, "nan"), errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(np.isnan(numbers) & ~empty.to_numpy())
    reasons = np.array([f"the cell is '{cell}'" if cell else "the cell is empty" for cell in text], dtype=object)
    if not len(wrong):
        return numbers, reasons, ""
    shown = ", ".join(f"'{text.iloc[i][:30]}' in row {i + 1}" for i in wrong[:3])
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return numbers, reasons, f"cells that are no numbers: {shown}{more}"


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
