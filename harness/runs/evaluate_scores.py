"""MISSING DOC"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from benchmarks.benchmark import Benchmark
    from harness.runs.assemble import Scores
    from harness.runs.score_table import Given
    from harness.runs.target import Target
    from harness.store.stored_run import StoredRun


OWN = "@given"
"""Ends the name of a column that is called like a baseline."""


def store_scores(
    scores: pd.DataFrame | str | Path,
    bench: str,
    *,
    dataset: str | None,
    split: str,
    epochs: int | None,
    reduction: str,
    data: str | None,
    out: str | Path | None,
    existing: str,
    say=lambda line: None,
) -> StoredRun:
    """Check scores computed elsewhere and store them beside the target as a run; return it."""  # fmt: skip
    import benchmarks
    from harness.proxies.registry import BASELINES
    from harness.runs.assemble import assemble
    from harness.runs.manifest import embedded_note
    from harness.runs.score_table import arrange, read_csv
    from harness.runs.target import target_of, together
    from harness.store.store import Store
    from harness.store.stored_run import load_run

    source = str(scores) if isinstance(scores, (str, Path)) else "the scores"
    _check_existing(existing)
    benchmark = benchmarks.load(bench, dataset, data)
    target, (rows, given) = together(
        lambda: target_of(benchmark, split, epochs, reduction),
        lambda: arrange(read_csv(scores) if isinstance(scores, (str, Path)) else scores, benchmark, source),
    )
    given = {name + OWN * (name in BASELINES): values for name, values in given.items()}
    manifest = _manifest(benchmark, target, rows, given, source)
    mark = manifest["settings"]["scores"][:8]
    folder = Path(out) if out else Path("results") / f"{bench}-{target.dataset}-{_stem(source)}-{mark}"
    store = Store(folder, manifest, len(benchmark.space), existing=existing)
    if benchmark.embedded:
        say(embedded_note(benchmark))
    count = f"{len(rows):,} architectures x {len(given)} prox{'ies' if len(given) > 1 else 'y'}"
    say(f"{benchmark.space.title}, {target.dataset}: {count} from {source} -> {folder}")
    sizes = {**benchmark.network, "classes": benchmark.network["classes"] or 10}
    network = {name: int(size) for name, size in sizes.items() if size is not None}
    side = benchmark.resolution or 32
    whole = _with_baselines(benchmark, rows, given, network, side)
    store.merge(assemble(benchmark, rows, target, whole, manifest, folder, network, side))
    return load_run(folder)


def _check_existing(existing: str) -> None:
    from benchmarks.errors import suggest
    from harness.runs.config import CHOICES

    if existing not in CHOICES["existing"]:
        raise suggest([existing], CHOICES["existing"], "value of --existing")


def _manifest(benchmark: Benchmark, target: Target, rows: np.ndarray, given: Given, source: str) -> dict:
    """Return the manifest of scores computed elsewhere; two with the same settings hold the same scores."""
    from dataclasses import asdict

    from harness.proxies.registry import BASELINES, choose
    from harness.runs.manifest import provenance

    digest = hashlib.sha256(rows.tobytes())
    for name in sorted(given):
        digest.update(name.encode() + given[name][0].tobytes())
    settings = {
        "bench": benchmark.space.name, **asdict(target), "table": benchmark.table.checksum,
        "scores": digest.hexdigest(), "sample": len(rows), "seeds": _seeds(given), "share": False,
        "proxies": [*BASELINES, *given],
    }  # fmt: skip
    baselines = choose(",".join(BASELINES))
    facts = provenance(benchmark, target, baselines)
    return {**facts, "settings": settings, "scores_source": source, "device": "elsewhere"}


def _seeds(given: Given) -> int:
    return max(len(values) for values, _ in given.values())


def _with_baselines(
    benchmark: Benchmark, rows: np.ndarray, given: Given, network: dict[str, int], resolution: int
) -> Scores:
    """Put the baselines before the given scores, and say why some of these are not finite."""
    import numpy as np

    from harness.proxies.registry import BASELINES, choose
    from harness.runs.assemble import Scores
    from harness.runs.counts import static_scores

    archs = [benchmark.table.archs[row] for row in rows]
    scores = static_scores(
        choose(",".join(BASELINES)), benchmark, benchmark.indices[rows], _seeds(given), network, resolution
    )
    scores |= {name: values for name, (values, _) in given.items()}
    failures = [
        (name, int(seed), archs[at], str(reasons[seed, at]))
        for name, (values, reasons) in given.items()
        for seed, at in np.argwhere(~np.isfinite(values))
    ]
    return Scores(scores, {name: np.full_like(values, np.nan) for name, values in scores.items()}, failures)


def _stem(source: str) -> str:
    """Return a file's name as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in Path(source).stem) or "scores"
