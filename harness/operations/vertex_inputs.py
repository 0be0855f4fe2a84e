"""What feeds each vertex, where a space leaves that open (1Shot1): decided after all operations are.

With the operations decided, vertex after vertex: each possible source is taken away, all others as they were, and the k
whose removal leaves the lowest proxy S are kept; k is what the space prescribes there. Blocks come first, in the order
of edges (a global order counts as fixed), the output last. Scores are -S: larger is better, sign flipped. Both
zero-cost-pt and disc-zc do it so, as a single source decided on is no architecture. Source: Xiang et al. (AAAI 2023,
arXiv 2106.06799), whose released script takes k by the place in a shuffled list of vertices; here it is the vertex's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.errors import UserError
from harness.inputs.draw import Minibatch
from harness.operations.scores.perturbation import Evaluate
from harness.operations.supernets.masks import one_hot, removed


@dataclass(frozen=True)
class Fed:
    """The sources of one vertex."""

    vertex: int
    """1 is the first block; the last is the output."""
    scores: np.ndarray
    """(vertex,), larger is better; source 0 is the input."""
    kept: tuple[int, ...]
    """In ascending order."""


def open_vertices(parents: Sequence[int]) -> list[int]:
    """Return the vertices that have more possible sources than `parents` prescribes, the output last."""
    return [vertex for vertex in range(1, len(parents)) if parents[vertex] < vertex]


def decide_sources(
    evaluate: Evaluate,
    supernet: Any,
    operations: Sequence[int],
    minibatch: Callable[[int], Minibatch],
    order: str = "fixed",
    generator: np.random.Generator | None = None,
) -> tuple[Fed, ...]:
    """Return the sources of every open vertex, in the order they were decided in; `minibatch` gives that of a step.

    UserError where fewer sources of a vertex have a score than it needs.
    """
    *blocks, output = open_vertices(supernet.parents)
    if order == "random":
        assert generator is not None, "a random order needs a generator"
        blocks = [int(vertex) for vertex in generator.permutation(blocks)]
    elif order == "reverse":
        blocks.reverse()
    sources, found = supernet.all_sources(), []
    for step, vertex in enumerate([*blocks, output]):
        mask = supernet.whole(one_hot(operations, len(supernet.operations)), sources)
        scores = -evaluate(removed(mask, supernet.blocks + vertex - 1)[:vertex], minibatch(step))
        kept = best(scores, supernet.parents[vertex])
        found.append(Fed(vertex, scores, kept))
        sources[vertex - 1] = 0
        sources[vertex - 1, list(kept)] = 1
    return tuple(found)


def best(scores: np.ndarray, count: int) -> tuple[int, ...]:
    """Return the places of the largest scores, ascending; the first of ties, never NaN. UserError for too few."""
    if (known := int((~np.isnan(scores)).sum())) < count:
        few = f"{known} of {len(scores)} sources of a vertex have a score and {count} are needed"
        raise UserError(f"{few}; give another proxy or --batch-size")
    order = [int(at) for at in np.argsort(-scores, kind="stable") if not np.isnan(scores[at])]
    return tuple(sorted(order[:count]))


def all_kept(parents: Sequence[int], found: Sequence[Fed]) -> tuple[tuple[int, ...], ...]:
    """Return the sources of every vertex from 1 on, those that leave no choice included."""
    chosen = {fed.vertex: fed.kept for fed in found}
    return tuple(chosen.get(vertex, tuple(range(vertex))) for vertex in range(1, len(parents)))


def names(vertices: int) -> tuple[str, ...]:
    """Return what vertices are called: the input, blocks, the output."""
    return ("input", *(f"block {at}" for at in range(1, vertices - 1)), "output")


def said(parents: Sequence[int], found: Sequence[Fed]) -> str:
    """Return the sources of all vertices for people, as the edges of the printed form: `01,02,...`."""
    pairs = [(s, v) for v, feeding in enumerate(all_kept(parents, found), start=1) for s in feeding]
    return ",".join(f"{source}{vertex}" for source, vertex in pairs)


def mask_of_sources(supernet: Any, operations: Sequence[int]) -> torch.Tensor:
    """Return the mask of decided operations, every vertex fed by all before it."""
    return supernet.whole(one_hot(operations, len(supernet.operations)))
