"""A comparison of operation scores as tables in the terminal, CSV, markdown and figures, in one folder."""

from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.spaces.space import short
from harness.operations.compare import Comparison
from harness.operations.config import OperationsConfig
from harness.operations.epochs import MAGNITUDE
from harness.operations.figure import write_epochs, write_figures, write_training
from harness.report.result import ResultTable, markdown_page, result_folder, write_result
from harness.report.style import DASH, brief, cell, count, duration, fitting, number, plain

LEGEND = (
    "rho, tau-b: rank correlation over the operations of an edge with the reference, mean over edges (± standard"
    " deviation over seeds). Selected: the best operation of every edge, by the score alone; its accuracy, rank (1 is"
    " the best) and regret, the cell of the first seed; tied: edges with several best, the first is taken. failed:"
    " scores that are not finite. A dash: undefined, or no accuracy in the table."
)
TEXT = ("", "score", "edge", "cell")
"""Columns of words, to the left."""


def folder_for(config: OperationsConfig, out: str | None) -> Path:
    """Return the folder to write to; UserError where it holds anything but an earlier comparison."""
    words = ["operations", config.bench, config.dataset]
    return result_folder(out, words, "operations", "comparison of operations", vars(config))


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write the CSV files, summary.md, the figures and, last, manifest.json; return the folder."""
    frames = {"scores": found.scores, "edges": found.edges, "chosen": found.chosen, "along": found.along,
              "epochs": found.epochs}  # fmt: skip
    frames["agreement"] = found.agreement.rename_axis("").reset_index()
    about = found.manifest
    figures = (partial(write_figures, found.scores, found.agreement, found.along, about),
               partial(write_epochs, found.epochs, about), partial(write_training, found.training, about))  # fmt: skip
    return write_result(folder, frames, ("summary.md", markdown(found)), about, *figures)


def print_comparison(found: Comparison, console: Console | None = None) -> None:
    """Print what each score selects, rho on each edge, and the agreement of the scores."""
    console = console or Console()
    for title, heads, lines, numeric in _tables(found):
        for part in fitting(heads, lines, console.width):
            table = Table(
                box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=plain(title), title_justify="left"
            )
            for place in part:
                side: Literal["left", "right"] = "right" if place in numeric else "left"
                table.add_column(heads[place], justify=side, no_wrap=heads[place] != "cell", overflow="fold")
            for line in lines:
                table.add_row(*(plain(str(line[place])) for place in part))
            console.print(table)
    console.print(LEGEND, style="dim", highlight=False)


def markdown(found: Comparison) -> str:
    """Return the same tables as markdown, with the notes and the meaning of each score."""
    notes = [cell(note) for note in found.manifest["notes"]]
    notes += [f"`{name}`: {meaning}" for name, meaning in found.manifest["meanings"].items()]
    return markdown_page("Operation scores", notes, _tables(found), LEGEND)


def _tables(found: Comparison) -> list[ResultTable]:
    """Return what is shown."""
    square, groups = found.agreement, list(found.chosen.groupby("score", sort=False))
    edges = found.edges.groupby(["score", "edge"], sort=False)["rho"].mean().unstack(sort=False)
    edges = edges.loc[square.columns, found.manifest["edges"]]
    seeds = found.manifest["settings"]["seeds"]
    against = [
        [str(name), _spread(each["rho"]), _spread(each["tau_b"]), str(each["failed"].sum()),
         duration(each["seconds"].mean())]
        for name, each in groups
    ]  # fmt: skip
    chosen = [
        [str(name), _spread(each["accuracy"]), count(each["rank"].mean()), number(each["regret"].mean(), 2),
         count(each["params"].mean()), number(each["tied"].mean(), 1).removesuffix(".0"),
         short(each["operations"].iloc[0])]
        for name, each in groups
    ]  # fmt: skip
    numbered = [f"{place} {name}" for place, name in enumerate(square, start=1)]
    shown: list[tuple[str, list[str], list[list[str]]]] = [
        (f"Against {found.manifest['reference']}, {seeds} seed{'s' * (seeds > 1)}",
         ["score", "rho", "tau-b", "failed", "s"], against),
        ("Selected", ["score", "accuracy, %", "rank", "regret", "params", "tied", "cell"], chosen),
        ("rho on each edge", ["score", *map(str, edges)],
         [[str(name), *map(brief, line)] for name, line in edges.iterrows()]),
        ("rho between scores", ["score", *(str(place + 1) for place in range(len(square)))],
         [[name, *map(brief, line)] for name, (_, line) in zip(numbered, square.iterrows(), strict=True)]),
    ]  # fmt: skip
    if seeds > 1:
        rows = found.chosen[found.chosen.duplicated("score", keep=False)].to_dict("records")
        shown.append(("Selected by each seed", ["score", "seed", "accuracy, %", "rank", "params", "cell"], [
            [str(row["score"]), str(row["seed"]), number(row["accuracy"], 2), count(row["rank"]),
             count(row["params"]), short(str(row["operations"]))]
            for row in rows
        ]))  # fmt: skip
    if not found.along.empty:
        names = ["rho", "tau_b", "rho_conditional", "tau_b_conditional"]
        shown.append((
            "Along the search in fixed order, against best-acc (conditional: of cells that agree with the decisions)",
            ["score", "step", "rho", "tau-b", "rho, conditional", "tau-b, conditional"],
            [[str(score), str(step), *(_spread(each[name]) for name in names)]
             for (score, step), each in found.along.groupby(["score", "step"], sort=False)],
        ))  # fmt: skip
    if not found.epochs.empty:
        shown.append(_along_training(found.epochs))
    return [(*each, [at for at, head in enumerate(each[1]) if at and head not in TEXT]) for each in shown]


def _along_training(found: pd.DataFrame) -> tuple[str, list[str], list[list[str]]]:
    """Return what the search by each trained score finds after each epoch that is kept."""
    kept = sorted(found.loc[found["score"] != MAGNITUDE, "epoch"].unique()) or [found["epoch"].max()]
    last = found[found["epoch"] == kept[-1]].pivot(index="seed", columns="score")
    rows = []
    for name, each in found.groupby("score", sort=False):
        above = [format(value, "+.2f") for value in (last["accuracy"][name] - last["accuracy"][MAGNITUDE]).dropna()]
        counts = [number(last[column][name].mean(), 1) for column in ("weightless_edges", "skip_edges")]
        accuracies = [_spread(each.loc[each["epoch"] == epoch, "accuracy"]) for epoch in kept]
        rows.append([str(name), *accuracies, *counts, count(last["rank"][name].mean()), "; ".join(above) or DASH])
    heads = ["score", *(f"epoch {epoch}" for epoch in kept), "without weights", "skip", "rank", f"minus {MAGNITUDE}"]
    return "Along the training: accuracy of the selected cell, %; of the last epoch the other columns", heads, rows


def _spread(values: pd.Series) -> str:
    """Print mean and standard deviation over seeds."""
    digits = 2 if values.abs().max() > 1 else 3
    mean = number(values.mean(), digits)
    return mean if values.notna().sum() < 2 else f"{mean} ± {number(values.std(), digits)}"
