"""All files of a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.folder import writing
from harness.report.page import write_page
from harness.report.run_figures import write_figures
from harness.report.tables import write_tables

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def write_report(run: StoredRun, summary: Summary, out: Path | None = None) -> dict[str, Path]:
    """Write every table, figure and the page into `out` (the run's own folder by default).

    Returns file name -> path ("summary.csv", "figures/regret.svg", ...), and the page under "html". Each file is
    written under another name and renamed, so a reader never finds half of one. Same run, same bytes (figures: by the
    same matplotlib). Raises UserError where the folder cannot be written.
    """
    with writing(Path(out if out is not None else run.path), "give another folder") as folder:
        return {
            **write_tables(run, summary, folder),
            **write_figures(run, summary, folder),
            "html": write_page(run, summary, folder),
        }
