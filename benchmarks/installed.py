"""Benchmarks of other installed packages: entry points of the group `nas_harness.benchmarks`, key -> `module:Class`.

Finding them reads what packages declare and imports none of them; a package's code runs when its key is used.
"""

import re
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from benchmarks.errors import UserError
from benchmarks.spaces.space import Space

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
