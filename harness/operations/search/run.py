"""Searches over a supernet, untrained or trained: what each seed finds, its accuracies, and every decision.

`python -m harness.search --bench 201 --method zero-cost-pt` comes here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import benchmarks
from benchmarks.errors import UserError, suggest
from benchmarks.spaces.choices import short
from harness.inputs.images import Images
from harness.operations.agreement import argmax
from harness.operations.config import ORDERS, OperationsConfig
from harness.operations.decide import Proposal, Step, propose
from harness.operations.scores.perturbation import usable
from harness.operations.scores.registry import choose
from harness.operations.scores.saliency import zeros
from harness.operations.scores.tenas import NAME as TENAS
from harness.operations.scores.tenas import evaluator
from harness.operations.search.candidates import Candidates, validate
from harness.operations.search.methods import METHODS, SALIENCIES, STRENGTHS, TRAINED_METHODS
from harness.operations.search.trained import decided_by
from harness.operations.setup import Setup, set_up
from harness.operations.supernets.masks import draw_alphas, mixture
from harness.operations.supernets.trained import degeneration, notes_of, supernet_of
from harness.operations.vertex_inputs import Fed, best, decide_sources, mask_of_sources, names, open_vertices, said
from harness.probe.precision import arithmetic
from harness.proxies.registry import registry
from harness.runs.manifest import embedded_note, provenance

KINDS = {"zero-cost-pt": "zc-pt", "disc-zc": "disc-zc", "tenas": TENAS}


@dataclass(frozen=True)
class FindConfig:
    """A search; the names are options of the command line."""

    method: str
    base: OperationsConfig
    score: str | None = None
    order: str = ""
    """Empty: random, or fixed for ostr-darts and darts, as the papers have it."""
    proposals: int = 10
    validations: int = 100
    tuning: int = 0
    """Epochs in which a trained supernet's weights are trained on after each decision."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise suggest([self.method], METHODS, "search over a supernet")
        if not self.order:
            object.__setattr__(self, "order", "fixed" if self.method in ("darts", "ostr-darts") else "random")
        if self.order not in ORDERS:
            raise suggest([self.order], ORDERS, "edge order")
        if self.proposals < 1 or self.validations < 1:
            raise UserError(
                f"--proposals {self.proposals}, --validations {self.validations}: expected 1 or more of each"
            )
        if self.tuning < 0:
            raise UserError(f"--tuning {self.tuning}: expected 0 or more epochs")
        own = {"freedarts": SALIENCIES, "ostr-darts": STRENGTHS, "tenas": (TENAS,)} | {
            name: (kind,) for name, kind in TRAINED_METHODS.items() if name != "ostr-darts"
        }
        valid = own.get(self.method) or registry()
        if self.score is not None and self.score not in valid:
            raise suggest([self.score], valid, f"--score of {self.method}")
        if self.method not in own:
            usable(self.by)

    @property
    def by(self) -> str:
        """The proxy, the saliency, or the score of a trained supernet."""
        return self.score or {"freedarts": SALIENCIES[0], "tenas": TENAS, **TRAINED_METHODS}.get(self.method, "naswot")


@dataclass(frozen=True)
class Found:
    """What the seeds found."""

    manifest: dict
    runs: pd.DataFrame
    """seed, operations, arch, accuracy, rank, regret, params, proposals (different ones), evaluations, seconds, and
    the accuracy on every other dataset."""
    decisions: pd.DataFrame
    """seed, proposal, step, edge, operation, and whether it was decided; score."""
    training: dict[int, pd.DataFrame]
    """Seed -> the history of its supernet, where one was trained or given."""


@arithmetic("float32")
def find(config: FindConfig, say: Callable[[str], None] = lambda line: None, folder: str | Path = ".") -> Found:
    """Search with every seed; `say` gets lines of progress. UserError, in one line, for what cannot be used.

    Supernets that are trained are kept in `folder`/supernets.
    """
    setup = set_up(config.base, folder)
    elsewhere = _other_datasets(setup, config.base.data)
    for note in (notes := _notes(setup, config)):
        say(note)
    candidates = Candidates(setup, config.base.data)
    rows, decisions = [], []
    for seed in range(config.base.first_seed, config.base.first_seed + config.base.seeds):
        training = {}
        if config.method in TRAINED_METHODS:
            own = supernet_of(setup, seed)
            training = {"training": own.seconds}
            say(f"seed {seed}: supernet {degeneration(own.history)}")
        start = time.perf_counter()
        proposals, evaluations = _search_of(config)(setup, config, seed)
        places = [candidates.place(proposal) for proposal in proposals]
        best = 0
        if len(set(places)) > 1:
            best, _ = validate(candidates, places, config.by, config.validations, seed)
        seconds, chosen = time.perf_counter() - start, proposals[best]
        judged = candidates.judge(chosen, setup.benchmark, setup.accuracy)
        others = {
            name: candidates.judge(chosen, each, accuracy).accuracy for name, (each, accuracy) in elsewhere.items()
        }
        fed = {"sources": said(candidates.space.parents, chosen.sources)} if chosen.sources else {}
        rows.append({
            "seed": seed, "operations": setup.choices.said(chosen.operations), **fed, "arch": judged.arch,
            "accuracy": judged.accuracy, "rank": judged.rank, "regret": judged.regret,
            "params": candidates.params[places[best]], "proposals": len(set(places)),
            "evaluations": evaluations, "seconds": seconds, **training, **others,
        })  # fmt: skip
        decisions += [row for place, each in enumerate(proposals) for row in _decisions(setup, seed, place, each)]
        say(f"seed {seed}: {short(rows[-1]['operations'])}, {judged.accuracy:.2f} %, {seconds:.1f} s")
    manifest = provenance(setup.benchmark, setup.target, []) | {
        "kind": "supernet search", "settings": asdict(config), "notes": notes, "network": setup.network,
        "edges": list(setup.choices.edges), "operations": list(setup.choices.operations),
        "supernets": {seed: own.about for seed, own in setup.trained.items()},
    }  # fmt: skip
    histories = {seed: own.history for seed, own in setup.trained.items()}
    return Found(manifest, pd.DataFrame(rows), pd.DataFrame(decisions), histories)


def _search_of(config: FindConfig) -> Callable[[Setup, FindConfig, int], tuple[list[Proposal], int]]:
    """Return what searches by a method: (setup, config, seed) -> proposals, how many networks were evaluated."""
    if config.method in TRAINED_METHODS:
        return _decided
    return _salient if config.method == "freedarts" else _proposed


def _decided(setup: Setup, config: FindConfig, seed: int) -> tuple[list[Proposal], int]:
    """Return the one cell that a trained supernet decides for."""
    proposal, evaluations = decided_by(setup, config.by, config.order, config.tuning, seed)
    return [proposal], evaluations


def _proposed(setup: Setup, config: FindConfig, seed: int) -> tuple[list[Proposal], int]:
    """Return the proposals of a seed and how many networks were evaluated for them."""
    supernet = setup.supernet(seed)
    kind, generator = KINDS[config.method], np.random.default_rng([seed, 1])
    proxy, ranked = evaluator(kind, supernet, config.by, seed), kind == TENAS  # over all undecided edges
    edges = setup.shape[0] + 1
    steps = edges + len(getattr(supernet, "parents", ()))
    batches = setup.minibatches(seed, config.proposals * steps)
    found = []
    for number in range(config.proposals):
        mask = mixture(draw_alphas(*setup.shape, seed, number))
        own = (lambda first: lambda step: batches(first + step))(number * steps)
        proposal = propose(kind, proxy, mask, own, config.order, generator, every_edge=ranked)
        if hasattr(supernet, "parents"):  # what feeds each vertex is open too
            later = (lambda first: lambda step: batches(first + step))(number * steps + edges)
            sources = decide_sources(proxy, supernet, proposal.operations, later, config.order, generator)
            proposal = replace(proposal, sources=sources)
        found.append(proposal)
    return found, proxy.evaluations


def _salient(setup: Setup, config: FindConfig, seed: int) -> tuple[list[Proposal], int]:
    """Return the one cell that a saliency chooses, as a proposal whose edges are all decided at once."""
    scores = choose(config.by)[0].compute(setup, seed).values
    operations, _ = argmax(scores)
    if (operations < 0).any():
        raise UserError(f"{config.by} of seed {seed} is not a number on an edge: give another --score")
    steps = tuple(Step(scores, edge, int(operation)) for edge, operation in enumerate(operations))
    fed: tuple[Fed, ...] = ()
    supernet = setup.supernet(seed)
    if hasattr(supernet, "parents"):
        kind = config.by.split("-")[1]
        mask = mask_of_sources(supernet, operations.tolist()).to(setup.device)
        salient = zeros(supernet, mask, setup.minibatches(seed, 1)(0), kind)[supernet.blocks :]
        fed = tuple(
            Fed(vertex, salient[vertex - 1, :vertex], best(salient[vertex - 1, :vertex], supernet.parents[vertex]))
            for vertex in open_vertices(supernet.parents)
        )
    return [Proposal(tuple(map(int, operations)), steps, fed)], 1


def _other_datasets(setup: Setup, data: str | None) -> dict[str, tuple[benchmarks.Benchmark, np.ndarray]]:
    """Return the other datasets of the space that have an accuracy of the same split, at its largest budget."""
    found = {}
    for name in setup.benchmark.space.datasets:
        if name == setup.target.dataset or setup.benchmark.embedded:
            continue
        try:
            other = benchmarks.load(setup.benchmark.space.name, name, data)
            found[name] = other, other.table.target(setup.target.split)
        except UserError:  # not there, or without this split
            continue
    return found


def _decisions(setup: Setup, seed: int, proposal: int, found: Proposal) -> list[dict]:
    """Return a row for each operation that was scored, then for each source; their edges are called `into ...`."""
    vertex = names(setup.shape[0] + 2)
    rows = [
        {"seed": seed, "proposal": proposal, "step": number, "edge": setup.choices.edges[edge],
         "operation": setup.choices.operations[operation], "score": step.scores[edge, operation],
         "decided": (edge, operation) == (step.edge, step.operation)}
        for number, step in enumerate(found.steps)
        for edge, operation in np.argwhere(~np.isnan(step.scores))
    ]  # fmt: skip
    return rows + [
        {"seed": seed, "proposal": proposal, "step": number, "edge": f"into {vertex[fed.vertex]}",
         "operation": vertex[source], "score": score, "decided": source in fed.kept}
        for number, fed in enumerate(found.sources, start=len(found.steps))
        for source, score in enumerate(fed.scores)
    ]  # fmt: skip


def _notes(setup: Setup, config: FindConfig) -> list[str]:
    """Return what a reader has to know, a line each."""
    notes = [embedded_note(setup.benchmark)] if setup.benchmark.embedded else []
    how = f"by {config.by}"
    if config.method in TRAINED_METHODS:
        how += f", {config.order} edge order, {config.tuning} epochs of tuning after each decision"
    elif config.method != "freedarts":
        how += f", {config.order} edge order, N = {config.proposals}, V = {config.validations}"
    notes.append(f"{setup.benchmark.space.title}, {config.method} {how}: {METHODS[config.method]}")
    notes.append(f"supernet: {', '.join(f'{k} {v}' for k, v in setup.network.items())}; {setup.say_inputs()}")
    if config.method in TRAINED_METHODS:
        notes += notes_of(setup)
    wanted = config.validations * config.base.batch_size
    if config.method in KINDS and isinstance(setup.images, Images) and len(setup.images) < wanted:
        notes.append(f"V minibatches are {wanted:,} images and there are {len(setup.images):,}: they come again"
                     f"{', augmented anew' if config.base.augment else ''}")  # fmt: skip
    if (known := int(np.isfinite(setup.accuracy).sum())) < len(setup.benchmark.space):
        notes.append(f"accuracies of {known:,} of {len(setup.benchmark.space):,} architectures: what is found may"
                     " have none (a dash)")  # fmt: skip
    return notes
