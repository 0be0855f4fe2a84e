"""The summary in the terminal: the main table, rho asked more strictly, and the lines that say what the numbers are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from harness.report import style
from harness.report.headlines import best_line, ceiling_line, cohort_lines, protocol_line, target_line, vote_lines
from harness.report.numbers import DASH, count, duration, interval, number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

DROPPED_FIRST = ("tau-b interval", "s/arch", "ties", "sd over seeds", "equal size", "rho interval", "beats", "@100")
"""What a narrow terminal goes without, in this order; n and failed always stay."""
STRICTER = {
    "top 10 %": "rho_top10pct",
    "given params": "rho_partial_params",
    "equal size": "rho_strata",
    "sd over seeds": "rho_seed_sd",
}
Cells = dict[str, tuple[str, Callable[[str], str]]]
"""Column name -> (heading, proxy -> what its cell says)."""


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
        left_out += _print_fitting(console, run, summary, population, title, _main_cells(summary, population))
    title = f"rho, asked more strictly (where no population is named: {chosen[0]})"
    left_out += _print_fitting(console, run, summary, chosen[0], title, _strict_cells(summary, chosen[0]))
    if left_out:
        console.print(f"left out for want of width: {', '.join(dict.fromkeys(left_out))}", style="dim")
    for line in [ceiling_line(summary, chosen[0]), *legend(run, summary, chosen[0])]:
        console.print(escape(line), style="dim")


def _print_fitting(
    console: Console, run: StoredRun, summary: Summary, population: str, title: str, cells: Cells
) -> list[str]:
    """Print a table with as many of its columns as the console is wide; return those left out."""
    left_out = [name for name in DROPPED_FIRST if name in cells]
    for drop in range(len(left_out) + 1):
        kept = {name: column for name, column in cells.items() if name not in left_out[:drop]}
        table = _table(run, summary, population, title, kept)
        if Measurement.get(console, console.options.update_width(1000), table).minimum <= console.width:
            break
    console.print(table)
    return left_out[:drop]


def _table(run: StoredRun, summary: Summary, population: str, title: str, cells: Cells) -> Table:
    """One row per proxy, baselines set apart, random picks at the end where there is a column of regret."""
    names, set_apart = style.ordered(summary, population), style.groups(summary)
    table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("proxy", overflow="fold", min_width=12, max_width=20)
    columns = {name: [cell(proxy) for proxy in names] for name, (_, cell) in cells.items()}
    for name, (heading, _) in cells.items():
        width = max(len(said) for said in (heading, *columns[name]))  # measured by words otherwise
        left: dict[str, Any] = (
            {"justify": "left", "style": "dim"} if name.endswith("interval") else {"justify": "right"}
        )
        table.add_column(heading, no_wrap=True, min_width=width, **left)
    for place, name in enumerate(names):
        last = place + 1 == len(names) or set_apart[name] != set_apart[names[place + 1]]
        said = (escape(column[place]) for column in columns.values())
        table.add_row(escape(name) + style.marks(run, name), *said, end_section=last)
    if "regret@1" in cells:
        picks = random_picks(summary, population)
        at = {"regret@1": 1, "@10": 10, "@100": 100}
        regrets = (number(picks.get(at[name]), 2) if name in at else "" for name in cells)
        table.add_row(style.RANDOM_PICKS, *regrets, style="italic")
    return table


def _main_cells(summary: Summary, population: str) -> Cells:
    """tau-b and rho with intervals, regret, n, failed, ties, seconds."""
    rows = style.rows(summary, population)
    numbers = partial(_number, rows)

    def around(column: str) -> Callable[[str], str]:
        return lambda name: interval(rows[name][f"{column}_low"], rows[name][f"{column}_high"])

    def counts(column: str) -> Callable[[str], str]:
        return lambda name: count(rows[name][column])

    return {
        "tau-b": ("tau-b", numbers("tau_b")),
        "tau-b interval": ("", around("tau_b")),
        "rho": ("rho", numbers("rho")),
        "rho interval": ("", around("rho")),
        "regret@1": ("regret@1", numbers("regret_1", 2)),
        "@10": ("@10", numbers("regret_10", 2)),
        "@100": ("@100", numbers("regret_100", 2)),
        "n": ("n", counts("n")),
        "failed": ("failed", counts("failed")),
        "ties": ("ties", counts("ties")),
        "s/arch": ("s/arch", lambda name: duration(rows[name]["seconds"])),
    }


def _strict_cells(summary: Summary, population: str) -> Cells:
    """rho on every population side by side, in the top tenth, given params, among equal sizes, over seeds."""
    rows = style.rows(summary, population)
    cells: Cells = {}
    for other in style.populations(summary):
        cells[other] = (other, _number(style.rows(summary, other), "rho"))
    for heading, column in STRICTER.items():
        cells[heading] = (heading, _number(rows, column))
    beats = f"beats {baseline(summary, population)}?"
    return cells | {"beats": (beats, lambda name: verdict(summary, population, name))}


def _number(rows: dict[str, dict[str, Any]], column: str, digits: int = 3) -> Callable[[str], str]:
    """Return proxy -> its number in a column; a dash for a proxy that has no row."""
    return lambda name: number(rows[name][column] if name in rows else None, digits)


def random_picks(summary: Summary, population: str) -> dict[int, float]:
    """Return k -> the regret expected of k random picks; 0 where k reaches past the last architecture."""
    curve = summary.regret[
        (summary.regret["population"] == population) & (summary.regret["proxy"] == style.RANDOM_PICKS)
    ]
    known = {int(k): float(regret) for k, regret in zip(curve["k"], curve["regret"], strict=True)}
    return {k: 0.0 for k in (1, 10, 100) if known and k > max(known)} | known


def baseline(summary: Summary, population: str) -> str:
    """Return the baseline the differences of a population are to, or a dash."""
    frame = summary.differences
    found = frame.loc[frame["population"] == population, "baseline"]
    return str(found.iloc[0]) if len(found) else DASH


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
    lines += cohort_lines(run, summary) + vote_lines(summary, population)
    others = tuple(f"{name}, " for name in style.populations(summary) if name != population)
    return lines + [f"note: {note}" for note in summary.notes if not note.startswith(others)]
