"""What is ranked: one adapter per benchmark. `benchmarks.load("201")` gives its space and its ground truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, suggest

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.space import Space
    from benchmarks.table import Table

__all__ = ["BENCHMARKS", "Benchmark", "UserError", "load", "space_of"]

BENCHMARKS = {
    "201": "benchmarks.nasbench201:Space201",
    "101": "benchmarks.nasbench101:Space101",
    "macro": "benchmarks.nasbench_macro:SpaceMacro",
}
"""Key on the command line -> `module:class` of its space. A new benchmark is one file and one line here."""
EMBEDDED = Path(__file__).parent / "embedded"
"""Tables this project made and ships: networks of the spaces, reduced, trained on the UCI digits."""
EMBEDDED_DATASET = "digits"


@dataclass(frozen=True)
class Benchmark:
    """A space of architectures and the ground truth on one dataset."""

    space: Space
    """All architectures: strings, equivalence, counts, networks."""
    table: Table
    """Accuracies in percent."""
    indices: np.ndarray
    """(table rows,) int: the index in the space of each row of the table."""
    network: dict[str, int | None]
    """Settings of the networks that were trained: channels, cells_per_stage, input_channels, classes; None where only
    the images can say."""
    resolution: int | None
    """Side of the images in pixels."""
    embedded: bool
    """Whether this is the table that ships with the project."""


def space_of(bench: str, archs: Sequence[str] | None = None) -> Space:
    """Return the space of a benchmark key; UserError suggests the nearest where there is none.

    `archs` are a table's, for a benchmark that is known only as far as a table holds it.
    """
    if bench not in BENCHMARKS:
        raise suggest([bench], BENCHMARKS, "benchmark")
    space: Space = named_object(BENCHMARKS[bench])()
    return space if archs is None else space.over(archs)


def named_object(place: str) -> Any:
    """Return what `module:name` names."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def load(bench: str, dataset: str | None = None, data: str | Path | None = None) -> Benchmark:
    """Open a benchmark: the space and its ground truth on a dataset.

    `data` is the folder of ground truth and images (default: the environment variable NAS_HARNESS_DATA). Without a
    dataset: where there is ground truth, the space's first one that it holds, otherwise its own first; where there is
    none, the embedded digits. A dataset that is named and not found is a UserError that says where it looked and what
    to get.
    """
    import numpy as np

    from benchmarks.csv_table import dataset_key
    from benchmarks.sources import data_folder, find_table, what_to_get

    space = space_of(bench)
    folder = data_folder(data)
    wanted = None if dataset is None else dataset_key(dataset)
    path = None if wanted == EMBEDDED_DATASET else find_table(bench, folder)
    embedded = path is None and wanted in (None, EMBEDDED_DATASET)
    if embedded:
        path, wanted = EMBEDDED / f"{EMBEDDED_DATASET}{bench}.h5", EMBEDDED_DATASET
    if path is None:
        missing = f"dataset '{dataset}': {what_to_get(bench, folder)}"
        raise UserError(f"{missing}; or leave --dataset out for the embedded one")
    if embedded and not path.is_file():
        raise UserError(f"{what_to_get(bench, folder)}; {space.title} has no embedded ground truth yet")
    table = _open(path, wanted, space)
    space = space.over(table.archs)
    known = (*space.network, "classes", "resolution")
    facts = {name: int(value) for name, value in table.attributes.items() if name in known}
    classes, resolution = space.datasets.get(table.dataset, (None, None))
    network = {**space.network, "classes": classes, **facts}
    resolution = network.pop("resolution", resolution)
    return Benchmark(space, table, np.array([space.index(arch) for arch in table.archs]), network, resolution, embedded)


def _open(path: Path, dataset: str | None, space: Space) -> Table:
    from benchmarks.convert import read, recognise
    from benchmarks.table import list_datasets, load_table

    if path.suffix == ".h5":
        return load_table(path, dataset or _default(list_datasets(path), space))
    tables = {table.dataset: table for table in read(path, recognise(path), space)}
    dataset = dataset or _default(tables, space)
    if dataset not in tables:
        raise suggest([dataset], tables, f"dataset in {path}")
    return tables[dataset]


def _default(there: Collection[str], space: Space) -> str:
    """Return the dataset that is meant where none is named, out of those of a file."""
    first = next(iter(space.datasets))
    return next((name for name in (*space.datasets, *there) if name in there), first)
