"""FreeDARTS / ZEROS: all edges are discretised at once, by the saliency of the architecture parameters.

Where a space leaves the inputs of vertices open (1Shot1), those with the largest saliency are selected (our rule).
"""

from typing import Any

from benchmarks.errors import UserError
from harness.operations.agreement import argmax
from harness.operations.decide import Proposal, Step
from harness.operations.scores.registry import SCORES
from harness.operations.scores.saliency import zeros
from harness.operations.search.candidates import Candidates, Outcome
from harness.operations.search.config import FindConfig
from harness.operations.setup import Setup
from harness.operations.vertex_inputs import VertexInputs, best, mask_of_all_inputs, open_vertices


def freedarts(candidates: Candidates, config: FindConfig, seed: int) -> Outcome:
    """Return the one cell that a saliency selects, as a proposal whose edges are all decided at once."""
    setup = candidates.setup
    scores = SCORES[config.by].compute(setup, seed).values
    operations = tuple(int(operation) for operation in argmax(scores)[0])
    if min(operations) < 0:
        raise UserError(f"{config.by} of seed {seed} is not a number on an edge: give another --score")
    steps = tuple(Step(scores, edge, operation) for edge, operation in enumerate(operations))
    supernet = setup.supernet(seed)
    kind = config.by.split("-")[1]
    inputs = _inputs(setup, supernet, operations, kind, seed) if hasattr(supernet, "parents") else ()
    return Outcome([Proposal(operations, steps, inputs)], evaluations=1)


def _inputs(setup: Setup, supernet: Any, operations: tuple[int, ...], kind: str, seed: int) -> tuple[VertexInputs, ...]:
    mask = mask_of_all_inputs(supernet, operations).to(setup.device)
    salient = zeros(supernet, mask, setup.minibatches(seed, 1)(0), kind)[supernet.blocks :]
    rows = {vertex: salient[vertex - 1, :vertex] for vertex in open_vertices(supernet.parents)}
    return tuple(VertexInputs(vertex, row, best(row, supernet.parents[vertex])) for vertex, row in rows.items())
