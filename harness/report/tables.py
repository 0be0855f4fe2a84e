"""The summary as CSV (full precision) and markdown (rounded, as printed)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.files.write import write_text
from harness.report import style, text
from harness.report.formats import cell, write_csv
from harness.report.headlines import best_line, ceiling_line, protocol_line, target_line
from harness.report.numbers import count, duration, interval, number

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
    from harness.report import variants

    lines = [f"# {cell(target_line(run))}", "", cell(best_line(run)) + ".", ""]
    if protocol := protocol_line(run):
        lines += [cell(protocol) + ".", ""]
    for population in style.populations(summary):
        lines += [f"## Population: {cell(population)}", "", cell(style.POPULATIONS.get(population, "")), ""]
        lines += population_table(run, summary, population) + variants.markdown(run, summary, population)
        for line in (ceiling_line(summary, population), *text.legend(run, summary, population)):
            lines += ["", cell(line)]
        lines.append("")
    return "\n".join(lines)


def population_table(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the lines of one population's markdown table; baselines and random picks at the end."""
    heads = [
        "proxy",
        "tau-b",
        "rho",
        "regret@1",
        "regret@10",
        "regret@100",
        "top 10 %",
        "given params",
        "equal size",
        f"beats {cell(text.baseline(summary, population))}?",
        "n",
        "failed",
        "ties",
        "s/arch",
    ]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, row in ((name, style.rows(summary, population)[name]) for name in style.ordered(summary, population)):
        both = [f"{number(row[s])} {interval(row[f'{s}_low'], row[f'{s}_high'])}".strip() for s in ("tau_b", "rho")]
        rest = [number(row[f"regret_{k}"], 2) for k in (1, 10, 100)]
        rest += [number(row[column]) for column in ("rho_top10pct", "rho_partial_params", "rho_strata")]
        rest += [cell(text.verdict(summary, population, name))]
        rest += [count(row[column]) for column in ("n", "failed", "ties")]
        rest += [duration(row["seconds"])]
        label = cell(name) + style.marks(run, name) + ("", " (fitted)", " (baseline)")[style.groups(summary)[name]]
        lines.append("| " + " | ".join([label, *both, *rest]) + " |")
    picks = text.random_picks(summary, population)
    regrets = [number(picks.get(k), 2) for k in (1, 10, 100)]
    return [*lines, "| " + " | ".join([f"*{style.RANDOM_PICKS}*", "", "", *regrets, *[""] * 8]) + " |"]
