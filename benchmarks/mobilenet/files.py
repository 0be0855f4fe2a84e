"""Reads Accel-NASBench: its archive of results as it is published, or the same as a CSV.

    anb_dataset_jsons.tar.gz   a JSON for each training: `architecture` (block0_e, block0_k, block0_l, block0_se, ...),
                               `metrics` (val_top1, train_time), `model_info` (macs, params)
    accel_nasbench.csv         the same names as columns

Parameters and MACs of every row must be those of the network built here; the MACs by the file's own rule, which counts
BatchNorm and pooling too. An architecture that was trained more than once has as many trials. Source: Ahmad et al. 2024
(arXiv 2404.08005): trained by a short schedule of their own, ImageNet validation top-1.
"""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import Progress, UserError, listed
from benchmarks.files.write import digest
from benchmarks.mobilenet.chains import MNASNET_LAYERS, chain_size, parse_chain
from benchmarks.mobilenet.space import SpaceMobile
from benchmarks.readers.csv_file import opened
from benchmarks.readers.foreign import refusing
from benchmarks.table import Table

EPOCHS = 1
"""Label of the only budget; how many epochs it is the file does not say."""
LARGEST = 1 << 14
"""Bytes of the result of one training, at most."""
KIND = "results of Accel-NASBench"


def read_csv(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read the CSV; the table has the file's order. `expected` and `complete` do not matter, as the table defines the
    space. UserError for rows that cannot be right."""
    with refusing(path, KIND), opened(path, KIND) as (names, lines):
        return [_table(Path(path), [dict(zip(names, line, strict=True)) for line in lines])]


def read_archive(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read the published archive, in the order of its numbers; other arguments as for `read_csv`."""
    with refusing(path, KIND):
        return [_table(Path(path), [row for _, row in sorted(_members(Path(path)), key=lambda each: each[0])])]


def _members(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the flattened entries of each result of an archive."""
    with tarfile.open(path) as archive:
        for member in archive:
            number = Path(member.name).stem.removeprefix("result_")
            if not member.isfile() or not number.isdecimal():
                continue
            if member.size > LARGEST:
                raise UserError(f"{member.name}: {member.size:,} bytes, too many for the result of one training")
            content = json.loads(archive.extractfile(member).read())  # type: ignore[union-attr]
            yield int(number), {**content["architecture"], **content["metrics"], **content["model_info"]}


def arch_of(row: Mapping[str, Any]) -> str:
    """Return the string of a row's seven blocks."""
    blocks = range(len(MNASNET_LAYERS))
    squeezed = ["se" * (str(row[f"block{at}_se"]).lower() == "true") for at in blocks]
    return " ".join(
        f"e{row[f'block{at}_e']}k{row[f'block{at}_k']}l{row[f'block{at}_l']}{squeezed[at]}" for at in blocks
    )


def _table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Table:
    archs = [arch_of(row) for row in rows]
    _check_sizes(rows, archs)
    trials: dict[str, list[tuple[float, float]]] = {}
    for arch, row in zip(archs, rows, strict=True):
        trials.setdefault(arch, []).append((float(row["val_top1"]), float(row["train_time"])))
    most = max(map(len, trials.values()), default=0)
    values = np.full((len(trials), most, 2), np.nan)
    for at, found in enumerate(trials.values()):
        values[at, : len(found)] = found
    return Table(
        benchmark=SpaceMobile.name, dataset="imagenet", archs=tuple(trials), splits=("valid",), epochs=(EPOCHS,),
        seeds=tuple(map(str, range(most))), accuracy=values[:, None, None, :, 0], source=f"published file {path.name}",
        checksum=digest(path), seconds_per_run=values[:, None, :, 1],
    )  # fmt: skip


def _check_sizes(rows: Sequence[Mapping[str, Any]], archs: Sequence[str]) -> None:
    """Raise UserError where parameters or MACs are not those of the networks built here."""
    classes, resolution = SpaceMobile.datasets["imagenet"]
    wrong = []
    for arch, row in zip(archs, rows, strict=True):
        size = chain_size(parse_chain(arch), classes, 3, resolution)
        stated = [round(float(row[name]) * 1e6) for name in ("params", "macs")]
        if stated != [size.params, size.flops + size.published]:
            wrong.append(arch)
    if wrong:
        raise UserError(f"parameters or MACs of {len(wrong)} rows are not those of their networks: {listed(wrong)}")
