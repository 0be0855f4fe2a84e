"""`python -m harness.bench.layers`: ways to run a stack of K architectures, each timed by itself.

A stacked 3x3 convolution at the widths of NAS-Bench-201 (16, 32, 64 channels at 32, 16, 8 pixels): one grouped
convolution (what the harness runs), a batched matrix product over unfolded patches, a loop over the architectures;
default layout or channels last; forward and backward (to inputs and weights); float32 and bfloat16. Then the forward of
a whole stack as it is, under torch.compile and as a CUDA graph. And, counted, what it would take to compute every
operation on every edge and mask it, instead of gathering for each operation the architectures that have it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.errors import UserError
from harness.command import Parser, carry_out

WIDTHS = ((16, 32), (32, 16), (64, 8))
"""Channels and pixels of the stages of NAS-Bench-201."""


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.bench.layers", description=__doc__.split("\n\n")[0])
    add = line.add_argument
    add("--stack", default="1,8,32", help="architectures run together, separated by commas (default 1,8,32)")
    add("--batch-size", type=int, default=64, help="samples in the minibatch (default 64)")
    add("--shrink", type=int, default=1, help="divides channels and pixels, for small runs (default 1)")
    add("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    add("--device", default="auto", help="auto (default: a GPU if there is one), cpu, cuda, cuda:N")
    add(
        "--compile", default="1", help="of these, the stacks to try torch.compile on: minutes each (default 1; 0: none)"
    )
    add("--seconds", type=float, default=600, help="start nothing new after so many seconds (default 600)")
    add("--out", type=Path, default=Path("results/layers.json"), help="default results/layers.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    given = parser().parse_args(argv)

    def action() -> None:
        from harness.bench.floor import checked, chosen_device, strict_float32, write
        from harness.bench.speed import machine

        _, stacks = checked("201", given.stack)
        if low := [name for name in ("batch_size", "threads") if getattr(given, name) < 1]:
            raise UserError("; ".join(f"--{name.replace('_', '-')}: expected 1 or more" for name in low))
        if given.shrink not in (1, 2, 4, 8):
            raise UserError(f"--shrink {given.shrink}: expected 1, 2, 4 or 8")
        from harness.bench import ways as bench_ways

        device = chosen_device(given.device)
        with strict_float32(given.threads):
            result = bench_ways.measure(
                stacks, batch_size=given.batch_size, shrink=given.shrink, device=device, seconds=given.seconds,
                compiled=[k for k in stacks if str(k) in given.compile.split(",")],
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )  # fmt: skip
        result |= {"machine": machine(given.threads, device), "batch_size": given.batch_size}
        print(report(result))
        write(given.out, result)
        print(f"written: {given.out}")

    return carry_out("harness.bench.layers", action, "stopped; nothing is written")


def report(result: dict) -> str:
    """Return the tables as text: ms for each architecture of a stack."""
    ways = list(dict.fromkeys(row["way"] for row in result["convolutions"]))
    lines = ["", "  ".join(f"{key} {value}" for key, value in result["machine"].items())]
    lines += ["", f"stacked 3x3 convolution, batch {result['batch_size']}, ms per architecture"]
    lines.append(f"{'channels':<9}{'K':>4} {'precision':<9} {'pass':<9}" + "".join(f"{way:>22}" for way in ways))
    found: dict[tuple, dict[str, float]] = {}
    for row in result["convolutions"]:
        key = row["channels"], row["stack"], row["precision"], row["pass"]
        found.setdefault(key, {})[row["way"]] = row["ms"]
    for (channels, stack, precision, which), by_way in found.items():
        cells = "".join(f"{by_way[way]:22.3f}" if way in by_way else f"{'–':>22}" for way in ways)
        lines.append(f"{channels:<9}{stack:>4} {precision:<9} {which:<9}{cells}")
    lines += ["", "forward of a whole stack of NAS-Bench-201, ms per architecture (seconds to prepare)"]
    for row in result["forwards"]:
        told = row["skipped"] if "skipped" in row else f"{row['ms']:.2f} ({row['prepared']:.1f} s)"
        lines.append(f"  K = {row['stack']:<4} {row['way']:<16} {told}")
    lines += ["", "cells with every operation computed and masked, over what gathering computes (counted):"]
    for row in result["masks"]:
        lines.append(
            f"  K = {row['stack']:<4} FLOPs {row['flops']:.2f} times, bytes of layers {row['bytes']:.2f} times;"
            f" copies that gather add {100 * row['gathering']:.0f} % to the bytes of layers"
        )
    return "\n".join([*lines, *([result["cut"]] if result["cut"] else [])])


if __name__ == "__main__":
    sys.exit(main())
