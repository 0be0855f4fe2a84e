"""All files of a report, and report.html: one file, no network; tables and drawings, a scatter to point at, provenance.

Everything that came from outside (names, architectures, reasons, settings) is escaped by the template; the page's own
script is the only one that its content security policy lets run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.files.write import write_text
from harness.analysis.populations import POPULATIONS
from harness.report import sections, style, variants
from harness.report.html import render
from harness.report.points import scatter_data
from harness.report.result import writing
from harness.report.run_figures import svg, write_figures
from harness.report.style import without_formulas
from harness.report.tables import write_tables
from harness.report.targets import TargetReport, html_tables
from harness.report.text import best_line, ceiling_line, legend, protocol_line, target_line, warning_lines
from harness.store.stored_run import target_in

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def write_page(run: StoredRun, summary: Summary, out: Path, targets: TargetReport | None = None) -> Path:
    """Write report.html into `out`."""
    return write_text(out / "report.html", page(run, summary, targets))


def page(run: StoredRun, summary: Summary, targets: TargetReport | None = None) -> str:
    """Return the page; `targets`: the report of further ones."""
    script, sheet = f"{shipped('sort.js')}\n{shipped('page.js')}", shipped("page.css")
    failures, more = sections.failures(run)
    return render(
        "page.html",
        policy=policy(script),
        title=f"{run.manifest.get('benchmark', '')} {target_in(run.manifest)['dataset']}: zero-cost proxies".strip(),
        sheet=sheet,
        script=script,
        points=_json(scatter_data(run, summary)),
        lines=[line for line in (target_line(run), best_line(run), protocol_line(run)) if line],
        warnings=warning_lines(run),
        contents={name: title for name, title in CONTENTS.items() if targets or name != "targets"},
        targets=html_tables(targets),
        target_notes=targets.notes if targets else [],
        downloads=[(name, _download(frame)) for name, frame in _downloads(run, summary).items()],
        populations=[_population(run, summary, name) for name in style.populations(summary)],
        failures=failures,
        more_failures=more,
        proxies=sections.proxies(run),
        provenance=sections.provenance(run, summary),
    )


def shipped(name: str) -> str:
    """Return a script or sheet of this package."""
    return files("harness.report").joinpath(name).read_text("utf-8")


def policy(script: str) -> str:
    """Return the content security policy of a page: no network, and no script but its own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'; base-uri 'none'"
    )


CONTENTS = {
    "table": "Statistics", "correlation": "Rank correlation", "scatter": "Scatter", "regret": "Regret",
    "targets": "Targets",
    "agreement": "Agreement", "strata": "Within size", "variants": "Variants", "failures": "Failures",
    "proxies": "Proxies", "provenance": "Provenance",
}  # fmt: skip
"""Section -> its name in the contents."""


def _downloads(run: StoredRun, summary: Summary) -> dict[str, pd.DataFrame]:
    """Return the tables that the page holds for whoever gets the page alone."""
    scores = {name: style.mean_scores(run, name) for name in run.scores} if len(run.archs) <= MOST_ROWS else None
    tables = {"summary.csv": summary.table, "differences.csv": summary.differences, "regret.csv": summary.regret}
    if scores is not None:
        tables["scores.csv"] = pd.DataFrame({"arch": run.archs} | scores)
    return tables


MOST_ROWS = 2000
"""Architectures up to which the page holds the scores themselves."""


def _download(frame: pd.DataFrame) -> str:
    """Return a table as the address of a download."""
    text = without_formulas(frame).to_csv(index=False, lineterminator="\n")
    return "data:text/csv;base64," + base64.b64encode(text.encode("utf-8", "replace")).decode()


def _population(run: StoredRun, summary: Summary, name: str) -> dict[str, Any]:
    """What the page shows of one population."""
    drawn = {figure: base64.b64encode(svg(figure, run, summary, name)).decode() for figure in ("correlation", "regret")}
    return {
        "name": name,
        "meaning": POPULATIONS.get(name, ""),
        "table": sections.statistics(run, summary, name),
        "lines": [ceiling_line(summary, name), *legend(run, summary, name)],
        "agreement": sections.agreement(summary, name),
        "strata": sections.strata(summary, name),
        "variants": variants.tables(run, summary, name),
        **drawn,
    }


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def write_report(
    run: StoredRun, summary: Summary, out: Path | None = None, targets: TargetReport | None = None
) -> dict[str, Path]:
    """Write every table, figure and the page into `out` (the run's own folder by default).

    Returns file name -> path ("summary.csv", "figures/regret.svg", ...), and the page under "html". Each file is
    written under another name and renamed, so a reader never finds half of one. Same run, same bytes (figures: by the
    same matplotlib). Raises UserError where the folder cannot be written.
    """
    with writing(Path(out if out is not None else run.path), "give another folder") as folder:
        return {
            **write_tables(run, summary, folder),
            **write_figures(run, summary, folder),
            "html": write_page(run, summary, folder, targets),
        }
