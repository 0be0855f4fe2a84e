"""What every space of architectures has in common: its size, and how a sample of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from benchmarks.errors import UserError


class Space:
    """A space whose architectures are the strings `archs`, by index; docs/adding-a-benchmark.md says what it offers."""

    name: str
    """Key on the command line."""
    network: dict[str, Any]
    """Settings of the networks that were trained; `build` and `sizes` take them by name."""
    datasets: dict[str, tuple[int, int]]
    """dataset: (classes, resolution in pixels); the first is the default."""
    readers: dict[str, str]
    """Kind of official file (`benchmarks.convert.recognise`) -> `module:function` that reads it."""

    together: int | None = None
    """Architectures in a stack beyond which nothing is gained, where there is such a number."""

    @property
    def title(self) -> str:
        """Name for people."""
        raise NotImplementedError

    @property
    def archs(self) -> tuple[str, ...]:
        """Canonical strings by index."""
        raise NotImplementedError

    @property
    def expected(self) -> tuple[str, ...] | None:
        """The architectures a table has to hold, in order; None where the table says what the space is."""
        return self.archs

    def over(self, archs: Sequence[str]) -> Self:
        """Return the space of a table with these architectures: this one, where the space is known without a table."""
        return self

    def __len__(self) -> int:
        return len(self.archs)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n indices drawn uniformly without replacement; a larger n extends the sample of a smaller one."""
        if not 1 <= n <= len(self):
            has = f"{self.title} has {len(self):,}: give 1 to {len(self)}"
            raise UserError(f"a sample of {n} architectures was asked for; {has}")
        return np.random.default_rng([seed, len(self)]).permutation(len(self))[:n]
