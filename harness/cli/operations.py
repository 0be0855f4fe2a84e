"""`python -m harness.operations`: compare scores of operations on edges with each other and with the table.

Scores from the table (best-acc, avg-acc), of an untrained supernet perturbed (zc-pt, disc-zc, each with any proxy as
zc-pt:PROXY; tenas), saliencies (zeros-*, weights-*), and of a trained supernet (darts, darts-pt, disc-acc, ostr,
removal); docs/operations.md says what they are.
"""

import sys

from benchmarks.benchmark import BENCHMARKS
from benchmarks.errors import Parser, carry_out
from harness.cli.options import add_options
from harness.operations.config import OperationsConfig

STOPPED = "stopped; no results were written, trained epochs of supernets are kept: repeat the command to go on"
BENCH = {"bench": f"benchmark of operations on edges: {', '.join(BENCHMARKS)}"}
OUT = "folder to write to (default: one under results/ named after the benchmark)"


def parser() -> Parser:
    """Return the command line: an option for each field of OperationsConfig, and --out."""
    line = Parser(prog="python -m harness.operations", description=(__doc__ or "").split("\n\n")[1])
    add_options(line, OperationsConfig, said=BENCH)
    line.add_argument("--out", help=OUT)
    return line


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = vars(parser().parse_args(argv))
    out = options.pop("out")

    def action() -> None:
        from harness.operations.compare import compare
        from harness.operations.report import folder_for, print_comparison, write_comparison

        config = OperationsConfig(**options)
        folder = folder_for(config, out)
        found = compare(config, say=lambda line: print(line, file=sys.stderr), folder=folder)
        print_comparison(found)
        print(f"written to {write_comparison(found, folder)}")

    return carry_out("harness.operations", action, STOPPED)
