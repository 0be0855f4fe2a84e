"""`python -m harness.bench.floor`: the least time that the passes can take on this machine, and what ours take.

For a few connected architectures of each space: FLOPs and bytes of each pass, counted from the layers' shapes by the
rule of `harness.bench.counts`; the machine's measured ceilings (`harness.bench.ceilings`); the floor, layer by layer
the larger of FLOPs / ceiling and bytes / ceiling; our time, through the probe that the proxies read; and the quotient.
Then what each proxy costs, alone and in company (`harness.bench.marginal`). Inputs are Gaussian noise: no data is
needed. Times are CPU time of the process where one thread of a CPU works, otherwise wall time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, suggest
from harness.command import Parser, carry_out

if TYPE_CHECKING:
    from benchmarks.space import Space
    from harness.bench.ceilings import Ceilings

SUMMED = ("flops", "bytes", "floor", "seconds")
"""What a row has per architecture."""
SPACES = ("201", "101", "1shot1-1", "1shot1-2", "1shot1-3", "macro")
CELLS = {"201": "cells_per_stage", "101": "modules", "1shot1": "modules"}
"""Start of a space's key -> what its networks call the number that --cells sets."""


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.bench.floor", description=__doc__.split("\n\n")[0])
    add = line.add_argument
    add("--bench", default=",".join(SPACES), help=f"spaces, separated by commas (default {','.join(SPACES)})")
    add("--archs", type=int, default=3, help="connected architectures of each space (default 3)")
    add("--batch-size", type=int, default=64, help="samples in the minibatch (default 64)")
    add("--stack", default="1", help="architectures run together, several separated by commas (default 1)")
    add("--repeats", type=int, default=2, help="times that every pass is timed; the median counts (default 2)")
    add("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    add("--device", default="auto", help="auto (default: a GPU if there is one), cpu, cuda, cuda:N")
    add("--proxies", help="proxies to account for; none leaves them out (default: those with published times)")
    add("--channels", type=int, help="channels of the first stage (default: those of the benchmark)")
    add("--cells", type=int, help="cells in a stage (default: those of the benchmark)")
    add("--resolution", type=int, default=32, help="height and width of the inputs (default 32)")
    add("--out", type=Path, default=Path("results/floor.json"), help="default results/floor.json, its figure beside")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    given = parser().parse_args(argv)

    def action() -> None:
        spaces, stacks = checked(given.bench, given.stack)
        low = [name for name in ("archs", "batch_size", "repeats", "threads", "resolution") if getattr(given, name) < 1]
        low += [name for name in ("channels", "cells") if getattr(given, name) is not None and getattr(given, name) < 1]
        if low:
            raise UserError("; ".join(f"--{name.replace('_', '-')}: expected 1 or more" for name in low))
        from harness.bench import ceilings as bench_ceilings
        from harness.bench import marginal as bench_marginal
        from harness.bench.floor_tables import draw, tables
        from harness.bench.speed import machine

        device = chosen_device(given.device)
        with strict_float32(given.threads):
            small = 2**20 if given.channels is not None and given.channels < 8 else bench_ceilings.SIZES[-1]
            ceilings = bench_ceilings.measure(device, largest=small)
            result: dict[str, Any] = {
                "options": {name: value for name, value in vars(given).items() if name != "out"},
                "machine": machine(given.threads, device), "ceilings": ceilings.as_json(), "floors": [], "proxies": [],
            }  # fmt: skip
            networks = {"channels": given.channels, "cells": given.cells}
            for space in spaces:
                for stack in stacks:
                    print(f"{space}, {stack} together", file=sys.stderr, flush=True)
                    result["floors"] += measure(
                        space, ceilings, stack=stack, archs=given.archs, batch_size=given.batch_size, device=device,
                        repeats=given.repeats, resolution=given.resolution, **networks,
                    )  # fmt: skip
                    write(given.out, result)
            if given.proxies != "none" and "201" in spaces:
                result["proxies"] = bench_marginal.measure(
                    given.proxies, archs=given.archs, batch_size=given.batch_size, device=device,
                    stack=stacks[0], resolution=given.resolution, **networks,
                )  # fmt: skip
        write(given.out, result)
        print(tables(result))
        print(f"written: {given.out} and {draw(result, given.out)}")

    return carry_out("harness.bench.floor", action, "stopped; the spaces that were done are in the file")


def write(out: Path, result: dict[str, Any]) -> None:
    """Write what there is so far."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1))


def checked(bench: str, stack: str) -> tuple[list[str], list[int]]:
    """Return spaces and stack sizes; UserError names all that cannot be used."""
    spaces, numbers = bench.split(","), stack.split(",")
    if unknown := [name for name in spaces if name not in SPACES]:
        raise suggest(unknown, SPACES, "space")
    if wrong := [number for number in numbers if not (number.isdecimal() and int(number))]:
        raise UserError(f"--stack {','.join(wrong)}: expected whole numbers above 0, separated by commas")
    return spaces, [int(number) for number in numbers]


def chosen_device(asked: str) -> str:
    """Return a device of PyTorch; UserError where there is no such one."""
    import torch

    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked != "cpu" and not (asked.startswith("cuda") and torch.cuda.is_available()):
        raise UserError(f"--device {asked}: expected auto, cpu, or cuda where PyTorch sees such a device")
    return asked


@contextmanager
def strict_float32(threads: int) -> Iterator[None]:
    """Work in true float32, without TF32, and on so many threads inside the block."""
    import torch

    from harness.precision import arithmetic

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with arithmetic("float32"):
            yield
    finally:
        torch.set_num_threads(before)


def sampled(bench: str, archs: int) -> tuple[Space, list[int]]:
    """Return a space and connected architectures of it, drawn with seed 0 (101: among those of the embedded table)."""
    import benchmarks

    space = benchmarks.load(bench, benchmarks.EMBEDDED_DATASET).space
    return space, [int(i) for i in space.sample(len(space), 0) if space.connected[i]][:archs]


def network_of(bench: str, space: Space, channels: int | None, cells: int | None) -> dict[str, Any]:
    """Return the settings of the networks that the benchmark trained, made smaller where that is asked for."""
    network = {**space.network, "classes": 10}
    if channels is not None:
        network["channels"] = channels
        network |= {"head_channels": 8 * channels} if "head_channels" in network else {}
    name = CELLS.get(bench.split("-")[0])
    return network | ({name: cells} if name and cells is not None else {})


def measure(
    bench: str, ceilings: Ceilings, *, stack: int, archs: int, batch_size: int, device: str, repeats: int,
    resolution: int, channels: int | None, cells: int | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each pass: FLOPs, bytes, floor and our seconds, each per architecture, and their quotient.

    Architectures run in whole stacks: with `stack` 8 and `archs` 3 there are 8.
    """
    from harness.bench.counts import PASSES, floor_seconds, layers_of, totals
    from harness.bench.probe import time_passes
    from harness.inputs import gaussian_minibatches

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
            floor = floor_seconds(layers, which, ceilings.flops, ceilings.bandwidth)
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
