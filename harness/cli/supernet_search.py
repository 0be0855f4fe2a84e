"""The command line of searches over a supernet: `python -m harness.search --method zero-cost-pt` comes here."""

import sys
from collections.abc import Sequence
from dataclasses import fields

from benchmarks.errors import Parser, carry_out
from harness.cli.operations import BENCH, OUT, STOPPED
from harness.cli.options import add_options
from harness.operations.config import OperationsConfig
from harness.operations.search.config import FindConfig


def parser() -> Parser:
    """Return the command line: an option for each field of FindConfig and, but for the scores, of OperationsConfig."""
    line = Parser(prog="python -m harness.search", description="Search over a supernet, untrained or trained.")
    add_options(line, FindConfig)
    add_options(line, OperationsConfig, without=("scores", "reference", "along"), said=BENCH)
    line.add_argument("--out", help=OUT)
    return line


def main(argv: Sequence[str] | None = None) -> int:
    """Search; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = vars(parser().parse_args(argv))
    out = options.pop("out")
    how = {each.name: options.pop(each.name) for each in fields(FindConfig) if each.name in options}

    def action() -> None:
        from harness.operations.search.report import folder_for, mean_line, write_found
        from harness.operations.search.run import find

        config = FindConfig(base=OperationsConfig(**options), **how)
        folder = folder_for(config, out)
        found = find(config, say=lambda line: print(line, file=sys.stderr), folder=folder)
        print(mean_line(found))
        print(f"written to {write_found(found, folder)}")

    return carry_out("harness.search", action, STOPPED)
