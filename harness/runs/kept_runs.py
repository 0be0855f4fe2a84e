"""Kept scores as runs: of every benchmark and dataset whose ground truth is at hand. Nothing is scored.

A task is the accuracies of a benchmark on a dataset. A set of kept scores is judged by every dataset of its benchmark
that has its architectures; scores do not change with it, so those of NAS-Bench-201, made with images of CIFAR-10, are
judged by the accuracies on CIFAR-100 too. Further targets of the space go with the first dataset.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.benchmark import EMBEDDED_DATASET, Benchmark, load, space_of
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from benchmarks.options import listed
from benchmarks.readers.foreign import read_json
from benchmarks.spaces.space import Space
from benchmarks.spaces.targets import TargetColumn, read_targets
from harness.cached import kept
from harness.proxies.registry import registry
from harness.runs.assemble import further_targets, target_of, with_targets
from harness.runs.evaluate_scores import judged
from harness.store.stored_run import StoredRun, load_run

FEWEST = 50
"""Architectures of a set that a column has to have: of fewer there is nothing to say about a benchmark."""
COUNTS = "az_complexity"
"""Added to the baselines: ensembles have their member."""
USUAL = "default"
Say = Callable[[str], None]


def kept_tasks(
    data: str | Path | None = None, bench: str = "all", targets: str = "", *, say: Say = lambda line: None
) -> dict[str, list[StoredRun]]:
    """Return {task: the runs of its kept sets}, those under the default protocol first, then the larger.

    bench: keys by commas, or "all". targets: further columns of their spaces as `benchmarks.spaces.targets` takes them;
    those that a space does not have are left out for it; they go into `targets` of its first dataset's runs. The
    embedded digits count where no other ground truth is there. `say` names what is left out.
    Facts of a run's manifest: `family`, the benchmark whose architectures these are; `kept`, the set; `cost`, seconds
    by score; `protocol`. UserError where nothing is left.
    """
    known = {about["bench"] for about in kept.facts().values()}
    keys = sorted(known) if bench == "all" else listed(bench, sorted(known), "benchmark with kept scores")
    found: dict[str, list[StoredRun]] = {}
    for embedded in (False, True):
        for key in keys if not found else ():
            for task, run in _of_benchmark(key, data, targets, embedded, say):
                found.setdefault(task, []).append(run)
    if not found:
        raise UserError(f"no ground truth for the kept scores of {', '.join(keys)}: name its folder in --data")
    return {task: sorted(runs, key=_preference) for task, runs in found.items()}


def kept_with_targets(
    bench: str, dataset: str | None, data: str | None, target: str, given: str | None = None
) -> list[StoredRun]:
    """Return the kept sets of a benchmark and dataset with further targets, in the order of `kept_tasks`.

    A score is in the first set that has it alone. UserError where nothing is kept.
    """
    benchmark = load(bench, dataset, data)
    further, dataset = further_targets(benchmark, target, given, data), benchmark.table.dataset
    of = {name: (about["bench"], about["dataset"]) for name, about in kept.facts().items()}
    sets = [name for name in of if of[name] == (bench, dataset)]
    found = [run for name in sets if (run := _run_of(name, kept.facts()[name], benchmark))]
    if not found:
        raise UserError(f"no kept scores of {bench} on '{dataset}'; nas-harness scores lists what is kept")
    seen: set[str] = set()
    runs = []
    for run in sorted(found, key=_preference):
        facts = run.manifest["proxies"]
        counts = {name for name in run.scores if facts.get(name, {}).get("baseline")}
        fresh = {name for name in run.scores if not facts.get(name, {}).get("static")} - counts - seen
        if fresh:
            runs.append(with_targets(run.of(fresh | counts), *further))
        seen |= fresh
    return runs


def run_in(folder: Path, data: str | Path | None = None) -> StoredRun:
    """Return the run of a folder. Of one that holds statistics alone it is made from the set of kept scores of the same
    name and the ground truth. UserError where there is none."""
    return kept_run_in(folder, data) or load_run(folder)


def kept_run_in(folder: Path, data: str | Path | None = None) -> StoredRun | None:
    """Return the run of statistics whose scores are kept with the program; None for another folder, and where its
    ground truth is missing."""
    about, path = kept.facts().get(folder.name), folder / "manifest.json"
    if about is None or not path.exists() or (folder / "scores.h5").exists():
        return None
    manifest = read_json(path, "the manifest of a run")
    benchmark = _opened(about["bench"], about["dataset"], data) if manifest.get("started") == about["started"] else None
    run = _run_of(folder.name, about, benchmark) if benchmark else None
    if run is None:
        return None
    facts = {key: value for key, value in manifest.items() if key not in ("proxies", "target", "settings")}
    static = {name for name in run.scores if run.manifest["proxies"].get(name, {}).get("static")}
    cost = {name: about["cost"].get(name, 0.0 if name in static else np.nan) for name in run.scores}
    return replace(
        run, path=folder, manifest=run.manifest | facts | {"settings": run.manifest["settings"] | about["settings"]},
        seconds={name: np.full_like(values, cost[name]) for name, values in run.scores.items()},
    )  # fmt: skip


def _preference(run: StoredRun) -> tuple[bool, int]:
    return run.manifest["protocol"] != USUAL, -len(run.archs)


def _of_benchmark(
    bench: str, data: str | Path | None, targets: str, embedded: bool, say: Say
) -> Iterator[tuple[str, StoredRun]]:
    """Yield (task, run) of every kept set and column of a benchmark."""
    sets = {name: about for name, about in kept.facts().items()
            if about["bench"] == bench and (about["dataset"] == EMBEDDED_DATASET) == embedded}  # fmt: skip
    wanted = [EMBEDDED_DATASET] if embedded else [*(about["dataset"] for about in sets.values()),
                                                  *space_of(bench).datasets]  # fmt: skip
    opened = [each for dataset in dict.fromkeys(wanted) if sets and (each := _opened(bench, dataset, data))]
    if sets and not opened:
        say(f"{bench}: no ground truth in the data folder, left out")
    further = _targets(opened[0].space, targets, data, say) if opened and not embedded else []
    for name, about in sets.items():
        run: StoredRun | None = None
        for place, benchmark in enumerate(opened):
            same = place and benchmark.table.archs == opened[place - 1].table.archs
            run = _of_dataset(run, benchmark) if run and same else _run_of(name, about, benchmark)
            if run is not None:
                yield f"{bench} {benchmark.table.dataset}", run if place else with_targets(run, further)


def _opened(bench: str, dataset: str, data: str | Path | None) -> Benchmark | None:
    try:
        return load(bench, dataset, data)
    except UserError:
        return None


def _run_of(name: str, about: dict[str, Any], benchmark: Benchmark) -> StoredRun | None:
    """Return a kept set judged by the accuracies of a benchmark; None where it has too few of its architectures."""
    frame = kept.scores(about["bench"], about["dataset"], name)
    frame = frame[frame["arch"].isin(set(benchmark.table.archs))].reset_index(drop=True)
    if len(frame) < FEWEST:
        return None
    run = judged(frame, benchmark, f"the kept scores {name}", counts=COUNTS)
    facts = {proxy: {"summary": each.summary, "fitted": each.fitted, "baseline": each.baseline}
             for proxy, each in registry().items() if proxy in frame}  # fmt: skip
    settings = about["settings"]
    return replace(run, manifest=run.manifest | {
        "family": benchmark.space.view_of or about["bench"], "kept": name, "cost": about.get("cost", {}),
        "protocol": settings.get("protocol", USUAL), "batch_size": settings.get("batch_size"),
        "scored": {key: about.get(key) for key in ("revision", "minibatch", "device", "started")},
        "proxies": run.manifest["proxies"] | facts,
    })  # fmt: skip


def _of_dataset(run: StoredRun, benchmark: Benchmark) -> StoredRun:
    """Return the same scores judged by the accuracies of another dataset of the same architectures."""
    target = target_of(benchmark, None, None, "mean")
    values = np.full(len(benchmark.space), np.nan)
    values[benchmark.indices] = benchmark.table.target(target.split, target.epochs)
    return replace(
        run, accuracy=values[run.index], seed_accuracy=np.empty((len(run.index), 0)),
        space_best=float(np.nanmax(values)), manifest=run.manifest | {"target": asdict(target)},
    )  # fmt: skip


def _targets(space: Space, words: str, data: str | Path | None, say: Say) -> list[TargetColumn]:
    """Return those of the further targets that the space has; `say` names what their files lack."""
    groups = {each.group for each in space.targets}
    wanted = [word for word in words.split(",") if word.partition(":")[0] in groups]
    try:
        return read_targets(wanted, space, data_folder(data)) if wanted else []
    except UserError as error:
        say(f"{space.name}: further targets are left out: {error}")
        return []
