"""Zero-Cost-PT: edges decided one by one by a score of their operations, several times; then the best proposal.

Proposal n (of N) draws new architecture parameters; the weights stay. While an edge is undecided one is taken by the
edge order, its operations are scored on a fresh minibatch, and it is decided for the best. Validation builds every
different proposal as a network of its own and takes the one whose proxy, summed over V minibatches, is largest.
Source: Xiang et al. (AAAI 2023, arXiv 2106.06799). Orders:

    fixed, reverse      edges as they are listed, or from the last
    random              uniform over undecided edges; this is what makes proposals differ
    global-operation    all undecided edges are scored; the best operation of all is decided
    global-edge         likewise; the edge with the best mean score is decided
    global-*-once       edges are put in that order once, at the start (the released code does not sort: it goes
                        from the last edge to the first)

Operations are kept by the position of their edge, whatever the order they were decided in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.errors import UserError, suggest
from harness.inputs import Minibatch
from harness.operations.judge import argmax
from harness.operations.methods import ORDERS
from harness.operations.perturb import Evaluate, perturb
from harness.operations.sources import Fed


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
    sources: tuple[Fed, ...] = ()
    """What feeds each vertex, decided afterwards, where the space leaves that open."""


def propose(
    kind: str,
    evaluate: Evaluate,
    mask: Tensor,
    minibatch: Callable[[int], Minibatch],
    order: str = "random",
    generator: np.random.Generator | None = None,
    every_edge: bool = False,
) -> Proposal:
    """Decide all edges of a mask, (edges, operations). `minibatch` gives that of each step, from 0.

    `every_edge` scores all undecided edges at each step, to be looked at: decisions stay the same, cost does not.
    UserError for an unknown order, or where no operation of an edge has a score.
    """
    if order not in ORDERS:
        raise suggest([order], ORDERS, "edge order")
    undecided, mask = list(range(len(mask))), mask.clone()
    steps: list[Step] = []
    queue: list[int] = []
    if order.endswith("-once"):
        queue = _ranked(perturb(kind, evaluate, mask, undecided, minibatch(0)), order)
    while undecided:
        edge = _next(order, undecided, queue, generator)
        scored = undecided if edge is None or every_edge else [edge]
        scores = perturb(kind, evaluate, mask, scored, minibatch(len(steps)))
        if edge is None:
            edge = _ranked(scores, order)[0]
        operation = int(argmax(scores[edge : edge + 1])[0][0])
        if operation < 0:
            raise UserError(f"{kind}: no operation on edge {edge} has a score; give another proxy or --batch-size")
        steps.append(Step(scores, edge, operation))
        mask[edge] = torch.nn.functional.one_hot(torch.tensor(operation), mask.shape[1]).to(mask)
        undecided.remove(edge)
    by_edge = {step.edge: step.operation for step in steps}
    return Proposal(tuple(by_edge[edge] for edge in range(len(mask))), tuple(steps))


def _next(order: str, undecided: list[int], queue: list[int], generator: np.random.Generator | None) -> int | None:
    """Return the edge whose turn it is; None where its scores have to say."""
    if order == "random":
        assert generator is not None, "a random order needs a generator"
        return int(generator.choice(undecided))
    if queue:
        return next(edge for edge in queue if edge in undecided)
    return {"fixed": undecided[0], "reverse": undecided[-1]}.get(order)


def _ranked(scores: np.ndarray, order: str) -> list[int]:
    """Return the edges that were scored, the best first: by their best operation, or by their mean."""
    edges = np.flatnonzero(~np.isnan(scores).all(1))
    worth = np.nanmax(scores[edges], 1) if order.startswith("global-operation") else np.nanmean(scores[edges], 1)
    return [int(edge) for edge in edges[np.argsort(-worth, kind="stable")]]


