"""The tables of the page: statistics, agreement, within-size rho, failures, proxies, provenance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.analysis.populations import facts_of
from harness.analysis.statistics import Statistic, shown_in
from harness.analysis.summary import RANDOM_PICKS
from harness.report import style
from harness.report.html import Cell, Row, Table, row, shaded
from harness.report.run_figures import clustered
from harness.report.style import baseline, count, random_picks, statistic_interval, statistic_value, verdict
from harness.report.text import meaningful

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

VERDICTS = {"yes": "better", "no, worse": "worse", "undecided": "faint"}
"""Verdict -> CSS class of its cell."""
MOST_FAILURES = 200
"""Kinds of failures on the page."""


def statistics(run: StoredRun, summary: Summary, population: str) -> Table:
    """Return the sortable table of a population: all statistics, and whether each proxy beats the baseline."""
    shown, rows, groups = shown_in("main", "stricter", "page"), style.rows(summary, population), style.groups(summary)
    shown = meaningful(shown, rows)
    beats = "paired difference in rho to the best count, corrected for the number of proxies"
    heads = [
        Cell("proxy", title="name of the proxy"), Cell(f"beats {baseline(summary, population)}?", title=beats),
        *(Cell(each.title, title=_tooltip(each)) for each in shown),
    ]  # fmt: skip
    lines = []
    for name in style.ordered(summary, population):
        head = Cell(name + style.marks(run, name), title=str(facts_of(run, name).get("summary", "")))
        numbers = [_cell(each, rows[name]) for each in shown]
        kind = ("", "fitted", "baseline")[groups[name]]
        said = verdict(summary, population, name)
        lines.append(Row([head, Cell(said, kind=VERDICTS.get(said, "")), *numbers], kind))
    picks = random_picks(summary, population)
    foot = [Cell(RANDOM_PICKS), Cell(""), *(Cell(picks.get(each.name, "")) for each in shown)]
    return Table(heads, lines, "sortable", foot)


def _tooltip(statistic: Statistic) -> str:
    return statistic.meaning + f"; {statistic.direction} is better" * bool(statistic.direction)


def _cell(statistic: Statistic, row: dict[str, Any]) -> Cell:
    """One number of the table with its interval; sorting uses the full value."""
    value = float(row[statistic.name])
    return Cell(
        statistic_value(statistic, row),
        small=statistic_interval(statistic, row),
        kind="warn" if statistic.name == "failed" and value else "",
        value=value if math.isfinite(value) else None,
    )


def agreement(summary: Summary, population: str) -> Table:
    """Return Spearman's rho between every two proxies; proxies that rank alike stand together."""
    square = clustered(summary.agreement[population])
    names = [str(name) for name in square.columns]
    rows = [
        Row([Cell(name), *(shaded(value, f"{name} with {other}") for other, value in zip(names, line, strict=True))])
        for name, line in zip(names, square.to_numpy(dtype=float), strict=True)
    ]
    return Table([Cell(""), *map(Cell, names)], rows, "heat square")


def strata(summary: Summary, population: str) -> list[Table]:
    """Return rho by group of equal size, one row per proxy; no table where no group has a rho."""
    frame = summary.strata[summary.strata["population"] == population]
    groups = sorted(set(frame.loc[frame["rho"].notna(), "stratum"]))
    if not groups:
        return []
    sizes = {group: count(group) if float(group).is_integer() else f"{float(group):g}" for group in groups}
    members = frame.groupby("stratum")["n"].max()
    rho = dict(zip(zip(frame["proxy"], frame["stratum"], strict=True), frame["rho"], strict=True))
    heads = [Cell("proxy"), *(Cell(sizes[group], small=f"n {count(members[group])}") for group in groups)]
    rows = []
    for name in style.ordered(summary, population):
        known = {group: float(rho[name, group]) for group in groups if (name, group) in rho}
        cells = [
            shaded(known[group], f"{name} with size {sizes[group]}") if group in known else Cell("") for group in groups
        ]
        rows.append(Row([Cell(name), *cells]))
    return [Table(heads, rows, "heat")]


def failures(run: StoredRun) -> tuple[Table | None, int]:
    """Return failed scores by proxy and reason with one example each, and how many kinds are left out."""
    if run.failures.empty:
        return None, 0
    groups = sorted(run.failures.groupby(["proxy", "reason"], sort=True), key=lambda group: -len(group[1]))
    rows = [
        Row([Cell(str(proxy)), Cell(count(len(group))), Cell(str(reason)[:400]),
             Cell(str(group["arch"].iloc[0]), kind="code")])
        for (proxy, reason), group in groups[:MOST_FAILURES]
    ]  # fmt: skip
    return Table([*map(Cell, ("proxy", "scores", "reason", "for example"))], rows), max(0, len(groups) - MOST_FAILURES)


def proxies(run: StoredRun) -> list[Table]:
    """Return what the manifest says of each proxy, one column per fact; no table where it says nothing."""
    about = {name: facts for name in run.manifest.get("proxies") or {} if (facts := facts_of(run, name))}
    if not about:
        return []
    columns = list(dict.fromkeys(key for facts in about.values() for key in facts))
    columns.sort(key=lambda key: key != "summary")
    rows = [row(name, *(_words(facts.get(key, "")) for key in columns)) for name, facts in about.items()]
    return [Table([*map(Cell, ("proxy", *columns))], rows)]


def provenance(run: StoredRun, summary: Summary) -> Table:
    """Return the manifest without the facts of the proxies, and how the statistics were made, as two columns."""
    facts = {name: value for name, value in run.manifest.items() if name != "proxies"}
    return Table((), [row(*line) for line in flattened(facts | {"statistics": summary.settings})])


def flattened(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return (dotted name, value) of nested settings, in alphabetical order."""
    lines: list[tuple[str, str]] = []
    for name in sorted(facts, key=str):
        value = facts[name]
        if isinstance(value, dict) and value:
            lines += flattened(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", _words(value)))
    return lines


def _words(value: object) -> str:
    """A setting as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
