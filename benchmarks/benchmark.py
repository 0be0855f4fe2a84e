"""Which benchmarks there are, built in or of other packages, and opening one: its space and its ground truth."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np

from benchmarks.errors import UserError, joined, suggest
from benchmarks.files.sources import VARIABLE, data_folder, matches, readable_size
from benchmarks.readers.csv_table import dataset_key
from benchmarks.readers.recognise import read, recognise
from benchmarks.spaces.settings import changed
from benchmarks.spaces.space import Space
from benchmarks.table import Table, list_datasets, load_table

BENCHMARKS = {
    "201": "benchmarks.nasbench201.space:Space201",
    "nats-size": "benchmarks.nats_size.space:SpaceSize",
    "101": "benchmarks.nasbench101.space:Space101",
    "macro": "benchmarks.nasbench_macro.space:SpaceMacro",
    "darts": "benchmarks.darts.space:SpaceDarts",
    "mobilenet": "benchmarks.mobilenet.space:SpaceMobile",
    **{f"darts-s{part}": f"benchmarks.darts.space:space_s{part}" for part in (1, 2, 3, 4)},
} | {
    f"1shot1-{number}{population}": f"benchmarks.nasbench1shot1.space:space_{number}{population.replace('-', '_')}"
    for population in ("", "-closed", "-pruned")
    for number in (1, 2, 3)
}
"""Key on the command line -> `module:class` of its space. A new benchmark is one file and one line here, or an
entry point of another package."""
GROUPS = {
    f"1shot1{population}": tuple(f"1shot1-{number}{population}" for number in (1, 2, 3))
    for population in ("", "-closed", "-pruned")
}
"""Benchmark of several spaces -> their keys, space 1 first; each is run and reported separately."""
EMBEDDED = Path(__file__).parent / "embedded"
"""Tables this project made and ships: networks of the spaces, reduced, trained on the UCI digits."""
EMBEDDED_DATASET = "digits"
GROUP = "nas_harness.benchmarks"
KEY = re.compile(r"[\w.-]+", re.ASCII)
"""Keys become names of files."""


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
    """Settings of the networks that are scored: channels, cells_per_stage, input_channels, classes; None where it
    depends on the images."""
    resolution: int | None
    """Side of the images in pixels."""
    embedded: bool
    """Whether this is the table that ships with the project."""
    trained: dict[str, int] = field(default_factory=dict)
    """Those of `network` that differ in the networks that were trained, whose parameters and FLOPs are counted."""

    def network_settings(self, classes: int | None = None, changes: Mapping[str, int] | None = None) -> dict[str, int]:
        """Return the settings of the networks, as trained but for `changes`.

        `classes` are those of the images, for a table that does not say. UserError where neither says, or for a change
        that the space does not know.
        """
        settings = changed(self.network, changes or {}, self.space.title)
        settings["classes"] = settings["classes"] or classes
        if settings["classes"] is None:
            raise UserError(f"only images say how many classes '{self.table.dataset}' has: leave --inputs gaussian out")
        return {name: int(value) for name, value in settings.items() if value is not None}


def load(
    bench: str, dataset: str | None = None, data: str | Path | None = None, network: str | None = None
) -> Benchmark:
    """Open a benchmark: the space and its ground truth on a dataset.

    `data` is the folder of ground truth and images (default: the environment variable NAS_HARNESS_DATA, otherwise the
    user's cache, if `nas-harness data get` put something there). The default
    dataset is the first of the space's that is in the ground truth, otherwise the first one there; without ground
    truth, the embedded digits. UserError for a dataset that is not found: where it was looked for and what to get.
    `network` as for `space_of`.
    """
    bench = str(bench)
    space = space_of(bench, network=network)
    folder = data_folder(data)
    wanted = None if dataset is None else dataset_key(dataset)
    owner = space.view_of if space.open and space.view_of else bench
    shipped = EMBEDDED / f"{EMBEDDED_DATASET}{owner}.h5"
    at_once = wanted == EMBEDDED_DATASET and shipped.is_file()
    path, holder = (None, space) if at_once else _find(space, bench, folder)
    silent = wanted is None and data is None  # a folder that is named has to hold the ground truth
    embedded = path is None and (at_once or (silent and shipped.is_file()))
    if embedded:
        path, wanted, holder = shipped, EMBEDDED_DATASET, space if owner == bench else space_of(owner)
    if path is None:
        raise _missing(space, dataset, what_to_get(space.view_of or bench, folder), shipped.is_file())
    table = _open(path, wanted, holder)
    if holder is not space:
        table = space.view(table)
    space = space.over(table.archs)
    indices = np.array([space.index(arch) for arch in table.archs])
    sizes = _sizes(space, table, path)
    resolution = sizes.pop("resolution")
    trained = {name: int(table.attributes.get(name, size)) for name, size in space.counted.items()}
    return Benchmark(space, table, indices, sizes, resolution, embedded, trained)


def space_of(bench: str, archs: Sequence[str] | None = None, network: str | None = None) -> Space:
    """Return the space of a benchmark key. UserError where there is none, or where another package's is broken.

    `archs` are those of a table, for a space that its table defines. `network` names the kind of networks of its
    architectures, where there are several.
    """
    bench = str(bench)
    points = declared().get(bench, [])
    if problem := collision(bench, points, bench in BENCHMARKS or bench in GROUPS):
        raise problem
    if bench not in BENCHMARKS and not points:
        raise unknown_benchmark(bench)
    space = make(points[0]) if points else built_in(BENCHMARKS[bench])
    if network is not None:
        space = space.with_network(network)
    return space if archs is None else space.over(archs)


@cache
def built_in(home: str) -> Space:
    """Return the space of `module:class`, made once: what follows from its architectures is computed once too."""
    space: Space = resolve_name(home)()
    return space


def known() -> tuple[str, ...]:
    """Return the keys of all benchmarks: the built-in ones, then those of other installed packages."""
    others = sorted(key for key in declared() if KEY.fullmatch(key))
    return tuple(dict.fromkeys((*BENCHMARKS, *others)))


def expand(bench: str, spaces: str | None = None) -> tuple[str, ...]:
    """Return the keys a name stands for: those of a group (with `spaces` "1,3" these of them), otherwise the name.

    UserError for spaces the group does not have, or where the name is no group.
    """
    bench = str(bench)
    if bench not in GROUPS:
        if spaces is not None:
            raise UserError(f"--space {spaces}: only for --bench {', '.join(GROUPS)}, not {bench}")
        return (bench,)
    members = {key.split("-")[1]: key for key in GROUPS[bench]}
    wanted = list(members) if spaces is None else [each.strip() for each in joined(spaces).split(",")]
    if unknown := [each for each in wanted if each not in members]:
        raise suggest(unknown, members, f"space of {bench}")
    return tuple(members[each] for each in dict.fromkeys(wanted))


def unknown_benchmark(bench: str) -> UserError:
    """Return the error for a key that names no benchmark; a group's says which to choose from."""
    if bench in GROUPS:
        return UserError(f"benchmark {bench} is several spaces; choose one here: {', '.join(GROUPS[bench])}")
    return suggest([bench], [*known(), *GROUPS], "benchmark")


def declared() -> dict[str, list[EntryPoint]]:
    """Return key -> the entry points of that name: one, unless several packages chose the same."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def package(point: EntryPoint) -> str:
    """Return the name of the package that declares an entry point."""
    return point.dist.name if point.dist else "?"


def collision(key: str, points: Sequence[EntryPoint], built_in: bool) -> UserError | None:
    """Return the error for a key that is ambiguous or no valid name; otherwise None."""
    packages = " and ".join(sorted(map(package, points)))
    if points and built_in:
        return UserError(f"benchmark '{key}' of the package {packages} has a built-in name; it has to take another")
    if len(points) > 1:
        return UserError(f"benchmark '{key}' is declared by the packages {packages}; uninstall all but one")
    if points and not KEY.fullmatch(key):
        return UserError(f"benchmark '{key}' of the package {packages}: a name has letters, digits and . _ - alone")
    return None


def make(point: EntryPoint) -> Space:
    """Import an entry point and return its space. UserError that names the package where that does not work."""
    said = f"benchmark '{point.name}' of the package {package(point)} cannot be used"
    try:
        space = point.load()()
    except (Exception, SystemExit) as error:
        why = " ".join(str(error).split()) or "no reason given"
        raise UserError(f"{said}: {point.value}: {type(error).__name__}: {why}") from error
    if not isinstance(space, Space):
        raise UserError(f"{said}: {point.value} makes a {type(space).__name__}, not a benchmarks.spaces.space.Space")
    if space.name != point.name:
        raise UserError(f"{said}: its space has the name '{space.name}'; expected '{point.name}'")
    return space


def _sizes(space: Space, table: Table, path: Path) -> dict[str, Any]:
    """Return the settings of the networks and the resolution: those of the space, or what the table states instead."""
    of_images = ("input_channels", "classes", "resolution")
    taken = of_images if space.form else (*space.network, *of_images)  # widths are those of the networks trained
    facts = {name: value for name, value in table.attributes.items() if name in taken}
    if wrong := [f"{name} {value!r}" for name, value in facts.items() if type(value) is not int or value < 1]:
        raise UserError(f"{path}: sizes of its networks that are no whole numbers above 0: {', '.join(wrong)}")
    classes, resolution = space.datasets.get(table.dataset, (None, None))
    return {**space.network, "classes": classes, "resolution": resolution, **facts}


def tables(bench: str, data: str | Path | None = None) -> dict[str, Table]:
    """Return the ground truth of a benchmark on every dataset of the data folder: dataset -> table, {} without any.

    `data` as for `load`. The embedded digits are not among them.
    """
    space = space_of(bench)
    path, holder = _find(space, bench, data_folder(data))
    found = _tables(path, holder) if path else {}
    return found if holder is space else {name: space.view(table) for name, table in found.items()}


def _find(space: Space, bench: str, folder: Path | None) -> tuple[Path | None, Space]:
    """Return the table of a benchmark, or else of the one it is a view of, and the space of that table."""
    path = find_table(bench, folder)
    if path is None and space.view_of and (path := find_table(space.view_of, folder, samples=False)):
        return path, space_of(space.view_of)
    return path, space


def _missing(space: Space, dataset: str | None, hint: str, ships: bool) -> UserError:
    """Return the error where there is no ground truth; `hint` says what to get, `ships` whether digits are embedded."""
    named = f"dataset '{dataset}': " if dataset else ""
    whose = f"{space.title} is judged by the ground truth of benchmark {space.view_of}: " if space.view_of else ""
    other = f"or name --dataset {EMBEDDED_DATASET} for the" if ships else f"{space.title} has no"
    return UserError(f"{named}{whose}{hint}; {other} embedded table")


def _open(path: Path, dataset: str | None, space: Space) -> Table:
    if path.suffix == ".h5":
        return load_table(path, dataset or _default(list_datasets(path), space))
    there = _tables(path, space)
    dataset = dataset or _default(there, space)
    if dataset not in there:
        raise suggest([dataset], there, f"dataset in {path}")
    return there[dataset]


def _tables(path: Path, space: Space) -> dict[str, Table]:
    """Return all tables of a file, by dataset; of an official file that is read as it is, with those beside it."""
    if path.suffix == ".h5":
        return {name: load_table(path, name) for name in list_datasets(path)}
    part = path.name in space.samples
    direct = [each for source in space.sources if source.direct for each in matches(source, path.parent)]
    files = direct if path in direct and not part else [path]
    return {table.dataset: table for file in files for table in read(file, recognise(file), space, complete=not part)}


def _default(there: Collection[str], space: Space) -> str:
    """Return the default dataset among those of a file."""
    first = next(iter(space.datasets))
    return next((name for name in (*space.datasets, *there) if name in there), first)


def find_table(bench: str, folder: Path | None, samples: bool = True) -> Path | None:
    """Return the ground truth of a benchmark in the data folder: a uniform sample unless `samples` is False, our `.h5`,
    otherwise a `.csv`, otherwise an official file that is read as it is, otherwise None.

    Raises UserError, with the command to type, where there is only an official file to be converted.
    """
    if folder is None:
        return None
    space = space_of(bench)
    for name in (*(space.samples if samples else ()), f"nasbench{bench}.h5", f"nasbench{bench}.csv"):
        if (folder / name).is_file():
            return folder / name
    for source in sorted(space.sources, key=lambda source: not source.direct):
        for path in matches(source, folder) if source.name not in space.samples else ():
            if source.direct:
                return path
            raise UserError(f"{path.name} is an official file; convert it once: python -m benchmarks.convert {path}")
    return None


def what_to_get(bench: str, folder: Path | None) -> str:
    """Return one line: where the ground truth of a benchmark was looked for, what to get, how large, from where."""
    looked = f"in {folder}" if folder else f"nowhere, as neither --data nor {VARIABLE} names a folder"
    sources, small = space_of(bench).sources, dict[str, int]()
    for source in sources:
        if source.group:
            small[source.group] = small.get(source.group, 0) + (source.size or 0)
    choices = [f"its small files ({readable_size(size)}: nas-harness data get {name})" for name, size in small.items()]
    choices += [f"{each.name} ({readable_size(each.size)}, {each.page})" for each in sources if not each.group]
    get = " or ".join(choices or [f"nasbench{bench}.csv (accuracies as CSV, see docs/data.md)"])
    return f"no ground truth of benchmark {bench} found (looked {looked}); get {get}"
