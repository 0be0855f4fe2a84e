"""Discretising the edges of a supernet one by one, each to the operation with the best score. Orders of edges:

    fixed, reverse      as they are listed, or from the last
    random              uniform over the remaining edges; this makes proposals differ
    global-operation    all remaining edges are scored; the edge of the best operation of all is next
    global-edge         likewise; the edge with the best mean score is next
    global-*-once       edges are put in that order once, at the start (the released code does not sort: it goes
                        from the last edge to the first)

Operations are assigned by the position of their edge, whatever the order of decisions. Source: Zero-Cost-PT, Xiang et
al. (AAAI 2023, arXiv 2106.06799).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchmarks.errors import UserError, suggest
from harness.inputs.draw import Minibatch
from harness.operations.agreement import argmax
from harness.operations.config import ORDERS
from harness.operations.scores.perturbation import Evaluate, perturb
from harness.operations.supernets.masks import one_hot
from harness.operations.vertex_inputs import VertexInputs

Score = Callable[[Tensor, list[int], int], np.ndarray]
"""(mask, edges to score, number of the step) -> (edges, operations), larger is better; NaN on the other edges."""


@dataclass(frozen=True)
class Step:
    """One decision."""

    scores: np.ndarray
    """(edges, operations); NaN for edges that were not scored."""
    edge: int
    operation: int


@dataclass(frozen=True)
class Proposal:
    """The operations of all edges, and how they came about."""

    operations: tuple[int, ...]
    steps: tuple[Step, ...]
    inputs: tuple[VertexInputs, ...] = ()
    """Of the vertices whose inputs the space leaves open, selected afterwards."""


def propose(
    kind: str, evaluate: Evaluate, mask: Tensor, minibatch: Callable[[int], Minibatch], order: str = "random",
    generator: np.random.Generator | None = None, every_edge: bool = False, turns: int = 1,
    allowed: np.ndarray | None = None,
) -> Proposal:  # fmt: skip
    """Discretise all edges by the perturbation `kind`, a minibatch for `turns` decisions, from 0; `allowed` as for
    `perturb`, other arguments as for `decide`."""

    def score(mask: Tensor, edges: list[int], step: int) -> np.ndarray:
        return perturb(kind, evaluate, mask, edges, minibatch(step // turns), allowed)

    return decide(score, mask, order, generator, every_edge, turns=turns)


def decide(
    score: Score, mask: Tensor, order: str = "random", generator: np.random.Generator | None = None,
    every_edge: bool = False, between: Callable[[Tensor], None] = lambda mask: None, turns: int = 1,
) -> Proposal:  # fmt: skip
    """Discretise all edges of a mask, (edges, operations), each to the operation with the best score. `every_edge`
    scores all remaining edges at each step: decisions stay the same, cost does not. `between` is called with the mask
    after each decision but the last. `turns`: edges are so many equal parts (the two cells of DARTS), which take turns.
    UserError where no operation of an edge has a score."""
    if order not in ORDERS:
        raise suggest([order], ORDERS, "edge order")
    undecided, mask = list(range(len(mask))), mask.clone()
    steps: list[Step] = []
    queue = _ranked(score(mask, undecided, 0), order) if order.endswith("-once") else []
    while undecided:
        remaining = [edge for edge in undecided if edge * turns // len(mask) == len(steps) % turns]
        edge = _next(order, remaining, queue, generator)
        scores = score(mask, list(remaining) if edge is None or every_edge else [edge], len(steps))
        if edge is None:
            edge = _ranked(scores, order)[0]
        operation = int(argmax(scores[edge : edge + 1])[0][0])
        if operation < 0:
            raise UserError(f"no operation on edge {edge} has a score: give another --score or --batch-size")
        steps.append(Step(scores, edge, operation))
        mask[edge] = one_hot([operation], mask.shape[1])[0].to(mask)
        undecided.remove(edge)
        if undecided:
            between(mask)
    by_edge = {step.edge: step.operation for step in steps}
    return Proposal(tuple(by_edge[edge] for edge in range(len(mask))), tuple(steps))


def _next(order: str, remaining: list[int], queue: list[int], generator: np.random.Generator | None) -> int | None:
    """Return the next edge; None where that depends on the scores."""
    if order == "random":
        assert generator is not None, "a random order needs a generator"
        return int(generator.choice(remaining))
    if queue:
        return next(edge for edge in queue if edge in remaining)
    return {"fixed": remaining[0], "reverse": remaining[-1]}.get(order)


def _ranked(scores: np.ndarray, order: str) -> list[int]:
    """Return the edges that were scored, the best first: by their best operation, or by their mean."""
    edges = np.flatnonzero(~np.isnan(scores).all(1))
    worth = np.nanmax(scores[edges], 1) if order.startswith("global-operation") else np.nanmean(scores[edges], 1)
    return [int(edge) for edge in edges[np.argsort(-worth, kind="stable")]]
