"""Every different cell of NAS-Bench-101."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from benchmarks.nasbench101.arrays import as_arrays, fingerprints
from benchmarks.nasbench101.cells import EDGES, OPERATIONS, Cell


def enumerate_cells(vertices: int) -> Iterator[Cell]:
    """Yield every different cell of exactly this many vertices once: 1, 6, 84, 2,441, 62,010, 359,082 for 2 to 7.

    Isomorphic graphs are removed before they are labelled. All 423,624 cells take some ten seconds.
    """
    pairs = list(combinations(range(vertices), 2))
    bits = np.arange(2 ** len(pairs), dtype=np.int64)
    present = (bits[:, None] >> np.arange(len(pairs))) & 1  # (graphs, pairs)
    full = present.sum(1) <= EDGES
    for vertex in range(vertices):
        if vertex:
            full &= present[:, [b == vertex for _, b in pairs]].any(1)
        if vertex < vertices - 1:
            full &= present[:, [a == vertex for a, _ in pairs]].any(1)
    same = (OPERATIONS[0],) * (vertices - 2)
    graphs = [Cell(same, tuple(pairs[i] for i in row.nonzero()[0])) for row in present[full]]
    _, first = np.unique(fingerprints(*as_arrays(graphs)), return_index=True)
    for at in sorted(first):
        labelled = [Cell(operations, graphs[at].edges) for operations in _labellings(vertices - 2)]
        _, kept = np.unique(fingerprints(*as_arrays(labelled)), return_index=True)
        yield from (labelled[i] for i in sorted(kept))


def _labellings(n: int) -> list[tuple[str, ...]]:
    return [()] if n == 0 else [(*rest, operation) for rest in _labellings(n - 1) for operation in OPERATIONS]
