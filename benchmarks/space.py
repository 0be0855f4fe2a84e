"""What every space of architectures has in common: its size, and how a sample of it is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.errors import UserError


class Space:
    """A space whose architectures are the strings `archs`, by index; docs/adding-a-benchmark.md says what it offers."""

    name: str
    """Key on the command line."""
    title: str
    """Name for people."""
    network: dict[str, Any]
    """Settings of the networks that were trained; `build` and `sizes` take them by name."""
    datasets: dict[str, tuple[int, int]]
    """dataset: (classes, resolution in pixels); the first is the default."""
    readers: dict[str, str]
    """Kind of official file (`benchmarks.convert.recognise`) -> `module:function` that reads it."""

    @property
    def archs(self) -> tuple[str, ...]:
        """Canonical strings by index."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.archs)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n indices drawn uniformly without replacement; a larger n extends the sample of a smaller one."""
        if not 1 <= n <= len(self):
            has = f"{self.title} has {len(self):,}: give 1 to {len(self)}"
            raise UserError(f"a sample of {n} architectures was asked for; {has}")
        return np.random.default_rng([seed, len(self)]).permutation(len(self))[:n]
