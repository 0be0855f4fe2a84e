"""Searches of a trained supernet (darts, darts-pt, disc-acc, ostr-darts): edges discretised one by one by a score.

After a decision the weights can be trained for some epochs (`--tuning`; DARTS-PT has 5, OStr-DARTS none): SGD at a
tenth of the learning rate on the first half of the images, the mixture of remaining edges as it stands. Where a space
leaves the inputs of vertices open (1Shot1), those are selected whose removal raises the loss most.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from harness.inputs.draw import Minibatch
from harness.operations.decide import decide
from harness.operations.scores.trained import strength
from harness.operations.search.candidates import Candidates, Outcome
from harness.operations.search.config import FindConfig
from harness.operations.setup import Setup
from harness.operations.supernets.darts import Bilevel
from harness.operations.supernets.evaluation import evaluate
from harness.operations.supernets.trained import Trained, batches_of, supernet_of
from harness.operations.vertex_inputs import select_edges, select_inputs


def discretise(candidates: Candidates, config: FindConfig, seed: int) -> Outcome:
    """Return the one cell that a score of the trained supernet of a seed decides for."""
    setup = candidates.setup
    own, generator = supernet_of(setup, seed), np.random.default_rng([seed, 1])
    network = copy.deepcopy(own.network) if config.tuning else own.network
    evaluations, decisions = 0, 0

    def score(mask: Tensor, edges: list[int], step: int) -> np.ndarray:
        nonlocal evaluations
        scores, masks = strength(config.by, network, mask, edges, own.held_out, setup.config.statistics)
        evaluations += masks
        return scores if setup.choices.allowed is None else np.where(setup.choices.allowed, scores, np.nan)

    def tune(mask: Tensor) -> None:
        nonlocal decisions
        decisions += 1
        for epoch in range(config.tuning):
            fine_tune(setup, own, network, mask, f"decision {decisions}, epoch {epoch}")

    def minus_loss(masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        nonlocal evaluations
        evaluations += len(masks)
        return -evaluate(network, masks, own.held_out, setup.config.statistics)[0].numpy()

    proposal = decide(score, own.mask, config.order, generator, between=tune, turns=network.turns)
    again, first = np.random.default_rng([seed, 2]), lambda step: own.held_out[0]
    if network.vertices:
        edges = select_edges(minus_loss, network, proposal.operations, first, again)
        proposal = replace(proposal, inputs=edges)
    if hasattr(network, "parents"):
        inputs = select_inputs(minus_loss, network, proposal.operations, first, config.order, again)
        proposal = replace(proposal, inputs=inputs)
    return Outcome([proposal], evaluations)


def fine_tune(setup: Setup, own: Trained, network: torch.nn.Module, mask: Tensor, name: str) -> None:
    """Train the weights of `network` for an epoch under a fixed mask; `name` seeds the order of images."""
    tenth = replace(own.training, learning_rate=own.training.learning_rate / 10)
    bilevel = Bilevel(network.requires_grad_(True), own.alphas, tenth)
    mask = mask.to(setup.device)
    for minibatch in batches_of(own.train_half, setup.side, own.training, own.seed, name):
        bilevel.descend(bilevel.loss(setup.on_device(minibatch), mask)[0])
    network.eval()
