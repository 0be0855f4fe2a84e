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
from harness.engine.inputs import ViewInputs
from harness.engine.scoring import score_stack
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


@dataclass(frozen=True, eq=False)
class Candidates:
    """What proposals are, in the space of all architectures that decisions can lead to."""

    setup: Setup

    @cached_property
    def space(self) -> Any:
        """The benchmark's space, or the larger one it is a part of (1Shot1: cells with loose ends pruned)."""
        return self.setup.benchmark.space.every()

    @cached_property
    def params(self) -> np.ndarray:
        """(archs,) parameters of the networks, with the settings of the supernet."""
        return self.space.sizes(resolution=self.setup.benchmark.resolution or 32, **self.setup.network)[0]

    def place(self, proposal: Proposal) -> int:
        """Return the index of a proposal in `space`."""
        inputs = all_inputs(self.space.parents, proposal.inputs) if proposal.inputs else ()
        return self.space.place(proposal.operations, inputs)

    def build(self, place: int) -> torch.nn.Module:
        """Return the network of an architecture, its weights not set."""
        network = self.space.build([place], keep_unreachable=False, **self.setup.network)
        return allocate(network, self.setup.device)

    def judge(self, proposal: Proposal, benchmark: Benchmark, accuracy: np.ndarray) -> Chosen:
        """Return what a table says of a proposal.

        An architecture that the benchmark lacks is looked up in the one it is a view of; its rank is among those of the
        benchmark.
        """
        if not proposal.inputs:
            return judge_choice(benchmark, accuracy, np.array(proposal.operations))
        place = self.place(proposal)
        own = self.space.class_id[[self.space.index(arch) for arch in benchmark.table.archs]]
        found = accuracy[own == self.space.class_id[place]]
        value = float(found[0]) if len(found) else self._elsewhere(place, benchmark)
        return ranked(proposal.operations, 0, self.space.archs[place], value, accuracy)

    def _elsewhere(self, place: int, benchmark: Benchmark) -> float:
        """Return the accuracy of a cell in the whole benchmark; NaN where it is not there."""
        whole: Any = self._whole(benchmark.table.dataset)
        if whole is None or benchmark.embedded:
            return float("nan")
        cell = self.space.cells[place]
        row = int(whole.space.find([cell])[0])
        target = self.setup.target
        same = target.dataset == whole.table.dataset
        accuracy = whole.table.target(target.split, target.epochs) if same else whole.table.target(target.split)
        return float(accuracy[row]) if row >= 0 else float("nan")

    def _whole(self, dataset: str) -> Benchmark | None:
        """Return the benchmark that this one is a view of, on a dataset; None where it is not there."""
        try:
            return load(self.space.view_of, dataset, self.setup.config.data)
        except UserError:
            return None


def validate(
    candidates: Candidates, found: Sequence[int], proxies: Sequence[str], count: int, seed: int
) -> tuple[int, np.ndarray]:
    """Return which architecture is best by proxies of its network, and their values, (found,); NaN never wins.

    `found` are their places in the space of `candidates`. The networks have fresh weights; one found twice is scored
    once. The value is the sum over `count` minibatches, drawn apart from those of the proposals; of several proxies the
    ranks of their sums are added.
    """
    different = tuple(dict.fromkeys(found))
    entries = [evaluation_view(registry()[name]) for name in proxies]
    values = combined([_summed(candidates, different, entry, count, seed) for entry in entries])
    by_place = dict(zip(different, values, strict=True))
    values = np.array([by_place[place] for place in found])
    return int(np.where(np.isnan(values), -np.inf, values).argmax()), values


def _summed(candidates: Candidates, found: Sequence[int], entry: Proxy, count: int, seed: int) -> np.ndarray:
    """Return the sum of a proxy over minibatches for each architecture, (found,)."""
    setup, sums = candidates.setup, []
    batches = setup.minibatches(seed + VALIDATION, count)
    for place in found:
        name, build = [candidates.space.canonical(place)], partial(candidates.build, place)
        views = (ViewInputs([batches(i)], setup.network["classes"], seed, setup.device) for i in range(count))
        sums.append(sum(score_stack(build, name, [entry], view, seed=seed)[entry.name].scores.item() for view in views))
    return np.array(sums)
