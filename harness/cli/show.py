"""What commands that make or read a run end with: statistics, the report, tables in the terminal."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, suggest
from harness.analysis.ensembles import with_ensembles
from harness.analysis.populations import POPULATIONS
from harness.analysis.summary import summarise
from harness.report.compare import print_comparison, write_comparison
from harness.report.text import print_summary
from harness.report.write import write_report
from harness.store.stored_run import StoredRun, load_run


def show(run: StoredRun) -> None:
    """Print the table of a run, write its report and print where the page is."""
    whole = with_ensembles(run)
    summary = summarise(whole)
    print_summary(whole, summary)
    paths = write_report(whole, summary)
    print(f"report: {paths.get('html', whole.path)}")


def show_stored(runs: Sequence[Path], out: Path | None, population: str, **settings: Any) -> None:
    """Write and print the report of the first stored run, and the comparison where there are others.

    population: the one printed, or "each"; settings: those of `summarise`. Raises UserError for all runs that cannot be
    read at once.
    """
    if population not in (*POPULATIONS, "each"):
        raise suggest([population], [*POPULATIONS, "each"], "population")
    shown = tuple(POPULATIONS) if population == "each" else (population,)
    loaded, problems = [], []
    for path in runs:
        try:
            loaded.append(with_ensembles(load_run(path)))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    summaries = [summarise(run, **settings) for run in loaded]
    print_summary(loaded[0], summaries[0], populations=shown)
    paths = write_report(loaded[0], summaries[0], out)
    if len(loaded) > 1:
        print_comparison(loaded, summaries, population=shown[0])
        write_comparison(loaded, summaries, out or loaded[0].path, population=shown[0])
    print(f"report: {paths['html']}")
