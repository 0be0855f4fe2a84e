"""Random numbers for many simulated runs at once: each run has its own streams, whatever other runs there are."""

from collections.abc import Sequence

import numpy as np

BLOCK = 2048
"""Numbers drawn ahead for each run."""


class Draws:
    """Random numbers of the runs `runs` under a seed. Those of run r do not depend on the other runs."""

    def __init__(self, seed: int, runs: Sequence[int]) -> None:
        self.generators = [np.random.default_rng([seed, run, 0]) for run in runs]
        """One for each run, for what cannot be done for all runs at once."""
        self._ahead = [np.random.default_rng([seed, run, 1]) for run in runs]
        self._block = np.empty((len(runs), 0))

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.generators)

    def uniform(self, count: int) -> np.ndarray:
        """Return the next numbers of every run, in [0, 1): (runs, count) float64. Only earlier counts matter."""
        if self._block.shape[1] < count:
            size = max(BLOCK, count)
            self._block = np.stack([generator.random(size) for generator in self._ahead])
        drawn, self._block = self._block[:, :count], self._block[:, count:]
        return drawn

    def below(self, limit: int, count: int) -> np.ndarray:
        """Return the next whole numbers in [0, limit), (runs, count) int64."""
        return (self.uniform(count) * limit).astype(np.int64)

    def choose(self, n: int, count: int) -> np.ndarray:
        """Return `count` different ones of 0 .. n-1 for every run, in random order: (runs, count) int64."""
        return np.stack([generator.choice(n, count, replace=False) for generator in self.generators])
