"""The summary as CSV (full precision) and markdown (rounded, as printed)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.files.write import write_text
from harness.analysis.populations import POPULATIONS
from harness.analysis.summary import RANDOM_PICKS
from harness.report import style, variants
from harness.report.style import (
    baseline,
    cell,
    counted,
    markdown_table,
    measured,
    random_picks,
    statistic_value,
    verdict,
    with_interval,
    write_csv,
)
from harness.report.text import (
    best_line,
    ceiling_line,
    legend,
    meaningful,
    protocol_line,
    target_line,
    warning_lines,
)

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def write_tables(run: StoredRun, summary: Summary, out: Path) -> dict[str, Path]:
    """Write all tables of a summary and the failures as CSV, and summary.md, into `out`."""
    frames = {
        "summary.csv": summary.table,
        "regret.csv": summary.regret,
        "differences.csv": summary.differences,
        "agreement.csv": agreement_long(summary),
        "strata.csv": summary.strata,
        "ceiling.csv": summary.ceiling,
        **({} if summary.votes.empty else {"votes.csv": summary.votes}),
        "failures.csv": run.failures,
    }
    written = {name: write_csv(frame, out / name) for name, frame in frames.items()}
    written["summary.md"] = write_text(out / "summary.md", markdown(run, summary))
    return written


def agreement_long(summary: Summary) -> pd.DataFrame:
    """Return population, proxy, other, rho: one row per ordered pair."""
    rows = [
        (population, proxy, other, value)
        for population, square in summary.agreement.items()
        for proxy, line in zip(square.index, square.to_numpy(), strict=True)
        for other, value in zip(square.columns, line, strict=True)
    ]
    return pd.DataFrame(rows, columns=["population", "proxy", "other", "rho"])


def markdown(run: StoredRun, summary: Summary) -> str:
    """Return the printed tables as markdown, one per population."""
    lines = [f"# {cell(target_line(run))}", "", cell(best_line(run)) + ".", ""]
    lines += [line for said in warning_lines(run) for line in (f"**Warning:** {cell(said)}.", "")]
    if protocol := protocol_line(run):
        lines += [cell(protocol) + ".", ""]
    for population in style.populations(summary):
        lines += [f"## Population: {cell(population)}", "", cell(POPULATIONS.get(population, "")), ""]
        lines += population_table(run, summary, population) + variants.markdown(run, summary, population)
        for line in (ceiling_line(summary, population), *legend(run, summary, population)):
            lines += ["", cell(line)]
        lines.append("")
    return "\n".join(lines)


def population_table(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the lines of one population's markdown table; baselines and random picks at the end."""
    before, after = (
        meaningful([*measured("main"), *measured("stricter")], style.rows(summary, population)),
        counted("main"),
    )
    heads = ["proxy", f"beats {baseline(summary, population)}?", *(each.heading for each in before)]
    rows, groups, lines = style.rows(summary, population), style.groups(summary), []
    for name in style.ordered(summary, population):
        label = name + style.marks(run, name) + ("", " (fitted)", " (baseline)")[groups[name]]
        numbers = [with_interval(each, rows[name]) for each in before]
        counts = [statistic_value(each, rows[name]) for each in after]
        lines.append([label, verdict(summary, population, name), *numbers, *counts])
    picks = random_picks(summary, population)
    lines.append([RANDOM_PICKS, "", *(picks.get(each.name, "") for each in before), *[""] * len(after)])
    numbers_at = range(2, len(heads) + len(after))
    return markdown_table([*heads, *(each.heading for each in after)], lines, numbers_at)
