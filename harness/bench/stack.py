"""`python -m harness.bench.stack`: networks a second for stacks of 1, 8, 32, 128 and for what `--stack auto` finds.

In one process, on the same NAS-Bench-201 networks with Gaussian noise, by turns: all of the networks in stacks of one
size, then of the next, and again. `--stack auto` is asked as a run of the whole space would ask; what its probe took is
set against such a run. The usual options are the networks of the embedded table; `--channels 16 --cells 5 --resolution
32` are those of the benchmark. Seconds are CPU time on a CPU, which other load disturbs least, and wall time on a GPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.executors import Setting

WITHIN = 0.9
"""The part of the best rate that auto has to reach."""
COUNTS = ("archs", "batch_size", "repeats", "channels", "cells", "resolution")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    line = argparse.ArgumentParser(
        prog="python -m harness.bench.stack", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = line.add_argument
    add("--archs", type=int, default=128, help="networks, drawn uniformly (default 128)")
    add("--batch-size", type=int, default=64, help="samples in the minibatch (default 64)")
    add("--stacks", default="1,8,32,128", help="sizes to measure beside auto (default 1,8,32,128)")
    add("--repeats", type=int, default=3, help="turns (default 3)")
    add("--proxies", default="core", help="core (default), all, or names")
    add("--channels", type=int, default=8, help="channels of the first stage (default 8)")
    add("--cells", type=int, default=1, help="cells in a stage (default 1)")
    add("--resolution", type=int, default=8, help="height and width of the inputs (default 8)")
    add("--device", default="auto", help="auto (default: a GPU if there is one), cpu, cuda:N")
    add("--seed", type=int, default=0, help="of the sample, the weights and the noise (default 0)")
    add("--out", default="results/stack.json", help="where the numbers go (default results/stack.json)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return 0, 1 where auto is too slow, 2 for options that cannot be used."""
    given = parser().parse_args(argv)
    from benchmarks.errors import UserError

    try:
        result = measure(given, say=lambda text: print(text, file=sys.stderr, flush=True))
    except UserError as error:
        print(f"harness.bench.stack: {error}", file=sys.stderr)
        return 2
    print(report(result))
    out = Path(given.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))
    print(f"written: {out}")
    return int(result["reached"] < WITHIN)


def measure(given: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Return rates by size of stack, what auto found and what part of the best rate it reaches."""
    from benchmarks import space_of
    from harness.bench.speed import machine
    from harness.devices import current, kind
    from harness.executors import Chunk, Scorer
    from harness.processes import one_thread
    from harness.stacks import find, usual

    sizes, setting = _options(given)
    space = space_of("201")
    networks = tuple(dict.fromkeys(int(space.class_id[i]) for i in space.sample(len(space), given.seed)))
    known, open_ = usual(setting, space.together)
    clock = "cpu" if kind(setting.device) == "cpu" else "wall"
    now = time.process_time if clock == "cpu" else time.perf_counter
    start = now()
    found = find(setting, networks, 1, (setting.device,)) if open_ else None
    seconds = now() - start
    why = found.why if found else f"--stack auto: {known} together, known without a probe"
    say(why)
    auto = found.stack if found else known
    seen: dict[str, list[float]] = {}
    with one_thread(), current(setting.device):
        scorer = Scorer(setting)
        names = tuple(name for name, proxy in scorer.proxies.items() if not proxy.static)
        scorer.score(Chunk(given.seed, networks[:1], names))  # loads what is needed
        turns = [(str(size), size) for size in sizes] + [("auto", auto)]
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


def _options(given: argparse.Namespace) -> tuple[list[int], Setting]:
    """Return the sizes and what is scored; UserError names every option that cannot be used."""
    from benchmarks.errors import UserError
    from harness.devices import local, problem
    from harness.executors import Setting

    wrong = [f"--{name.replace('_', '-')} {getattr(given, name)}: expected 1 or more"
             for name in COUNTS if getattr(given, name) < 1]  # fmt: skip
    words = given.stacks.split(",")
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        wrong.append(f"--stacks '{given.stacks}': expected whole numbers above 0, such as 1,8,32")
    if problem(given.device):
        wrong.append(problem(given.device))
    if wrong:
        raise UserError("; ".join(wrong))
    network = {"channels": given.channels, "cells_per_stage": given.cells, "input_channels": 3, "classes": 10}
    return [int(word) for word in words], Setting(
        bench="201", proxies=given.proxies, network=network, resolution=given.resolution, inputs="gaussian",
        dataset="cifar10", batch_size=given.batch_size, balanced=False, share=True, keep_unreachable=False,
        device=local(given.device)[0],
    )  # fmt: skip


def report(result: dict[str, Any]) -> str:
    """Return the numbers as text."""
    best = max(result["rates"].values())
    lines = ["", "  ".join(f"{key} {value}" for key, value in result["machine"].items()), "", result["why"], ""]
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
