"""The summary in the terminal: the main table, stricter correlations, and the lines that explain the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from harness.analysis.statistics import shown_in
from harness.analysis.tables import RANDOM_PICKS
from harness.report import style
from harness.report.columns import statistic_interval, statistic_value
from harness.report.headlines import best_line, ceiling_line, legend, protocol_line, target_line
from harness.report.numbers import number
from harness.report.verdicts import baseline, random_picks, verdict

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

DROPPED_FIRST = (
    *(
        "partial rho (params) interval",
        "within-size rho interval",
        "tau-b interval",
        "seconds",
        "ties",
        "rho_seed_sd",
        "rho_strata",
        "rho interval",
        "beats",
        "regret_100",
    ),
)
"""What a narrow terminal goes without, in this order; then the rest from the right, but `KEPT`."""
KEPT = ("n", "failed")
Columns = dict[str, tuple[str, dict[str, str]]]
"""Name -> (heading, {proxy: cell})."""


def print_summary(
    run: StoredRun, summary: Summary, console: Console | None = None, populations: tuple[str, ...] = ("all",)
) -> None:
    """Print the tables; `populations` names those that get a main block. Without a terminal the width is 120."""
    if console is None:
        console = Console(highlight=False)
        if not console.is_terminal:
            console = Console(width=120, highlight=False)
    known = style.populations(summary)
    chosen = [name for name in populations if name in known] or known[:1]
    console.print(escape(target_line(run)), style="bold")
    console.print(escape(best_line(run)))
    if protocol := protocol_line(run):
        console.print(escape(protocol))
    left_out: list[str] = []
    for population in chosen:
        title = f"population: {population}"
        left_out += _print_fitting(console, run, summary, population, title, _columns(summary, population, "main"))
    title = f"stricter correlations (where no population is named: {chosen[0]})"
    left_out += _print_fitting(console, run, summary, chosen[0], title, _stricter_columns(summary, chosen[0]))
    if left_out:
        console.print(f"columns that do not fit: {', '.join(dict.fromkeys(left_out))}", style="dim")
    for line in [ceiling_line(summary, chosen[0]), *legend(run, summary, chosen[0])]:
        console.print(escape(line), style="dim")


def _print_fitting(
    console: Console, run: StoredRun, summary: Summary, population: str, title: str, columns: Columns
) -> list[str]:
    """Print a table with as many of its columns as the console is wide; return the headings of those left out."""
    order = [name for name in DROPPED_FIRST if name in columns]
    order += [name for name in reversed(columns) if name not in (*DROPPED_FIRST, *KEPT)]
    for drop in range(len(order) + 1):
        kept = {name: column for name, column in columns.items() if name not in order[:drop]}
        table = _table(run, summary, population, title, kept)
        if Measurement.get(console, console.options.update_width(1000), table).minimum <= console.width:
            break
    console.print(table)
    return [columns[name][0] or name for name in order[:drop]]


def _table(run: StoredRun, summary: Summary, population: str, title: str, columns: Columns) -> Table:
    """One row per proxy, baselines set apart, random picks at the end where there is a column of regret."""
    names, set_apart = style.ordered(summary, population), style.groups(summary)
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("proxy", overflow="fold", min_width=12, max_width=20)
    for name, (heading, cells) in columns.items():
        width = max(map(len, (heading, *cells.values())))  # measured by words otherwise
        is_interval = name.endswith("interval")
        table.add_column(
            heading, no_wrap=True, min_width=width, justify="left" if is_interval else "right",
            style="dim" if is_interval else "",
        )  # fmt: skip
    for place, name in enumerate(names):
        last = place + 1 == len(names) or set_apart[name] != set_apart[names[place + 1]]
        row = (escape(cells[name]) for _, cells in columns.values())
        table.add_row(escape(name) + style.marks(run, name), *row, end_section=last)
    picks = random_picks(summary, population)
    if picks.keys() & columns.keys():
        table.add_row(RANDOM_PICKS, *(picks.get(name, "") for name in columns), style="italic")
    return table


def _columns(summary: Summary, population: str, table: str) -> Columns:
    """Return the columns of the statistics of a table, main or stricter."""
    rows, columns = style.rows(summary, population), {}
    for each in shown_in(table):
        columns[each.name] = each.heading, {name: statistic_value(each, row) for name, row in rows.items()}
        if each.interval:
            around = {name: statistic_interval(each, row) for name, row in rows.items()}
            columns[f"{each.heading} interval"] = "", around
    return columns


def _stricter_columns(summary: Summary, population: str) -> Columns:
    """Return rho on every population, then the stricter statistics, then whether the proxy beats the baseline."""
    names, columns = style.ordered(summary, population), {}
    for other in style.populations(summary):
        rows = style.rows(summary, other)
        columns[other] = other, {name: number(rows[name]["rho"] if name in rows else None) for name in names}
    columns |= _columns(summary, population, "stricter")
    verdicts = {name: verdict(summary, population, name) for name in names}
    return columns | {"beats": (f"beats {baseline(summary, population)}?", verdicts)}
