"""The cells that scores of a trained supernet select along its training, edge by edge as their searches do.

A long training of DARTS degenerates: operations without weights get the largest architecture parameters, on
NAS-Bench-201 skip connections at the end on every edge (54.30 % on CIFAR-10). Whether another rule withstands that can
be seen only where it has happened, so every rule is measured after the epochs that were kept (--supernet-keep) and the
last. The largest parameters (darts) are in the history, after every epoch.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.errors import UserError
from benchmarks.files.write import digest, write_text
from harness.operations.agreement import judge_choice
from harness.operations.scores.registry import OperationScore
from harness.operations.search.candidates import Candidates
from harness.operations.search.config import FindConfig
from harness.operations.search.methods import METHODS
from harness.operations.search.published import published
from harness.operations.search.trained import discretise
from harness.operations.setup import Setup
from harness.operations.supernets.trained import supernet_of
from harness.report.result import settings_mark
from harness.report.style import number

MAGNITUDE = "darts"


def along_training(
    setup: Setup, scores: Sequence[OperationScore], seeds: range, say: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, float], list[str]]:
    """Return `over_epochs`, the accuracies of the median cell and of magnitude's published ones, and the `verdicts`."""
    found, space = over_epochs(setup, scores, seeds, say), setup.benchmark.space
    marks = {"median cell": float(np.nanmedian(setup.accuracy))}
    for group in published(setup.config.bench, MAGNITUDE, MAGNITUDE):
        cell = space.choices.chosen[space.index(group.archs[0])]
        marks[f"published, {group.settings}"] = judge_choice(setup.benchmark, setup.accuracy, cell).accuracy
    for line in (lines := verdicts(found, setup.shape[0], marks["median cell"])):
        say(line)
    return found, marks, lines


def over_epochs(
    setup: Setup, scores: Sequence[OperationScore], seeds: range, say: Callable[[str], None]
) -> pd.DataFrame:
    """Return a row for each trained score among `scores`, and magnitude in any case, seed and epoch.

    Columns: score, seed, epoch, skip_edges (how many edges are a skip connection), weightless_edges (how many have an
    operation without weights, that included), operations, accuracy and rank in the table. UserError for a kept epoch
    of another training.
    """
    rules = [score.name for score in scores if score.source == "trained" and score.name != MAGNITUDE]
    names = [f"{edge} {operation}" for edge in setup.choices.edges for operation in setup.choices.operations]
    rows = []
    for seed in seeds:
        own = supernet_of(setup, seed)
        weights = own.history[names].to_numpy().reshape(-1, *setup.shape)
        cells = [(MAGNITUDE, epoch, each) for epoch, each in zip(own.history["epoch"], weights.argmax(2), strict=True)]
        for epoch, path, at in _kept(setup, seed) if rules else ():
            cells += [(rule, epoch, _selected(at, rule, seed, path)) for rule in rules]
            found = [_row(setup, own.network, seed, *cell) for cell in cells if cell[1] == epoch]
            told = ", ".join(f"{row['score']} {number(row['accuracy'], 2)} %" for row in found)
            say(f"seed {seed}, epoch {epoch}: {told}")
        rows += [_row(setup, own.network, seed, *cell) for cell in cells]
    by_score = pd.DataFrame(rows).groupby("score", sort=False)
    return pd.concat([each for _, each in by_score], ignore_index=True)


def _kept(setup: Setup, seed: int) -> Iterator[tuple[int, Path, Setup]]:
    """Yield epoch, checkpoint and a setup that has it, for each kept epoch of a seed and then the last."""
    place = Path(setup.config.supernet or setup.folder / "supernets")
    final = place if place.is_file() else place / f"seed{seed}.pt"
    whole = supernet_of(setup, seed).history
    for path in sorted(place.glob(f"epoch*/{final.name}"), key=lambda each: (len(each.parent.name), each.parent.name)):
        at = replace(setup, config=replace(setup.config, supernet=str(path.parent), supernet_keep=""), trained={})
        history = supernet_of(at, seed).history
        if not history.equals(whole.head(len(history))):
            raise UserError(f"{path} is not an epoch of the training that {final} is the end of: delete it, or move it")
        if len(history) < len(whole):
            yield len(history), path, at
    yield len(whole), final, setup


def _selected(setup: Setup, rule: str, seed: int, path: Path) -> np.ndarray:
    """Return the operations, (edges,), that the search by a score decides for, with its own order of edges.

    They are kept in supernets/cells.json, so that an interrupt costs one search at most.
    """
    config, kept = setup.config, setup.folder / "supernets" / "cells.json"
    facts = {"rule": rule, "checkpoint": digest(path), "held_out": config.held_out, "size": config.batch_size,
             "statistics": config.statistics, "seed": seed, "torch": torch.__version__}  # fmt: skip
    known, mark = dict[str, list[int]](), settings_mark(facts)
    with suppress(OSError, ValueError):  # none yet, or damaged
        known = json.loads(kept.read_text("utf-8"))
    if mark not in known:
        method = next(name for name, each in METHODS.items() if each.trained and rule in each.scores)
        outcome = discretise(Candidates(setup), FindConfig(config, method, score=rule), seed)
        known[mark] = list(map(int, outcome.proposals[0].operations))
        write_text(kept, json.dumps(known) + "\n")
    return np.array(known[mark])


def _row(setup: Setup, network: Any, seed: int, score: str, epoch: int, operations: np.ndarray) -> dict:
    judged = judge_choice(setup.benchmark, setup.accuracy, operations)
    weights = {(edge, operation) for edge, operation, _ in network.convolutions()}
    return {
        "score": score, "seed": seed, "epoch": epoch,
        "skip_edges": float("nan") if network.skip is None else int((operations == network.skip).sum()),
        "weightless_edges": sum(each not in weights for each in enumerate(operations)),
        "operations": setup.choices.said(operations), "accuracy": judged.accuracy, "rank": judged.rank,
    }  # fmt: skip


def verdicts(found: pd.DataFrame, edges: int, median: float) -> list[str]:
    """Return a line for each epoch with rules beside magnitude: whether magnitude degenerated, and what withstood it.

    A seed has degenerated where magnitude's cell is worse than the median of all cells: a random cell would be better
    more often than not. A rule withstands it where its own cell is better than the median.
    """
    rules, lines = [name for name in found["score"].unique() if name != MAGNITUDE], []
    for epoch in sorted(found.loc[found["score"].isin(rules), "epoch"].unique()):
        now = found[found["epoch"] == epoch]
        accuracy = now.pivot(index="seed", columns="score", values="accuracy").dropna()
        if accuracy.empty:
            continue
        own = now[now["score"] == MAGNITUDE].set_index("seed").loc[accuracy.index]
        free, skip = _each(own["weightless_edges"], ".0f"), _each(own["skip_edges"], ".0f")
        worse = accuracy[accuracy[MAGNITUDE] < median]
        said = (
            f"after {epoch} epochs magnitude selects operations without weights on {free} of {edges} edges (skip on"
            f" {skip}), cells of {_each(own['accuracy'])} %: worse than the median of all ({median:.2f} %) with"
            f" {len(worse)} of {len(own)} seeds"
        )
        counts = [f"{rule} with {(worse[rule] > median).sum()} ({_each(worse[rule])} %)" for rule in rules]
        lines.append(said if worse.empty else f"{said}; of these better than the median: {', '.join(counts)}")
    return lines


def _each(values: pd.Series, form: str = ".2f") -> str:
    return "; ".join(format(value, form) for value in values)
