"""Zero-Cost-PT: N proposals of an untrained supernet, each discretised by a perturbation; the best is validated.

Proposal n draws new architecture parameters; the weights stay. Each edge is discretised on a fresh minibatch.
Validation builds every different proposal as a network and takes the one whose proxy, summed over V minibatches, is
largest.
Source: Xiang et al. (AAAI 2023, arXiv 2106.06799).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from harness.inputs.draw import Minibatch
from harness.operations.decide import Proposal, propose
from harness.operations.scores.perturbation import PERTURBATIONS, Evaluator
from harness.operations.search.candidates import Candidates, Outcome, validate
from harness.operations.search.config import FindConfig
from harness.operations.supernets.masks import draw_alphas, mixture
from harness.operations.vertex_inputs import select_inputs


def search(kind: str, candidates: Candidates, config: FindConfig, seed: int) -> Outcome:
    """Return the proposals of a seed by the perturbation `kind`, and which of them is best."""
    setup, perturbation = candidates.setup, PERTURBATIONS[kind]
    proxies = (config.by,) if perturbation.any_proxy else perturbation.proxies
    supernet, generator = setup.supernet(seed), np.random.default_rng([seed, 1])
    evaluate = Evaluator(supernet, proxies, seed)
    inputs_open = hasattr(supernet, "parents")
    edges = setup.shape[0] + 1
    steps = edges + (len(supernet.parents) if inputs_open else 0)
    batches = setup.minibatches(seed, config.proposals * steps)
    proposals: list[Proposal] = []
    for number in range(config.proposals):
        first, mask = number * steps, mixture(draw_alphas(*setup.shape, seed, number))
        fresh = partial(_later, batches, first)
        proposal = propose(kind, evaluate, mask, fresh, config.order, generator, perturbation.every_edge)
        if inputs_open:
            fresh = partial(_later, batches, first + edges)
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
