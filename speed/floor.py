"""`python -m speed.floor`: the least time that the passes can take on this machine, and the time that ours take.

For a few connected architectures of each space: FLOPs and bytes of each pass, counted from the layers' shapes by the
rule of `speed.counts`; the machine's measured ceilings (`speed.ceilings`); the floor, layer by layer
the larger of FLOPs / ceiling and bytes / ceiling; our time, through the probe that the proxies read; and the quotient.
Inputs are Gaussian noise: no data is needed. Times are CPU time of the process where one thread of a CPU works,
otherwise wall time.
"""

import argparse
import sys
from functools import partial
from typing import Any

from benchmarks.errors import suggest
from harness.engine.devices import local
from harness.inputs.draw import gaussian_minibatches
from speed import ceilings
from speed.command import CommandLine, numbers, say, write_json
from speed.counts import PASSES, floor_seconds, layers_of, totals
from speed.environment import machine, strict_float32
from speed.floor_tables import draw, tables
from speed.networks import network_of, sampled
from speed.probe import time_passes

SUMMED = ("flops", "bytes", "floor", "seconds")
"""What a row has per architecture."""
SPACES = ("201", "101", "1shot1-1", "1shot1-2", "1shot1-3", "macro")


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("floor", __doc__)
    line.add_argument(
        "--bench", default=",".join(SPACES), help=f"spaces, separated by commas (default {','.join(SPACES)})"
    )
    line.count("--archs", "connected architectures of each space", 3)
    line.count("--batch-size", "samples in the minibatch", 64)
    line.sizes("--stack", "architectures run together", "1")
    line.count("--repeats", "times that every pass is timed; the median counts", 2)
    line.count("--threads", "threads of PyTorch", 1)
    line.device()
    line.count("--channels", "channels of the first stage (default: those of the benchmark)")
    line.count("--cells", "cells in a stage (default: those of the benchmark)")
    line.count("--resolution", "height and width of the inputs", 32)
    line.out("results/floor.json")
    line.figure(draw)
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write, draw; return the exit code."""
    return parser().run(argv, _run, "stopped; the spaces that were done are in the file")


def _run(given: argparse.Namespace) -> None:
    spaces = given.bench.split(",")
    if unknown := [name for name in spaces if name not in SPACES]:
        raise suggest(unknown, SPACES, "space")
    device = local(given.device)[0]
    with strict_float32(given.threads):
        limits = ceilings.measure(device, small=given.channels is not None and given.channels < 8)
        result: dict[str, Any] = {
            "options": {name: value for name, value in vars(given).items() if name != "out"},
            "machine": machine(given.threads, device), "ceilings": limits.as_json(), "floors": [],
        }  # fmt: skip
        for space in spaces:
            for stack in numbers(given.stack):
                say(f"{space}, {stack} together")
                result["floors"] += measure(
                    space, limits, stack=stack, archs=given.archs, batch_size=given.batch_size, device=device,
                    repeats=given.repeats, resolution=given.resolution, channels=given.channels, cells=given.cells,
                )  # fmt: skip
                write_json(given.out, result)
    print(tables(result))
    print(f"written: {given.out} and {draw(result, given.out.with_suffix(''))}")


def measure(
    bench: str, limits: ceilings.Ceilings, *, stack: int, archs: int, batch_size: int, device: str, repeats: int,
    resolution: int, channels: int | None, cells: int | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each pass: FLOPs, bytes, floor and our seconds, each per architecture, and their quotient.

    Architectures run in whole stacks: with `stack` 8 and `archs` 3 there are 8.
    """
    space, chosen = sampled(bench, -(-archs // stack) * stack)
    settings = network_of(bench, space, channels, cells)
    shape = (settings["input_channels"], resolution, resolution)
    (minibatch,) = gaussian_minibatches(shape=shape, classes=10, batch_size=batch_size, count=1, seed=0)
    rows: dict[str, dict[str, Any]] = {which: dict.fromkeys(SUMMED, 0.0) | {"peak_bytes": 0} for which in PASSES}
    for start in range(0, len(chosen), stack):
        indices = chosen[start : start + stack]
        layers = layers_of(space.build(indices, **settings), (batch_size, stack * shape[0], *shape[1:]))
        names = [space.canonical(i) for i in indices]
        build = partial(space.build, indices, **settings)
        ours = time_passes(build, names, minibatch, device, repeats + (not start), profiled=not start)
        for which, row in rows.items():
            floor = floor_seconds(layers, which, limits.flops, limits.bandwidth)
            values = (*totals(layers, which), sum(floor.values()), ours[which]["seconds"])
            for name, value in zip(SUMMED, values, strict=True):
                row[name] += value / len(chosen)
            row["peak_bytes"] = max(row["peak_bytes"], ours[which]["peak_bytes"])
            if not start:  # of the first stack
                row |= {"floor_by_kind": floor, "ours_by_kind": ours[which]["by_kind"]}
    facts = {"bench": bench, "stack": stack, "archs": len(chosen), "batch_size": batch_size, "device": device}
    return [{**facts, "pass": which, **row, "over_floor": row["seconds"] / row["floor"]} for which, row in rows.items()]


if __name__ == "__main__":
    sys.exit(main())
