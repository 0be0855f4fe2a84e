"""`python -m harness.report RUN [OTHER ...]`: remake tables, figures and page from stored runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; --help lists the options\n")


def parser() -> Parser:
    """Return the command line."""
    line = Parser(prog="python -m harness.report", description=__doc__.split(": ", 1)[1].capitalize())
    add = line.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run; with several, a comparison too")
    add("--out", type=Path, help="folder to write to (default: the first run's)")
    add("--population", default="all", help="population of the printed table: all (default), connected, distinct, each")
    add(
        "--baseline",
        default="auto",
        help="proxy the others are compared with (default: the best of params, flops, layers)",
    )
    add("--intervals", default="auto", help="auto (default: not where the whole space was scored), always, never")
    add("--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (default 1000)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the reports; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = parser().parse_args(argv)
    from benchmarks.errors import UserError

    try:
        make(given)
    except UserError as error:
        print(f"harness.report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nharness.report: stopped; every file there is complete: repeat the command for the rest", file=sys.stderr
        )
        return 130
    return 0


def make(given: argparse.Namespace) -> None:
    """Load all runs, then write and print the first one's report, and the comparison where there are others."""
    from benchmarks.errors import UserError, suggest
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.populations import POPULATIONS
    from harness.analysis.summary import summarise
    from harness.report import print_summary, write_report
    from harness.report.compare import print_comparison, write_comparison
    from harness.store.stored_run import load_run

    if given.population not in (*POPULATIONS, "each"):
        raise suggest([given.population], [*POPULATIONS, "each"], "population")
    shown = POPULATIONS if given.population == "each" else (given.population,)
    runs, problems = [], []
    for path in given.runs:
        try:
            runs.append(with_ensembles(load_run(path)))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    settings = {"baseline": given.baseline, "intervals": given.intervals, "resamples": given.resamples}
    summaries = [summarise(run, **settings) for run in runs]
    out = given.out or runs[0].path
    paths = write_report(runs[0], summaries[0], out)
    if len(runs) > 1:
        paths |= write_comparison(runs, summaries, out, population=shown[0])
    print_summary(runs[0], summaries[0], populations=shown)
    if len(runs) > 1:
        print_comparison(runs, summaries, population=shown[0])
    print(f"report: {paths['html']}")
