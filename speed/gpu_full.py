"""All of NAS-Bench-201 with the classic ten, for `speed.gpu`: a run with accuracies, or scores without."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.benchmark import load, space_of
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from harness.analysis.ensembles import with_ensembles
from harness.analysis.summary import summarise
from harness.engine.scorer import Chunk, Scorer, execute
from harness.inputs.draw import load_images, source_of
from harness.report.page import write_report
from harness.runs.config import RunConfig
from harness.runs.runner import run
from speed.command import say
from speed.gpu_job import Job, Keep

SAVE_SECONDS = 15.0
"""Time between two writes of the scores."""
COLUMNS = ("population", "proxy", "n", "failed", "tau_b", "rho", "regret_10")
"""Columns of the summary that are kept; the run folder has all."""


def run_all(job: Job, result: dict[str, Any], keep: Keep, stack: int) -> None:
    """Score everything in stacks of this size, continuing an earlier call that was cut off."""
    if job.small:
        _run(job, result, stack, "gaussian", dataset=None, data=None)
        return
    try:
        source = source_of(load("201", "cifar10", job.data).table)
    except UserError as error:
        result["note"] = f"scores only, no statistics: {error}"
        keep(result)
        scores_only(job, result, keep, stack, np.unique(space_of("201").class_id).tolist())
        return
    inputs = "images"
    try:
        load_images(source, data_folder(job.data))
    except UserError as error:
        inputs, result["note"] = "gaussian", f"Gaussian noise instead of images: {error}"
    _run(job, result, stack, inputs, dataset="cifar10", data=job.data)


def _run(
    job: Job, result: dict[str, Any], stack: int, inputs: str, *, dataset: str | None, data: str | None
) -> None:  # fmt: skip
    """`harness.run` on all architectures (small: 12 of the embedded table): its wall time and its table."""
    folder = job.out / "full"
    start = time.monotonic()
    result["wall_seconds"] = result.get("wall_seconds", 0.0)
    before = result["wall_seconds"]
    try:
        stored = run(
            RunConfig(
                bench="201", dataset=dataset, data=data, proxies=",".join(each.name for each in job.setting.proxies),
                sample="12" if job.small else "all", batch_size=job.setting.batch_size, devices=job.setting.device,
                workers=1, stack=str(result.setdefault("stack", stack)), out=str(folder),
                inputs=inputs,
            ),
            say=say,
        )  # fmt: skip
    finally:
        result["wall_seconds"] = before + time.monotonic() - start  # from the settings to the stored scores
    summary = summarise(with_ensembles(stored))
    write_report(stored, summary)
    result["folder"], result["scoring_seconds"] = str(folder), float(stored.manifest["seconds"])
    result["archs"] = len(stored.archs)
    result["table"] = summary.table[list(COLUMNS)].to_dict("records")


def scores_only(job: Job, result: dict[str, Any], keep: Keep, stack: int, networks: list[int]) -> None:
    """Score networks (indices in the space) into out/full-scores.npz: index (archs,), one array by proxy."""
    scorer = Scorer(job.setting)
    path, names = Path(job.out) / "full-scores.npz", scorer.names
    kept: dict[str, list[float]] = {name: [] for name in ("index", *names)}
    if path.exists():
        with np.load(path) as file:
            kept = {name: file[name].tolist() for name in kept}
    size = result.setdefault("stack", stack)
    there = set(kept["index"])
    todo = [index for index in networks if index not in there]
    chunks = [Chunk(0, tuple(todo[start : start + size]), names) for start in range(0, len(todo), size)]
    result["wall_seconds"], saved = result.get("wall_seconds", 0.0), time.monotonic()

    def save() -> None:
        nonlocal saved
        arrays: dict[str, Any] = {name: np.array(values) for name, values in kept.items()}
        np.savez(path, **arrays)
        result["wall_seconds"] += time.monotonic() - saved
        result["archs"], saved = len(kept["index"]), time.monotonic()
        keep(result)

    parts = execute(chunks, scorer, [job.setting.device])
    try:
        with tqdm(total=len(todo), unit="network", desc=f"scoring into {path}") as bar:
            for part in parts:
                kept["index"] += part.index.tolist()
                for name, scores in zip(part.proxies, part.scores, strict=True):
                    kept[name] += scores.tolist()
                bar.update(len(part.index))
                if time.monotonic() - saved > SAVE_SECONDS:
                    save()
    finally:
        parts.close()
        save()
