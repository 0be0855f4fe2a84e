"""`nas-harness plan [SCORE ...]`: architectures and draws that tell two scores apart, from kept scores.

--published audits instead which gains of published tables are within noise at their number of architectures.
"""

import sys
from itertools import combinations

from benchmarks.errors import UserError, carry_out, say, suggest
from harness.cli.options import Line, add_out, result_of


def parser() -> Line:
    """Return the command line."""
    line = Line("plan", "Architectures and draws that tell two scores apart, from kept scores.")
    line.option("scores", nargs="*", metavar="SCORE", help="two or more: every pair of them (default: each kept score"
                " against the best count)")  # fmt: skip
    line.option("--published", action="store_true", help="audit published gains instead: which are within noise")
    line.option("--bench", default="201", help="benchmark (default 201)")
    line.option("--dataset", default="cifar10", help="dataset, or a target such as robust:pgd@1 (default cifar10)")
    line.option("--power", type=float, default=0.8, help="share of samples that have to tell them apart (default 0.8)")
    line.option("--difference", type=float, help="in rho, that has to be found (default: that of the kept scores)")
    line.option("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    add_out(line)
    return line


def main(argv: list[str] | None = None) -> int:
    """Plan; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().arguments(words)

    def action() -> None:
        if not 0.05 < options["power"] < 1:
            raise UserError(f"--power {options['power']}: expected a share above 0.05 and below 1, such as 0.8")
        if options["difference"] is not None and not 0 < options["difference"] < 2:
            raise UserError(f"--difference {options['difference']}: expected one in rho above 0, such as 0.05")
        (_audit if options["published"] else _plan)(words, options)

    return carry_out("nas-harness plan", action, "stopped; nothing was written: repeat the command")


def _plan(words: list[str], options: dict) -> None:
    from harness.analysis.plan import count_to_beat, plan
    from harness.analysis.scorecard import with_targets
    from harness.report import planning
    from harness.reproduce.draws import measured
    from harness.runs.kept_runs import kept_tasks

    if len(options["scores"]) == 1:
        raise UserError("one score to tell apart; name two or more, or none for all against the best count")
    with result_of("plan", words, options, planning.PLAN, "plan") as (folder, command):
        task, names = f"{options['bench']} {options['dataset']}", options["scores"]
        tasks = with_targets(kept_tasks(options["data"], options["bench"], options["dataset"], say=say))
        if task not in tasks:
            raise suggest([task], tasks, "task with kept scores")
        known = {name for run in tasks[task] for name in run.scores} - {"random"}
        if unknown := [name for name in names if name not in known]:
            raise suggest(unknown, known, f"score kept for {task}")
        run = next((run for run in tasks[task] if set(names) <= run.scores.keys()), None)
        if run is None:
            raise UserError(f"no kept set of {task} has all of {', '.join(names)}: name fewer")
        best = count_to_beat(run)
        others = [name for name in run.scores if name not in ("random", "az_complexity", best)]  # the latter is flops
        pairs = list(combinations(names, 2)) or [(name, best) for name in others]
        found = plan(run, pairs, measured("rho").get, options["power"], options["difference"])
        planning.print_table(planning.PLAN_HEADS, planning.plan_rows(found), 2, planning.PLAN_NOTES)
        planning.write_plan(found, folder, command, task)


def _audit(words: list[str], options: dict) -> None:
    from harness.report import planning
    from harness.reproduce.audit import BENCHES, audit
    from harness.runs.kept_runs import kept_tasks

    if options["scores"]:
        raise UserError("--published audits all published values: leave SCORE out")
    with result_of("plan", words, options, planning.AUDIT, "audit") as (folder, command):
        found = audit(kept_tasks(options["data"], BENCHES, say=say))
        _, heads, rows, _ = planning.audit_counts(found)
        planning.print_table(list(heads), [list(map(str, row)) for row in rows], 1, planning.AUDIT_NOTES)
        planning.write_audit(found, folder, command)
