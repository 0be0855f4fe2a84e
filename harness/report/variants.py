"""Same name, different code: the variants `name@source` of a run side by side, as HTML and markdown.

One table for each name of which a run holds two or more: how each ranks, and Spearman's rho between their scores.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from harness.report import charts, style
from harness.report.formats import cell
from harness.report.numbers import count, interval, number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def families(summary: Summary, population: str) -> dict[str, list[str]]:
    """Return {name: its variants, best first} of the names that stand for two or more scores."""
    found: dict[str, list[str]] = {}
    for name in style.ordered(summary, population):
        found.setdefault(name.partition("@")[0], []).append(name)
    return {name: found[name] for name in sorted(found) if len(found[name]) > 1}


def section(run: StoredRun, summary: Summary, population: str) -> str:
    """Return the tables of all families as HTML."""
    tables = []
    for variants in families(summary, population).values():
        heads = "".join(f"<th>{escape(head)}</th>" for head in ("proxy", "ρ", "τ-b", "n", *variants))
        lines = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(f"<td>{escape(fact)}</td>" for fact in _ranking(summary, population, name))
            + "".join(
                charts.heat_cell(name, other, float(summary.agreement[population].loc[name, other]))
                for other in variants
            )
            + f'<td class="about">{escape(_about(run, name))}</td></tr>'
            for name in variants
        )
        tables.append(
            f'<div class="scroll"><table class="heat variants"><thead><tr>{heads}<th class="about">what it is'
            f"</th></tr></thead><tbody>{lines}</tbody></table></div>"
        )
    return "".join(tables) or '<p class="faint">This run has no two variants of one name.</p>'


def markdown(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the tables of all families as lines of markdown; none where there are no variants."""
    lines: list[str] = []
    for variants in families(summary, population).values():
        heads = ["same name, different code", "rho", "tau-b", "n", *(f"rho with {cell(name)}" for name in variants)]
        lines += ["", "| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
        for name in variants:
            alike = [number(summary.agreement[population].loc[name, other], 2) for other in variants]
            lines.append("| " + " | ".join([cell(name), *_ranking(summary, population, name), *alike]) + " |")
    return lines


def _ranking(summary: Summary, population: str, name: str) -> list[str]:
    row = style.rows(summary, population)[name]
    both = [f"{number(row[s])} {interval(row[f'{s}_low'], row[f'{s}_high'])}".strip() for s in ("rho", "tau_b")]
    return [*both, count(row["n"])]


def _about(run: StoredRun, name: str) -> str:
    facts = (run.manifest.get("proxies") or {}).get(name)
    return str(facts.get("summary", "")) if isinstance(facts, dict) else ""
