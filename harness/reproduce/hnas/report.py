"""HNAS's tables as markdown, CSV and a figure, in one folder."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.report.axes import score_scale
from harness.report.figures import PAGE, Figure, Panel, drawing, grid, save
from harness.report.result import markdown_page, result_folder, write_result
from harness.report.style import COLOURS, DASH, cell, count, interval, number
from harness.reproduce.hnas.collect import Tables
from harness.reproduce.hnas.tables import FITTED, TITLES
from harness.search.hnas import criterion

LEGEND = (
    "ρ: Spearman; τ: Kendall's tau-b; in brackets 95 % intervals, over what was drawn: bootstrap for ρ, analytic for τ;"
    " none for Pearson's correlation, which is of M, and of log M in the next column. M is the absolute value of the"
    " score. †: t and c were chosen by the test errors that are correlated, on a grid; the interval leaves that out."
    " Held out: chosen on a random half of the networks, judged on the other."
)


def write_tables(found: Tables, folder: Path) -> Path:
    """Write metrics.csv, errors.csv, transfer.csv, hnas.md, the figure and, last, manifest.json; return the folder."""
    frames = {"metrics": found.between, "errors": found.errors, "transfer": found.transfer}
    return write_result(folder, frames, ("hnas.md", markdown(found)), found.manifest, partial(write_figure, found))


def folder_for(out: str | None, bench: str, settings: Mapping[str, Any] | None = None) -> Path:
    """Return the folder to write to; UserError where it holds anything but earlier tables."""
    return result_folder(out, ["hnas", bench], "hnas", "set of tables", settings)


def markdown(found: Tables) -> str:
    """Return all tables as markdown."""
    facts = found.manifest
    between = [
        [TITLES[row["metric"]], TITLES[row["other"]], count(row["n"]), number(row["pearson"]),
         number(row["pearson_log"]), _with_interval(row, "rho"), _with_interval(row, "tau_b")]
        for row in found.between.to_dict("records")
    ]  # fmt: skip
    errors = [
        [TITLES[row["metric"]], row["quantity"] + "†" * (row["quantity"] == FITTED), number(row["t"], 1),
         number(row["c"], 2), count(row["n"]), _with_interval(row, "rho"), _with_interval(row, "tau_b")]
        for row in found.errors.to_dict("records")
    ]  # fmt: skip
    heads, transfer = _transfer_table(found)
    tables = (
        ("Metrics with each other", ["", "", "n", "Pearson", "of logs", "ρ", "τ"], between),
        ("With test error", ["", "", "t", "c", "n", "ρ", "τ"], errors),
        ("From one dataset to another: M with test error", heads, transfer),
    )
    title = f"Metrics of HNAS: {cell(facts['benchmark'])}, {cell(facts['target']['dataset'])}"
    of_numbers = ((*table, range(2, len(table[1]))) for table in tables)
    return markdown_page(title, map(cell, facts["notes"]), of_numbers, LEGEND)


def _transfer_table(found: Tables) -> tuple[list[str], list[list[str]]]:
    """Return heads and rows."""
    targets = list(dict.fromkeys(found.transfer["target"]))
    rows = []
    for (source, metric), group in found.transfer.groupby(["source", "metric"], sort=False):
        cells = {
            row["target"]: f"ρ {_with_interval(row, 'rho')}, τ {_with_interval(row, 'tau_b')} (n {count(row['n'])})"
            for row in group.to_dict("records")
        }
        mark = " (NOT its images)" if source in found.manifest["substitutes"] else ""
        rows.append([f"{source}{mark}", TITLES[metric], *(cells[target] for target in targets)])
    rows += [[name, "not scored", *[DASH] * len(targets)] for name in found.missing]
    return ["scored on", "", *(f"error on {name}" for name in targets)], rows


def _with_interval(row: dict[Any, Any], name: str) -> str:
    return f"{number(row[name])} {interval(row[f'{name}_low'], row[f'{name}_high'])}".strip()


def write_figure(found: Tables, out: Path) -> dict[str, Path]:
    """Write figures/hnas.*."""
    with drawing(PAGE, 3.7) as figure:
        draw(figure, found)
        return save(figure, out, "hnas")


def draw(figure: Figure, found: Tables) -> None:
    """One column for each metric: test error against M, and below it against the fitted guarantee."""
    panels = figure.subplots(2, len(found.main.metrics), squeeze=False, sharey=True)
    chosen = found.errors.set_index(["metric", "quantity"])
    kappa = found.main.kappa
    for column, (name, metric) in enumerate(found.main.metrics.items()):
        _scatter(panels[0, column], metric, found.error, TITLES[name], chosen.loc[(name, "M"), "rho"])
        if kappa is None:
            panels[1, column].set_axis_off()
            continue
        row = chosen.loc[(name, FITTED)]
        values = criterion(metric, kappa, row["t"], 10.0 ** row["c"])
        label = f"κ/M + μ|M² − ν|†\nt {number(row['t'], 0)}, c {number(row['c'], 2)}"
        _scatter(panels[1, column], values, found.error, label, row["rho"])
    if found.error.min() > 0:
        panels[0, 0].set_yscale("log")
        panels[0, 0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panels[0, 0].yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:g}"[0] in "25" else "")
    figure.supylabel("test error, %", fontsize=8)
    figure.supxlabel(
        f"{found.manifest['benchmark']}, {found.manifest['target']['dataset']}. †: fitted to these errors", fontsize=8
    )


def _scatter(panel: Panel, across: np.ndarray, up: np.ndarray, label: str, rho: float) -> None:
    scale = score_scale(across)
    panel.scatter(scale.positions(across), up, s=3, color=COLOURS[0], alpha=0.4, linewidths=0, rasterized=True)
    panel.set_xticks([tick for tick, _ in scale.ticks], [text for _, text in scale.ticks])
    panel.set_title(f"{label}: ρ {number(rho, 2)}", loc="left", pad=3, fontsize=7)
    panel.set_xlabel(scale.note, fontsize=7)
    grid(panel)
