"""The architectures that searches over a supernet propose: their networks, sizes and accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch

from benchmarks.benchmark import Benchmark, load
from benchmarks.errors import UserError
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, score_stack
from harness.operations.agreement import Chosen, judge_choice, ranked
from harness.operations.decide import Proposal
from harness.operations.scores.perturbation import combined, evaluation_view
from harness.operations.setup import Setup
from harness.operations.vertex_inputs import all_inputs
from harness.proxies.registry import Proxy, registry

VALIDATION = 10_000
"""Added to the seed of a search for the minibatches of its validation."""


@dataclass(frozen=True)
class Outcome:
    """What a search returns for a seed: its proposals and the one that was chosen."""

    proposals: Sequence[Proposal]
    evaluations: int
    """Masks of the supernet that were evaluated."""
    best: int = 0
    """Place of the chosen proposal."""
    warning: str = ""
    """What a reader has to know of the scores that decided."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What proposals are, in the space of all architectures that decisions can lead to."""

    setup: Setup

    @cached_property
    def space(self) -> Any:
        """The benchmark's space, or the larger one it is a part of (1Shot1: cells with loose ends pruned)."""
        return self.setup.benchmark.space.every()

    def sizes(self, space: Any) -> np.ndarray:
        """Return parameters and FLOPs of the networks of a space, (2, archs), with the settings of the supernet, or of
        the networks that were trained where these differ."""
        benchmark = self.setup.benchmark
        settings = self.setup.network | benchmark.trained
        return space.sizes(resolution=benchmark.resolution or 32, **settings)[:2]

    def size_of(self, place: int) -> dict[str, float]:
        """Return the parameters of an architecture, and its FLOPs in an open space."""
        found = dict(zip(("params", "flops"), self.sizes(self.space)[:, place], strict=True))
        return found if self.space.open else {"params": found["params"]}

    def largest(self) -> int:
        """Return the place of the control of an open space: on every edge the operation of most parameters."""
        edges, count = self.setup.shape
        allowed = self.setup.choices.allowed
        allowed = np.ones((edges, count), bool) if allowed is None else allowed
        supernet: Any = self.setup.benchmark.space.supernet(**self.setup.network)
        kept = [tuple(range(k)) for _, _, k in supernet.vertices]
        base, options = allowed.argmax(1), np.argwhere(allowed)
        places = [self.space.place(np.where(np.arange(edges) == edge, at, base), kept) for edge, at in options]
        worth = np.full((edges, count), -np.inf)
        worth[tuple(options.T)] = self.sizes(self.space)[0][places]
        return self.space.place(worth.argmax(1), kept)

    def place(self, proposal: Proposal) -> int:
        """Return the index of a proposal in `space`."""
        inputs: Sequence[Sequence[int]] = ()
        if proposal.inputs and self.space.open:
            inputs = [each.selected for each in sorted(proposal.inputs, key=lambda each: each.vertex)]
        elif proposal.inputs:
            inputs = all_inputs(self.space.parents, proposal.inputs)
        return self.space.place(proposal.operations, inputs)

    def build(self, place: int) -> torch.nn.Module:
        """Return the network of an architecture, its weights not set."""
        network = self.space.build([place], keep_unreachable=False, **self.setup.network)
        return allocate(network, self.setup.device)

    def judge(self, proposal: Proposal, benchmark: Benchmark, accuracy: np.ndarray) -> Chosen:
        """Return what a table says of a proposal; one that it lacks is looked up in the benchmark that it is a view
        of."""
        if self.space.open:
            return ranked(self.space.archs[self.place(proposal)], float("nan"), accuracy)
        if not proposal.inputs:
            return judge_choice(benchmark, accuracy, np.array(proposal.operations))
        place = self.place(proposal)
        own = self.space.class_id[[self.space.index(arch) for arch in benchmark.table.archs]]
        found = accuracy[own == self.space.class_id[place]]
        value = float(found[0]) if len(found) else self._elsewhere(place, benchmark)
        return ranked(self.space.archs[place], value, accuracy)

    def _elsewhere(self, place: int, benchmark: Benchmark) -> float:
        """Return the accuracy of a cell in the benchmark that this one is a view of; NaN where it is not there."""
        try:
            whole: Any = load(self.space.view_of, benchmark.table.dataset, self.setup.config.data)
        except UserError:
            return float("nan")
        row, target = int(whole.space.find([self.space.cells[place]])[0]), self.setup.target
        epochs = target.epochs if target.dataset == whole.table.dataset else None
        known = row >= 0 and not benchmark.embedded
        return float(whole.table.target(target.split, epochs)[row]) if known else float("nan")


def validate(
    candidates: Candidates, found: Sequence[int], proxies: Sequence[str], count: int, seed: int
) -> tuple[int, np.ndarray]:
    """Return which architecture is best by proxies of its network, and their values, (found,); NaN never wins.

    `found` are their places in the space of `candidates`. The networks have fresh weights; one found twice is scored
    once. The value is the sum over `count` minibatches, drawn apart from those of the proposals; of several proxies the
    ranks of their sums are added.
    """
    setup, different = candidates.setup, list(dict.fromkeys(found))
    batches = setup.minibatches(seed + VALIDATION, count)

    def summed(entry: Proxy, place: int) -> float:
        name, build = [candidates.space.canonical(place)], partial(candidates.build, place)
        views = (ViewInputs([batches(i)], setup.network["classes"], seed, setup.device) for i in range(count))
        return sum(score_stack(build, name, [entry], view, seed=seed)[entry.name].scores.item() for view in views)

    entries = [evaluation_view(registry()[name]) for name in proxies]
    by_place = combined([np.array([summed(entry, place) for place in different]) for entry in entries])
    values = by_place[[different.index(place) for place in found]]
    return int(np.where(np.isnan(values), -np.inf, values).argmax()), values
