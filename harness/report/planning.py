"""Tables and figures of what was planned, audited and chosen from kept scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.report.figures import COLUMN, drawing, grid, save, short
from harness.report.result import ResultTable, markdown_page, write_result
from harness.report.style import COLOURS, cell, count, interval, number, plain

PLAN, AUDIT, CHOICE = "plan", "audit", "choice"
"""The kinds of the results, in their manifests."""
PLAN_HEADS = ("score", "against", "rho", "its rho", "difference", "architectures", "range", "for any draw", "draws")
PLAN_NOTES = (
    "Architectures, drawn uniformly, that tell the two scores apart: their difference in rho is found different from 0"
    " (p below 0.05, two-sided) in 80 % of samples. Range: from the interval of the difference, ∞ where it holds 0.",
    "For any draw: architectures and draws (initialisation and minibatch, a seed each) that tell the two methods apart,"
    " not these columns alone; empty where the draws of one were not measured, ∞ where no number does.",
)
AUDIT_HEADS = ("source", "task", "statistic", "n", "best", "gain over", "gain", "noise", "assumed", "verdict")
AUDIT_NOTES = (
    "A stated gain: the best value of a published table minus each other one. Noise: the standard deviation of a gain"
    " between two equally good scores at that n: sampling (paired, from kept scores; 0 where the whole space was"
    " scored), draws of weights and minibatch, rounding. Within noise: below 1.96 of it.",
    "Assumed: not measured for one of the two, the root mean square of the scores that were. Gains between scores that"
    " rank alike in kept scores, as params and FLOPs of NAS-Bench-201, are of definition: the source counts otherwise.",
)
CHOICE_NOTES = (
    "Relative regret: regret of the one architecture with the highest score among as many as the budget buys (at most"
    " half of those at hand), over the regret of a random one; 0 is the best, 1 is chance. Expected over all draws.",
    "Chosen on the tasks of all other families of architectures, judged on the family left out; [ ]: 95 % interval over"
    " families. Best here is known only afterwards. Seconds: of one CPU core, shared with other work; counts are free.",
)


def bounded(value: float) -> str:
    """Print a number of architectures or draws; ∞ for no number, empty for unknown."""
    return "∞" if value == np.inf else "" if np.isnan(value) else count(value)


def plan_rows(found: pd.DataFrame) -> list[list[str]]:
    """Return a row for each pair: `PLAN_HEADS`."""
    return [
        [row["score"], row["other"], number(row["rho"]), number(row["other_rho"]),
         _difference(row), bounded(row["archs"]),
         f"{bounded(row['archs_low'])} to {bounded(row['archs_high'])}" if row["archs_low"] < row["archs_high"] else "",
         bounded(row["draw_archs"]),
         bounded(row["draws"])]
        for row in found.to_dict("records")
    ]  # fmt: skip


def _difference(row: dict[str, Any]) -> str:
    around = interval(row["low"], row["high"]) if row["low"] < row["high"] else ""  # none for the whole space
    return f"{number(row['difference'])} {around}".strip()


def audit_rows(found: pd.DataFrame) -> list[list[str]]:
    """Return a row for each stated gain: `AUDIT_HEADS`."""
    return [
        [row["source"], f"{row['bench']} {row['dataset']} {row['population']}", row["statistic"], row["n"] or "?",
         row["best"], row["other"], number(row["gain"]), number(row["noise"]), row["assumed"], row["verdict"]]
        for row in found.to_dict("records")
    ]  # fmt: skip


def audit_counts(found: pd.DataFrame) -> ResultTable:
    """Return for each source its stated gains, and how many are within noise, measured or assumed."""
    rows = []
    for source, of in found.groupby("source", sort=False):
        within = of["verdict"] == "within noise"
        measured = int((within & (of["assumed"] == "")).sum())
        rows.append([source, str(len(of)), str(int(within.sum())), str(measured)])
    heads = ["source", "stated gains", "within noise", "of these with measured noise"]
    return "Sources", heads, rows, (1, 2, 3)


def choice_tables(found: pd.DataFrame, means: pd.DataFrame) -> list[ResultTable]:
    """Return the mean of each choice for each budget, then each task."""
    budgets = list(dict.fromkeys(found["budget"]))
    at = {(row["choice"], row["budget"]): row for row in means.to_dict("records")}
    names = [name for name in dict.fromkeys(means["choice"]) if name != "random"]  # which is 1
    rows = [[name, *(_mean(at[name, budget]) for budget in budgets)] for name in names]
    made: list[ResultTable] = [
        ("Relative regret on families left out", ["chosen", *map(_budget, budgets)], rows, range(1, len(budgets) + 1))
    ]
    heads = ["budget", "chosen", "score", "architectures", "regret", "best here", "its regret"]
    for task, of in found.groupby("task", sort=False):
        lines = [
            [_budget(row["budget"]), row["choice"], row["score"], f"{count(row['scored'])} of {count(row['n'])}",
             number(row["regret"], 2), row["best_here"], number(row["best_here_regret"], 2)]
            for row in of[of["choice"] != "random"].to_dict("records")
        ]  # fmt: skip
        made.append((cell(task), heads, lines, (3, 4, 6)))
    return made


def _mean(row: dict[str, Any]) -> str:
    return f"{number(row['relative'], 2)} {interval(row['low'], row['high'])}".strip()


def _budget(seconds: float) -> str:
    return f"{seconds:,.0f} s"


def print_table(heads: tuple[str, ...] | list[str], rows: list[list[str]], left: int, notes: tuple[str, ...]) -> None:
    """Print a table, its first `left` columns aligned left, and what it means."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 150)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place < left else "right")
    for row in rows:
        table.add_row(*map(plain, row))
    console.print(table)
    for note in notes:
        console.print(plain(note), style="dim")


def write_plan(found: pd.DataFrame, folder: Path, command: str, task: str) -> Path:
    """Write plan.csv, plan.md, the figure and the manifest."""
    page = markdown_page(f"Architectures and draws that tell scores apart: {task}", [cell(note) for note in PLAN_NOTES],
                         [("", PLAN_HEADS, plan_rows(found), range(2, 9))], f"Made by `{command}`.")  # fmt: skip
    return write_result(folder, {"plan": found}, ("plan.md", page), {"kind": PLAN, "command": command, "task": task},
                        lambda out: draw_plan(found, out))  # fmt: skip


def draw_plan(found: pd.DataFrame, out: Path) -> None:
    """Write figures/plan.*: the architectures of each pair with their range, on a logarithmic axis."""
    rows = found[np.isfinite(found["archs"])].sort_values("archs").to_dict("records")
    with drawing(COLUMN, 0.6 + 0.145 * max(len(rows), 3)) as figure:
        panel = figure.subplots()
        most = max([row["space"] for row in rows] or [10])
        for place, row in enumerate(rows):
            panel.hlines(place, row["archs_low"], min(row["archs_high"], most), color=COLOURS[0], linewidth=0.9)
            panel.plot(row["archs"], place, "o", color=COLOURS[0], markersize=3)
        panel.set_yticks(range(len(rows)), [short(row["score"], 20) for row in rows])
        panel.set_ylim(-0.7, len(rows) - 0.3)
        panel.set_xscale("log")
        panel.tick_params(axis="y", length=0)
        against = {row["other"] for row in rows}
        panel.xaxis.set_major_formatter(lambda value, place: count(value))
        panel.set_xlabel(f"architectures to tell it from\n{short(against.pop()) if len(against) == 1 else 'the other'}")
        grid(panel, "x")
        save(figure, out, "plan")


def write_audit(found: pd.DataFrame, folder: Path, command: str) -> Path:
    """Write audit.csv, audit.md and the manifest."""
    tables: list[ResultTable] = [audit_counts(found),
                                 ("Stated gains", AUDIT_HEADS, audit_rows(found), (3, 6, 7))]  # fmt: skip
    page = markdown_page("Audit of published gains", [cell(note) for note in AUDIT_NOTES], tables,
                         f"Made by `{command}`.")  # fmt: skip
    return write_result(folder, {"audit": found}, ("audit.md", page), {"kind": AUDIT, "command": command})


def write_choice(found: pd.DataFrame, means: pd.DataFrame, folder: Path, command: str) -> Path:
    """Write choice.csv, means.csv, choice.md and the manifest."""
    page = markdown_page("Choosing a score for a budget", [cell(note) for note in CHOICE_NOTES],
                         choice_tables(found, means), f"Made by `{command}`.")  # fmt: skip
    return write_result(folder, {"choice": found, "means": means}, ("choice.md", page),
                        {"kind": CHOICE, "command": command})  # fmt: skip
