"""Targets: columns of a space's architectures, besides the accuracies of its tables, that scores may be compared with.

`robust:pgd@1` is a column of a file that the space knows (`Space.targets`), `FILE.csv:COLUMN` one of a user's own;
a group or a file alone is all of its columns, `all` every column of the files that are there. Values stay as their
file has them, in its unit; `better` says which of them are better.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError, joined, listed, suggest
from benchmarks.files.sources import TargetFile
from benchmarks.files.write import digest
from benchmarks.readers.csv_file import known_columns, opened
from benchmarks.readers.csv_table import archs_of
from benchmarks.readers.foreign import read_arrays
from benchmarks.readers.torch_files import read_numbers
from benchmarks.spaces.space import Space
from benchmarks.table import arch_problems

ALL = "all"
OWN = re.compile(r"(?P<path>.+\.(?:csv|tsv))(?::(?P<column>[^:]+?))?(?::(?P<better>larger|smaller))?", re.IGNORECASE)
"""A file of the user's own; a column of it; which values are better."""
GAPS = ("", "nan", "na", "n/a", "none", "null")


@dataclass(frozen=True, eq=False)
class TargetColumn:
    """One quantity of every architecture of a space."""

    name: str
    """As on the command line, such as `robust:pgd@1` or `mine.csv:ms`."""
    values: np.ndarray
    """(archs of the space,) float64 by index, in `unit`; NaN where the file has none."""
    unit: str
    """Such as % or ms; empty where not known."""
    better: str
    """Which values are better: larger or smaller."""
    source: str
    """Name of the file."""
    checksum: str
    """sha256 of the file."""


def read_targets(
    words: str | Sequence[str], space: Space, folder: Path | None = None, dataset: str | None = None
) -> list[TargetColumn]:
    """Return the targets that some words name, each once, in their order.

    `folder` is the data folder. `dataset` chooses among the files of a group that has one for each (default: the first
    of the space's). UserError for words that name none, and where a file is not there: what to get.
    """
    dataset = dataset or next(iter(space.datasets))
    files: dict[str, dict[str, TargetColumn]] = {}
    found: dict[str, TargetColumn] = {}
    for word in filter(None, (each.strip() for each in joined(words).split(","))):
        for group, column, better in _named(word, space, folder, dataset):
            if group not in files:
                files[group] = dict(_read(group, space, folder, dataset))
            for each in _chosen(files[group], group, column, space):
                one = each if better is None else replace(each, better=better)
                if one.checksum != found.setdefault(one.name, one).checksum:
                    raise UserError(f"two files have a target {one.name}: give one of them another name")
    if not found:
        raise UserError(f"no target in '{joined(words)}'; {_expected(space)}")
    return list(found.values())


def targets(space: Space, folder: Path | None, dataset: str | None = None) -> list[str]:
    """Return the names of all targets of the files that are in the data folder."""
    dataset = dataset or next(iter(space.datasets))
    return [name for each in space.targets if _path(each, folder, dataset)
            for name, _ in _read(each.group, space, folder, dataset)]  # fmt: skip


def _named(word: str, space: Space, folder: Path | None, dataset: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (group or file, column or None for all, which values are better or None) of a word."""
    groups = {each.group: each for each in space.targets}
    head, _, rest = word.partition(":")
    if word == ALL:
        there = [name for name, each in groups.items() if _path(each, folder, dataset)]
        if not there:
            get = " ".join(dict.fromkeys(source.group for each in space.targets for source in each.sources))
            first = f"nas-harness data get {get}; or " if get else ""
            raise UserError(
                f"--target all: no file of targets in {folder or 'a data folder'}; {first}{_expected(space)}"
            )
        yield from ((name, None, None) for name in there)
    elif head in groups:
        yield head, rest or None, None
    elif own := OWN.fullmatch(word):
        yield own["path"], own["column"], own["better"] and own["better"].lower()
    else:
        raise suggest([word], [ALL, *(f"{name}:NAME" for name in groups), "FILE.csv:COLUMN"], "target")


def _expected(space: Space) -> str:
    groups = [f"{each.group}:NAME ({each.about})" for each in space.targets]
    return f"expected {', '.join([*groups, 'FILE.csv:COLUMN'])}"


def _chosen(columns: dict[str, TargetColumn], group: str, column: str | None, space: Space) -> list[TargetColumn]:
    if column is None:
        return list(columns.values())
    known = next((each for each in space.targets if each.group == group), None)
    by_name = {name.partition(":")[2]: each for name, each in columns.items()}
    wanted = _short(column, known) if known else column
    if wanted not in by_name:
        raise suggest([column], by_name, f"target of {group}")
    return [by_name[wanted]]


def _short(column: str, file: TargetFile) -> str:
    """Return a column under our name: the file's own rules, and 1 for 1.0."""
    for pattern, ours in file.short:
        column = re.sub(pattern, ours, column)
    return column.removesuffix(".0")


def _path(file: TargetFile, folder: Path | None, dataset: str) -> Path | None:
    """Return where a file of targets lies in the data folder, None where it does not."""
    if folder is None:
        return None
    for name in file.files:
        wanted = folder / name
        if "{dataset}" not in name:
            if wanted.exists():
                return wanted
        elif wanted.parent.is_dir():
            name = wanted.name.format(dataset=dataset.removesuffix("-valid")).lower()
            there = [path for path in sorted(wanted.parent.iterdir()) if path.name.lower() == name]
            if there:
                return there[0]
    return None


def _read(group: str, space: Space, folder: Path | None, dataset: str) -> Iterator[tuple[str, TargetColumn]]:
    """Yield name and column of all targets of a group, or of a user's own file."""
    known = next((each for each in space.targets if each.group == group), None)
    path = Path(group).expanduser() if known is None else _path(known, folder, dataset)
    if path is None:
        assert known
        where = f"in {folder}" if folder else "as there is no data folder"
        get = next((f"nas-harness data get {each.group}" for each in known.sources), "see docs/data.md")
        raise UserError(f"{group}: {known.files[0].format(dataset=dataset)} not found {where}; {get}")
    mark = "" if path.is_dir() else digest(path) if path.is_file() else ""
    for column, values in _columns(path, space).items():
        name = f"{group}:{_short(column, known)}" if known else f"{path.name}:{column}"
        unit, better = known.kind_of(column) if known else ("", "larger")
        yield name, TargetColumn(name, values, unit, better, path.name, mark)


def _columns(path: Path, space: Space) -> dict[str, np.ndarray]:
    """Return {column: values by index} of a CSV, a NumPy archive, or a folder of one file of numbers a column."""
    if path.is_dir():
        files = sorted(path.glob("*.pt"))
        return {file.stem: _in_order(read_numbers(file), file, space) for file in files}
    if path.suffix == ".npz":
        held = read_arrays(path, None, "one array of numbers for each target")
        return {name: _in_order(values, path, space) for name, values in held.items()}
    return _csv_columns(path, space)


def _in_order(values: np.ndarray | Sequence[float], path: Path, space: Space) -> np.ndarray:
    """Return numbers in the order of the space; UserError where there are not as many, or they are none."""
    numbers = np.asarray(values)
    if numbers.shape != (len(space),) or numbers.dtype.kind not in "fiu":
        raise UserError(f"{path}: {numbers.dtype} of shape {numbers.shape}; expected {len(space):,} numbers, one for"
                        f" each architecture of {space.title} in its order")  # fmt: skip
    return numbers.astype(np.float64)


def _csv_columns(path: Path, space: Space) -> dict[str, np.ndarray]:
    """Return the columns of numbers of a CSV with a column of architectures."""
    expected = "a CSV with a column arch or index and one for each target"
    with opened(path, expected) as (header, lines):
        header, rows = known_columns(header), list(lines)
    if not rows:
        raise UserError(f"{path}: a header and no rows; expected {expected}")
    archs, problems = archs_of(header, rows, space.archs, space.printed)
    if problems := problems or arch_problems(archs, space.archs, complete=False):
        raise UserError(f"{path}: {'; '.join(problems)}")
    places = np.array([space.index(arch) for arch in archs])
    found = {}
    for at, name in enumerate(header):
        cells = [row[at].strip() for row in rows]
        numbers = None if name in ("", "arch", "index") else _numbers(cells)
        if numbers is not None:
            found[name] = np.full(len(space), np.nan)
            found[name][places] = numbers
    if not found:
        raise UserError(f"{path}: no column of numbers besides the architectures (columns: {listed(header)})")
    return found


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return cells as numbers, NaN for gaps; None where one is no number."""
    try:
        plain = ["nan" if cell.lower() in GAPS else cell for cell in cells]
        numbers = np.array(plain).astype(np.float64)
    except ValueError:
        return None
    return None if np.isinf(numbers).any() else numbers
