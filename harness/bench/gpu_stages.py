"""The stages of `harness.bench.gpu`: each adds to `result` and calls `keep(result)` whenever something is there.

All have the same parameters: the job, what an earlier call left in `result`, `keep`, and `stop`, the time of
`time.monotonic()` at which the stage is cut off.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from benchmarks import space_of
from harness import stacks as stack_sizes
from harness.bench import ceilings as bench_ceilings
from harness.bench.gpu import Job
from harness.bench.one_by_one import ALONE
from harness.bench.passes import Watch
from harness.executors import Chunk, Scorer, Setting
from harness.view import View, initialise, stream

Keep = Callable[[dict[str, Any]], None]


@cache
def _networks() -> tuple[int, ...]:
    """One architecture of each class of connected ones, in the order of the sample with seed 0."""
    space = space_of("201")
    drawn = space.sample(len(space), 0)
    return tuple(dict.fromkeys(int(space.class_id[i]) for i in drawn if space.connected[i]))


def _names(scorer: Scorer) -> tuple[str, ...]:
    """The proxies that look at a network; counts, which are always there, left out."""
    return tuple(name for name, proxy in scorer.proxies.items() if not proxy.static)


def _score(scorer: Scorer, indices: Sequence[int]) -> np.ndarray:
    """Return the scores of one stack, (proxies, archs)."""
    return scorer.score(Chunk(0, tuple(indices), _names(scorer))).scores


def _watched(scorer: Scorer, indices: Sequence[int], watch: Watch) -> np.ndarray:
    return watch.time("all", lambda: _score(scorer, indices))


def ceilings(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """FLOP/s and bytes/s of the device."""
    largest = 2**20 if job.small else bench_ceilings.SIZES[-1]
    result |= bench_ceilings.measure(job.setting.device, largest=largest).as_json()


def stacks(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Architectures a second for each size, from building to the scores; scores of the first for `agreement`."""
    scorer = Scorer(job.setting)
    for size in job.stacks:
        if str(size) not in result:
            share = (stop - time.monotonic()) / (2 + len([each for each in job.stacks if each >= size]))
            _timed_size(job, scorer, result, keep, size, share)
    if "auto" not in result:
        found = stack_sizes.find(job.setting, _networks()[: 16 if job.small else None], 1, (job.setting.device,))
        result["auto"] = {"stack": found.stack, "why": found.why, "found": found.rates}
        keep(result)
    size = result["auto"]["stack"]
    if str(size) not in result:
        _timed_size(job, scorer, result, keep, size, stop - time.monotonic() - 5)


def _timed_size(
    job: Job, scorer: Scorer, result: dict[str, Any], keep: Keep, size: int, seconds: float
) -> None:  # fmt: skip
    """Time stacks of one size for at most so many seconds; the same networks for every size, the first warms up."""
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
        row["scores"] = dict(zip(_names(scorer), done[:, : job.stacks[-1]].tolist(), strict=True))
        row["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
        row["halved"] = _out_of_memory() - before if cuda else 0
    except torch.OutOfMemoryError as error:
        row = {"failed": f"out of memory: {error}"}
    result[str(size)] = row
    keep(result)


def _out_of_memory() -> int:
    """Return how often memory did not suffice so far: the engine then halves a stack."""
    return int(torch.cuda.memory_stats().get("num_ooms", 0))


def alone(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Architectures a second with one network and one proxy at a time, in plain PyTorch."""
    scorer = Scorer(job.setting)
    given = scorer.inputs_of(0)
    minibatch = given.of(View(), 1)[0]
    watch, names = Watch(job.setting.device), _names(scorer)
    until = time.monotonic() + 0.8 * (stop - time.monotonic())
    for number, index in enumerate((_networks()[0], *_networks()[: job.archs])):
        if number > 1 and time.monotonic() > until:
            break
        if number == 1:
            watch = Watch(job.setting.device)  # what came before warmed up
        name = scorer.space.canonical(index)

        def ready(index: int = index, name: str = name) -> torch.nn.Module:
            network = scorer.build([index])
            initialise(network, [stream(0, name, "default 0")])
            return network

        network = watch.time("building", ready)
        for proxy in names:
            twin = watch.time(proxy, lambda network=network: copy.deepcopy(network))  # type: ignore[misc]
            watch.time(proxy, lambda p=proxy, n=twin: ALONE[p](n, minibatch.inputs, minibatch.targets))  # type: ignore[misc]
        if number:
            spent = {what: sum(values) for what, values in watch.seen[watch.clock].items()}
            result.update(archs=number, rate=number / sum(spent.values()))
            result["ms"] = {what: 1e3 * seconds / number for what, seconds in spent.items()}
            keep(result)


def agreement(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
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
    for name, scores in zip(_names(cpu), found.tolist(), strict=True):
        result.setdefault(f"{job.setting.device} against cpu, K = 1", {})[name] = _difference(scores, single[name])


def _difference(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return the largest |a - b| / max(|a|, |b|) where both are there; None where a score is finite on one side."""
    count = min(len(one), len(other))
    a, b = np.array(one[:count], dtype=float), np.array(other[:count], dtype=float)
    finite = np.isfinite(a)
    if (finite != np.isfinite(b)).any():
        return None
    a, b = a[finite], b[finite]
    size = np.maximum(np.abs(a), np.abs(b))
    return float(np.max(np.abs(a - b) / np.where(size > 0, size, 1.0), initial=0.0))


def full(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """All architectures with the classic ten: through `harness.run` where there are accuracies, otherwise scores."""
    from harness.bench import gpu_full as bench_gpu_full

    bench_gpu_full.run_all(job, result, keep, _fastest(job))


def _fastest(job: Job) -> int:
    rates = {int(size): row["rate"] for size, row in job.done("stacks").items() if "rate" in row}
    return max(rates, key=lambda size: rates[size]) if rates else 32


def floor(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Time over floor of every space at K = 1, of the first at the fastest size too; what each proxy costs at K = 1."""
    from harness.bench import floor as bench_floor
    from harness.bench import marginal as bench_marginal
    from harness.bench.ceilings import Ceilings

    if not (kept := job.done("ceilings")):
        raise ValueError("needs what the stage ceilings gives")
    limits = Ceilings(**kept | {"copies": {int(size): rate for size, rate in kept["copies"].items()}})
    options: dict[str, Any] = {"batch_size": job.setting.batch_size, "device": job.setting.device}
    options |= {"channels": 4, "cells": 1, "resolution": 8} if job.small else {"channels": None, "cells": None}
    options.setdefault("resolution", 32)
    times: dict[str, Any] = dict.fromkeys(("archs", "repeats"), 1 if job.small else 3)
    largest = min(_fastest(job), 2 if job.small else 128)
    plan = [("201", largest), *((bench, 1) for bench in bench_floor.SPACES[: 1 if job.small else None])]
    rows = result.setdefault("floors", [])
    for bench, size in plan[len({(row["bench"], row["stack"]) for row in rows}) :]:
        while size:
            try:
                rows += bench_floor.measure(bench, limits, stack=size, **times, **options)
                break
            except torch.OutOfMemoryError:
                torch.cuda.empty_cache()
                size //= 2
        keep(result)
    proxies = "grad_norm,synflow" if job.small else None
    result["proxies"] = bench_marginal.measure(proxies, archs=1, stack=1, **options)


def layers(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Ways to run a stack, without torch.compile, which takes minutes."""
    from harness.bench import ways as bench_ways

    sizes, shrink = ((2,), 8) if job.small else ((1, 8, 32), 1)
    result |= bench_ways.measure(
        sizes, batch_size=job.setting.batch_size, shrink=shrink, device=job.setting.device, compiled=(),
        seconds=min(2.0, stop - time.monotonic()) if job.small else 0.8 * (stop - time.monotonic()),
        say=lambda text: None,
    )  # fmt: skip


def precision(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Rates of the precision modes at the fastest size, and Spearman's rho of their scores with float32's."""
    from scipy.stats import spearmanr

    size = min(_fastest(job), job.archs)
    scores: dict[str, np.ndarray] = {}
    for mode in ("float32", "tf32", "bfloat16"):
        try:
            scorer = Scorer(_in(job.setting, mode))
            chosen = _networks()[: job.archs]
            chunks = [chosen[start : start + size] for start in range(0, len(chosen), size)]
            _score(scorer, chunks[0])
            watch = Watch(job.setting.device)
            scores[mode] = np.concatenate([_watched(scorer, chunk, watch) for chunk in chunks], axis=1)
            row: dict[str, Any] = {"stack": size, "rate": len(chosen) / sum(watch.seen[watch.clock]["all"])}
            row["rho"] = {
                name: float(spearmanr(ours, theirs, nan_policy="omit").statistic)
                for name, ours, theirs in zip(_names(scorer), scores[mode], scores["float32"], strict=True)
            }
        except ValueError as error:  # UserError: the device has no such mode
            row = {"skipped": str(error)}
        result[mode] = row
        keep(result)


def _in(setting: Setting, mode: str) -> Setting:
    from harness.precision import check_device

    check_device(mode, setting.device)
    return replace(setting, precision=mode)
