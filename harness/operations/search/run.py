"""Searches over a supernet, untrained or trained: what each seed finds, its accuracies, and every decision.

`python -m harness.search --bench 201 --method zero-cost-pt` comes here.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark, load
from benchmarks.errors import UserError
from benchmarks.spaces.space import short
from harness.inputs.images import Images
from harness.operations.decide import Proposal
from harness.operations.search.candidates import Candidates
from harness.operations.search.compared import FOUND, RANDOM, Compared
from harness.operations.search.config import FindConfig
from harness.operations.setup import Setup, set_up
from harness.operations.supernets.trained import degeneration, notes_of, supernet_of
from harness.operations.vertex_inputs import printed
from harness.probe.precision import arithmetic
from harness.runs.assemble import embedded_note, provenance

OPEN = (
    f"ranks are among {RANDOM:,} random architectures, 1 for the largest; no table has accuracies of what is found; p:"
    " permutation test, over whole cells, that the operations found fit the published ones"
)


@dataclass(frozen=True)
class Found:
    """What the seeds found."""

    manifest: dict
    runs: pd.DataFrame
    """seed, operations, vertex_inputs (1Shot1), arch, accuracy, rank, regret, params, proposals (different ones),
    evaluations, seconds, training (seconds, of a trained supernet), and the accuracy on every other dataset."""
    decisions: pd.DataFrame
    """seed, proposal, step, edge, operation, and whether it was decided; score."""
    training: dict[int, pd.DataFrame]
    """Seed -> the history of its supernet, where there is a trained one."""
    cells: pd.DataFrame
    """Of an open space: `compared.Compared.cells` of the found, the published, and the control."""
    groups: pd.DataFrame
    """Likewise, `compared.Compared.groups`."""


@arithmetic("float32")
def find(config: FindConfig, say: Callable[[str], None] = lambda line: None, folder: str | Path = ".") -> Found:
    """Search with every seed; `say` gets progress, `folder`/supernets what is trained. UserError for wrong settings."""
    setup = set_up(config.base, folder)
    elsewhere = _other_datasets(setup)
    for note in (notes := _notes(setup, config)):
        say(note)
    candidates, search = Candidates(setup), resolve_name(config.how.function)
    rows, decisions = [], []
    for seed in range(config.base.first_seed, config.base.first_seed + config.base.seeds):
        training = {}
        if config.how.trained:
            own = supernet_of(setup, seed)
            training = {"training": own.seconds}
            say(f"seed {seed}: supernet {degeneration(own.history)}")
        start = time.perf_counter()
        outcome = search(candidates, config, seed)
        seconds, chosen = time.perf_counter() - start, outcome.proposals[outcome.best]
        if outcome.warning and outcome.warning not in notes:
            notes.append(outcome.warning)
            say(outcome.warning)
        places = [candidates.place(proposal) for proposal in outcome.proposals]
        judged = candidates.judge(chosen, setup.benchmark, setup.accuracy)
        others = {name: candidates.judge(chosen, *there).accuracy for name, there in elsewhere.items()}
        inputs = {} if candidates.space.open or not chosen.inputs else {
            "vertex_inputs": printed(candidates.space.parents, chosen.inputs)
        }  # fmt: skip
        rows.append({
            "seed": seed, "operations": setup.choices.said(chosen.operations), **inputs, **asdict(judged),
            **candidates.size_of(places[outcome.best]), "proposals": len(set(places)),
            "evaluations": outcome.evaluations, "seconds": seconds, **training, **others,
        })  # fmt: skip
        decisions += [row for at, each in enumerate(outcome.proposals) for row in _decisions(setup, seed, at, each)]
        say(f"seed {seed}: {_said(rows[-1], candidates.space.open)}, {seconds:.1f} s")
    runs, cells, groups = pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame()
    if candidates.space.open:
        compared = Compared(candidates, config.ranked_by, Path(config.ranks_folder or Path(folder) / "ranks"))
        cells = compared.all(config.method, config.by, [f"seed {seed}" for seed in runs["seed"]], runs["arch"].tolist())
        groups, ours = compared.groups(cells), cells[cells["group"] == FOUND]
        runs = runs.join(ours[[name for name in ours if name.endswith("_rank")]])
        notes.append(OPEN)
    manifest = provenance(setup.benchmark, setup.target, []) | {
        "kind": "supernet search", "settings": asdict(config), "notes": notes, **setup.facts
    }  # fmt: skip
    return Found(manifest, runs, pd.DataFrame(decisions), setup.histories, cells, groups)


def _said(row: dict[str, Any], open_: bool) -> str:
    """Return what a seed found: its operations and accuracy, or the architecture of an open space and its size."""
    if not open_:
        return f"{short(row['operations'])}, {row['accuracy']:.2f} %"
    return f"{row['arch']}, {row['params']:,.0f} parameters, {row['flops']:,.0f} FLOPs"


def _other_datasets(setup: Setup) -> dict[str, tuple[Benchmark, np.ndarray]]:
    """Return the other datasets of the space that have an accuracy of the same split, at its largest budget."""
    found = {}
    for name in setup.benchmark.space.datasets:
        if name != setup.target.dataset and not (setup.benchmark.embedded or setup.benchmark.space.open):
            with suppress(UserError):  # not there, or without this split
                other = load(setup.benchmark.space.name, name, setup.config.data)
                found[name] = other, other.table.target(setup.target.split)
    return found


def _decisions(setup: Setup, seed: int, proposal: int, found: Proposal) -> list[dict]:
    """Return a row for each operation that was scored, then for each candidate input; their edges are `into ...`."""
    vertex = ["input", *(f"block {at + 1}" for at in range(setup.shape[0])), "output"]
    rows = [
        (number, setup.choices.edges[edge], setup.choices.operations[operation], step.scores[edge, operation],
         (edge, operation) == (step.edge, step.operation))
        for number, step in enumerate(found.steps)
        for edge, operation in np.argwhere(~np.isnan(step.scores))
    ]  # fmt: skip
    rows += [
        (
            number,
            f"into {inputs.name or vertex[inputs.vertex]}",
            str(source) if inputs.name else vertex[source],
            score,
            source in inputs.selected,
        )
        for number, inputs in enumerate(found.inputs, start=len(found.steps))
        for source, score in enumerate(inputs.scores)
    ]
    heads = ("step", "edge", "operation", "score", "decided")
    return [{"seed": seed, "proposal": proposal, **dict(zip(heads, row, strict=True))} for row in rows]


def _notes(setup: Setup, config: FindConfig) -> list[str]:
    """Return what a reader has to know, a line each."""
    how, space = config.how, setup.benchmark.space
    settings = [f"by {config.by}"]
    settings += [f"{config.order} edge order"] if how.order else []
    settings += [f"N = {config.proposals}, V = {config.validations}"] if how.proposals else []
    settings += [f"{config.tuning} epochs of tuning after each decision"] if how.trained else []
    notes = [embedded_note(setup.benchmark)] if setup.benchmark.embedded else []
    notes += [f"{space.title}, {config.method} {', '.join(settings)}: {how.about}", setup.said]
    notes += notes_of(setup) if how.trained else []
    wanted = config.validations * config.base.batch_size
    if how.proposals and isinstance(setup.images, Images) and len(setup.images) < wanted:
        notes.append(f"V minibatches are {wanted:,} images and there are {len(setup.images):,}: they come again"
                     f"{', augmented again' if config.base.augment else ''}")  # fmt: skip
    if (known := int(np.isfinite(setup.accuracy).sum())) < len(space) and not space.open:
        notes.append(f"accuracies of {known:,} of {len(space):,} architectures: what is found may have none (a dash)")
    return notes
