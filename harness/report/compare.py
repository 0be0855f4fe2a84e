"""Several runs compared: rho per proxy and run, as a table in the terminal, CSV, markdown and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.files.write import write_text
from harness.report import style
from harness.report.figures import GRID, drawing, save, short
from harness.report.result import writing
from harness.report.style import COLOURS, DASH, cell, count, interval, markdown_table, number, plain, write_csv
from harness.report.text import target_line

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

COLUMNS = ("tau_b", "tau_b_low", "tau_b_high", "rho", "rho_low", "rho_high", "regret_10", "n", "failed")


def labels(runs: Sequence[StoredRun]) -> list[str]:
    """Return one label per run: its folder's name, with the parent's where names repeat, numbered if need be."""
    paths = [Path(run.path).resolve() for run in runs]
    names = [path.name for path in paths]
    named = [path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}" for path in paths]
    return [
        label if named.count(label) == 1 else f"{label} ({named[:place].count(label) + 1})"
        for place, label in enumerate(named)
    ]


def comparison(runs: Sequence[StoredRun], summaries: Sequence[Summary], population: str = "all") -> pd.DataFrame:
    """Return proxy x (run label, statistic); NaN where a run lacks the proxy. In the first run's order."""
    names: dict[str, None] = {}
    for summary in summaries:
        names |= dict.fromkeys(style.ordered(summary, population))
    baselines = {name for summary in summaries for name in summary.baselines}
    order = sorted(names, key=lambda name: name in baselines)
    frames = {}
    for label, summary in zip(labels(runs), summaries, strict=True):
        table = summary.table[summary.table["population"] == population].set_index("proxy")
        frames[label] = table.loc[:, list(COLUMNS)].reindex(order)
    return pd.concat(frames, axis=1)


def write_comparison(
    runs: Sequence[StoredRun], summaries: Sequence[Summary], out: Path, population: str = "all"
) -> dict[str, Path]:
    """Write comparison.csv (long), comparison.md and figures/comparison.{png,svg} into `out`."""
    table, names = comparison(runs, summaries, population), labels(runs)
    long = pd.concat(
        [table[label].rename_axis("proxy").reset_index().assign(run=label, population=population) for label in names],
        ignore_index=True,
    )
    long = long[["run", "population", "proxy", *COLUMNS]]
    with writing(out, "give another folder"):
        return {
            "comparison.csv": write_csv(long, out / "comparison.csv"),
            "comparison.md": write_text(out / "comparison.md", markdown(runs, table, population)),
            **write_comparison_figure(table, names, out),
        }


def markdown(runs: Sequence[StoredRun], table: pd.DataFrame, population: str) -> str:
    """Return the comparison as a markdown table, with the setting of each run."""
    names = labels(runs)
    lines = [f"# Spearman's rho per run, population {cell(population)}", ""]
    lines += [f"- {cell(label)}: {cell(setting(run))}" for label, run in zip(names, runs, strict=True)]
    rows = [[name, *(value(table, name, label) for label in names)] for name in table.index]
    return "\n".join([*lines, "", *markdown_table(["proxy", *names], rows)]) + "\n"


def setting(run: StoredRun) -> str:
    """Return what the scores of a run are compared with, and its protocol and precision if not the default ones."""
    settings = run.manifest.get("settings") or {}
    usual = {"protocol": "default", "precision": "float32"}
    unusual = [f" · {name} {settings[name]}" for name in usual if settings.get(name, usual[name]) != usual[name]]
    return target_line(run) + "".join(unusual)


def value(table: pd.DataFrame, proxy: str, label: str) -> str:
    """Return "0.712 [0.66, 0.75] n 997", a dash where the run lacks the proxy."""
    row = table.loc[proxy, label]
    around = interval(row["rho_low"], row["rho_high"])
    return f"{number(row['rho'])} {around} n {count(row['n'])}".replace("  ", " ") if row["n"] == row["n"] else DASH


def print_comparison(
    runs: Sequence[StoredRun], summaries: Sequence[Summary], console: Console | None = None, population: str = "all"
) -> None:
    """Print rho per proxy and run. Runs that differ in ground truth, protocol or architectures are named as such."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    table, names = comparison(runs, summaries, population), labels(runs)
    for label, run in zip(names, runs, strict=True):
        console.print(plain(f"{label}: {setting(run)}"))
    shown = Table(box=SIMPLE_HEAD, title=f"rho, population: {population}", title_justify="left", pad_edge=False)
    shown.add_column("proxy", overflow="fold")
    for label in names:
        shown.add_column(plain(label), justify="right", overflow="fold")
    for proxy in table.index:
        shown.add_row(plain(proxy), *(plain(value(table, proxy, label)) for label in names))
    console.print(shown)
    if len({setting(run) for run in runs}) > 1 or len({run.archs for run in runs}) > 1:
        console.print(
            "the runs differ in ground truth, protocol or architectures, which is part of any difference in rho",
            style="dim",
        )


def write_comparison_figure(table: pd.DataFrame, labels: list[str], out: Path) -> dict[str, Path]:
    """Write figures/comparison.{png,svg}: rho per proxy, one mark per run.

    `table` has proxy as index and for each run label the columns (label, "rho"), (label, "rho_low") and
    (label, "rho_high").
    """
    with drawing(5.4, 1.1 + 0.22 * max(len(table), 4)) as figure:
        panel = figure.subplots()
        places = np.arange(len(table))[::-1]
        for order, label in enumerate(labels):
            shift = 0.0 if len(labels) == 1 else 0.3 - 0.6 * order / (len(labels) - 1)
            colour = COLOURS[order % len(COLOURS)]
            panel.hlines(
                places + shift, table[(label, "rho_low")], table[(label, "rho_high")], color=colour, linewidth=0.9
            )
            panel.plot(
                table[(label, "rho")], places + shift, "osD^vP"[order % 6], markersize=3.5, color=colour,
                linestyle="none", label=short(label, 40),
            )  # fmt: skip
        for place in places[:-1]:
            panel.axhline(place - 0.5, color="#eeeeee", linewidth=0.5)
        panel.axvline(0, color="black", linewidth=0.6)
        panel.set_yticks(places, [short(str(name)) for name in table.index])
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="x", **GRID)
        panel.set_axisbelow(True)
        panel.set_xlabel("Spearman ρ")
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        return save(figure, out, "comparison")
