"""Ground truth from a CSV file: the way in for a benchmark's accuracies as anyone has them, or for one's own.

Columns (UTF-8, comma-separated, a header line; accuracies in percent, an empty cell or nan is a gap):

    arch                                  the architecture's canonical string; the only column that must be there
    index                                 optional: its number in the space, checked where the space is known
    <dataset>_<split>_<epochs>            one value: taken as the published mean over seeds (seed label "mean")
    <dataset>_<split>_<epochs>_seed<s>    the trial with seed label <s>, such as cifar10_test_200_seed777
    <dataset>_<split>_<epochs>_per_seed   all trials in one cell, joined by ";": labels "1", "2", ...; where an
                                          architecture has fewer than others, the rest are gaps

<split> is train, valid, test or valtest. <dataset> is any name; cifar10, cifar10-valid, cifar100 and imagenet16-120 are
recognised in other spellings (ImageNet16-120, imagenet16_120). Other columns (parameters, notes) are ignored.
Rows may come in any order. A complete minimal file:

    arch,digits_test_20_seed0,digits_test_20_seed1
    |none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|,31.5,32.0
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.files.write import sha256
from benchmarks.table import MEAN, Table, named, repeated

SPLITS = ("train", "valid", "test", "valtest")
DATASETS = ("cifar10", "cifar10-valid", "cifar100", "imagenet16-120")
COLUMN = re.compile(
    r"(?P<dataset>.+)_(?P<split>[A-Za-z]+)_(?P<epochs>[0-9]{1,9})(?:_(?P<kind>per_seed|seed(?P<seed>\w+)))?"
)


def dataset_key(name: str) -> str:
    """Return the project's key of a dataset: known ones in any spelling, others as they are."""
    key = name.strip().lower().replace("_", "-")
    return key if key in DATASETS else name.strip()


def read_csv(
    path: str | Path,
    benchmark: str = "201",
    expected: Sequence[str] | None = None,
    complete: bool = True,
    source: str | None = None,
) -> list[Table]:
    """Read a CSV file of the form above; return one Table per dataset, in the order of the columns.

    `expected` are the space's strings in their order, which becomes the table's order; None takes the file's rows as
    they come. With `complete` every expected architecture must be there; otherwise the table holds those that are.
    Raises UserError that lists what is wrong: missing, unknown or duplicate architectures, an index column that
    disagrees, cells that are no numbers, accuracies outside 0..100, rows cut short, a file of another kind.
    """
    path = Path(path)
    header, rows = _rows(path)
    columns = _accuracy_columns(path, header)
    archs = [row[header.index("arch")].strip() for row in rows]
    indices = [row[header.index("index")].strip() for row in rows] if "index" in header else None
    problems = _arch_problems(archs, indices, expected, complete)
    cells = {at: _numbers([row[at] for row in rows], header[at], archs, problems) for at in columns}
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    if expected is not None:
        place = {arch: i for i, arch in enumerate(archs)}
        order = [place[arch] for arch in expected if arch in place]
        archs = [archs[i] for i in order]
        cells = {at: values[order] for at, values in cells.items()}
    about = source or f"CSV {path.name}"
    return _tables(columns, cells, {"benchmark": benchmark, "archs": tuple(archs)}, about, sha256(path))


def _rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows; raise UserError where the file is not such a table or was cut short."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV text file ({error})") from None
    header = [name.strip() for name in lines[0]] if lines else []
    if "arch" not in header:
        raise UserError(
            f"{path}: no column 'arch'; expected a comma-separated header, found: {named(header) or 'none'}"
        )
    if repeated(header):
        raise UserError(f"{path}: columns that occur more than once: {named(repeated(header))}")
    rows = lines[1:]
    if not rows:
        raise UserError(f"{path}: a header and no rows; is the file complete?")
    short = [f"row {i} has {len(row)}" for i, row in enumerate(rows, start=1) if len(row) != len(header)]
    if short:
        raise UserError(f"{path}: {len(header)} columns expected, but {named(short)}; is the file complete?")
    return header, rows


def _accuracy_columns(path: Path, header: Sequence[str]) -> dict[int, re.Match]:
    """Return position -> parsed name of the accuracy columns."""
    columns = {at: match for at, name in enumerate(header) if (match := COLUMN.fullmatch(name))}
    unknown = {match["split"] for match in columns.values()} - set(SPLITS)
    if unknown:
        error = suggest(sorted(unknown), SPLITS, "split in the column names")
        raise UserError(f"{path}: {error}; accuracy columns are named <dataset>_<split>_<epochs>")
    if not columns:
        raise UserError(f"{path}: no accuracy column; expected names like cifar10_test_200, found: {', '.join(header)}")
    return columns


def _arch_problems(
    archs: Sequence[str], indices: Sequence[str] | None, expected: Sequence[str] | None, complete: bool
) -> list[str]:
    """Return what is wrong with the architectures, one sentence each."""
    problems = []
    if twice := repeated(archs):
        problems.append(f"{len(twice)} architectures occur more than once: {named(twice)}")
    if expected is None:
        return problems
    place = {arch: i for i, arch in enumerate(expected)}
    if unknown := [f"row {row} '{arch}'" for row, arch in enumerate(archs, start=1) if arch not in place]:
        problems.append(f"{len(unknown)} architectures are not in the space: {named(unknown)}")
    if complete and (missing := sorted(place.keys() - set(archs), key=place.__getitem__)):
        problems.append(f"{len(missing)} of {len(place)} architectures are missing: {named(missing)}")
    wrong = [
        f"row {row} says {index}, the space {place[arch]}"
        for row, (arch, index) in enumerate(zip(archs, indices or (), strict=False), start=1)
        if arch in place and index != str(place[arch])
    ]
    if wrong:
        problems.append(f"the index column disagrees with the space in {len(wrong)} rows: {named(wrong)}")
    return problems


def _numbers(cells: Sequence[str], name: str, archs: Sequence[str], problems: list[str]) -> np.ndarray:
    """Return a column as (archs, values in the fullest cell), NaN for gaps; say in `problems` what is no accuracy."""
    split = [cell.split(";") if name.endswith("_per_seed") else [cell] for cell in cells]
    values = np.full((len(cells), max(map(len, split))), np.nan)
    wrong = []
    for row, parts in enumerate(split):
        for i, text in enumerate(parts):
            if text.strip().lower() in ("", "nan"):
                continue
            try:
                values[row, i] = float(text)
            except ValueError:
                values[row, i] = -1.0
            if not 0.0 <= values[row, i] <= 100.0:
                wrong.append(f"row {row + 1} {archs[row]} '{text.strip()}'")
    if wrong:
        problems.append(f"{len(wrong)} cells of {name} are no accuracy in 0..100 percent: {named(wrong)}")
    return values


def _tables(
    columns: dict[int, re.Match], cells: dict[int, np.ndarray], shared: dict, source: str, checksum: str
) -> list[Table]:
    """Return one Table per dataset from its columns' values."""
    tables = []
    for dataset in dict.fromkeys(dataset_key(match["dataset"]) for match in columns.values()):
        mine = {at: match for at, match in columns.items() if dataset_key(match["dataset"]) == dataset}
        labels = {at: _seed_labels(match, cells[at].shape[1]) for at, match in mine.items()}
        splits = tuple(split for split in SPLITS if split in {match["split"] for match in mine.values()})
        epochs = tuple(sorted({int(match["epochs"]) for match in mine.values()}))
        seeds = tuple(sorted({seed for row in labels.values() for seed in row}, key=lambda s: (s != MEAN, len(s), s)))
        accuracy = np.full((len(shared["archs"]), len(splits), len(epochs), len(seeds)), np.nan)
        taken: set[tuple[int, int, str]] = set()
        for at, match in mine.items():
            split, budget = splits.index(match["split"]), epochs.index(int(match["epochs"]))
            for i, seed in enumerate(labels[at]):
                if (split, budget, seed) in taken:
                    raise UserError(f"{source}: column '{match[0]}' gives seed '{seed}' a second time")
                taken.add((split, budget, seed))
                accuracy[:, split, budget, seeds.index(seed)] = cells[at][:, i]
        tables.append(
            Table(
                dataset=dataset,
                splits=splits,
                epochs=epochs,
                seeds=seeds,
                accuracy=accuracy,
                source=source,
                checksum=checksum,
                **shared,
            )
        )
    return tables


def _seed_labels(match: re.Match, n_values: int) -> tuple[str, ...]:
    if match["kind"] == "per_seed":
        return tuple(str(i + 1) for i in range(n_values))
    return (match["seed"] or MEAN,)
