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
from harness.inputs.draw import Minibatch
from harness.operations.agreement import argmax
from harness.operations.config import ORDERS
from harness.operations.scores.perturbation import Evaluate, perturb
from harness.operations.vertex_inputs import Fed

Score = Callable[[Tensor, list[int], int], np.ndarray]
"""(mask, edges to score, number of the step) -> (edges, operations), larger is better; NaN on edges not asked for."""


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
    """Decide all edges of a mask, (edges, operations), by zc-pt or disc-zc, a minibatch a step, from 0.

    UserError where no operation of an edge has a score. The rest as for `decide`.
    """

    def score(mask: Tensor, edges: list[int], step: int) -> np.ndarray:
        return perturb(kind, evaluate, mask, edges, minibatch(step))

    return decide(score, mask, order, generator, every_edge, f"{kind}: no operation on edge {{}} has a score; give"
                  " another proxy or --batch-size")  # fmt: skip


def decide(
    score: Score,
    mask: Tensor,
    order: str = "random",
    generator: np.random.Generator | None = None,
    every_edge: bool = False,
    hopeless: str = "no operation on edge {} has a score",
    between: Callable[[Tensor], None] = lambda mask: None,
) -> Proposal:
    """Decide all edges of a mask, (edges, operations), each for the operation that scores best.

    `every_edge` scores all undecided edges at each step, to be looked at: decisions stay the same, cost does not.
    `between` is called with the mask after each decision but the last. UserError for an unknown order, and, with the
    words of `hopeless`, where no operation of an edge has a score.
    """
    if order not in ORDERS:
        raise suggest([order], ORDERS, "edge order")
    undecided, mask = list(range(len(mask))), mask.clone()
    steps: list[Step] = []
    queue: list[int] = []
    if order.endswith("-once"):
        queue = _ranked(score(mask, undecided, 0), order)
    while undecided:
        edge = _next(order, undecided, queue, generator)
        scored = undecided if edge is None or every_edge else [edge]
        scores = score(mask, list(scored), len(steps))
        if edge is None:
            edge = _ranked(scores, order)[0]
        operation = int(argmax(scores[edge : edge + 1])[0][0])
        if operation < 0:
            raise UserError(hopeless.format(edge))
        steps.append(Step(scores, edge, operation))
        mask[edge] = torch.nn.functional.one_hot(torch.tensor(operation), mask.shape[1]).to(mask)
        undecided.remove(edge)
        if undecided:
            between(mask)
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
