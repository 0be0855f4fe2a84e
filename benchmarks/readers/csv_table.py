"""Ground truth from a CSV file.

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

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError, listed, repeated, suggest
from benchmarks.files.write import digest
from benchmarks.readers.csv_file import opened
from benchmarks.table import MEAN, Table, arch_problems

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
    path: str | Path, benchmark: str = "201", expected: Sequence[str] | None = None, complete: bool = True
) -> list[Table]:
    """Read a CSV file of the form above; return one Table per dataset, in the order of the columns.

    `expected` are the space's strings in their order, which becomes the table's order; None takes the file's rows as
    they come. With `complete` every expected architecture must be there; otherwise the table holds those that are.
    Raises UserError that lists what is wrong: missing, unknown or duplicate architectures, an index column that
    disagrees, cells that are no numbers, accuracies outside 0..100, rows cut short, a file of another kind.
    """
    path = Path(path)
    with opened(path, "a header with a column arch and one for each accuracy") as (header, lines):
        columns = _accuracy_columns(path, header)
        rows = list(lines)
    if not rows:
        raise UserError(f"{path}: a header and no rows; is the file complete?")
    archs = [row[header.index("arch")].strip() for row in rows]
    problems = arch_problems(archs, expected, complete)
    if "index" in header and expected is not None:
        numbers = {arch: str(i) for i, arch in enumerate(expected)}
        pairs = enumerate(zip(archs, (row[header.index("index")].strip() for row in rows), strict=True), start=1)
        wrong = [f"row {n} says {i}, the space {numbers[arch]}" for n, (arch, i) in pairs if i != numbers.get(arch, i)]
        if wrong:
            problems.append(f"the index column disagrees with the space in {len(wrong)} rows: {listed(wrong)}")
    cells = {at: _numbers([row[at] for row in rows], header[at], archs, problems) for at in columns}
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    if expected is not None:
        place = {arch: i for i, arch in enumerate(archs)}
        order = [place[arch] for arch in expected if arch in place]
        archs = [archs[i] for i in order]
        cells = {at: values[order] for at, values in cells.items()}
    shared = {"benchmark": benchmark, "archs": tuple(archs), "source": f"CSV {path.name}", "checksum": digest(path)}
    return _tables(columns, cells, shared)


def _accuracy_columns(path: Path, header: Sequence[str]) -> dict[int, re.Match]:
    """Return position -> parsed name of the accuracy columns; UserError where the header is not of this kind."""
    if "arch" not in header:
        found = listed(header) or "none"
        raise UserError(f"{path}: no column 'arch'; expected a comma-separated header, found: {found}")
    if repeated(header):
        raise UserError(f"{path}: columns that occur more than once: {listed(repeated(header))}")
    columns = {at: match for at, name in enumerate(header) if (match := COLUMN.fullmatch(name))}
    unknown = {match["split"] for match in columns.values()} - set(SPLITS)
    if unknown:
        error = suggest(sorted(unknown), SPLITS, "split in the column names")
        raise UserError(f"{path}: {error}; accuracy columns are named <dataset>_<split>_<epochs>")
    if not columns:
        raise UserError(f"{path}: no accuracy column; expected names like cifar10_test_200, found: {', '.join(header)}")
    return columns


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
        problems.append(f"{len(wrong)} cells of {name} are no accuracy in 0..100 percent: {listed(wrong)}")
    return values


def _tables(columns: dict[int, re.Match], cells: dict[int, np.ndarray], shared: dict[str, Any]) -> list[Table]:
    """Return one Table per dataset from its columns' values; `shared` are the fields that all tables have alike."""
    tables = []
    for dataset in dict.fromkeys(dataset_key(match["dataset"]) for match in columns.values()):
        mine = {at: match for at, match in columns.items() if dataset_key(match["dataset"]) == dataset}
        labels = {
            at: [str(i + 1) for i in range(cells[at].shape[1])]
            if match["kind"] == "per_seed"
            else [match["seed"] or MEAN]
            for at, match in mine.items()
        }
        splits = tuple(split for split in SPLITS if split in {match["split"] for match in mine.values()})
        epochs = tuple(sorted({int(match["epochs"]) for match in mine.values()}))
        seeds = tuple(sorted({seed for row in labels.values() for seed in row}, key=lambda s: (s != MEAN, len(s), s)))
        accuracy = np.full((len(shared["archs"]), len(splits), len(epochs), len(seeds)), np.nan)
        taken: set[tuple[int, int, str]] = set()
        for at, match in mine.items():
            split, budget = splits.index(match["split"]), epochs.index(int(match["epochs"]))
            for i, seed in enumerate(labels[at]):
                if (split, budget, seed) in taken:
                    raise UserError(f"{shared['source']}: column '{match[0]}' gives seed '{seed}' a second time")
                taken.add((split, budget, seed))
                accuracy[:, split, budget, seeds.index(seed)] = cells[at][:, i]
        tables.append(Table(dataset=dataset, splits=splits, epochs=epochs, seeds=seeds, accuracy=accuracy, **shared))
    return tables
