"""`python -m speed.precision`: what the precision modes cost and change, proxy by proxy.

Connected networks of a benchmark, sampled with seed 0, one of each class of equivalent ones, are scored in float32 and
in each other mode that the device has. The modes take turns on each architecture, with the same weights and minibatch.
Shown for each proxy: seconds when it is computed alone, on the first few of them; how much faster the mode is;
Spearman's rho and Kendall's tau-b between the mode's scores and float32's; tau-b against the true accuracy in both.

On a CPU seconds are CPU time of the process, which has one thread: other load disturbs it least.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from benchmarks.benchmark import Benchmark, load
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from harness.engine.devices import local
from harness.engine.processes import one_thread
from harness.engine.scorer import Chunk, Scorer, Setting
from harness.inputs.draw import load_images, source_of
from harness.probe.precision import PRECISIONS, check_device
from harness.proxies.choose import choose
from harness.proxies.own import references
from speed.command import CommandLine, write_json
from speed.environment import machine
from speed.precision_tables import draw, report, rows


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("precision", __doc__)
    add = line.add_argument
    add("--bench", default="201", help="benchmark (default 201)")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    line.count("--archs", "connected architectures", 30)
    line.count("--timed", "number of them on which each proxy is timed alone", 5)
    add("--proxies", default="core,grasp,zico", help="as for harness.run (default core,grasp,zico)")
    line.count("--batch-size", "samples in the minibatch", 64)
    line.device()
    line.count("--channels", "channels of the first stage (default: those of the networks that were trained)")
    line.count("--cells", "cells in a stage (default: as trained)")
    line.count("--resolution", "height and width of the inputs (default: as trained)")
    add("--seed", type=int, default=0, help="of the weights and the minibatch (default 0)")
    line.out("results/precision.json")
    line.figure(draw)
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write, draw; return the exit code."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> None:
    benchmark, setting = prepared(given)
    if all(proxy.static for proxy in choose(given.proxies)):
        raise UserError("--proxies: none of these looks at a network, so a precision changes nothing")
    modes, left_out = available(setting.device)
    measured = measure(benchmark, setting, modes, given.archs, given.timed, given.seed)
    options = {name: value for name, value in vars(given).items() if name not in ("data", "out")}
    facts = {"options": options, "machine": machine(1) | {"device": _named(setting.device)}, "modes": modes}
    result = {**facts, "left_out": left_out, "network": setting.network, **measured}
    result["proxies"] = rows(result)
    print(report(result))
    write_json(given.out, _finite(result))
    print(f"written: {given.out} and {draw(result, given.out.with_suffix(''))}")


def available(device: str) -> tuple[list[str], dict[str, str]]:
    """Return the modes of a device, float32 first, and why others are not among them."""
    modes, left_out = [], {}
    for mode in PRECISIONS:
        try:
            check_device(mode, device)
            modes.append(mode)
        except UserError as error:
            left_out[mode] = str(error)
    return modes, left_out


def prepared(given: argparse.Namespace) -> tuple[Benchmark, Setting]:
    """Return the benchmark and how its networks are scored; UserError for what cannot be used."""
    benchmark = load(given.bench, given.dataset, given.data)
    images = load_images(source_of(benchmark.table), data_folder(given.data))
    network = {name: value for name, value in benchmark.network.items() if value is not None}
    network.setdefault("classes", images.classes)
    for option, name in (("channels", "channels"), ("cells", "cells_per_stage")):
        if (value := getattr(given, option)) is not None:
            if name not in network:
                raise UserError(f"--{option}: the networks of {given.bench} have no such size; leave it out")
            network[name] = value
    return benchmark, Setting(
        bench=given.bench, proxies=references(choose(given.proxies)),
        network={name: int(value) for name, value in network.items()},
        resolution=given.resolution or benchmark.resolution, inputs=images, dataset=benchmark.table.dataset,
        batch_size=given.batch_size, balanced=False, share=True, keep_unreachable=False, device=local(given.device)[0],
        archs=benchmark.space.archs if benchmark.space.expected is None else None, form=benchmark.space.form,
    )  # fmt: skip


def measure(
    benchmark: Benchmark, setting: Setting, modes: Sequence[str], archs: int, timed: int, seed: int
) -> dict[str, Any]:
    """Return the architectures, their accuracies, and what was measured by mode.

    That is `together`, the seconds of all proxies for each architecture, and by proxy `scores`, `reasons` for scores
    that are not finite (by the architecture's place) and `seconds` of the proxy alone on the first `timed`
    architectures. An interrupt ends it early, with the architectures that were done in all modes.
    """
    scorers = {mode: Scorer(replace(setting, precision=mode)) for mode in modes}
    chosen, accuracy = _sample(benchmark, archs)
    done: list[dict[str, dict[str, Any]]] = []
    with one_thread(), clock(setting.device.startswith("cuda")):
        try:
            for place, index in enumerate(tqdm([*chosen[:1], *chosen], unit="arch", desc="measuring")):
                order = [*modes[place % len(modes) :], *modes[: place % len(modes)]]
                taken = {mode: _turn(scorers[mode], index, seed, alone=0 < place <= timed) for mode in order}
                if place:  # the first time warms up: kernels, caches, imports
                    done.append(taken)
        except KeyboardInterrupt:
            if len(done) < max(timed, 2):
                raise
    return {
        "archs": [benchmark.space.archs[i] for i in chosen[: len(done)]], "accuracy": accuracy[: len(done)],
        "measured": {mode: _gathered([one[mode] for one in done], timed) for mode in modes},
    }  # fmt: skip


def _turn(scorer: Scorer, index: int, seed: int, *, alone: bool) -> dict[str, Any]:
    """Score one architecture in one mode; with `alone` also each proxy alone."""
    names = tuple(name for name, proxy in scorer.proxies.items() if not proxy.static)
    start = time.perf_counter()
    part = scorer.score(Chunk(seed, (index,), names))
    if scorer.setting.device.startswith("cuda"):
        torch.cuda.synchronize()
    together = time.perf_counter() - start
    singly = [scorer.score(Chunk(seed, (index,), (name,))) for name in names if alone]
    return {
        "together": together, "scores": dict(zip(names, part.scores[:, 0].tolist(), strict=True)),
        "seconds": {name: float(one.seconds[0, 0]) for name, one in zip(names, singly, strict=False)},
        "reasons": {name: why[0] for name, why in zip(names, part.reasons, strict=True) if why},
    }  # fmt: skip


def _gathered(turns: Sequence[dict[str, Any]], timed: int) -> dict[str, Any]:
    """Combine the turns of one mode."""
    reasons: dict[str, dict[str, str]] = {}
    for place, turn in enumerate(turns):
        for name, why in turn["reasons"].items():
            reasons.setdefault(name, {})[str(place)] = why
    names = turns[0]["scores"] if turns else ()
    return {
        "together": [turn["together"] for turn in turns],
        "scores": {name: [turn["scores"][name] for turn in turns] for name in names},
        "seconds": {name: [turn["seconds"][name] for turn in turns[:timed]] for name in names},
        "reasons": reasons,
    }


def _sample(benchmark: Benchmark, count: int) -> tuple[list[int], list[float]]:
    """Return architectures, as indices in the space, and their accuracies."""
    space, truth = benchmark.space, benchmark.table.target("test")
    row_of = {int(index): row for row, index in enumerate(benchmark.indices)}
    chosen: dict[int, int] = {}
    for index in space.sample(len(space), 0):
        if int(index) in row_of and space.connected[index]:
            chosen.setdefault(int(space.class_id[index]), int(index))
        if len(chosen) == count:
            break
    return list(chosen.values()), [float(truth[row_of[index]]) for index in chosen.values()]


@contextmanager
def clock(cuda: bool) -> Iterator[None]:
    """Let the engine's clock count CPU time of this process inside the block, if the CPU computes."""
    wall = time.perf_counter
    try:
        if not cuda:
            time.perf_counter = time.process_time
        yield
    finally:
        time.perf_counter = wall


def _finite(value: Any) -> Any:
    """Return the same with None for floats that JSON cannot write."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _named(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


if __name__ == "__main__":
    sys.exit(main())
