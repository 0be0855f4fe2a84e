"""`nas-harness report RUN [OTHER ...]`: remake tables, figures and page from stored runs; figures of other results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError, carry_out, suggest
from harness.cli.options import Line


def parser() -> Line:
    """Return the command line."""
    line = Line(
        "report",
        "Remake tables, figures and page from stored runs, and the figures of other results. Nothing is scored again.",
    )
    add = line.option
    add("runs", nargs="+", type=Path, metavar="RUN", help="folder of a finished run; with several, a comparison too. Of"
        " a search, operation scores or a reproduction the figures are drawn again")  # fmt: skip
    add("--out", type=Path, help="folder to write to (default: the first run's)")
    add("--population", default="all", help="population of the printed table: all (default), connected, distinct, each")
    add("--baseline", default="auto",
        help="proxy the others are compared with (default: the best count)")  # fmt: skip
    add("--intervals", default="auto", help="auto (default: not where the whole space was scored), always, never")
    add("--data", help="folder of ground truth, where RUN is a folder of results/tables whose scores are kept with the"
        " program: its tables are made again; without it its figures (default: NAS_HARNESS_DATA)")  # fmt: skip
    add("--given", help="a target of the run, such as a latency: its partial rho, and what a score loses on a budget")
    add("--resamples", type=int, default=1000, help="bootstrap resamples of the intervals (default 1000)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Make the reports; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    options = parser().arguments(argv)
    stopped = "stopped; every file there is complete: repeat the command for the rest"
    return carry_out("nas-harness report", lambda: show_stored(**options), stopped)


FIGURES = {
    "search": "harness.search.figure", "operations": "harness.operations.figure",
    "supernet search": "harness.operations.search.report", "reproduction": "harness.reproduce.figure",
}  # fmt: skip
"""Kind of a result that is no run -> the module that draws its figures again."""


def redraw(folders: Sequence[Path]) -> list[Path]:
    """Draw the figures of those folders again that hold another result than a run, or a run without its scores; return
    the other folders."""
    from importlib import import_module

    from harness.report.result import manifest_of

    runs = []
    for folder in folders:
        manifest = manifest_of(folder)
        module = FIGURES.get(manifest.get("kind", ""))
        if module is None and (folder / "summary.csv").exists() and not (folder / "scores.h5").exists():
            module = "harness.report.run_figures"
        if module is None:
            runs.append(folder)
            continue
        try:
            written = import_module(module).redraw(folder, manifest)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{folder}: its figures cannot be drawn again ({error}); repeat its command") from error
        print(f"{folder}: {', '.join(sorted(name for name in written if name.endswith('.png')))}")
    return runs


def show_stored(
    runs: Sequence[Path], out: Path | None, population: str, given: str | None = None, data: str | None = None,
    **settings: Any,
) -> None:  # fmt: skip
    """Write and print the report of the first stored run, and the comparison where there are others.

    population: the one printed, or "each"; given: as for `target_report`; data: ground truth for statistics whose
    scores are kept with the program; settings: those of `summarise`.
    Raises UserError for all runs that cannot be read at once.
    """
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.populations import POPULATIONS
    from harness.analysis.summary import summarise
    from harness.report.compare import print_comparison, write_comparison
    from harness.report.page import write_report
    from harness.report.targets import show_targets, target_report
    from harness.report.text import print_summary
    from harness.runs.kept_runs import kept_run_in
    from harness.store.stored_run import load_run

    if population not in (*POPULATIONS, "each"):
        raise suggest([population], [*POPULATIONS, "each"], "population")
    shown = tuple(POPULATIONS) if population == "each" else (population,)
    kept = {path: run for path in runs if (run := kept_run_in(path, data))}
    redrawn = redraw([path for path in runs if path not in kept])
    if not (runs := [path for path in runs if path in kept or path in redrawn]):
        return
    loaded, problems = [], []
    for path in runs:
        try:
            loaded.append(with_ensembles(kept.get(path) or load_run(path)))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    summaries = [summarise(run, **settings) for run in loaded]
    print_summary(loaded[0], summaries[0], populations=shown)
    targets = target_report(loaded[:1], given)
    paths = write_report(loaded[0], summaries[0], out, targets)
    show_targets(targets, out or loaded[0].path)
    if len(loaded) > 1:
        print_comparison(loaded, summaries, population=shown[0])
        write_comparison(loaded, summaries, out or loaded[0].path, population=shown[0])
    print(f"report: {paths['html']}")
