"""MISSING DOC"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from benchmarks.nasbench101.arrays import as_arrays, fingerprints
from benchmarks.nasbench101.cells import EDGES, OPERATIONS, Cell, graph_hash, problem_of, pruned


def edits(cell: Cell) -> list[Cell]:
    """Return the different cells one edit away, pruned: one edge added or removed, or one operation changed.

    The edits of the benchmark's own definition of distance. Isomorphic results are given once, the cell itself never.
    """
    changed = []
    for edge in combinations(range(cell.vertices), 2):
        edges = set(cell.edges) ^ {edge}
        changed.append(Cell(cell.operations, tuple(sorted(edges))))
    for at, operation in enumerate(cell.operations):
        for other in OPERATIONS:
            if other != operation:
                changed.append(Cell((*cell.operations[:at], other, *cell.operations[at + 1 :]), cell.edges))
    found = {graph_hash(kept): kept for each in changed if (kept := pruned(each)) and not problem_of(kept)}
    found.pop(graph_hash(cell), None)
    return list(found.values())


def enumerate_cells(vertices: int) -> Iterator[Cell]:
    """Yield every different cell of exactly this many vertices once: 1, 6, 84, 2,441, 62,010, 359,082 for 2 to 7.

    Graphs are told apart unlabelled first, so that each labelling is looked at for one graph of its kind only. All
    423,624 cells take some ten seconds.
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
