"""The summary in the terminal: the main table, rho asked more strictly, and the lines that say what the numbers are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.report import style

if TYPE_CHECKING:
    from harness.store import StoredRun
    from harness.summary import Summary

WIDE = 104
"""Columns from which the intervals and every column fit; a narrower terminal gets fewer, and a line that says so."""


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
    console.print(escape(style.target_line(run)), style="bold")
    console.print(escape(style.best_line(run)))
    for population in chosen:
        console.print(main_table(run, summary, population, wide=console.width >= WIDE))
    console.print(strict_table(run, summary, chosen[0], wide=console.width >= WIDE))
    if console.width < WIDE:
        console.print(
            f"(narrower than {WIDE} columns: intervals, equal size and sd over seeds are left out)", style="dim"
        )
    for line in [style.ceiling_line(summary, chosen[0]), *legend(run, summary, chosen[0])]:
        console.print(escape(line), style="dim")


def _table(title: str, names: list[str]) -> Table:
    """An empty table with its first column, which is never narrower than the names that fit in 24 columns."""
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    width = min(24, max([12, *(len(name) + 2 for name in names)]))
    table.add_column("proxy", overflow="fold", min_width=width, max_width=width)
    return table


def main_table(run: StoredRun, summary: Summary, population: str, *, wide: bool = True) -> Table:
    """Return one row per proxy: tau-b and rho with intervals, regret, n, failed, ties, seconds; baselines apart."""
    rows = style.rows(summary, population)
    table = _table(f"population: {population}", list(rows))
    for header in ("tau-b", "", "rho", "") if wide else ("tau-b", "rho"):
        table.add_column(header, justify="right" if header else "left", no_wrap=True, style=None if header else "dim")
    for header in ("regret@1", "@10", "@100", "n", "failed", "ties", "s/arch"):
        table.add_column(header, justify="right", no_wrap=True)
    names = style.ordered(summary, population)
    for place, name in enumerate(names):
        row = rows[name]
        cells = [escape(name) + style.marks(run, name)]
        for statistic in ("tau_b", "rho"):
            cells.append(style.number(row[statistic]))
            if wide:
                cells.append(escape(style.interval(row[f"{statistic}_low"], row[f"{statistic}_high"])))
        cells += [style.number(row[f"regret_{k}"], 2) for k in (1, 10, 100)]
        failed = style.count(row["failed"])
        cells += [style.count(row["n"]), f"[red]{failed}[/red]" if row["failed"] else failed, style.count(row["ties"])]
        cells.append(style.duration(row["seconds"]))
        last = place + 1 == len(names) or (name not in style.BASELINES and names[place + 1] in style.BASELINES)
        table.add_row(*cells, end_section=last)
    picks = random_picks(summary, population)
    blank = [""] * (4 if wide else 2)
    table.add_row(
        style.RANDOM_PICKS,
        *blank,
        *(style.number(picks.get(k), 2) for k in (1, 10, 100)),
        "",
        "",
        "",
        "",
        style="italic",
    )
    return table


def random_picks(summary: Summary, population: str) -> dict[int, float]:
    """Return k -> the regret expected of k random picks; 0 where k reaches past the last architecture."""
    curve = summary.regret[
        (summary.regret["population"] == population) & (summary.regret["proxy"] == style.RANDOM_PICKS)
    ]
    known = {int(k): float(regret) for k, regret in zip(curve["k"], curve["regret"], strict=True)}
    return {k: 0.0 for k in (1, 10, 100) if known and k > max(known)} | known


def strict_table(run: StoredRun, summary: Summary, population: str, *, wide: bool = True) -> Table:
    """Return rho on every population side by side, in the top tenth, given params, among equal sizes, over seeds."""
    everywhere = {name: style.rows(summary, name) for name in style.populations(summary)}
    order = style.ordered(summary, population)
    columns = {"top 10 %": "rho_top10pct", "given params": "rho_partial_params"}
    if wide:
        columns |= {"equal size": "rho_strata", "sd over seeds": "rho_seed_sd"}
    table = _table(f"rho, asked more strictly (where no population is named: {population})", order)
    for header in (*everywhere, *columns, f"beats {baseline(summary, population)}?"):
        table.add_column(header, justify="right", no_wrap=True)
    for place, name in enumerate(order):
        cells: list[Any] = [rows[name]["rho"] if name in rows else None for rows in everywhere.values()]
        cells += [everywhere[population][name][column] for column in columns.values()]
        last = place + 1 < len(order) and name not in style.BASELINES and order[place + 1] in style.BASELINES
        table.add_row(
            escape(name) + style.marks(run, name),
            *(style.number(value) for value in cells),
            verdict(summary, population, name),
            end_section=last,
        )
    return table


def baseline(summary: Summary, population: str) -> str:
    """Return the baseline the differences of a population are to, or a dash."""
    frame = summary.differences
    found = frame.loc[frame["population"] == population, "baseline"]
    return str(found.iloc[0]) if len(found) else style.DASH


def verdict(summary: Summary, population: str, proxy: str) -> str:
    """Return whether a proxy beats the baseline: "yes", "no, worse" or "undecided"; empty for the baseline itself."""
    frame = summary.differences
    found = frame.loc[(frame["population"] == population) & (frame["proxy"] == proxy), "better"].tolist()
    if not found:
        return ""
    return "undecided" if found[0] is None or found[0] != found[0] else "yes" if found[0] else "no, worse"


def legend(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the lines under a population's table: its columns, the marks in use, the summary's notes on it."""
    table = summary.table[summary.table["population"] == population]
    lines = [
        "n: architectures with a finite score; failed: the rest, in no statistic and never picked; ties: scores shared"
        " with another; [ ]: 95 % interval over other samples"
        + ("" if table["rho_low"].notna().any() else " (none here: the whole space was scored)")
        + "; regret@k: points of accuracy lost by taking the best of the k top scores; larger score = better, signs as"
        " they came out. 'beats': paired difference in rho to the best baseline, corrected for the number of proxies."
    ]
    signs = {sign for name in run.scores for sign in style.marks(run, name)}
    lines += ["†: fitted to accuracies, not comparable with the others."] if "†" in signs else []
    lines += ["‡: depends on which architectures were scored together."] if "‡" in signs else []
    others = tuple(f"{name}, " for name in style.populations(summary) if name != population)
    return lines + [f"note: {note}" for note in summary.notes if not note.startswith(others)]
