"""Scores computed elsewhere -> a stored run, as if they had been scored here."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks
from benchmarks import Benchmark
from benchmarks.errors import suggest
from harness.proxies.choose import choose
from harness.proxies.registry import baselines
from harness.runs.assemble import (
    Scores,
    Target,
    assemble,
    check_known,
    embedded_note,
    further_targets,
    known_rows,
    provenance,
    static_scores,
    target_of,
    together,
    usual_network,
    with_targets,
)
from harness.runs.config import EXISTING
from harness.runs.score_table import Scored, arrange
from harness.store.store import Store
from harness.store.stored_run import StoredRun, load_run
from harness.store.version import RUNS

OWN = "@given"
"""Ends the name of a column that is called like a baseline."""


def store_scores(
    scores: Any, bench: str, *, dataset: str | None = None, split: str | None = None, epochs: int | None = None,
    reduction: str = "mean", data: str | None = None, out: str | Path | None = None, existing: str = "resume",
    target: str | None = None, given: str | None = None, say: Callable[[str], None] = lambda line: None,
) -> StoredRun:  # fmt: skip
    """Check scores computed elsewhere and store them with the target accuracies as a run; return it.

    `scores` are those that `harness.runs.score_table.sheet_of` takes; `target` and `given` name further targets.
    """
    source = str(scores) if isinstance(scores, (str, Path)) else "the scores"
    if existing not in EXISTING:
        raise suggest([existing], EXISTING, "value of --existing")
    benchmark = benchmarks.load(bench, dataset, data)
    further, whole = together(
        lambda: further_targets(benchmark, target, given, data),
        lambda: judged(scores, benchmark, source, split=split, epochs=epochs, reduction=reduction),
    )
    mark = whole.manifest["settings"]["scores"][:8]
    folder = Path(out) if out else RUNS / f"{bench}-{benchmark.table.dataset}-{_stem(source)}-{mark}"
    if benchmark.embedded:
        say(embedded_note(benchmark))
    columns = len(whole.scores) - len(baselines())
    count = f"{len(whole.archs):,} architectures x {columns} prox{'ies' if columns > 1 else 'y'}"
    say(f"{benchmark.space.title}, {benchmark.table.dataset}: {count} from {source} -> {folder}")
    with Store(folder, whole.manifest, len(benchmark.space), existing=existing) as store:
        store.merge(replace(with_targets(whole, *further), path=folder))
    return load_run(folder)


def judged(
    scores: Any, benchmark: Benchmark, source: str, *, split: str | None = None, epochs: int | None = None,
    reduction: str = "mean", counts: str = "",
) -> StoredRun:  # fmt: skip
    """Return scores computed elsewhere with the target accuracies as a run that lies in no folder.

    counts: proxies without a network that are added beside the baselines, by commas. Raises UserError.
    """
    target, (rows, columns) = together(
        lambda: target_of(benchmark, split, epochs, reduction), lambda: arrange(scores, benchmark, source)
    )
    check_known(known_rows(benchmark, target)[rows], target, source)
    columns = {name + OWN * (name in baselines()): values for name, values in columns.items()}
    manifest = _manifest(benchmark, target, rows, columns, source, counts)
    network, side = usual_network(benchmark), benchmark.resolution or 32
    whole = _with_baselines(benchmark, rows, columns, network, side, counts)
    return assemble(benchmark, rows, target, whole, manifest, Path(), network, side)


def _manifest(
    benchmark: Benchmark, target: Target, rows: np.ndarray, columns: Scored, source: str, counts: str
) -> dict[str, Any]:
    """Return the manifest of scores computed elsewhere; two with the same settings hold the same scores."""
    digest = hashlib.sha256(rows.tobytes())
    for name in sorted(columns):
        digest.update(name.encode() + columns[name][0].tobytes())
    settings = {
        "bench": benchmark.space.name, "table": benchmark.table.checksum,
        "scores": digest.hexdigest(), "sample": len(rows), "seeds": _seeds(columns), "share": False,
        "proxies": [*baselines(), *columns],
    }  # fmt: skip
    facts = provenance(benchmark, target, choose(counts), rows)
    return {**facts, "settings": settings, "scores_source": source, "device": "elsewhere"}


def _seeds(columns: Scored) -> int:
    return max(len(values) for values, _ in columns.values())


def _with_baselines(
    benchmark: Benchmark, rows: np.ndarray, columns: Scored, network: dict[str, int], resolution: int, counts: str
) -> Scores:
    """Put the baselines before the scores of a file, and say why some of these are not finite."""
    archs = [benchmark.table.archs[row] for row in rows]
    indices = benchmark.indices[rows]
    scores = static_scores(choose(counts), benchmark, indices, _seeds(columns), network, resolution)
    scores |= {name: values for name, (values, _) in columns.items()}
    failures = [
        (name, int(seed), archs[at], str(reasons[seed, at]))
        for name, (values, reasons) in columns.items()
        for seed, at in np.argwhere(~np.isfinite(values))
    ]
    return Scores(scores, {name: np.full_like(values, np.nan) for name, values in scores.items()}, failures)


def _stem(source: str) -> str:
    """Return a file's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(source).stem) or "scores"
