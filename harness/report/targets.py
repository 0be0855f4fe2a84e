"""Scores against several targets, as tables and a figure: which score is best for which, and picks on a budget."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import seaborn
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.files.write import write_text
from harness.analysis.populations import baselines, candidates
from harness.analysis.summary import RANDOM_PICKS
from harness.analysis.targets import ACCURACY, by_budgets, by_targets, picks
from harness.report import html
from harness.report.figures import DARK, PAGE, drawing, save, short, square_map
from harness.report.result import ResultTable, markdown_page, writing
from harness.report.style import brief, cell, count, fitting, interval, number, plain, write_csv

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

TARGETS = "targets"
"""The kind of the result, in its manifest."""
TARGET_HEADS = ("target", "unit", "best score, rho", "n", "best count, rho", "beat it", "of scores", "regret@10")
SHOWN = 12
"""Targets with more than which a table has the best score of each alone."""
LISTED = 3
"""Scores whose Pareto picks are written, the best by regret on a budget."""


def target_table(frame: pd.DataFrame, known: Collection[str], counts: Collection[str]) -> ResultTable:
    """Return a row for each target of `by_targets`: its best score, its best count, and how many scores beat that.

    known: all baselines; counts: those among which the best is taken.
    """
    rows = []
    for target, of in frame.groupby("target", sort=False):
        proxies, others = of[~of["proxy"].isin(known)], of[of["proxy"].isin(counts)]
        best, top = (_best(part) for part in (proxies, others))
        rows.append([
            target, of["unit"].iloc[0], _said(best), count(None if best is None else best["n"]), _said(top),
            str(int((proxies["beats"] == True).sum())), str(int(proxies["rho"].notna().sum())),  # noqa: E712
            number(best["regret_10"] if best is not None else None, 2),
        ])  # fmt: skip
    return "Targets", TARGET_HEADS, rows, (3, 5, 6, 7)


def _best(part: pd.DataFrame) -> Any:
    return None if part["rho"].isna().all() else part.loc[part["rho"].idxmax()]


def _said(row: Any) -> str:
    """Return "synflow 0.77 [0.74, 0.79]"."""
    if row is None:
        return number(None)
    return f"{row['proxy']} {number(row['rho'], 2)} {interval(row['rho_low'], row['rho_high'])}".strip()


def score_table(frame: pd.DataFrame) -> ResultTable:
    """Return rho of every score (rows) on every target, best mean first."""
    square = rho_of(frame)
    there = {(row["proxy"], row["target"]): row for row in frame.to_dict("records")}
    rows = [
        [name, *(f"{number(row['rho'], 2)} {interval(row['rho_low'], row['rho_high'])}".strip()
                 for row in (there[name, target] for target in square.columns))]
        for name in square.index
    ]  # fmt: skip
    return "Spearman's rho", ["score", *square.columns], rows, range(1, len(square.columns) + 1)


def rho_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return Spearman's rho, score x target, the best mean of its size first."""
    square = frame.pivot(index="proxy", columns="target", values="rho")[list(dict.fromkeys(frame["target"]))]
    return square.loc[square.abs().mean(axis=1).sort_values(ascending=False, kind="stable").index]


def budget_table(frame: pd.DataFrame, budgets: pd.DataFrame, given: str) -> ResultTable:
    """Return for each score rho with the accuracy, the same with `given` partialled out, and regret on budgets."""
    of = frame[frame["target"] == ACCURACY].set_index("proxy")
    mean = budgets.pivot_table(index="proxy", columns="k", values="regret", aggfunc=["mean", "max"])
    rows = []
    for name in mean[("mean", 1)].sort_values(kind="stable").index:
        row = of.loc[name] if name in of.index else None
        partial = ["", ""] if row is None else [
            f"{number(row[rho], 2)} {interval(row[f'{rho}_low'], row[f'{rho}_high'])}".strip()
            for rho in ("rho", "rho_given")
        ]  # fmt: skip
        regret = [number(mean.loc[name, (how, k)], 2) for k in (1, 10) for how in ("mean", "max")]
        rows.append([name, *partial, *regret])
    heads = ["score", "rho", f"rho given {given}", "regret@1", "worst", "regret@10", "worst "]
    return f"On a budget of {given}", heads, rows, range(1, 7)


def notes(run: StoredRun, given: str | None) -> list[str]:
    """Return what a reader must know, one sentence each."""
    lines = [
        "rho is with the value in its unit: with a latency a positive one says that larger scores are slower."
        " 'beat it': scores whose rho is above that of the best count beyond chance, corrected by Holm in each target."
    ]
    if any(name.startswith("robust:") for name in run.targets):
        lines.append("robust: accuracy under attack of the networks that were trained on CIFAR-10.")
    if given:
        lines.append(
            f"rho given {given}: its rank partialled out, so among networks of about equal cost. Regret: points below"
            " the best network within a budget, mean and worst over ten budgets that 10 %, 20 %, ... of the networks"
            " keep; the picks are the Pareto front of score and cost."
        )
    return lines


@dataclass(frozen=True)
class TargetReport:
    """What a report says of further targets."""

    frame: pd.DataFrame
    """`harness.analysis.targets.by_targets`."""
    budgets: pd.DataFrame
    """`by_budgets`; empty where no cost was given."""
    picks: pd.DataFrame
    """Pareto picks of the scores that lose least on a budget; empty likewise."""
    tables: list[ResultTable]
    notes: list[str]


def target_report(runs: Sequence[StoredRun], given: str | None = None) -> TargetReport | None:
    """Return the report of the further targets of a run, or of several on the same ones; None where there are none.

    A score of several runs counts in the first. given: a target, by default the one that the runs were made with.
    """
    if not runs[0].targets:
        return None
    given = given or runs[0].manifest.get("given")
    frame = _together([by_targets(run, given) for run in runs])
    known, counts = ({name for run in runs for name in of(run)} for of in (baselines, candidates))
    tables, budgets, found = [target_table(frame, known, counts)], pd.DataFrame(), pd.DataFrame()
    if given:
        budgets = _together([by_budgets(run, given) for run in runs])
        found = _picks(runs, budgets, given)
        tables.append(budget_table(frame, budgets, given))
    return TargetReport(frame, budgets, found, [*tables, score_table(frame)], notes(runs[0], given))


def show_targets(found: TargetReport | None, out: Path) -> dict[str, Path]:
    """Print and write the tables; return the files. Nothing where there are no targets."""
    if found is None:
        return {}
    few = found.frame["target"].nunique() <= SHOWN
    _print(found.tables if few else found.tables[:-1], found.notes)
    with writing(out) as folder:
        frames = {"targets.csv": found.frame, "budgets.csv": found.budgets, "picks.csv": found.picks}
        written = {name: write_csv(frame, folder / name) for name, frame in frames.items() if len(frame.columns)}
        page = markdown_page("Targets", map(cell, found.notes), found.tables, "All values are in targets.csv.")
        written["targets.md"] = write_text(folder / "targets.md", page)
        return written | draw_targets(found.frame, folder)


def html_tables(found: TargetReport | None) -> list[tuple[str, html.Table]]:
    """Return (title, table) of each table for the page."""
    return [
        (title, html.Table([html.Cell(head) for head in heads], [html.row(*each) for each in rows]))
        for title, heads, rows, _ in (found.tables if found else [])
    ]


def _together(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several runs, those of a score by the first that has it."""
    first: dict[str, int] = {}
    for at, frame in enumerate(frames):
        for name in frame["proxy"]:
            first.setdefault(name, at)
    rows = [frame[frame["proxy"].map(first) == at] for at, frame in enumerate(frames)]
    return pd.concat([part for part in rows if len(part)], ignore_index=True)


def _picks(runs: Sequence[StoredRun], budgets: pd.DataFrame, given: str) -> pd.DataFrame:
    """Return the Pareto picks of the scores that lose least on a budget."""
    mean = budgets[budgets["k"] == 1].groupby("proxy")["regret"].mean().sort_values(kind="stable")
    names = [name for name in mean.index if name != RANDOM_PICKS][:LISTED]
    of = {name: next(run for run in runs if name in run.scores) for name in names}
    return pd.concat([picks(of[name], given, name).assign(proxy=name) for name in names], ignore_index=True)


def _print(tables: list[ResultTable], said: list[str]) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 130)
    for title, heads, rows, numeric in tables:
        for part in fitting(heads, rows, console.width):
            shown = Table(box=SIMPLE_HEAD, title=plain(title), title_justify="left", pad_edge=False)
            for at in part:
                shown.add_column(plain(heads[at]), justify="right" if at in numeric else "left", no_wrap=True)
            for row in rows:
                shown.add_row(*(plain(row[at]) for at in part))
            console.print(shown)
    for line in said:
        console.print(plain(line), style="dim")


def draw_targets(frame: pd.DataFrame, out: Path) -> dict[str, Path]:
    """Write figures/targets.{png,svg,pdf}: rho of every target (rows) with every score; large ones without numbers."""
    square = rho_of(frame).T
    names = [short(str(name)) for name in square.columns]
    values = pd.DataFrame(square.to_numpy(dtype=float), [short(str(name)) for name in square.index], names)
    look: dict[str, Any] = {"cmap": "vlag", "vmin": -1, "vmax": 1}
    with drawing(max(PAGE, 1.6 + 0.26 * len(names)), 1.3 + 0.17 * len(values)) as figure:
        panel = figure.subplots()
        if values.size <= NUMBERED:
            square_map(panel, values, text=brief, dark=lambda value: abs(value) > DARK, linewidths=0.2, **look)
        else:
            seaborn.heatmap(values, ax=panel, xticklabels=True, yticklabels=True, cbar_kws=BAR, **look)
            panel.set(xlabel="", ylabel="")
        return save(figure, out, "targets")


BAR = {"label": "Spearman ρ", "shrink": 0.4}
NUMBERED = 600
"""Cells up to which each has its number: thousands of texts take half a minute to draw."""
