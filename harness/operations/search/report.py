"""What searches over a supernet found, as CSV, markdown and figures in one folder."""

from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.spaces.space import short
from harness.operations import figure
from harness.operations.figure import write_strip, write_training
from harness.operations.search.config import FindConfig
from harness.operations.search.picture import write_cells
from harness.operations.search.run import Found
from harness.report.result import ResultTable, markdown_page, result_folder, write_result
from harness.report.style import cell, count, duration, number

TEXT = ("operations", "vertex_inputs", "arch")
"""Columns of words."""


def folder_for(config: FindConfig, out: str | None) -> Path:
    """Return the folder to write to; UserError where it holds anything but an earlier search over a supernet."""
    words = ["search", config.base.bench, config.base.dataset, config.method]
    return result_folder(out, words, "supernet search", settings=vars(config))


def markdown(found: Found) -> str:
    """Return a row for each seed and their mean, as markdown."""
    open_ = not found.cells.empty  # no table has accuracies of what is found
    hidden = ("operations", "accuracy", "rank", "regret", "evaluations") if open_ else ("arch", "evaluations")
    heads = [name for name in found.runs if name not in hidden]
    rows = [[_cell(name, row[name]) for name in heads] for row in found.runs.to_dict("records")]
    numbers = [place for place, name in enumerate(heads) if name not in TEXT]
    tables: list[ResultTable] = [("", heads, rows, numbers)]
    if open_:
        heads, printed = list(found.groups), partial(_cell, digits=3)
        rows = [[row[0], *map(printed, heads[1:], row[1:])] for row in found.groups.to_numpy().tolist()]
        tables.append(("Compared with other cells", heads, rows, range(1, len(heads))))
    return markdown_page("Search over a supernet", map(cell, found.manifest["notes"]), tables, mean_line(found))


def _cell(name: str, value: object, digits: int = 2) -> str:
    if name in TEXT:
        return str(value) if name == "arch" else short(str(value))
    if name in ("seed", "rank", "params", "flops", "proposals", "cells") or name.endswith("_rank"):
        return count(value)
    return duration(value) if name in ("seconds", "training") else number(value, digits)


def mean_line(found: Found) -> str:
    """Return mean and standard deviation of the accuracy over seeds, in a line."""
    accuracy = found.runs["accuracy"].dropna()
    if accuracy.empty:
        return "None of the cells found has an accuracy in the table."
    spread = f" ± {accuracy.std():.2f}" if len(accuracy) > 1 else ""
    return (f"Accuracy {accuracy.mean():.2f}{spread} % over {len(accuracy)} of {len(found.runs)} seeds"
            f" (sample standard deviation), {found.runs['seconds'].mean():.1f} s a search.")  # fmt: skip


def redraw(folder: Path, manifest: dict) -> dict[str, Path]:
    """Draw the figures of a stored search again."""
    cells = folder / "cells.csv"
    written = write_cells(pd.read_csv(cells), manifest, folder) if cells.exists() else {}
    return written | figure.redraw(folder, manifest)


def write_found(found: Found, folder: Path) -> Path:
    """Write runs.csv, decisions.csv, of an open space cells.csv and groups.csv, summary.md, figures of decisions and
    cells and, last, manifest.json; return the folder."""
    frames = {"runs": found.runs, "decisions": found.decisions, "cells": found.cells, "groups": found.groups}
    about = found.manifest
    figures = (
        partial(write_strip, found.decisions, about), partial(write_training, found.training, about),
        partial(write_cells, found.cells, about),
    )  # fmt: skip
    return write_result(folder, frames, ("summary.md", markdown(found)), about, *figures)
