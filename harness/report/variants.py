"""The variants `name@source` of a run, compared in one table for each name.

Each table says how the variants rank, and Spearman's rho between their scores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.populations import facts_of
from harness.report import style
from harness.report.html import Cell, Row, Table, shaded
from harness.report.style import count, interval, markdown_table, number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def families(summary: Summary, population: str) -> dict[str, list[str]]:
    """Return {name: its variants, best first} of the names that stand for two or more scores."""
    found: dict[str, list[str]] = {}
    for name in style.ordered(summary, population):
        found.setdefault(name.partition("@")[0], []).append(name)
    return {name: found[name] for name in sorted(found) if len(found[name]) > 1}


def tables(run: StoredRun, summary: Summary, population: str) -> list[Table]:
    """Return one table for each family, for the page."""
    made, square = [], summary.agreement[population]
    for variants in families(summary, population).values():
        heads = [*map(Cell, ("proxy", "ρ", "τ-b", "n", *variants)), Cell("what it is", kind="about")]
        rows = []
        for name in variants:
            ranking = map(Cell, (name, *_ranking(summary, population, name)))
            alike = [shaded(float(square.loc[name, other]), f"{name} with {other}") for other in variants]
            rows.append(Row([*ranking, *alike, Cell(str(facts_of(run, name).get("summary", "")), kind="about")]))
        made.append(Table(heads, rows, "heat variants"))
    return made


def markdown(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the tables of all families as lines of markdown; none where there are no variants."""
    lines: list[str] = []
    for variants in families(summary, population).values():
        heads = ["variants of one name", "rho", "tau-b", "n", *(f"rho with {name}" for name in variants)]
        square = summary.agreement[population].loc[variants, variants]
        rows = [[name, *_ranking(summary, population, name), *(number(value, 2) for value in square.loc[name])]
                for name in variants]  # fmt: skip
        lines += ["", *markdown_table(heads, rows)]
    return lines


def _ranking(summary: Summary, population: str, name: str) -> list[str]:
    row = style.rows(summary, population)[name]
    both = [f"{number(row[s])} {interval(row[f'{s}_low'], row[f'{s}_high'])}".strip() for s in ("rho", "tau_b")]
    return [*both, count(row["n"])]
