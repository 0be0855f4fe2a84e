"""What is ranked: one adapter per benchmark. `benchmarks.load("201")` gives its space and its ground truth."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import installed
from benchmarks.errors import UserError, suggest

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.space import Space
    from benchmarks.table import Table

__all__ = ["BENCHMARKS", "GROUPS", "Benchmark", "UserError", "expand", "known", "load", "space_of"]

BENCHMARKS = {
    "201": "benchmarks.nasbench201:Space201",
    "101": "benchmarks.nasbench101:Space101",
    "macro": "benchmarks.nasbench_macro:SpaceMacro",
    "1shot1-1": "benchmarks.nasbench1shot1:space_1",
    "1shot1-2": "benchmarks.nasbench1shot1:space_2",
    "1shot1-3": "benchmarks.nasbench1shot1:space_3",
    "1shot1-1-closed": "benchmarks.nasbench1shot1:space_1_closed",
    "1shot1-2-closed": "benchmarks.nasbench1shot1:space_2_closed",
    "1shot1-3-closed": "benchmarks.nasbench1shot1:space_3_closed",
    "1shot1-1-pruned": "benchmarks.nasbench1shot1:space_1_pruned",
    "1shot1-2-pruned": "benchmarks.nasbench1shot1:space_2_pruned",
    "1shot1-3-pruned": "benchmarks.nasbench1shot1:space_3_pruned",
}
"""Key on the command line -> `module:class` of its space. A new benchmark is one file and one line here, or an
entry point of another package (`benchmarks.installed`)."""
GROUPS = {
    "1shot1": ("1shot1-1", "1shot1-2", "1shot1-3"),
    "1shot1-closed": ("1shot1-1-closed", "1shot1-2-closed", "1shot1-3-closed"),
    "1shot1-pruned": ("1shot1-1-pruned", "1shot1-2-pruned", "1shot1-3-pruned"),
}
"""Benchmark of several spaces -> their keys, space 1 first; each is run and reported by itself."""
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


def known() -> tuple[str, ...]:
    """Return the keys of all benchmarks: the built-in ones, then those of other installed packages."""
    others = sorted(key for key in installed.declared() if installed.KEY.fullmatch(key))
    return tuple(dict.fromkeys((*BENCHMARKS, *others)))


def expand(bench: str, spaces: str | None = None) -> tuple[str, ...]:
    """Return the keys a name stands for: those of a group (`spaces` "1,3": of these), otherwise itself.

    UserError for spaces the group does not have, or where the name is no group.
    """
    if bench not in GROUPS:
        if spaces is not None:
            raise UserError(f"--space {spaces}: only for --bench {', '.join(GROUPS)}, not {bench}")
        return (bench,)
    members = {key.split("-")[1]: key for key in GROUPS[bench]}
    wanted = list(members) if spaces is None else [each.strip() for each in spaces.split(",")]
    if unknown := [each for each in wanted if each not in members]:
        raise suggest(unknown, members, f"space of {bench}")
    return tuple(members[each] for each in dict.fromkeys(wanted))


def unknown_benchmark(bench: str) -> UserError:
    """Return the error for a key that names no benchmark; a group's says which to choose from."""
    if bench in GROUPS:
        return UserError(f"benchmark {bench} is several spaces; choose one here: {', '.join(GROUPS[bench])}")
    return suggest([bench], [*known(), *GROUPS], "benchmark")


def space_of(bench: str, archs: Sequence[str] | None = None, network: str | None = None) -> Space:
    """Return the space of a benchmark key. UserError where there is none, or where another package's is broken.

    `archs` are a table's, for a benchmark that is known only as far as a table holds it. `network` names the networks
    that stand for its architectures, where there are several ways.
    """
    points = installed.declared().get(bench, [])
    if problem := installed.collision(bench, points, bench in BENCHMARKS or bench in GROUPS):
        raise problem
    if bench not in BENCHMARKS and not points:
        raise unknown_benchmark(bench)
    space: Space = installed.make(points[0]) if points else named_object(BENCHMARKS[bench])()
    if network is not None:
        space = space.with_network(network)
    return space if archs is None else space.over(archs)


def named_object(place: str) -> Any:
    """Return what `module:name` names."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def load(
    bench: str, dataset: str | None = None, data: str | Path | None = None, network: str | None = None
) -> Benchmark:
    """Open a benchmark: the space and its ground truth on a dataset.

    `data` is the folder of ground truth and images (default: the environment variable NAS_HARNESS_DATA). Without a
    dataset: where there is ground truth, the space's first one that it holds, otherwise its own first; where there is
    none, the embedded digits. A dataset that is named and not found is a UserError that says where it looked and what
    to get. `network` as for `space_of`.
    """
    import numpy as np

    from benchmarks.csv_table import dataset_key
    from benchmarks.sources import data_folder, what_to_get

    space = space_of(bench, network=network)
    folder = data_folder(data)
    wanted = None if dataset is None else dataset_key(dataset)
    ours = EMBEDDED / f"{EMBEDDED_DATASET}{bench}.h5"
    at_once = wanted == EMBEDDED_DATASET and ours.is_file()
    path, holder = (None, space) if at_once else _find(space, bench, folder)
    embedded = path is None and wanted in (None, EMBEDDED_DATASET)
    if embedded:
        path, wanted = ours, EMBEDDED_DATASET
    if path is None or not path.is_file():
        raise _missing(space, None if embedded else dataset, what_to_get(space.view_of or bench, folder))
    table = _open(path, wanted, holder)
    if holder is not space:
        table = space.view(table)
    space = space.over(table.archs)
    of_images = ("input_channels", "classes", "resolution")
    taken = of_images if space.form else (*space.network, *of_images)  # widths are those of the networks trained
    facts = {name: value for name, value in table.attributes.items() if name in taken}
    if wrong := [f"{name} {value!r}" for name, value in facts.items() if type(value) is not int or value < 1]:
        raise UserError(f"{path}: sizes of its networks that are no whole numbers above 0: {', '.join(wrong)}")
    classes, resolution = space.datasets.get(table.dataset, (None, None))
    sizes: dict[str, Any] = {**space.network, "classes": classes, **facts}
    resolution = sizes.pop("resolution", resolution)
    return Benchmark(space, table, np.array([space.index(arch) for arch in table.archs]), sizes, resolution, embedded)


def tables(bench: str, data: str | Path | None = None) -> dict[str, Table]:
    """Return the ground truth of a benchmark on every dataset of the data folder: dataset -> table, {} without any.

    `data` as for `load`. The embedded digits are not among them.
    """
    from benchmarks.sources import data_folder

    space = space_of(bench)
    path, holder = _find(space, bench, data_folder(data))
    found = _tables(path, holder) if path else {}
    return found if holder is space else {name: space.view(table) for name, table in found.items()}


def _find(space: Space, bench: str, folder: Path | None) -> tuple[Path | None, Space]:
    """Return the table of a benchmark, or else of the one it is a view of, and the space of that table."""
    from benchmarks.sources import find_table

    path = find_table(bench, folder)
    if path is None and space.view_of and (path := find_table(space.view_of, folder)):
        return path, space_of(space.view_of)
    return path, space


def _missing(space: Space, dataset: str | None, told: str) -> UserError:
    """Return the error where there is no ground truth; `told` says what to get. A dataset None is the embedded one."""
    if space.view_of:
        told = f"{space.title} is judged by the ground truth of benchmark {space.view_of}: {told}"
    if dataset is None:
        return UserError(f"{told}; {space.title} has no embedded ground truth yet")
    return UserError(f"dataset '{dataset}': {told}; or leave --dataset out for the embedded one")


def _open(path: Path, dataset: str | None, space: Space) -> Table:
    from benchmarks.table import list_datasets, load_table

    if path.suffix == ".h5":
        return load_table(path, dataset or _default(list_datasets(path), space))
    there = _tables(path, space)
    dataset = dataset or _default(there, space)
    if dataset not in there:
        raise suggest([dataset], there, f"dataset in {path}")
    return there[dataset]


def _tables(path: Path, space: Space) -> dict[str, Table]:
    """Return all tables of a file, by dataset."""
    from benchmarks.convert import read, recognise
    from benchmarks.table import list_datasets, load_table

    if path.suffix == ".h5":
        return {name: load_table(path, name) for name in list_datasets(path)}
    return {table.dataset: table for table in read(path, recognise(path), space)}


def _default(there: Collection[str], space: Space) -> str:
    """Return the dataset that is meant where none is named, out of those of a file."""
    first = next(iter(space.datasets))
    return next((name for name in (*space.datasets, *there) if name in there), first)
