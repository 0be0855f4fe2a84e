"""Searches over a trained supernet: edges decided one by one by a score of its operations.

    darts        the largest architecture parameter of each edge
    darts-pt     the operation whose removal costs the most accuracy
    disc-acc     the operation that keeps most accuracy as the only one
    ostr-darts   the operation whose loss is the lowest as the only one

After a decision the weights can be trained on for some epochs (`--tuning`; DARTS-PT has 5, OStr-DARTS none): SGD at a
tenth of the learning rate on the first half of the images, the mixture of open edges as it stands. Where a space
leaves open what feeds each vertex (1Shot1), those sources are kept whose removal costs the most loss.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from harness.inputs.draw import Minibatch
from harness.operations.decide import Proposal, decide
from harness.operations.scores.trained import evaluate, strength
from harness.operations.setup import Setup
from harness.operations.supernets.darts import Bilevel
from harness.operations.supernets.trained import Trained, batches_of, supernet_of
from harness.operations.vertex_inputs import decide_sources


def decided_by(setup: Setup, kind: str, order: str, tuning: int, seed: int) -> tuple[Proposal, int]:
    """Return what a score of the trained supernet of a seed decides, and how many masks were evaluated for it."""
    own, generator = supernet_of(setup, seed), np.random.default_rng([seed, 1])
    network = copy.deepcopy(own.network) if tuning else own.network
    evaluations, decisions = 0, 0

    def score(mask: Tensor, edges: list[int], step: int) -> np.ndarray:
        nonlocal evaluations
        evaluations += {"darts": 0, "ostr:taylor1": 1, "ostr:taylor1_abs": 1}.get(kind, 1 + len(edges) * mask.shape[1])
        return strength(kind, network, mask, edges, own.held_out, setup.statistics)

    def tune(mask: Tensor) -> None:
        nonlocal decisions
        decisions += 1
        for epoch in range(tuning):
            fine_tune(setup, own, network, mask, f"decision {decisions}, epoch {epoch}")

    def kept(masks: Tensor, minibatch: Minibatch) -> np.ndarray:
        nonlocal evaluations
        evaluations += len(masks)
        return -evaluate(network, masks, own.held_out, setup.statistics)[0].numpy()

    hopeless = f"{kind}: no operation on edge {{}} has a score"
    proposal = decide(score, own.mask, order, generator, hopeless=hopeless, between=tune)
    if hasattr(network, "parents"):
        separate = np.random.default_rng([seed, 2])
        sources = decide_sources(kept, network, proposal.operations, lambda step: own.held_out[0], order, separate)
        proposal = replace(proposal, sources=sources)
    return proposal, evaluations


def fine_tune(setup: Setup, own: Trained, network: torch.nn.Module, mask: Tensor, name: str) -> None:
    """Train the weights of `network` for an epoch under a fixed mask; `name` seeds the order of images."""
    tenth = replace(own.training, learning_rate=own.training.learning_rate / 10)
    bilevel = Bilevel(network.requires_grad_(True), own.alphas, tenth)
    mask = mask.to(setup.device)
    for minibatch in batches_of(own.train_half, setup.benchmark.resolution, own.training, own.seed, name):
        bilevel.descend(bilevel.loss(setup.on_device(minibatch), mask)[0])
    network.eval()
