"""`nas-harness run`: score architectures with zero-cost proxies and compare the scores with the ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.benchmark import GROUPS, known
from benchmarks.errors import carry_out, say
from harness.cli.options import Line, add_options
from harness.runs.config import RunConfig, each_space

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


def parser() -> Line:
    """Return the command line: an option for each field of RunConfig, and --space."""
    line = Line("run", "Score architectures with zero-cost proxies and compare the scores with the ground truth.")
    several = f"{', '.join(GROUPS)}: several spaces, one after another"
    add_options(line, RunConfig, said={"bench": f"benchmark: {', '.join(known())} (or {several})"})
    line.option("--space", help="of several spaces only these, such as 1 or 1,3")
    return line


def main(argv: list[str] | None = None) -> int:
    """Run; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    spaces = options.pop("space")

    def action() -> None:
        from harness.runs.runner import run

        for config in each_space(spaces, **options):
            show(run(config, say=say, dry_run=True))

    return carry_out("nas-harness run", action, "stopped; everything scored is kept: repeat the command to continue")


def show(run: StoredRun) -> None:
    """Print the table of a run and those of its further targets, write its report and print where the page is."""
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.summary import summarise
    from harness.report.page import write_report
    from harness.report.targets import show_targets, target_report
    from harness.report.text import print_summary

    whole = with_ensembles(run)
    summary = summarise(whole)
    print_summary(whole, summary)
    targets = target_report([whole])
    paths = write_report(whole, summary, targets=targets)
    show_targets(targets, whole.path)
    print(f"report: {paths.get('html', whole.path)}")
