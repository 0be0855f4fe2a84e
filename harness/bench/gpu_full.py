"""All of NAS-Bench-201 with the classic ten, for `harness.bench.gpu`: with accuracies a run, without them scores."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import benchmarks
from benchmarks import UserError, space_of
from benchmarks.sources import data_folder
from harness.executors import Chunk, execute
from harness.inputs import load_images, source_of

if TYPE_CHECKING:
    from harness.bench.gpu import Job

SAVE_SECONDS = 15.0
COLUMNS = ("population", "proxy", "n", "failed", "tau_b", "rho", "regret_10")
"""What is shown of a run; its folder holds the rest."""


def run_all(job: Job, result: dict[str, Any], keep: Callable[[dict[str, Any]], None], stack: int) -> None:
    """Score everything in stacks of this size, going on where an earlier call was cut off."""
    if job.small:
        _run(job, result, stack, "gaussian", dataset=None, data=None)
        return
    try:
        source = source_of(benchmarks.load("201", "cifar10", job.data).table)
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
    from harness.config import RunConfig
    from harness.ensembles import with_ensembles
    from harness.report import write_report
    from harness.runner import run
    from harness.summary import summarise

    def say(line: str) -> None:
        import sys

        print(line, file=sys.stderr, flush=True)

    folder = job.out / "full"
    start = time.monotonic()
    result["wall_seconds"] = result.get("wall_seconds", 0.0)
    before = result["wall_seconds"]
    try:
        stored = run(
            RunConfig(
                bench="201", dataset=dataset, data=data, proxies=f"{job.setting.proxies},params,flops",
                sample="12" if job.small else "all", batch_size=job.setting.batch_size, devices=job.setting.device,
                workers=1, stack=str(result.setdefault("stack", stack)), out=str(folder),
                inputs=inputs,
            ),
            say=say,
        )  # fmt: skip
    finally:
        result["wall_seconds"] = before + time.monotonic() - start  # from the settings to the scores, read and kept
    summary = summarise(with_ensembles(stored))
    write_report(stored, summary)
    result["folder"], result["scoring_seconds"] = str(folder), float(stored.manifest["seconds"])
    result["archs"] = len(stored.archs)
    result["table"] = summary.table[list(COLUMNS)].to_dict("records")


def scores_only(
    job: Job, result: dict[str, Any], keep: Callable[[dict[str, Any]], None], stack: int, networks: list[int]
) -> None:
    """Score networks (indices in the space) into out/full-scores.npz: index (archs,), one array by proxy."""
    from tqdm import tqdm

    path, names = Path(job.out) / "full-scores.npz", tuple(job.setting.proxies.split(","))
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

    parts = execute(chunks, job.setting, [job.setting.device])
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
