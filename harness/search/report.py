"""Simulated searches as a table in the terminal, CSV, markdown and a figure, in one folder."""

import math
from functools import partial
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from harness.report.result import markdown_page, result_folder, write_result
from harness.report.style import cell, count, duration, number, plain
from harness.search.config import SearchConfig
from harness.search.figure import write_figure
from harness.search.outcomes import ELSEWHERE
from harness.search.simulate import Searches

COLUMNS = {
    "accuracy": "accuracy, %", "regret": "regret", "rank": "rank", "queries": "queries", "distinct": "distinct",
    "scored": "scored", "proxy_seconds": "proxy s", "seconds": "total s",
}  # fmt: skip
"""Column of `outcomes.summary` -> heading. Those of other datasets, if there are any, follow."""
DROPPED_FIRST = ("distinct", "scored", "proxy_seconds", "queries")
"""Columns that a narrow terminal does not show, in this order."""
LEGEND = (
    "Mean ± standard deviation over the runs. regret: points below the best architecture searched, with the deviation"
    " of accuracy; rank: 1 is the best; distinct: different architectures among those queried; scored: those that a"
    " proxy scored; total s: proxies and trainings, – where not known."
)


def folder_for(config: SearchConfig, out: str | None) -> Path:
    """Return the folder to write to; UserError where it holds anything but an earlier search."""
    words = ["search", config.bench, config.dataset, config.method.replace(",", "+")]
    return result_folder(out, words, "search", settings=vars(config))


def write_searches(searches: Searches, folder: Path) -> Path:
    """Write summary.csv, runs.csv, curves.csv, summary.md, the figure and, last, manifest.json; return the folder."""
    frames = {"summary": searches.table, "runs": searches.runs, "curves": searches.curves}
    page = "summary.md", markdown(searches)
    return write_result(folder, frames, page, searches.manifest, partial(write_figure, searches.curves))


def print_searches(searches: Searches, console: Console | None = None) -> None:
    """Print the table, one row for each method and guide, with as many columns as the terminal is wide."""
    console = console or Console()
    heads = columns(searches.table)
    less = [*DROPPED_FIRST, *(name for name in heads if name not in COLUMNS)]
    for drop in range(len(less) + 1):
        hidden = less[:drop]
        table = _printed(searches, {name: head for name, head in heads.items() if name not in hidden})
        if Measurement.get(console, console.options.update_width(1000), table).maximum <= console.width:
            break
    console.print(table)
    more = f" In summary.csv: {', '.join(heads[name] for name in hidden)}." if hidden else ""
    console.print(f"{_runs(searches)} {LEGEND}{more}", style="dim", highlight=False)


def columns(table: pd.DataFrame) -> dict[str, str]:
    """Return {column of `outcomes.summary`: heading}, those of other datasets last."""
    others = [name for name in table if name.startswith(ELSEWHERE) and f"{name}_sd" in table and name not in COLUMNS]
    return COLUMNS | {name: f"{name.removeprefix(ELSEWHERE)}, %" for name in others}


def _printed(searches: Searches, heads: dict[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("method", no_wrap=True)
    table.add_column("proxy", overflow="fold", max_width=14)
    for head in heads.values():
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows(searches.table, list(heads)):
        table.add_row(*map(plain, row))
    return table


def markdown(searches: Searches) -> str:
    """Return the table as markdown, after the notes on the task."""
    names = columns(searches.table)
    heads = ("method", "proxy", *names.values())
    table = "", heads, rows(searches.table, list(names)), range(2, len(heads))
    notes = map(cell, searches.manifest["notes"])
    return markdown_page("Simulated searches", notes, [table], f"{_runs(searches)} {LEGEND}")


def rows(table: pd.DataFrame, names: list[str]) -> list[list[str]]:
    """Return the cells of `outcomes.summary`, best mean accuracy first: method, proxies, the columns `names`."""
    ordered = table.sort_values("accuracy", ascending=False, kind="stable")
    return [[row["method"], row["guide"], *(_cell(row, name) for name in names)] for row in ordered.to_dict("records")]


def _cell(row: dict, name: str) -> str:
    if name in ("proxy_seconds", "seconds"):
        return duration(row[name])
    percent = name.startswith("accuracy")
    mean = number(row[name], 2) if percent or name == "regret" else count(row[name])
    sd = row[f"{name}_sd"]
    if not (percent or name == "rank") or not math.isfinite(sd):
        return mean
    return f"{mean} ± {number(sd, 2) if percent else count(sd)}"


def _runs(searches: Searches) -> str:
    runs = int(searches.table["runs"].iloc[0])
    return f"{runs:,} run{'s' * (runs > 1)} of each method."
