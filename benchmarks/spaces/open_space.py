"""Spaces too large for a list: searches add what they find."""

from functools import cached_property
from typing import Any


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
