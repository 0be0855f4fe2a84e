"""`nas-harness choose`: which score, or sum of ranks, to take for a budget of seconds; from kept scores."""

import sys

from benchmarks.errors import UserError, carry_out, say
from harness.cli.options import Line, add_out, result_of


def parser() -> Line:
    """Return the command line."""
    line = Line("choose", "Which score to take for a budget: chosen on some benchmarks, judged on the others.")
    line.option("--budgets", default="10,60,600,3600,36000", help="seconds, by commas (default 10,60,600,3600,36000)")
    line.option("--bench", default="all", help="benchmarks, by commas, or all (default) that have kept scores")
    line.option("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Choose; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().arguments(words)

    def action() -> None:
        from harness.analysis.choosing import choose, means, most_scores
        from harness.report import planning
        from harness.runs.kept_runs import kept_tasks

        with result_of("choose", words, options, planning.CHOICE, "choice") as (folder, command):
            tasks = kept_tasks(options["data"], options["bench"], say=say)
            found = choose({task: most_scores(runs) for task, runs in tasks.items()}, budgets_of(options["budgets"]))
            table = means(found)
            _, heads, rows, _ = planning.choice_tables(found, table)[0]
            planning.print_table(list(heads), [list(map(str, row)) for row in rows], 1, planning.CHOICE_NOTES)
            planning.write_choice(found, table, folder, command)

    return carry_out("nas-harness choose", action, "stopped; nothing was written: repeat the command")


def budgets_of(text: str) -> list[float]:
    """Return budgets in seconds; UserError for what is none."""
    try:
        budgets = [float(word) for word in text.split(",")]
    except ValueError:
        budgets = []
    if not budgets or not all(0 < each <= 10**9 for each in budgets):
        raise UserError(f"--budgets '{text}': expected seconds above 0, by commas, such as 60,3600")
    return budgets
