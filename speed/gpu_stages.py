"""The stages of `speed.gpu`: each adds to `result` and calls `keep(result)` after every step.

All have the same parameters: the job, what an earlier call left in `result`, `keep`, and `stop`, the time of
`time.monotonic()` at which the stage is cut off.
"""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.benchmark import space_of
from harness.engine import stack_size
from harness.engine.scorer import Chunk, Scorer
from harness.probe.view import View
from speed import ceilings, floor, gpu_full
from speed.gpu_job import Job, Keep
from speed.gpu_pieces import run_pieces, run_profile, run_views
from speed.networks import draw_weights, one_of_each_class
from speed.one_by_one import ALONE
from speed.passes import Watch
from speed.precision import available


@cache
def _networks() -> tuple[int, ...]:
    """Return one architecture of each class of connected ones, in the order of the sample with seed 0."""
    space = space_of("201")
    return tuple(index for index in one_of_each_class(space) if space.connected[index])


def _score(scorer: Scorer, indices: Sequence[int]) -> np.ndarray:
    """Return the scores of one stack, (proxies, archs)."""
    return scorer.score(Chunk(0, tuple(indices), scorer.names)).scores


def _watched(scorer: Scorer, indices: Sequence[int], watch: Watch) -> np.ndarray:
    return watch.time("all", lambda: _score(scorer, indices))


def run_ceilings(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """FLOP/s and bytes/s of the device."""
    result |= ceilings.measure(job.setting.device, small=job.small).as_json()


def run_stacks(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Architectures a second for each size, from building to the scores; scores of the first for `agreement`."""
    scorer = Scorer(job.setting)
    for size in job.stacks:
        if str(size) not in result:
            share = (stop - time.monotonic()) / (2 + len([each for each in job.stacks if each >= size]))
            _timed_size(job, scorer, result, keep, size, share)
    if "auto" not in result:
        found = stack_size.find(scorer, _networks()[: 16 if job.small else None], 1, (job.setting.device,))
        result["auto"] = {"stack": found.stack, "why": found.why, "found": found.rates}
        keep(result)
    size = result["auto"]["stack"]
    if str(size) not in result:
        _timed_size(job, scorer, result, keep, size, stop - time.monotonic() - 5)


def _timed_size(job: Job, scorer: Scorer, result: dict[str, Any], keep: Keep, size: int, seconds: float) -> None:
    """Time stacks of one size for at most this many seconds; the same networks for every size, the first warms up."""
    cuda = job.setting.device != "cpu"
    chosen = _networks()[: max(size, job.archs)]
    row: dict[str, Any] = {}
    try:
        _score(scorer, chosen[:size])
        before = _out_of_memory() if cuda else 0
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        watch, scores = Watch(job.setting.device), []
        until = time.monotonic() + seconds
        for start in range(0, len(chosen) - size + 1, size):
            if start and time.monotonic() > until:
                break
            scores.append(_watched(scorer, chosen[start : start + size], watch))
        spent = sum(watch.seen[watch.clock]["all"])
        done = np.concatenate(scores, axis=1)
        row = {"archs": done.shape[1], "rate": done.shape[1] / spent}
        row["scores"] = dict(zip(scorer.names, done[:, : job.stacks[-1]].tolist(), strict=True))
        row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
        row["halved"] = _out_of_memory() - before if cuda else 0
    except torch.OutOfMemoryError as error:
        row = {"failed": f"out of memory: {error}"}
    result[str(size)] = row
    keep(result)


def _out_of_memory() -> int:
    """Return how often memory ran out so far; the engine then halves a stack."""
    return int(torch.cuda.memory_stats().get("num_ooms", 0))


def run_alone(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Architectures a second with one network and one proxy at a time, in plain PyTorch."""
    scorer = Scorer(job.setting)
    minibatch = scorer.inputs_of(0).of(View(), 1)[0]
    watch, names = Watch(job.setting.device), scorer.names
    until = time.monotonic() + 0.8 * (stop - time.monotonic())
    for number, index in enumerate((_networks()[0], *_networks()[: job.archs])):
        if number > 1 and time.monotonic() > until:
            break
        if number == 1:
            watch = Watch(job.setting.device)  # the first network warmed up
        name = scorer.space.canonical(index)

        def ready(index: int = index, name: str = name) -> torch.nn.Module:
            return draw_weights(scorer.build([index]), [name])

        network = watch.time("building", ready)
        for proxy in names:
            twin = watch.time(proxy, lambda network=network: copy.deepcopy(network))  # type: ignore[misc]
            watch.time(proxy, lambda p=proxy, n=twin: ALONE[p](n, minibatch.inputs, minibatch.targets))  # type: ignore[misc]
        if number:
            spent = {what: sum(values) for what, values in watch.seen[watch.clock].items()}
            result.update(archs=number, rate=number / sum(spent.values()))
            result["ms"] = {what: 1e3 * seconds / number for what, seconds in spent.items()}
            keep(result)


def run_agreement(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Largest relative difference of each proxy's scores from those of stacks of one, and of those from the CPU's."""
    measured = {size: row["scores"] for size, row in job.done("stacks").items() if "scores" in row}
    if "1" not in measured:
        raise ValueError("the stage stacks has no scores for K = 1 yet")
    single = measured.pop("1")
    for size, scores in measured.items():
        result[f"K = {size} against K = 1"] = {name: _difference(single[name], scores[name]) for name in single}
    keep(result)
    cpu = Scorer(replace(job.setting, device="cpu"))
    few = _networks()[: 2 if job.small else 4]
    found = np.concatenate([_score(cpu, [index]) for index in few], axis=1)
    for name, scores in zip(cpu.names, found.tolist(), strict=True):
        result.setdefault(f"{job.setting.device} against cpu, K = 1", {})[name] = _difference(scores, single[name])


def _difference(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the largest |a - b| / max(|a|, |b|) of finite scores; None if a score is finite on one side only."""
    count = min(len(one), len(other))
    a, b = np.array(one[:count], dtype=float), np.array(other[:count], dtype=float)
    finite = np.isfinite(a)
    if (finite != np.isfinite(b)).any():
        return None
    a, b = a[finite], b[finite]
    size = np.maximum(np.abs(a), np.abs(b))
    return float(np.max(np.abs(a - b) / np.where(size > 0, size, 1.0), initial=0.0))


def run_full(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """All architectures with the classic ten: a run where there are accuracies, otherwise scores."""
    gpu_full.run_all(job, result, keep, job.fastest())


def run_floor(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Time over floor of every space at K = 1, and of the first at the fastest size."""
    if not (kept := job.done("ceilings")):
        raise ValueError("needs the result of the stage ceilings")
    limits = ceilings.Ceilings(**kept | {"copies": {int(size): rate for size, rate in kept["copies"].items()}})
    options: dict[str, Any] = {"batch_size": job.setting.batch_size, "device": job.setting.device}
    options |= {"resolution": job.setting.resolution, **dict.fromkeys(("archs", "repeats"), 1 if job.small else 3)}
    options |= {"channels": 4, "cells": 1} if job.small else {"channels": None, "cells": None}
    largest = min(job.fastest(), 2 if job.small else 128)
    plan = [("201", largest), *((bench, 1) for bench in floor.SPACES[: 1 if job.small else None])]
    rows = result.setdefault("floors", [])
    for bench, size in plan[len({(row["bench"], row["stack"]) for row in rows}) :]:
        while size:
            try:
                rows += floor.measure(bench, limits, stack=size, **options)
                break
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                size //= 2
        keep(result)


def run_precision(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Rates of the precision modes at the fastest size, and Spearman's rho of their scores with float32's."""
    size = min(job.fastest(), job.archs)
    chosen = _networks()[: job.archs]
    chunks = [chosen[start : start + size] for start in range(0, len(chosen), size)]
    scores: dict[str, np.ndarray] = {}
    modes, left_out = available(job.setting.device)
    result |= {mode: {"skipped": why} for mode, why in left_out.items()}
    for mode in modes:
        scorer = Scorer(replace(job.setting, precision=mode))
        _score(scorer, chunks[0])
        watch = Watch(job.setting.device)
        scores[mode] = np.concatenate([_watched(scorer, chunk, watch) for chunk in chunks], axis=1)
        rho = {
            name: float(spearmanr(ours, theirs, nan_policy="omit").statistic)
            for name, ours, theirs in zip(scorer.names, scores[mode], scores["float32"], strict=True)
        }
        result[mode] = {"stack": size, "rate": len(chosen) / sum(watch.seen[watch.clock]["all"]), "rho": rho}
        keep(result)


RUN: dict[str, Callable[[Job, dict[str, Any], Keep, float], None]] = {
    "ceilings": run_ceilings, "stacks": run_stacks, "alone": run_alone, "agreement": run_agreement, "full": run_full,
    "floor": run_floor, "precision": run_precision, "profile": run_profile, "views": run_views, "pieces": run_pieces,
}  # fmt: skip
"""Stage -> its function."""
