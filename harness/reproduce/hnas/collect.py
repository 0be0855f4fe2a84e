"""Scores of runs or of a CSV, and the ground truth of a benchmark -> all tables of HNAS's metrics."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import benchmarks
from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError, repeated
from benchmarks.readers.csv_table import dataset_key
from harness.reproduce.hnas.config import HnasConfig
from harness.reproduce.hnas.tables import TITLES, Sample, against_error, between_metrics, transfer
from harness.runs.assemble import Target, embedded_note, provenance, target_of
from harness.search.guides import read_scores
from harness.search.hnas import KAPPA, condition_numbers
from harness.search.task_from_table import accuracy_elsewhere
from harness.store.stored_run import load_run, target_in


@dataclass(frozen=True)
class Source:
    """Scores on one dataset."""

    dataset: str
    images: str
    """Description of what the networks saw; empty where unknown."""
    substitute: bool
    """Whether these were not the dataset's images."""
    rows: np.ndarray
    """(archs,) of the table."""
    sample: Sample
    metrics: dict[str, np.ndarray]
    """metric -> M (archs,), at least 0, NaN where it failed; of the four metrics those that were scored."""
    kappa: np.ndarray | None
    """Condition numbers (archs,), NaN where not finite; None where not scored."""


@dataclass(frozen=True)
class Tables:
    """The tables of `harness.reproduce.hnas.tables`."""

    manifest: dict
    between: pd.DataFrame
    errors: pd.DataFrame
    transfer: pd.DataFrame
    missing: dict[str, str]
    """dataset without scores -> the command that makes them."""
    main: Source
    """The source that all tables but the last are of."""
    error: np.ndarray
    """(archs,) percent, of its architectures."""


def collect(config: HnasConfig) -> Tables:
    """Return all tables; UserError, in one line, for what cannot be used."""
    if config.resamples < 2:
        raise UserError(f"--resamples {config.resamples}: expected at least 2, 1000 is usual")
    first = config.scores[0]  # a CSV does not say what it was scored on
    dataset = config.dataset or (None if Path(first).is_file() else str(target_in(load_run(first).manifest)["dataset"]))
    benchmark = benchmarks.load(config.bench, dataset, config.data)
    target = target_of(benchmark, config.split, config.epochs, config.reduction)
    sources = _sources(config, benchmark)
    main = sources.get(target.dataset)
    if main is None:
        raise UserError(f"none of --scores is of {target.dataset}, but of {', '.join(sources)}: give --dataset")
    errors = _errors(config, benchmark, target)
    moved = [
        transfer(each.sample, name, each.metrics, {other: error[each.rows] for other, error in errors.items()})
        for name, each in sources.items()
    ]
    missing = {
        name: f"python -m harness.run --bench {config.bench} --dataset {name} --proxies {','.join(TITLES)}"
        for name in errors
        if name not in sources
    }
    error = errors[target.dataset][main.rows]
    manifest = provenance(benchmark, target, []) | {
        "kind": "hnas", "scores": list(config.scores), "archs": len(main.rows), "resamples": config.resamples,
        "images": {name: each.images for name, each in sources.items()},
        "substitutes": [name for name, each in sources.items() if each.substitute],
        "notes": _notes(benchmark, sources, main, missing),
    }  # fmt: skip
    return Tables(
        manifest, between_metrics(main.sample, main.metrics),
        against_error(main.sample, main.metrics, main.kappa, error), pd.concat(moved, ignore_index=True), missing, main,
        error,
    )  # fmt: skip


def _sources(config: HnasConfig, benchmark: Benchmark) -> dict[str, Source]:
    found = [read_source(path, benchmark, config.resamples) for path in config.scores]
    if twice := repeated(each.dataset for each in found):
        raise UserError(f"several --scores are of {twice[0]}: give one a dataset (a CSV is of --dataset)")
    return {each.dataset: each for each in found}


def _errors(config: HnasConfig, benchmark: Benchmark, target: Target) -> dict[str, np.ndarray]:
    """Return {dataset: test errors in percent (table rows,)}, the target's first."""
    table = benchmark.table
    errors = {target.dataset: 100 - table.target(target.split, target.epochs, target.reduction)}
    for name, known in accuracy_elsewhere(benchmark, config.data, target).items():
        errors[name] = 100 - known.reindex(list(table.archs)).to_numpy()
    return errors


def read_source(path: str, benchmark: Benchmark, resamples: int) -> Source:
    """Return the metrics of a run, or of a CSV of the benchmark's own dataset; UserError where there is none."""
    scores = read_scores(path, benchmark)
    metrics = {name: np.abs(scores.values[name]) for name in TITLES if name in scores.values}
    if not metrics:
        raise UserError(f"{path} has none of {', '.join(TITLES)}: score them (python -m harness.run --proxies NAMES)")
    kappa = condition_numbers(scores.values[KAPPA]) if KAPPA in scores.values else None
    dataset, images, substitute = benchmark.table.dataset, "", False
    if not Path(path).is_file():
        manifest = load_run(path).manifest
        dataset, images = dataset_key(str(target_in(manifest)["dataset"])), str(manifest.get("minibatch") or "")
        inputs = manifest["settings"].get("inputs", "images")
        substitute = "SUBSTITUTE" in images or "STAND-IN" in images or inputs != "images"
        images = images if inputs == "images" else f"{inputs}, {images}"
    by_string = Path(path).is_file() or load_run(path).manifest.get("unit", "strings") == "strings"
    space = benchmark.space
    classes = space.class_id[benchmark.indices[scores.rows]]
    drawn, there = len(scores.rows), space.full_size
    if not by_string:
        drawn, there = len(np.unique(classes)), len(np.unique(space.class_id))
    sample = Sample.of(classes, 0 if drawn == there else resamples, drawn / there, by_string)
    return Source(dataset, images, substitute, scores.rows, sample, metrics, kappa)


def _notes(benchmark: Benchmark, sources: dict[str, Source], main: Source, missing: dict[str, str]) -> list[str]:
    lines = [embedded_note(benchmark)] if benchmark.embedded else []
    lines += [
        f"scored on {name}: {len(each.rows):,} of {len(benchmark.space):,} architectures"
        + f", {each.images}" * bool(each.images)
        + ("; NOT the dataset's images" if each.substitute else "")
        for name, each in sources.items()
    ]
    if absent := [name for name in TITLES if name not in main.metrics]:
        lines.append(f"not scored: {', '.join(absent)}")
    if main.kappa is None:
        lines.append(f"{KAPPA} was not scored: no guarantee of the non-realizable case")
    return lines + [f"nothing was scored on {name}: {command}" for name, command in missing.items()]
