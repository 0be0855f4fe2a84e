"""Graphs of NAS-Bench-1Shot1: which vertices feed each choice block and the output, in three populations."""

import itertools
from collections.abc import Iterator

PARENTS = {1: (0, 1, 2, 2, 2, 2), 2: (0, 1, 1, 2, 2, 3), 3: (0, 1, 1, 1, 2, 2, 2)}
"""Space -> how many vertices feed each vertex: input, blocks, output."""

Graph = frozenset[tuple[int, int]]
"""Edges (source, target)."""


def used(graph: Graph, blocks: int) -> list[int]:
    """Return the blocks (1 .. blocks) that feed something."""
    return sorted({source for source, _ in graph} & set(range(1, blocks + 1)))


def released_graphs(space: int) -> list[Graph]:
    """Return the pruned graphs whose used blocks form one chain from the input to the output: 49 / 65 / 234."""
    blocks = len(PARENTS[space]) - 2

    def is_chain(graph: Graph) -> bool:
        return set(itertools.pairwise([0, *used(graph, blocks), blocks + 1])) <= graph

    return [graph for graph in pruned_graphs(space) if is_chain(graph)]


def all_graphs(space: int) -> Iterator[Graph]:
    """Yield every graph in which each vertex has its prescribed number of inputs: 180 / 360 / 5,400."""
    counts = enumerate(PARENTS[space][1:], start=1)
    for chosen in itertools.product(*(itertools.combinations(range(vertex), count) for vertex, count in counts)):
        yield frozenset((source, vertex) for vertex, sources in enumerate(chosen, start=1) for source in sources)


def closed_graphs(space: int) -> list[Graph]:
    """Return every graph in which all blocks feed something: 38 / 138 / 445."""
    blocks = len(PARENTS[space]) - 2
    return [graph for graph in all_graphs(space) if len(used(graph, blocks)) == blocks]


def pruned_graphs(space: int) -> list[Graph]:
    """Return what is left of every graph without blocks that lead nowhere, each once: 66 / 190 / 876."""
    return list(dict.fromkeys(map(without_loose_ends, all_graphs(space))))


def without_loose_ends(graph: Graph) -> Graph:
    last = max(target for _, target in graph)
    feeding = {source for source, _ in graph} | {last}
    left = frozenset((source, target) for source, target in graph if target in feeding)
    return left if left == graph else without_loose_ends(left)


POPULATIONS = {"released": released_graphs, "closed": closed_graphs, "pruned": pruned_graphs}
"""Name -> the graphs of a space."""
