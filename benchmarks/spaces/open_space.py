"""Spaces too large for a list: a table holds some of their architectures, searches add what they find."""

from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from typing import Any

from benchmarks.errors import UserError
from benchmarks.spaces.space import Space


class ListedSpace(Space):
    """A space known as far as a table holds it, in the table's order. A sample and neighbours are among these."""

    open = True
    kind: str
    """What an architecture is called in a message."""
    _archs: tuple[str, ...]

    def __init__(self, archs: Sequence[str] = ()) -> None:
        self._archs = tuple(archs)

    @property
    def archs(self) -> tuple[str, ...]:
        """Strings as the table writes them."""
        return self._archs

    @property
    def expected(self) -> None:
        """None: a table may hold any architectures and defines the space."""

    def key(self, arch: str) -> Hashable:
        """Return what is the same for all strings that `index` takes for one; UserError for what is no architecture."""
        raise NotImplementedError

    def near(self, index: int) -> Iterator[Hashable]:
        """Yield the keys of the architectures of the whole space that differ from one in a single choice."""
        raise NotImplementedError

    @cached_property
    def _of_key(self) -> dict[Hashable, int]:
        """Key -> index of the first architecture."""
        return {self.key(arch): index for index, arch in reversed(list(enumerate(self.archs)))}

    def index(self, arch: str) -> int:
        """Return the index of an architecture in any spelling; UserError for one that the table lacks."""
        if arch in self._position:
            return self._position[arch]
        if (found := self._of_key.get(self.key(arch))) is None:
            raise UserError(f"'{arch}' is a {self.kind}, but not among the {len(self):,} of the table at hand")
        return found

    def neighbours(self, index: int) -> list[int]:
        """Return the architectures of the table that differ from one in a single choice."""
        found = {self._of_key[key] for key in self.near(index) if key in self._of_key}
        return sorted(found - {index})


class OpenSpace:
    """A space, to be named before it among the bases, whose architectures are those that were found so far."""

    _archs: tuple[str, ...]

    def every(self) -> Any:
        """Return this space."""
        return self

    def add(self, arch: str) -> int:
        """Return the index of an architecture, which is added where it is new."""
        if arch not in self._archs:
            self._archs = (*self._archs, arch)
            for name in [each for each in vars(self) if isinstance(getattr(type(self), each, None), cached_property)]:
                del vars(self)[name]
        return self._archs.index(arch)
