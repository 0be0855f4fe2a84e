"""`python -m speed.stack`: networks a second for stacks of 1, 8, 32, 128 and for what `--stack auto` finds.

In one process, on the same NAS-Bench-201 networks with Gaussian noise, by turns: all of the networks in stacks of one
size, then of the next, and again. `--stack auto` decides as for a run of the whole space; the time of its probe is
compared with such a run. The default options are the networks of the embedded table; `--channels 16 --cells 5
--resolution 32` are those of the benchmark. Seconds are CPU time on a CPU, which other load disturbs least, and wall
time on a GPU.
"""

import argparse
import statistics
import sys
import time
from typing import Any

from benchmarks.benchmark import space_of
from harness.engine.devices import current, kind, local
from harness.engine.processes import one_thread
from harness.engine.scorer import Chunk, Scorer
from harness.engine.stack_size import find
from speed.command import CommandLine, numbers, say, write_json
from speed.environment import described, machine
from speed.networks import one_of_each_class, setting_201

WITHIN = 0.9
"""The part of the best rate that auto has to reach."""


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("stack", __doc__)
    line.count("--archs", "networks, drawn uniformly", 128)
    line.count("--batch-size", "samples in the minibatch", 64)
    line.sizes("--stacks", "sizes to compare with auto", "1,8,32,128")
    line.count("--repeats", "turns", 3)
    line.add_argument("--proxies", default="core", help="core (default), all, or names")
    line.count("--channels", "channels of the first stage", 8)
    line.count("--cells", "cells in a stage", 1)
    line.count("--resolution", "height and width of the inputs", 8)
    line.device()
    line.add_argument("--seed", type=int, default=0, help="of the sample, the weights and the noise (default 0)")
    line.out("results/stack.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code: 1 where auto is too slow."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> bool:
    result = measure(given)
    print(report(result))
    write_json(given.out, result)
    print(f"written: {given.out}")
    return result["reached"] < WITHIN


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Return rates by size of stack, what auto found and what part of the best rate it reaches."""
    setting = setting_201(
        given.proxies, channels=given.channels, cells=given.cells, resolution=given.resolution,
        batch_size=given.batch_size, device=local(given.device)[0],
    )  # fmt: skip
    space = space_of("201")
    networks = one_of_each_class(space, given.seed)
    known, open_ = setting.usual_stack(space.together)
    clock = "cpu" if kind(setting.device) == "cpu" else "wall"
    now = time.process_time if clock == "cpu" else time.perf_counter
    start = now()
    scorer = Scorer(setting)
    found = find(scorer, networks, 1, (setting.device,)) if open_ else None
    seconds = now() - start
    why = found.why if found else f"--stack auto: {known} together, known without a probe"
    say(why)
    auto = found.stack if found else known
    seen: dict[str, list[float]] = {}
    with one_thread(), current(setting.device):
        names = scorer.names
        scorer.score(Chunk(given.seed, networks[:1], names))  # warms up
        turns = [(str(size), size) for size in numbers(given.stacks)] + [("auto", auto)]
        for turn in range(given.repeats):
            for label, size in turns[:: 1 - 2 * (turn % 2)]:
                start = now()
                for at in range(0, given.archs, size):
                    scorer.score(Chunk(given.seed, networks[at : min(at + size, given.archs)], names))
                seen.setdefault(label, []).append(now() - start)
                say(f"{turn + 1}/{given.repeats} {label}: {given.archs / seen[label][-1]:.4g} networks a second")
    rates = {label: given.archs / statistics.median(seen[label]) for label, _ in turns}
    return {
        "options": vars(given), "machine": machine(1), "device": setting.device, "clock": clock, "rates": rates,
        "seconds": seen, "auto": auto, "why": why, "tried": found.rates if found else {}, "probe_seconds": seconds,
        "probe_share": seconds * rates["auto"] / len(networks), "reached": rates["auto"] / max(rates.values()),
    }  # fmt: skip


def report(result: dict[str, Any]) -> str:
    """Return the numbers as text."""
    best = max(result["rates"].values())
    lines = ["", described(result["machine"]), "", result["why"], ""]
    lines.append(f"{'stack':>8}{'networks a second':>20}{'of the best':>13}   ({result['clock']} time)")
    for label, rate in result["rates"].items():
        shown = f"auto {result['auto']}" if label == "auto" else label
        lines.append(f"{shown:>8}{rate:20.4g}{100 * rate / best:12.0f}%")
    verdict = "within" if result["reached"] >= WITHIN else "NOT within"
    lines.append(
        f"auto: {verdict} 10 % of the best; its probe took {result['probe_seconds']:.1f} s,"
        f" {100 * result['probe_share']:.1f} % of a run of the whole space in one process"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
