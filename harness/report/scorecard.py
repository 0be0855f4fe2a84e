"""The scorecard as tables and a figure: where each score stands, and rho of every score on every task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.report.figures import PAGE, Figure, drawing, grid, save, short, square_map
from harness.report.result import ResultTable, markdown_page, write_result
from harness.report.style import DASH, KINDS, brief, cell, count, duration, interval, number, plain

if TYPE_CHECKING:
    from harness.analysis.scorecard import Scorecard

SCORECARD = "scorecard"
"""The kind of the result, in its manifest."""
HEADS = ("score", "kind", "mean rank", "95 %", "mean rho", "95 % ", "beats", "worse", "of tasks", "families", "s/arch")
MARKS = {"beats": "▲", "worse": "▼"}
FAMILIES = 2
"""Families on which a score has to have been scored to be in the figure, where there are as many."""


def standing_rows(found: Scorecard) -> list[list[str]]:
    """Return a row for each score, best first: `HEADS`."""
    return [
        [row["score"], row["kind"], number(row["mean_rank"], 1), _around(row, "mean_rank", 1), number(row["rho"], 2),
         _around(row, "rho", 2), str(row["beats"]), str(row["worse"]), str(row["tasks"]), str(row["families"]),
         duration(row["seconds"])]
        for row in found.standing.to_dict("records")
    ]  # fmt: skip


def _around(row: dict[str, Any], name: str, digits: int) -> str:
    return interval(row[f"{name}_low"], row[f"{name}_high"], digits)


def cell_text(row: dict[str, Any]) -> str:
    """Return "0.79 [0.77, 0.81] n 1,000 ▲"; of a whole space "exact" for the interval."""
    around = "exact" if row["whole"] else interval(row["rho_low"], row["rho_high"])
    parts = [number(row["rho"], 2), around, f"n {count(row['n'])}", MARKS.get(row["verdict"], "")]
    return " ".join(part for part in parts if part)


def family_tables(found: Scorecard) -> list[ResultTable]:
    """Return for each family its tasks as columns, its scores as rows, best standing first."""
    made: list[ResultTable] = []
    order = list(found.standing["score"])
    for family, of in found.cells.groupby("family", sort=False):
        there = {(row["task"], row["score"]): row for row in of.to_dict("records")}
        tasks = list(dict.fromkeys(of["task"]))
        names = [name for name in order if any((task, name) in there for task in tasks)]
        rows = [
            [name, *(cell_text(there[task, name]) if (task, name) in there else DASH for task in tasks)]
            for name in names
        ]
        made.append((f"Architectures of {cell(family)}", ["score", *tasks], rows, range(1, len(tasks) + 1)))
    return made


def task_table(found: Scorecard) -> ResultTable:
    """Return for each task its best score and count, how many scores beat it, and regret of the best."""
    rows = []
    for task, of in found.cells.groupby("task", sort=False):
        proxies = of[of["kind"].isin(("proxy", "ensemble")) & of["rho"].notna()]
        best, top = proxies.loc[proxies["rho"].idxmax()], of.loc[of["score"] == of["count"].mode()[0]].iloc[0]
        rows.append([task, count(of["n"].max()), f"{best['score']} {number(best['rho'], 2)}",
                     f"{top['score']} {number(top['rho'], 2)}", str((proxies["verdict"] == "beats").sum()),
                     str(len(proxies)), number(best["regret_10"], 2), number(top["regret_10"], 2)])  # fmt: skip
    heads = ["task", "n, at most", "best score, rho", "best count, rho", "beat it", "of scores", "its regret@10",
             "the count's regret@10"]  # fmt: skip
    return "Tasks", heads, rows, (1, 4, 5, 6, 7)


def notes(found: Scorecard) -> list[str]:
    """Return what a reader must know, one sentence each."""
    filled = len(found.cells)
    return [
        f"{len(found.tasks)} tasks, {len(found.standing)} scores, {filled:,} of"
        f" {len(found.tasks) * len(found.standing):,} cells; {DASH} is not scored. Fitted: tuned on accuracies.",
        "[ ]: 95 % interval of rho over the architectures drawn; exact: the whole space was scored.",
        "▲ beats the best count of its task beyond chance, ▼ worse: paired difference in rho, p below 0.05 corrected by"
        " Holm in each task, and beyond 1.96 standard deviations of another draw of weights and minibatch.",
        f"Mean rank: 1 plus the number of the {len(found.panel)} scores that every family has which are better"
        f" ({', '.join(found.panel)}); means are over families of architectures (in each, accuracies and robustness"
        " count alike), intervals Student's over families: tasks on the same networks are no independent witnesses."
        " Scores on fewer families come after the others.",
        "Scores do not change with the task: of 201 they were made with images of CIFAR-10, for every column of it.",
        "Cost: seconds for an architecture on one CPU core, shared with other work; the median over tasks.",
    ]


def print_scorecard(found: Scorecard, console: Console | None = None) -> None:
    """Print where each score stands and what the columns mean."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 150)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, head in enumerate(HEADS):
        table.add_column(head, justify="left" if at < 2 else "right", no_wrap=True)
    for row in standing_rows(found):
        table.add_row(*map(plain, row))
    console.print(table)
    for line in notes(found):
        console.print(plain(line), style="dim")


def write_scorecard(found: Scorecard, folder: Path, command: str) -> Path:
    """Write cells.csv, standing.csv, scorecard.md, the figure and the manifest."""
    tables: list[ResultTable] = [("", HEADS, standing_rows(found), range(2, len(HEADS))), task_table(found)]
    text = markdown_page("Scorecard", [cell(line) for line in notes(found)], [*tables, *family_tables(found)],
                         f"Made by `{command}`; every cell with its protocol and cost is in cells.csv.")  # fmt: skip
    frames = {"cells": found.cells, "standing": found.standing}
    about = {"kind": SCORECARD, "command": command, "tasks": found.tasks, "panel": list(found.panel)}
    return write_result(folder, frames, ("scorecard.md", text), about, lambda out: draw_scorecard(found, out))


def draw_scorecard(found: Scorecard, out: Path) -> None:
    """Write figures/scorecard.*: mean ranks with intervals beside rho on every task."""
    least = min(FAMILIES, found.standing["families"].max())
    shown = found.standing[found.standing["families"] >= least].reset_index(drop=True)
    with drawing(PAGE, 1.15 + 0.145 * len(shown)) as figure:
        left, right = figure.subplots(1, 2, sharey=False, width_ratios=[0.85, 0.205 * len(found.tasks)])
        _draw_ranks(left, shown)
        _draw_cells(right, found, list(shown["score"]))
        _legend(figure, shown)
        save(figure, out, "scorecard")


def _draw_ranks(panel: Any, shown: pd.DataFrame) -> None:
    places = np.arange(len(shown)) + 0.5
    for place, row in zip(places, shown.to_dict("records"), strict=True):
        kind = KINDS[row["kind"]]
        panel.hlines(place, row["mean_rank_low"], row["mean_rank_high"], color=kind.colour, linewidth=0.9)
        panel.plot(row["mean_rank"], place, kind.marker, color=kind.colour, markersize=3.2)
    panel.set_yticks(places, [short(name, 20) for name in shown["score"]])
    panel.set_ylim(len(shown), 0)
    panel.set_xlim(0, np.ceil(shown["mean_rank"].max()) + 1)
    panel.tick_params(axis="y", length=0)
    panel.set_xlabel("mean rank, 95 %")
    grid(panel, "x")


def _draw_cells(panel: Any, found: Scorecard, names: list[str]) -> None:
    square = found.cells.pivot(index="score", columns="task", values="rho").loc[names, found.tasks]
    square_map(panel, square, text=lambda value: "" if np.isnan(value) else brief(value),
               dark=lambda value: abs(value) > 0.75, cmap="vlag", vmin=-1, vmax=1, linewidths=0.3)  # fmt: skip
    panel.set_yticklabels([])
    verdicts = found.cells.pivot(index="score", columns="task", values="verdict").loc[names, found.tasks]
    for at, across in np.argwhere(verdicts.to_numpy() == "beats"):
        panel.add_patch(_frame(across, at))


def _frame(x: float, y: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x + 0.06, y + 0.06), 0.88, 0.88, fill=False, edgecolor="black", linewidth=0.8)


def _legend(figure: Figure, shown: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=KINDS[kind].colour, marker=KINDS[kind].marker, linestyle="none", markersize=4,
                      label=KINDS[kind].label) for kind in KINDS if kind in set(shown["kind"])]  # fmt: skip
    handles.append(Line2D([], [], color="black", marker="s", markerfacecolor="none", linestyle="none", markersize=6,
                          label="beats the best count beyond chance"))  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), frameon=False, handletextpad=0.3,
                  columnspacing=1.2)  # fmt: skip
