"""Ground truth from a CSV file.

Columns (UTF-8; separated by commas, semicolons or tabs; a header line; accuracies in percent, an empty cell or nan is a
gap):

    arch                                  the architecture's string, in any spelling that the space reads
    index                                 its number in the space, checked where there is an arch; `csv_file` has other
                                          names of these two. A file with neither, and a row for each architecture of
                                          the space, is in the order of the space
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError, listed, repeated, suggest
from benchmarks.files.write import digest
from benchmarks.readers.csv_file import known_columns, opened
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
    path: str | Path, benchmark: str = "201", expected: Sequence[str] | None = None, complete: bool = True, *,
    fractions: bool = False, printed: Callable[[str], str] = str, classes: Mapping[str, int] | None = None,
) -> list[Table]:  # fmt: skip
    """Read a CSV file of the form above; return one Table per dataset, in the order of the columns.

    `expected` are the space's strings in their order, which becomes the table's order; None takes the file's rows as
    they come. With `complete` every expected architecture must be there; otherwise the table holds those that are.
    `fractions`: the accuracies are 0 to 1. `printed` turns a spelling of an architecture into the space's string.
    `classes` of known datasets: lower accuracies than by chance tell fractions among percent.
    Raises UserError that lists what is wrong: missing, unknown or duplicate architectures, an index column that
    disagrees, cells that are no numbers, accuracies outside 0..100, fractions, rows cut short, a file of another kind.
    """
    path = Path(path)
    with opened(path, "a header with a column arch and one for each accuracy") as (header, lines):
        header = known_columns(header)
        columns = _accuracy_columns(path, header)
        rows = list(lines)
    if not rows:
        raise UserError(f"{path}: a header and no rows; is the file complete?")
    archs, problems = archs_of(header, rows, expected, printed)
    problems = problems or arch_problems(archs, expected, complete)
    cells = {at: _numbers([row[at] for row in rows], header[at], archs, problems) for at in columns}
    problems = problems or _scale_problems(columns, cells, fractions, classes or {})
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    if fractions:
        cells = {at: 100 * values for at, values in cells.items()}
    if expected is not None:
        place = {arch: i for i, arch in enumerate(archs)}
        order = [place[arch] for arch in expected if arch in place]
        archs = [archs[i] for i in order]
        cells = {at: values[order] for at, values in cells.items()}
    shared = {"benchmark": benchmark, "archs": tuple(archs), "source": f"CSV {path.name}", "checksum": digest(path)}
    return _tables(columns, cells, shared)


def archs_of(
    header: Sequence[str], rows: Sequence[Sequence[str]], expected: Sequence[str] | None, printed: Callable[[str], str]
) -> tuple[list[str], list[str]]:
    """Return the architecture of each row by name, index or order, and what is wrong."""
    header = list(header)
    if not {"arch", "index"} & set(header):
        of_archs = [at for at, cell in enumerate(rows[0]) if _names_one(cell, expected, printed)]
        others = [cell for name, cell in zip(header, rows[0], strict=True) if COLUMN.fullmatch(name) is None]
        if len(of_archs) == 1:
            header[of_archs[0]] = "arch"
        elif not all(map(_is_number, others)) or expected is None or len(rows) != len(expected):
            want = f"; without one, {len(expected):,} rows in the order of the space" if expected is not None else ""
            return [], [f"no column 'arch' or 'index', found: {listed(header)}{want}"]
    if "arch" in header and "index" not in header and expected is not None:
        first = rows[0][header.index("arch")].strip()
        if _whole_number(first) >= 0 and _printed(first, printed) not in expected:
            header[header.index("arch")] = "index"  # some write numbers there
    numbers = None
    if "index" in header and expected is not None:
        numbers = [_whole_number(row[header.index("index")]) for row in rows]
    if "arch" in header:
        known = set(expected or ())
        given = [row[header.index("arch")].strip() for row in rows]
        archs = [name if name in known else _printed(name, printed) for name in given]
        place = {arch: i for i, arch in enumerate(expected or ())} if numbers is not None else {}
        pairs = enumerate(zip(archs, numbers or [], strict=False), start=1)
        wrong = [f"row {n} says {i}, the space {place[arch]}" for n, (arch, i) in pairs if i != place.get(arch, i)]
        said = f"the index column disagrees with the space in {len(wrong)} rows: {listed(wrong)}"
        return archs, [said] if wrong else []
    assert expected is not None
    if numbers is None:
        return list(expected), []
    wrong = [f"row {n}" for n, i in enumerate(numbers, start=1) if not 0 <= i < len(expected)]
    said = f"indices that are not 0 to {len(expected) - 1} in {len(wrong)} rows: {listed(wrong)}"
    return ([], [said]) if wrong else ([expected[i] for i in numbers], [])


def _names_one(cell: str, expected: Sequence[str] | None, printed: Callable[[str], str]) -> bool:
    """Whether a cell is a spelling of an architecture, other than a bare number."""
    if _is_number(cell):
        return False
    try:
        found = printed(cell.strip())
    except UserError:
        return False
    return found in expected if expected is not None else printed is not str


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*([+-]?[0-9.]+([eE][+-]?[0-9]+)?|nan)?\s*", cell) is not None


def _printed(name: str, printed: Callable[[str], str]) -> str:
    try:
        return printed(name)
    except UserError:  # an unknown one is named with the others
        return name


def _whole_number(cell: str) -> int:
    """Return the whole number in a cell, such as 12 or 12.0; -1 where it is none."""
    text = cell.strip()
    whole, _, rest = text.partition(".")
    return int(whole) if len(whole) < 10 and whole.isdecimal() and not rest.strip("0") else -1


def _scale_problems(
    columns: Mapping[int, re.Match], cells: Mapping[int, np.ndarray], fractions: bool, classes: Mapping[str, int]
) -> list[str]:
    """Return what is wrong where accuracies are fractions, or `fractions` was said and they are not."""
    kinds, mixed = {}, []
    for at, match in columns.items():
        values = cells[at][np.isfinite(cells[at]) & (cells[at] > 0)]
        if not len(values):
            continue
        chance = 100 / classes.get(dataset_key(match["dataset"]), 100)
        small = values[values < 1]
        below = chance >= 2 or 10 * len(small) > len(values)  # few of many classes: chance is below 1 % there
        all_small = bool(len(small) and values.max() <= 1)
        kinds[match[0]] = f"{values.min():g} to {values.max():g}{' as fractions' * all_small}"
        mixed.append(bool(len(small) and below and not all_small))
    as_fractions = [name for name, text in kinds.items() if text.endswith("fractions")]
    if any(mixed) or (as_fractions and len(as_fractions) < len(kinds)):
        said = "; ".join(f"{name} {text}" for name, text in list(kinds.items())[:3])
        return [f"fractions and percent are mixed ({said}): write all accuracies as percent, 0 to 100"]
    if as_fractions and not fractions:
        name = as_fractions[0]
        hint = "if they are fractions, convert the file with python -m benchmarks.convert FILE --fractions"
        return [f"accuracies are percent, 0 to 100, but {name} has {kinds[name]}; {hint}"]
    if fractions and kinds and not as_fractions:
        name, text = next(iter(kinds.items()))
        return [f"--fractions: accuracies from 0 to 1 expected, but {name} has {text}; leave it out"]
    return []


def _accuracy_columns(path: Path, header: Sequence[str]) -> dict[int, re.Match]:
    """Return position -> parsed name of the accuracy columns; UserError where the header is not of this kind."""
    if twice := [name for name in repeated(header) if name]:
        raise UserError(f"{path}: columns that occur more than once: {listed(twice)}")
    columns = {at: match for at, name in enumerate(header) if (match := COLUMN.fullmatch(name))}
    unknown = {match["split"] for match in columns.values()} - set(SPLITS)
    if unknown:
        error = suggest(sorted(unknown), SPLITS, "split in the column names")
        raise UserError(f"{path}: {error}; accuracy columns are named <dataset>_<split>_<epochs>")
    if not columns:
        found = listed(header)
        raise UserError(f"{path}: no accuracy column; expected names like cifar10_test_200, found: {found}")
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
                arch = f"{archs[row]} " if archs else ""
                wrong.append(f"row {row + 1} {arch}'{text.strip()[:30]}'")
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
