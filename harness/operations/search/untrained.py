"""Searches of an untrained supernet.

Zero-Cost-PT (Xiang et al., AAAI 2023, arXiv 2106.06799): N proposals, each discretised by a perturbation; the best is
validated. Proposal n draws new architecture parameters; the weights stay. Each edge is discretised on a fresh
minibatch. Validation builds every different proposal as a network and takes the one whose proxy, summed over V
minibatches, is largest.

FreeDARTS / ZEROS: all edges are discretised at once, by the saliency of the architecture parameters. Where a space
leaves the inputs of vertices open (1Shot1), those with the largest saliency are selected (our rule).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.errors import UserError
from harness.inputs.draw import Minibatch
from harness.operations.agreement import argmax
from harness.operations.decide import Proposal, Step, propose
from harness.operations.scores.perturbation import PERTURBATIONS, Evaluator
from harness.operations.scores.registry import SCORES
from harness.operations.scores.saliency import zeros
from harness.operations.search.candidates import Candidates, Outcome, validate
from harness.operations.search.config import FindConfig
from harness.operations.supernets.masks import one_hot
from harness.operations.vertex_inputs import (
    VertexInputs,
    best,
    open_vertices,
    salient_edges,
    select_edges,
    select_inputs,
)


def search(kind: str, candidates: Candidates, config: FindConfig, seed: int) -> Outcome:
    """Return the proposals of a seed by the perturbation `kind`, and which of them is best."""
    setup, perturbation = candidates.setup, PERTURBATIONS[kind]
    proxies = (config.by,) if perturbation.any_proxy else perturbation.proxies
    supernet, generator = setup.supernet(seed), np.random.default_rng([seed, 1])
    evaluate = Evaluator(supernet, proxies, seed)
    inputs_open = hasattr(supernet, "parents")
    edges = setup.shape[0] + 1
    steps = edges + (len(supernet.parents) if inputs_open else len(supernet.vertices))
    batches = setup.minibatches(seed, config.proposals * steps)
    proposals: list[Proposal] = []
    for number in range(config.proposals):
        first, mask = number * steps, setup.undecided(supernet, seed, number)
        fresh = partial(_later, batches, first)
        proposal = propose(
            kind, evaluate, mask, fresh, config.order, generator, perturbation.every_edge, supernet.turns,
            setup.choices.allowed,
        )  # fmt: skip
        fresh = partial(_later, batches, first + edges)
        if supernet.vertices:
            chosen = select_edges(evaluate, supernet, proposal.operations, fresh, generator)
            proposal = replace(proposal, inputs=chosen)
        if inputs_open:
            chosen = select_inputs(evaluate, supernet, proposal.operations, fresh, config.order, generator)
            proposal = replace(proposal, inputs=chosen)
        proposals.append(proposal)
    places, best = [candidates.place(proposal) for proposal in proposals], 0
    if len(set(places)) > 1:
        best, _ = validate(candidates, places, proxies, config.validations, seed)
    return Outcome(proposals, evaluate.evaluations, best)


def _later(batches: Callable[[int], Minibatch], first: int, step: int) -> Minibatch:
    return batches(first + step)


zero_cost_pt, disc_zc, tenas = (partial(search, kind) for kind in ("zc-pt", "disc-zc", "tenas"))


def freedarts(candidates: Candidates, config: FindConfig, seed: int) -> Outcome:
    """Return the one cell that a saliency selects, as a proposal whose edges are all decided at once."""
    setup = candidates.setup
    scored = SCORES[config.by].compute(setup, seed)
    scores = scored.values
    operations = tuple(int(operation) for operation in argmax(scores)[0])
    if min(operations) < 0:
        raise UserError(f"{config.by} of seed {seed} is not a number on an edge: give another --score")
    own = np.eye(len(scores), dtype=bool)[:, :, None]
    steps = tuple(Step(np.where(own[edge], scores, np.nan), edge, at) for edge, at in enumerate(operations))
    supernet = setup.supernet(seed)
    inputs = [*salient_edges(supernet, scores)]
    if hasattr(supernet, "parents"):
        mask = supernet.whole(one_hot(operations, len(supernet.operations))).to(setup.device)
        kind = config.by.split("-")[1]
        salient = zeros(supernet, mask, setup.minibatches(seed, 1)(0), kind)[supernet.blocks :]
        for vertex in open_vertices(supernet.parents):
            row = salient[vertex - 1, :vertex]
            inputs.append(VertexInputs(vertex, row, best(row, supernet.parents[vertex])))
    return Outcome([Proposal(operations, steps, tuple(inputs))], 1, warning="; ".join(scored.failures))
