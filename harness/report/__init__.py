"""From a stored run to a table in the terminal, CSV, markdown, figures and one self-contained page.

`python -m harness.report RUN [OTHER ...]` remakes all of it from what was stored; nothing is scored again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def write_report(run: StoredRun, summary: Summary, out: Path | None = None) -> dict[str, Path]:
    """Write every table, figure and the page into `out` (the run's own folder by default).

    Returns file name -> path ("summary.csv", "figures/regret.svg", ...), and the page under "html". Each file is
    written aside and renamed, so a reader never meets half of one. Same run, same bytes (figures: by the same
    matplotlib). Raises UserError where the folder cannot be written.
    """
    from benchmarks.errors import UserError
    from harness.report import figures, page, tables

    out = Path(out if out is not None else run.path)
    try:
        return {
            **tables.write_tables(run, summary, out),
            **figures.write_figures(run, summary, out),
            "html": page.write_page(run, summary, out),
        }
    except OSError as error:
        raise UserError(f"cannot write {error.filename or out}: {error.strerror}; give another folder") from error


def print_summary(
    run: StoredRun, summary: Summary, console: Console | None = None, populations: tuple[str, ...] = ("all",)
) -> None:
    """Print the run's table to the terminal: one block for each of `populations`, then rho asked more strictly.

    The main block is over all architectures by default, because that is what published tables are over; the second
    block puts rho over all, connected and distinct architectures side by side, because they differ much.
    """
    from harness.report import text

    text.print_summary(run, summary, console, populations)


__all__ = ["print_summary", "write_report"]
