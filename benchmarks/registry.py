"""Which benchmarks there are: the space of every key, built in or of another installed package."""

import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name

from benchmarks.errors import UserError, suggest
from benchmarks.spaces.space import Space

BENCHMARKS = {
    "201": "benchmarks.nasbench201.space:Space201",
    "101": "benchmarks.nasbench101.space:Space101",
    "macro": "benchmarks.nasbench_macro.space:SpaceMacro",
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


def known() -> tuple[str, ...]:
    """Return the keys of all benchmarks: the built-in ones, then those of other installed packages."""
    others = sorted(key for key in declared() if KEY.fullmatch(key))
    return tuple(dict.fromkeys((*BENCHMARKS, *others)))


def expand(bench: str, spaces: str | None = None) -> tuple[str, ...]:
    """Return the keys a name stands for: those of a group (with `spaces` "1,3" these of them), otherwise the name.

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

    `archs` are those of a table, for a space that its table defines. `network` names the kind of networks of its
    architectures, where there are several.
    """
    points = declared().get(bench, [])
    if problem := collision(bench, points, bench in BENCHMARKS or bench in GROUPS):
        raise problem
    if bench not in BENCHMARKS and not points:
        raise unknown_benchmark(bench)
    space: Space = make(points[0]) if points else resolve_name(BENCHMARKS[bench])()
    if network is not None:
        space = space.with_network(network)
    return space if archs is None else space.over(archs)


GROUP = "nas_harness.benchmarks"


KEY = re.compile(r"[\w.-]+", re.ASCII)
"""Keys become names of files."""


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
