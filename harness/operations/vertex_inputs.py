"""The inputs of each vertex, where a space leaves them open (1Shot1): selected after all operations are discretised.

Vertex after vertex, each candidate input is pruned, all others as they were, and the k whose removal leaves the lowest
proxy S are selected; the space prescribes k for the vertex. Blocks come first, in the order of edges (a global order
counts as fixed), the output last. Scores are -S: larger is better, sign flipped. zero-cost-pt and disc-zc share this,
as a cell with a single input is no architecture. Source: Xiang et al. (AAAI 2023, arXiv 2106.06799), whose released
script takes k by the place in a shuffled list of vertices; here it is the vertex's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.errors import UserError
from harness.inputs.draw import Minibatch
from harness.operations.scores.perturbation import Evaluate
from harness.operations.supernets.masks import one_hot, pruned


@dataclass(frozen=True)
class VertexInputs:
    """The inputs of one vertex."""

    vertex: int
    """1 is the first block; the last is the output."""
    scores: np.ndarray
    """(vertex,), larger is better; candidate 0 is the input of the cell."""
    selected: tuple[int, ...]
    """In ascending order."""
    name: str = ""
    """Of a node of a space whose nodes have names; its candidates are numbered."""


def open_vertices(parents: Sequence[int]) -> list[int]:
    """Return the vertices that have more candidate inputs than `parents` prescribes, the output last."""
    return [vertex for vertex in range(1, len(parents)) if parents[vertex] < vertex]


def select_inputs(
    evaluate: Evaluate, supernet: Any, operations: Sequence[int], minibatch: Callable[[int], Minibatch],
    order: str = "fixed", generator: np.random.Generator | None = None,
) -> tuple[VertexInputs, ...]:  # fmt: skip
    """Return the inputs of every open vertex, in the order of selection; `minibatch` gives that of a step. UserError
    where fewer candidate inputs of a vertex have a score than it needs."""
    *blocks, output = open_vertices(supernet.parents)
    if order == "random":
        assert generator is not None, "a random order needs a generator"
        blocks = [int(vertex) for vertex in generator.permutation(blocks)]
    elif order == "reverse":
        blocks.reverse()
    weights, found = supernet.all_inputs(), []
    for step, vertex in enumerate([*blocks, output]):
        mask = supernet.whole(one_hot(operations, len(supernet.operations)), weights)
        scores = -evaluate(pruned(mask, supernet.blocks + vertex - 1)[:vertex], minibatch(step))
        selected = best(scores, supernet.parents[vertex])
        found.append(VertexInputs(vertex, scores, selected))
        weights[vertex - 1] = 0
        weights[vertex - 1, list(selected)] = 1
    return tuple(found)


def select_edges(
    evaluate: Evaluate, supernet: Any, operations: Sequence[int], minibatch: Callable[[int], Minibatch],
    generator: np.random.Generator,
) -> tuple[VertexInputs, ...]:  # fmt: skip
    """Return the edges that each node of `supernet.vertices` keeps, in the random order of selection.

    Each edge of a node is pruned from the discretised supernet, all its others as they were, and those stay whose
    removal leaves the lowest S. As Zero-Cost-PT on DARTS, which removes the edge of the highest S until two are left,
    its scores the same meanwhile. A step has one minibatch.
    """
    mask, found = one_hot(operations, len(supernet.operations)), []
    vertices = list(enumerate(supernet.vertices))
    for step, place in enumerate(generator.permutation(len(vertices)).tolist()):
        vertex, (name, edges, count) = vertices[place]
        masks = mask.repeat(len(edges), 1, 1)
        for at, edge in enumerate(edges):
            masks[at, edge] = 0
        open_ = len(edges) > count
        scores = -evaluate(masks, minibatch(step)) if open_ else np.full(len(edges), np.nan)
        kept = best(scores, count) if open_ else tuple(range(count))
        found.append(VertexInputs(vertex, scores, kept, name))
        mask[[edge for at, edge in enumerate(edges) if at not in kept]] = 0
    return tuple(found)


def salient_edges(supernet: Any, scores: np.ndarray) -> tuple[VertexInputs, ...]:
    """Return the edges that each node of `supernet.vertices` keeps by the best score of an operation on them."""
    found = []
    for vertex, (name, edges, count) in enumerate(supernet.vertices):
        worth = np.nanmax(scores[list(edges)], axis=1)
        found.append(VertexInputs(vertex, worth, best(worth, count), name))
    return tuple(found)


def best(scores: np.ndarray, count: int) -> tuple[int, ...]:
    """Return the places of the largest scores, ascending; the first of ties, never NaN. UserError for too few."""
    if (known := int((~np.isnan(scores)).sum())) < count:
        few = f"{known} of {len(scores)} candidate inputs of a vertex have a score and {count} are needed"
        raise UserError(f"{few}; give another proxy or --batch-size")
    order = [int(at) for at in np.argsort(-scores, kind="stable") if not np.isnan(scores[at])]
    return tuple(sorted(order[:count]))


def all_inputs(parents: Sequence[int], found: Sequence[VertexInputs]) -> tuple[tuple[int, ...], ...]:
    """Return the inputs of every vertex from 1 on, those that leave no choice included."""
    chosen = {each.vertex: each.selected for each in found}
    return tuple(chosen.get(vertex, tuple(range(vertex))) for vertex in range(1, len(parents)))


def printed(parents: Sequence[int], found: Sequence[VertexInputs]) -> str:
    """Return the inputs of all vertices as the edges of the printed form: `01,02,...`."""
    inputs = enumerate(all_inputs(parents, found), start=1)
    return ",".join(f"{source}{vertex}" for vertex, sources in inputs for source in sources)
