"""`nas-harness scorecard`: every kept score on every task, and where each stands. Nothing is scored."""

import sys

from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_out, result_of

ROBUST = ",".join(f"robust:{attack}@{eps}" for attack in ("fgsm", "pgd", "apgd", "square") for eps in (0.5, 1, 2, 4))
"""The targets by default, as far as their file is there: robust accuracy under four attacks of four strengths."""


def parser() -> Line:
    """Return the command line."""
    line = Line("scorecard", "Every kept score on every task: rho, regret, ranks, cost. Nothing is scored.")
    line.option("--bench", default="all", help="benchmarks, by commas, or all (default) that have kept scores")
    line.option("--targets", default=ROBUST, help="further columns of their spaces, by commas (default: robust accuracy"
                " of 201 under four attacks of four strengths); '' for none")  # fmt: skip
    line.option("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the scorecard; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().arguments(words)

    def action() -> None:
        from harness.analysis.scorecard import scorecard
        from harness.report.scorecard import SCORECARD, print_scorecard, write_scorecard
        from harness.reproduce.draws import draw_error
        from harness.runs.kept_runs import kept_tasks

        with result_of("scorecard", words, options, SCORECARD, "scorecard") as (folder, command):
            tasks = kept_tasks(options["data"], options["bench"], options["targets"], say=say)
            found = scorecard(tasks, lambda scores, archs: draw_error(scores, "rho", archs))
            print_scorecard(found)
            write_scorecard(found, folder, command)

    return carry_out("nas-harness scorecard", action, "stopped; nothing was written: repeat the command")
