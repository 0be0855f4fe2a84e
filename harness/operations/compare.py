"""Operation scores of every seed, compared with each other, and the accuracy of the cell that each selects."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.errors import suggest
from harness.operations.agreement import STATISTICS, agreement, argmax, by_edge, judge_choice, mean_by_edge
from harness.operations.config import OperationsConfig
from harness.operations.epochs import along_training
from harness.operations.scores.registry import OperationScore, Scored, choose
from harness.operations.setup import Setup, set_up
from harness.operations.stepwise import along
from harness.operations.supernets.trained import degeneration, notes_of, supernet_of
from harness.probe.precision import arithmetic
from harness.runs.assemble import embedded_note, provenance


@dataclass(frozen=True)
class Comparison:
    """Operation scores of one benchmark, judged."""

    manifest: dict
    scores: pd.DataFrame
    """score, seed, edge, operation, value."""
    edges: pd.DataFrame
    """score, seed, edge, rho, tau_b: on each edge against the reference."""
    agreement: pd.DataFrame
    """The square of mean rho over edges and seeds, by name."""
    chosen: pd.DataFrame
    """score, seed, operations, arch, accuracy, rank, regret, params, tied, rho, tau_b, failed, seconds: by the score
    alone."""
    along: pd.DataFrame
    """score, seed, step, edges, `stepwise.COLUMNS`, edge, operation: along the search, with `along`."""
    epochs: pd.DataFrame
    """`epochs.over_epochs`: along the training, with `along`."""
    training: dict[int, pd.DataFrame]
    """Seed -> the history of its supernet, where there is a trained one."""


@arithmetic("float32")
def compare(
    config: OperationsConfig, say: Callable[[str], None] = lambda line: None, folder: str | Path = "."
) -> Comparison:
    """Compute and judge; `say` gets progress, `folder`/supernets what is trained. UserError for what cannot be used."""
    chosen = choose(config.scores)
    setup = set_up(config, folder)
    if not setup.trials.shape[1]:
        chosen = [score for score in chosen if not score.name.endswith("@trials")]
    names = [score.name for score in chosen]
    reference = config.reference or next((name for name in ("best-acc@trials", "best-acc") if name in names), names[0])
    if reference not in names:
        raise suggest([reference], names, "reference among --scores")
    notes = _notes(setup, chosen)
    for note in notes:
        say(note)
    seeds = range(config.first_seed, config.first_seed + config.seeds)
    for seed in seeds if any(score.source == "trained" for score in chosen) else ():
        trained = supernet_of(setup, seed)
        say(f"supernet of seed {seed}, {trained.seconds:.0f} s of training: {degeneration(trained.history)}")
    values, rows = _computed(setup, chosen, seeds, say)
    against = values[reference]
    for row in rows:
        own, place = values[row["score"]], row["seed"] - seeds[0]
        pair = own[place % len(own)], against[place % len(against)]
        row |= {name: mean_by_edge(*pair, name) for name in STATISTICS}
    followed = along(setup, chosen, seeds, say) if config.along else pd.DataFrame()
    epochs, marks = pd.DataFrame(), dict[str, float]()
    if config.along and setup.trained:
        epochs, marks, lines = along_training(setup, chosen, seeds, say)
        notes += lines
    manifest = provenance(setup.benchmark, setup.target, []) | {
        "kind": "operations", "settings": asdict(config), "reference": reference, "notes": notes,
        "meanings": {score.name: score.meaning for score in chosen}, "torch": torch.__version__,
        "accuracies": marks,
        "machine": platform.processor() or platform.machine(), **setup.facts,
    }  # fmt: skip
    scores, edges = _by_seed(setup, values, against, seeds[0])
    return Comparison(manifest, scores, edges, agreement(values), pd.DataFrame(rows), followed, epochs, setup.histories)


def _notes(setup: Setup, chosen: Sequence[OperationScore]) -> list[str]:
    """Return what a reader has to know, a line each."""
    benchmark, known = setup.benchmark, int(np.isfinite(setup.accuracy).sum())
    whole = len(benchmark.space)
    notes = [embedded_note(benchmark)] if benchmark.embedded else []
    notes.append(
        f"{benchmark.space.title}: {setup.shape[0]} edges of {setup.shape[1]} operations, judged by"
        f" {setup.target.dataset} {setup.target.split} accuracy after {setup.target.epochs} epochs"
    )
    if known < whole:
        notes.append(
            f"accuracies of {known:,} of {whole:,} architectures: scores from the table, ranks and regret are over"
            " these, and a cell without one has no accuracy"
        )
    if any(score.source != "table" for score in chosen):
        notes.append(setup.said)
    if any(score.source == "trained" for score in chosen):
        notes += notes_of(setup)
    return notes


def _computed(
    setup: Setup, chosen: Sequence[OperationScore], seeds: range, say: Callable[[str], None]
) -> tuple[dict[str, list[np.ndarray]], list[dict]]:
    """Return {score: arrays by seed}, one array for scores of the table, and a row for each about what it selects."""
    values: dict[str, list[np.ndarray]] = {}
    space, rows = setup.benchmark.space, []
    params = space.sizes(resolution=setup.benchmark.resolution or 32, **setup.network)[0]
    for score in chosen:
        failures: dict[str, int] = {}
        began, values[score.name] = time.perf_counter(), []
        for seed in seeds[:1] if score.source == "table" else seeds:
            start = time.perf_counter()
            scored: Scored = score.compute(setup, seed)
            seconds = time.perf_counter() - start
            failures |= scored.failures
            values[score.name].append(scored.values)
            operations, tied = argmax(scored.values)
            judged = judge_choice(setup.benchmark, setup.accuracy, operations)
            named = space.choices.find(operations)
            rows.append({
                "score": score.name, "seed": seed, "operations": setup.choices.said(operations), **asdict(judged),
                "tied": tied, "params": params[named].mean() if len(named) else float("nan"),
                "failed": int((~np.isfinite(scored.values)).sum()), "seconds": seconds,
            })  # fmt: skip
        said = "".join(f"; not finite: {reason} ({count})" for reason, count in failures.items())
        say(f"{score.name}: {time.perf_counter() - began:.1f} s{said}")
    return values, rows


def _by_seed(
    setup: Setup, values: dict[str, list[np.ndarray]], against: list[np.ndarray], first: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `Comparison.scores`, and `Comparison.edges` against the reference; seeds count from `first`."""
    edges, operations = pd.Index(setup.choices.edges, name="edge"), pd.Index(setup.choices.operations, name="operation")
    cells = pd.MultiIndex.from_product([edges, operations])
    scores, correlations = {}, {}
    for name, arrays in values.items():
        for place, array in enumerate(arrays):
            found = {each: by_edge(array, against[place % len(against)], each) for each in STATISTICS}
            scores[name, first + place] = pd.Series(array.ravel(), cells, name="value")
            correlations[name, first + place] = pd.DataFrame(found, edges)
    names = ["score", "seed"]
    return pd.concat(scores, names=names).reset_index(), pd.concat(correlations, names=names).reset_index()
