"""What a sample of a space is a sample of: strings, or networks."""

from typing import Any

import numpy as np

from benchmarks.benchmark import Benchmark
from benchmarks.spaces.space import Space

FEWEST = 10
"""Of fewer strings nothing can be told."""


def sample_facts(benchmark: Benchmark, rows: np.ndarray) -> dict[str, Any]:
    """Return what a manifest says of the sample: the size of the space, in strings and networks, and the unit drawn.

    The unit is strings, unless the rows or those of a partial table are networks: one string for each of them, the one
    that names its class, or all of its strings.
    """
    space = benchmark.space
    parts = [index for index in (benchmark.indices[rows], benchmark.indices) if len(index) < space.full_size]
    unit = "networks" if any(_are_networks(space, index) for index in parts) else "strings"
    networks = space.full_size - len(space) + len(np.unique(space.class_id))
    return {"space_size": space.full_size, "space_networks": networks, "unit": unit}


def _are_networks(space: Space, index: np.ndarray) -> bool:
    sizes = space.class_sizes(index)
    if len(index) < FEWEST or sizes.max() == 1:
        return False
    strings = np.unique(space.class_id[index], return_counts=True)[1]
    closed = strings.max() > 1 and (1 / sizes).sum() == len(strings)
    return bool(closed or (space.class_id[index] == index).all())
