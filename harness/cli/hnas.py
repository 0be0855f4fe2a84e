"""`python -m harness.reproduce.hnas`: the tables of HNAS's four metrics, from scores that were stored.

Between metrics: Pearson, Spearman, Kendall. With test error: the metrics, and the two guarantees of generalisation.
From one dataset to another: scored on one, judged by the errors of each.
"""

from __future__ import annotations

import sys

from benchmarks.command import Parser, carry_out
from benchmarks.registry import BENCHMARKS


def parser() -> Parser:
    """Return the command line; its names are the fields of HnasConfig."""
    line = Parser(prog="python -m harness.reproduce.hnas", description=(__doc__ or "").split("\n\n")[0])
    add = line.add_argument
    add("--scores", required=True, nargs="+", help="folders of runs, one for each dataset, or a CSV of scores")
    add("--bench", required=True, help=f"benchmark: {', '.join(BENCHMARKS)}")
    add("--dataset", help="of the tables but the last (default: that of the first run)")
    add("--split", default="test", help="accuracy whose error is meant: test (default), valid, train")
    add("--epochs", type=int, help="its training budget (default: the largest)")
    add("--reduction", default="mean", help="over its seeds: mean (default), max, or a seed label")
    add("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add("--resamples", type=int, default=1000, help="bootstrap samples of an interval (default 1000)")
    add("--out", help="folder to write to (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the tables; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))
    out, scores = given.pop("out"), tuple(given.pop("scores"))

    def action() -> None:
        from rich.console import Console
        from rich.markdown import Markdown

        from harness.reproduce.hnas.collect import HnasConfig, collect
        from harness.reproduce.hnas.report import folder_for, markdown, write_tables

        folder = folder_for(out, given["bench"])
        found = collect(HnasConfig(scores, **given))
        Console().print(Markdown(markdown(found)))
        print(f"written to {write_tables(found, folder)}", file=sys.stderr)

    return carry_out("harness.reproduce.hnas", action, "stopped; nothing was written: repeat the command")
