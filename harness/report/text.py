"""The summary in the terminal: the main table, stricter correlations; the lines that explain the numbers everywhere."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from harness.analysis.populations import facts_of
from harness.analysis.statistics import STATISTICS, Statistic, shown_in
from harness.analysis.summary import RANDOM_PICKS
from harness.report import style
from harness.report.style import (
    baseline,
    count,
    number,
    plain,
    random_picks,
    statistic_interval,
    statistic_value,
    verdict,
)
from harness.stats import FEWEST_UNITS
from harness.store.stored_run import target_in

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
FEW_IMAGES = 1000
"""With fewer images to draw from, there is a warning."""
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
    console.print(plain(target_line(run)), style="bold")
    console.print(plain(best_line(run)))
    for line in warning_lines(run):
        console.print(plain(f"warning: {line}"), style="bold yellow")
    if protocol := protocol_line(run):
        console.print(plain(protocol))
    left_out: list[str] = []
    for population in chosen:
        title = f"population: {population}"
        left_out += _print_fitting(console, run, summary, population, title, _columns(summary, population, "main"))
    title = f"stricter correlations (where no population is named: {chosen[0]})"
    left_out += _print_fitting(console, run, summary, chosen[0], title, _stricter_columns(summary, chosen[0]))
    if left_out:
        console.print(f"columns that do not fit: {', '.join(dict.fromkeys(left_out))}", style="dim")
    console.print(plain(ceiling_line(summary, chosen[0])), style="dim")
    for line in failure_lines(run):
        console.print(plain(line), style="yellow")
    for line in legend(run, summary, chosen[0], votes=False):
        console.print(plain(line), style="dim")


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
        row = (plain(cells[name]) for _, cells in columns.values())
        table.add_row(plain(name) + style.marks(run, name), *row, end_section=last)
    picks = random_picks(summary, population)
    if picks.keys() & columns.keys():
        table.add_row(RANDOM_PICKS, *(picks.get(name, "") for name in columns), style="italic")
    return table


def _columns(summary: Summary, population: str, table: str) -> Columns:
    """Return the columns of the statistics of a table, main or stricter."""
    rows, columns = style.rows(summary, population), {}
    for each in meaningful(shown_in(table), rows):
        columns[each.name] = each.heading, {name: statistic_value(each, row) for name, row in rows.items()}
        if each.interval:
            around = {name: statistic_interval(each, row) for name, row in rows.items()}
            columns[f"{each.heading} interval"] = "", around
    return columns


def meaningful(statistics: list[Statistic], rows: dict[str, dict[str, Any]]) -> list[Statistic]:
    """Return the statistics that say something at this number of architectures: no regret of picking nearly all of
    them, no correlation within a tenth that is a handful."""
    n = max((row["n"] for row in rows.values()), default=0)
    return [each for each in statistics if n >= LEAST.get(each.name, 0)]


LEAST = {"regret_10": 20, "regret_100": 200, "rho_top10pct": 200}
"""Statistic -> architectures below which it is not shown (it stays in summary.csv): twice k, and 20 in a tenth."""


def _stricter_columns(summary: Summary, population: str) -> Columns:
    """Return rho on every population, then the stricter statistics, then whether the proxy beats the baseline."""
    names, columns = style.ordered(summary, population), {}
    for other in style.populations(summary):
        rows = style.rows(summary, other)
        columns[other] = other, {name: number(rows[name]["rho"] if name in rows else None) for name in names}
    columns |= _columns(summary, population, "stricter")
    verdicts = {name: verdict(summary, population, name) for name in names}
    return columns | {"beats": (f"beats {baseline(summary, population)}?", verdicts)}


def target_line(run: StoredRun) -> str:
    """Return which ground truth the scores are compared with, and whether it is the table shipped with the package."""
    dataset, split, epochs, reduction = map(str, target_in(run.manifest).values())
    over = {"mean": "mean over seeds", "max": "best single trial"}.get(reduction, f"seed {reduction}")
    benchmark, source = (run.manifest.get(name, "?") for name in ("benchmark", "table_source"))
    line = f"{benchmark} · {dataset} · {split} accuracy · {epochs} epochs · {over} · from {source}"
    return line + (" · embedded: not the benchmark's own accuracies" if run.manifest.get("embedded") else "")


def protocol_line(run: StoredRun) -> str:
    """Return the protocol and precision of the run, empty where they are not known."""
    protocol = run.manifest.get("protocol")
    precision = (run.manifest.get("settings") or {}).get("precision")
    return (f"protocol: {protocol}" + (f"; passes in {precision}" if precision else "")) if protocol else ""


def best_line(run: StoredRun) -> str:
    """Return how many architectures were scored, the best accuracy among them and the best in the table."""
    space = run.manifest.get("space_size")
    return (
        f"{count(len(run.archs))} architectures scored"
        + (f" of {count(space)}" if isinstance(space, int) else "")
        + f"; best accuracy among them {number(np.nanmax(run.accuracy, initial=-np.inf), 2)} %"
        + f", best in the whole table {number(run.space_best, 2)} %"
        + _gaps(run)
    )


def _gaps(run: StoredRun) -> str:
    """Return how many architectures have a score but no accuracy, empty for none."""
    gaps = np.flatnonzero(~np.isfinite(run.accuracy))
    if not len(gaps):
        return ""
    verb = "lacks" if len(gaps) == 1 else "lack"
    return f"; {count(len(gaps))} of them {verb} this accuracy, in no statistic, as {run.archs[gaps[0]]}"


def warning_lines(run: StoredRun) -> list[str]:
    """Return what limits everything a run says: its images, and a table of a part of the space."""
    lines, images = [], str(run.manifest.get("minibatch") or "")
    if note := run.manifest.get("input_note"):
        lines.append(str(note))
    if "SUBSTITUTE" in images:
        lines.append("the images are substitutes, not the benchmark's own, so scores on data are not comparable")
    number_of = re.search(r"(\d[\d,]*) (?:\w+ )?images", images)
    if number_of and (known := int(number_of[1].replace(",", ""))) < FEW_IMAGES and not run.manifest.get("embedded"):
        lines.append(f"the minibatches are drawn from {known:,} images alone")
    rows, space = run.manifest.get("table_size"), run.manifest.get("space_size")
    if isinstance(rows, int) and isinstance(space, int) and rows < space and not run.manifest.get("embedded"):
        lines.append(f"the table has {rows:,} of the space's {space:,} architectures: all numbers are of that part")
    return lines


def failure_lines(run: StoredRun) -> list[str]:
    """Return for each proxy that failed somewhere how often, and the most frequent reason, those that failed most
    first."""
    lines = []
    for name, group in sorted(run.failures.groupby("proxy"), key=lambda each: (-len(each[1]), each[0])):
        reasons = group["reason"].value_counts()
        more = f" (and {len(reasons) - 1} other reasons: failures.csv)" if len(reasons) > 1 else ""
        total = run.scores[name].size if name in run.scores else len(group)
        lines.append(f"{name}: {count(len(group))} of {count(total)} scores failed: {reasons.index[0]}{more}")
    return lines


def mark_lines(run: StoredRun, summary: Summary) -> list[str]:
    """Return what the marks † and ‡ mean, and the reference set of each ensemble."""
    table = summary.table
    lines = []
    if table["fitted"].any():
        lines.append("†: fitted to accuracies, not comparable with the others, so listed after them.")
    ensembles = table.loc[table["reference_set"].notna(), ["proxy", "reference_set"]].drop_duplicates()
    for name, members in ensembles.itertuples(index=False):
        about = facts_of(run, name).get("summary", "")
        lines.append(
            f"‡ {name}: {about} Ranks are computed once over the reference set, the {count(members)} architectures of"
            " the run that all members scored. Another reference set gives other scores; intervals do not cover that."
        )
    return lines


def vote_lines(summary: Summary, population: str) -> list[str]:
    """Return the results of votes on pairs, one sentence each; they are not rank correlations, so in no table."""
    if summary.votes.empty:
        return []
    lines, here = [], summary.votes[summary.votes["population"] == population]
    for name, rows in here.groupby("ensemble", sort=False):
        share = dict(zip(rows["voter"], rows["concordance"], strict=True))
        alone = ", ".join(f"{member} {number(100 * share[member], 1)}" for member in share if member != name)
        lines.append(
            f"{name} (on each pair of architectures the order that most members give):"
            f" {number(100 * share[name], 1)} % of {count(rows['pairs'].iloc[0])} pairs in the order of their"
            f" accuracies, where chance is 50; each member alone: {alone}. Pairs among {count(rows['n'].iloc[0])}"
            " architectures; no rank correlation."
        )
    return lines


def ceiling_line(summary: Summary, population: str) -> str:
    """Return how far training seeds agree with each other: what no score can be expected to exceed."""
    frame = summary.ceiling
    found = frame[frame["population"] == population].to_dict("records") if "population" in frame else []
    if not found or not math.isfinite(found[0].get("rho_single", math.nan)):
        return "noise ceiling: unknown (fewer than two training seeds per architecture)"
    row = found[0]
    seeds = number(row["seeds"], 1).removesuffix(".0")
    return (
        f"noise ceiling: two single training seeds agree with rho {number(row['rho_single'])}"
        f" ({number(row['rho_top10pct'])} within the top 10 %); a score that knew the expected accuracy would reach"
        f" about {number(row['rho_ceiling'])} against the mean of {seeds} seeds (Spearman-Brown)"
    )


def legend(run: StoredRun, summary: Summary, population: str, votes: bool = True) -> list[str]:
    """Return the lines under a population's table: its columns, the marks in use, votes, the summary's notes on it."""
    table = summary.table[summary.table["population"] == population]
    counts = "; ".join(f"{each.heading}: {each.meaning}" for each in STATISTICS if each.form == "count")
    whole = "" if table["rho_low"].notna().any() else _why_none(summary)
    lines = [
        f"{counts}; [ ]: 95 % interval, which holds the whole space's value in 95 % of samples{whole}; regret@k: points"
        " of accuracy lost by taking the best of the k top scores, relative to the best one scored, so it grows"
        " with the sample. A larger score is better, signs as computed. 'beats': paired difference in rho to the best"
        " count, corrected for the number of proxies."
    ]
    lines += mark_lines(run, summary) + (vote_lines(summary, population) if votes else [])
    others = tuple(f"{name}, " for name in style.populations(summary) if name != population)
    return lines + [f"note: {note}" for note in summary.notes if not note.startswith(others)]


def _why_none(summary: Summary) -> str:
    if summary.settings.get("share", 0) >= 1:
        return " (none here: the whole space was scored)"
    few = f" (none here: fewer than {FEWEST_UNITS} architectures, or perfect order)"
    return few if summary.settings.get("intervals") else " (none here: not wanted)"
