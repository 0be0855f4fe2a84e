"""`python -m harness.evaluate`: judge scores that were computed elsewhere, as `python -m harness.run` judges its own.

The CSV has a column `arch` (official strings) or `index` (official indices), or both, and
    one column for each proxy, named as it is to be called;    or    columns `proxy` and `score`, a row for each score.
A column `seed`, if there is one, tells several scores of one architecture apart. Larger is better. A cell that is
empty, nan or inf is a failure and is counted. params, flops, layers and random are added to compare with.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.registry import known
from harness.cli.parser import Parser, carry_out
from harness.runs.evaluate_scores import store_scores

if TYPE_CHECKING:
    pass


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.evaluate", description=(__doc__ or "").split("\n\n")[0])
    add = line.add_argument
    add("scores", help="CSV with a column arch or index and one for each proxy, or columns arch, proxy, score")
    add("--bench", required=True, help=f"benchmark: {', '.join(known())}")
    add("--dataset", help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)")
    add("--split", default="test", help="accuracy to predict: test (default), valid, train")
    add("--epochs", type=int, help="training budget of that accuracy (default: the largest)")
    add("--reduction", default="mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    add("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add("--existing", default="resume", help="if --out holds other scores: resume (default: an error), replace, refuse")
    add("--out", help="run folder (default: a name of its own under results/)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Evaluate; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = vars(parser().parse_args(argv))

    def action() -> None:
        from harness.analysis.ensembles import with_ensembles
        from harness.analysis.summary import summarise
        from harness.report import print_summary, write_report

        scores, bench = given.pop("scores"), given.pop("bench")
        stored = with_ensembles(store_scores(scores, bench, say=lambda line: print(line, file=sys.stderr), **given))
        summary = summarise(stored)
        paths = write_report(stored, summary)
        print_summary(stored, summary)
        print(f"report: {paths.get('html', stored.path)}")

    return carry_out("harness.evaluate", action, "stopped: repeat the command")
