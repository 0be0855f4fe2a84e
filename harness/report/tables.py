"""The summary as CSV (full precision) and markdown (rounded, as printed)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.report import style, text

if TYPE_CHECKING:
    from harness.store import StoredRun
    from harness.summary import Summary


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
    written["summary.md"] = style.write_text(out / "summary.md", markdown(run, summary))
    return written


def write_csv(frame: pd.DataFrame, path: Path, *, index: bool = False) -> Path:
    """Write a frame as CSV: shortest digits that read back to the same number, empty for undefined, \\n line ends."""
    form: dict[str, Any] = {"index": index, "lineterminator": "\n", "encoding": "utf-8", "errors": "replace"}
    return style.write_atomically(path, lambda file: frame.to_csv(file, mode="wb", **form))


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

    lines = [f"# {cell(style.target_line(run))}", "", cell(style.best_line(run)) + ".", ""]
    if protocol := style.protocol_line(run):
        lines += [cell(protocol) + ".", ""]
    for population in style.populations(summary):
        lines += [f"## Population: {cell(population)}", "", cell(style.POPULATIONS.get(population, "")), ""]
        lines += population_table(run, summary, population) + variants.markdown(run, summary, population)
        for line in (style.ceiling_line(summary, population), *text.legend(run, summary, population)):
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
        both = [
            f"{style.number(row[s])} {style.interval(row[f'{s}_low'], row[f'{s}_high'])}".strip()
            for s in ("tau_b", "rho")
        ]
        rest = [style.number(row[f"regret_{k}"], 2) for k in (1, 10, 100)]
        rest += [style.number(row[column]) for column in ("rho_top10pct", "rho_partial_params", "rho_strata")]
        rest += [cell(text.verdict(summary, population, name))]
        rest += [style.count(row[column]) for column in ("n", "failed", "ties")]
        rest += [style.duration(row["seconds"])]
        label = cell(name) + style.marks(run, name) + ("", " (fitted)", " (baseline)")[style.groups(summary)[name]]
        lines.append("| " + " | ".join([label, *both, *rest]) + " |")
    picks = text.random_picks(summary, population)
    regrets = [style.number(picks.get(k), 2) for k in (1, 10, 100)]
    return [*lines, "| " + " | ".join([f"*{style.RANDOM_PICKS}*", "", "", *regrets, *[""] * 8]) + " |"]


def cell(given: object) -> str:
    """Return text that stays inside a markdown cell and starts no HTML, link, emphasis or code."""
    line = " ".join(str(given).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        line = line.replace(sign, "\\" + sign)
    return line
