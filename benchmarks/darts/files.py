"""Reads the published tables of DARTS networks as they are.

    DARTS_archs_CIFAR10.csv   SWAP-NAS (arXiv 2403.04161): 1,000 genotypes, CIFAR-10 validation after 200 epochs; no
                              header. In all of them the two cells are the same
    data-545.csv              OnceNAS-Bench: 545 genotypes, CIFAR-10 after 10 and 50 epochs
    *DARTS_in.json, *DARTS.json   NDS (Radosavovic et al. 2019, arXiv 1905.13214): networks of their own width and depth
                              on ImageNet, or on CIFAR-10. Test accuracy is that of the best epoch, as NDS takes it

Parameters stated in a file must be those of the networks built here. The FLOPs of NDS stand 1.3 to 11 % above, those of
OnceNAS-Bench 3 to 4 % above multiply-accumulates, by rules that are not known: they are not checked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.darts.genotypes import Genotype, genotype_of, parse_genotype
from benchmarks.darts.space import SpaceDarts
from benchmarks.errors import Progress, UserError, listed
from benchmarks.files.write import digest
from benchmarks.readers.csv_file import opened
from benchmarks.readers.foreign import read_json, refusing
from benchmarks.table import Table

SEED = "0"
"""Label of the only trial."""
COLUMNS = {
    ("train", 10): "train_acc10", ("train", 50): "train_acc50", ("valid", 10): "valid_acc10",
    ("valid", 50): "valid_acc50", ("test", 50): "test_acc50",
}  # fmt: skip
"""(split, epochs) -> column of data-545.csv."""
TIMES = {10: "train_time10", 50: "train_time50"}


def read_csv(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read the 1,000 (two columns, no header) or the 545 (a column `architecture`); the table has the file's order.

    `expected` and `complete` do not matter, as the table defines the space. UserError for rows that cannot be right.
    """
    with refusing(path, "a table of DARTS genotypes"), opened(path, "genotypes and accuracies") as (first, lines):
        rows = list(lines)
        if "architecture" in first:
            return [_of_545(Path(path), [dict(zip(first, row, strict=True)) for row in rows])]
        pairs = [(str(parse_genotype(row[0])), float(row[1])) for row in (first, *rows)]
    archs, accuracy = zip(*pairs, strict=True)
    return [_table(Path(path), "cifar10", archs, ("valid",), (200,), np.reshape(accuracy, (-1, 1, 1, 1)))]


def _of_545(path: Path, rows: Sequence[dict[str, str]]) -> Table:
    """Return the table of OnceNAS-Bench."""
    genotypes = [parse_genotype(row["architecture"]) for row in rows]
    stated = [round(float(row["params"]) * 1e6) for row in rows]
    archs = _checked(genotypes, stated, "cifar10-545")
    splits, epochs = ("train", "valid", "test"), (10, 50)
    accuracy = np.full((len(rows), len(splits), len(epochs), 1), np.nan)
    for (split, budget), column in COLUMNS.items():
        accuracy[:, splits.index(split), epochs.index(budget), 0] = [float(row[column]) for row in rows]
    seconds = np.array([[[_seconds(row[TIMES[budget]])] for budget in epochs] for row in rows])
    return _table(path, "cifar10-545", archs, splits, epochs, accuracy, seconds)


def _seconds(text: str) -> float:
    """Return the seconds of `h:mm:ss`."""
    hours, minutes, seconds = text.split(":")
    return 3600 * float(hours) + 60 * float(minutes) + float(seconds)


def read_nds(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read a file of NDS with cells of DARTS: a list of networks, each with genotype, width, depth and its errors.

    Its name says whether the networks are of ImageNet (`..._in.json`). Other arguments as for `read_csv`.
    """
    path, kind = Path(path), "NDS networks of DARTS cells"
    imagenet = path.name.endswith("_in.json")
    dataset = "imagenet-nds" if imagenet else "cifar10-nds"
    content = read_json(path, kind)
    with refusing(path, kind):
        stem = "imagenet" if imagenet else "cifar"
        genotypes = [_of_nds(each["net"], stem) for each in content]
        archs = _checked(genotypes, [each["params"] for each in content], dataset)
        epochs = {len(each["test_err_by_epoch"]) for each in content}
        accuracy = 100 - np.array([float(each["min_test_err"]) for each in content])
        return [_table(path, dataset, archs, ("test",), (max(epochs),), accuracy.reshape(-1, 1, 1, 1))]


def _of_nds(net: dict[str, Any], stem: str) -> Genotype:
    cells = genotype_of(net["genotype"])
    return Genotype(cells.normal, cells.reduce, (stem, int(net["width"]), int(net["depth"])))


def _checked(genotypes: Sequence[Genotype], stated: Sequence[int], dataset: str) -> list[str]:
    """Return the printed genotypes; UserError where the parameters stated are not those of the networks built here."""
    space = SpaceDarts([str(genotype) for genotype in genotypes])
    classes, resolution = space.datasets[dataset]
    settings = space.network | space.counted
    params = space.sizes(classes=classes, resolution=resolution, **settings)[0]
    if wrong := [space.archs[at] for at in np.flatnonzero(params != np.array(stated))]:
        raise UserError(f"parameters of {len(wrong)} rows are not those of their DARTS networks: {listed(wrong)}")
    return list(space.archs)


def _table(
    path: Path, dataset: str, archs: Sequence[str], splits: tuple[str, ...], epochs: tuple[int, ...],
    accuracy: np.ndarray, seconds: np.ndarray | None = None,
) -> Table:  # fmt: skip
    return Table(
        benchmark=SpaceDarts.name, dataset=dataset, archs=tuple(archs), splits=splits, epochs=epochs, seeds=(SEED,),
        accuracy=accuracy, source=f"published file {path.name}", checksum=digest(path), seconds_per_run=seconds,
    )  # fmt: skip
