"""The parts of the page that are tables: the sortable one, equal sizes, failures, proxies, where it all came from.

Each function returns finished HTML; whatever came from outside goes through `escape`.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from harness.report import charts, style, text
from harness.report.headlines import ceiling_line
from harness.report.numbers import count, duration, interval, number

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

COLUMNS = (
    # heading, column, decimals or kind, interval's stem, what it is
    ("τ-b", "tau_b", 3, "tau_b", "Kendall's tau-b between score and accuracy"),
    ("ρ", "rho", 3, "rho", "Spearman's rho between score and accuracy (Pearson of midranks)"),
    ("n", "n", "count", "", "architectures with a finite score"),
    ("failed", "failed", "count", "", "architectures without one: in no statistic, never picked"),
    ("ρ top 10 %", "rho_top10pct", 3, "", "rho among the truly best tenth"),
    ("ρ given params", "rho_partial_params", 3, "", "partial rho given the number of parameters"),
    ("ρ equal size", "rho_strata", 3, "", "mean rho within groups of equal size"),
    ("regret@1", "regret_1", 2, "", "points of accuracy lost by taking the top score (mean over ties)"),
    ("regret@10", "regret_10", 2, "regret_10", "points lost by taking the best of the ten top scores"),
    ("regret@100", "regret_100", 2, "", "points lost by taking the best of the hundred top scores"),
    ("regret@1 %", "regret_1pct", 2, "", "points lost by taking the best of the top 1 %"),
    (
        "P@10 %",
        "precision_10pct",
        3,
        "",
        "share of the top tenth by score that is in the true top tenth; 0.1 by chance",
    ),
    ("best rank@10", "best_rank_10", 1, "", "true rank of the best among the ten top scores; 1 is best"),
    ("nDCG@10 %", "ndcg_10pct", 3, "", "normalised discounted cumulative gain of the top tenth"),
    ("τ-a", "tau_a", 3, "", "Kendall's tau-a"),
    ("τ weighted", "tau_weighted", 3, "", "SciPy's weighted tau"),
    ("Pearson", "pearson", 3, "", "Pearson's r between score and accuracy"),
    ("sd over seeds", "rho_seed_sd", 3, "", "spread of rho over the proxy's seeds"),
    ("ρ mean score", "rho_mean_score", 3, "", "rho of the mean score over seeds"),
    ("ρ worst", "rho_worst", 3, "", "rho if all failures were ranked against the truth"),
    ("ρ best", "rho_best", 3, "", "rho if all failures were ranked with the truth"),
    ("ties", "ties", "count", "", "scores that share their value with another"),
    ("s/arch", "seconds", "seconds", "", "seconds per scored network"),
)


def table(run: StoredRun, summary: Summary, population: str) -> str:
    """Return the sortable table of a population, with the lines that explain it."""
    rows, set_apart = style.rows(summary, population), style.groups(summary)
    heads = [("proxy", "name of the proxy"), *((head, about) for head, *_, about in COLUMNS)]
    heads.append(
        (
            f"beats {text.baseline(summary, population)}?",
            "paired difference in rho to the best baseline, corrected for the number of proxies",
        )
    )
    head = "".join(
        f'<th scope="col" title="{escape(about)}"><button type="button">{escape(name)}</button></th>'
        for name, about in heads
    )
    body = []
    for name in style.ordered(summary, population):
        about = (run.manifest.get("proxies") or {}).get(name)
        summary_line = str(about.get("summary", "")) if isinstance(about, dict) else ""
        kind = ("", ' class="fitted"', ' class="baseline"')[set_apart[name]]
        body.append(
            f'<tr{kind}><th scope="row" title="{escape(summary_line)}">{escape(name)}{style.marks(run, name)}</th>'
            + "".join(_cell(rows[name], column) for column in COLUMNS)
            + f"<td>{escape(text.verdict(summary, population, name))}</td></tr>"
        )
    picks = text.random_picks(summary, population)
    foot = "".join(
        f"<td>{number(picks.get(int(column[7:])), 2)}</td>"
        if column in ("regret_1", "regret_10", "regret_100")
        else "<td></td>"
        for _, column, *_ in COLUMNS
    )
    lines = [ceiling_line(summary, population), *text.legend(run, summary, population)]
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody>'
        f'<tfoot><tr><th scope="row">{style.RANDOM_PICKS}</th>{foot}<td></td></tr></tfoot></table></div>'
        + "".join(f'<p class="note">{escape(line)}</p>' for line in lines)
    )


def _cell(row: dict[str, Any], column: tuple) -> str:
    """One number of the table with its interval; the full value is what sorting uses."""
    _, name, digits, stem, _ = column
    value = row[name]
    if digits == "count":
        shown = count(value)
    else:
        shown = duration(value) if digits == "seconds" else number(value, digits)
    around = interval(row[f"{stem}_low"], row[f"{stem}_high"]) if stem else ""
    kind = ' class="warn"' if name == "failed" and value else ""
    sort = f' data-value="{value!r}"' if math.isfinite(value) else ""
    sort = sort.replace("np.float64(", "").replace("np.int64(", "").replace(')"', '"')
    return f"<td{kind}{sort}>{shown}" + (f" <small>{around}</small>" if around else "") + "</td>"


def strata(summary: Summary, population: str) -> str:
    """Return rho by stratum as a table: one row per proxy, one column per group of equal size."""
    frame = summary.strata[summary.strata["population"] == population]
    groups = sorted(set(frame.loc[frame["rho"].notna(), "stratum"]))
    if not groups:
        return '<p class="faint">No groups.</p>'

    def size(group: float) -> str:
        return count(group) if float(group).is_integer() else f"{float(group):g}"

    known = {(row.proxy, row.stratum): row for row in frame.itertuples()}
    sizes = frame.groupby("stratum")["n"].max()
    heads = "".join(f'<th scope="col">{size(group)}<br><small>n {count(sizes[group])}</small></th>' for group in groups)
    lines = []
    for name in style.ordered(summary, population):
        cells = "".join(
            charts.heat_cell(name, f"size {size(group)}", float(known[name, group].rho))
            if (name, group) in known
            else "<td></td>"
            for group in groups
        )
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table class="heat"><thead><tr><th scope="col">proxy</th>{heads}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def failures(run: StoredRun) -> str:
    """Return failed scores by proxy and reason: how many, and one architecture to try it on."""
    if run.failures.empty:
        return "<p>Every score was finite.</p>"
    groups: list[tuple[str, str, pd.DataFrame]] = [
        (str(proxy), str(reason), group)
        for (proxy, reason), group in run.failures.groupby(["proxy", "reason"], sort=True)
    ]
    groups.sort(key=lambda group: -len(group[2]))
    lines = "".join(
        f"<tr><td>{escape(proxy)}</td><td>{count(len(group))}</td><td>{escape(reason[:400])}</td>"
        f"<td><code>{escape(str(group['arch'].iloc[0]))}</code></td></tr>"
        for proxy, reason, group in groups[:200]
    )
    more = f"<p>{count(len(groups) - 200)} more kinds are in failures.csv.</p>" if len(groups) > 200 else ""
    return (
        '<p class="note">A score that could not be computed or is not finite; all of them are in failures.csv.</p>'
        '<div class="scroll"><table class="plain"><thead><tr><th>proxy</th><th>scores</th><th>reason</th>'
        f"<th>for example</th></tr></thead><tbody>{lines}</tbody></table></div>{more}"
    )


def proxies(run: StoredRun) -> str:
    """Return what the manifest says of each proxy: one row per proxy, one column per fact."""
    about = {name: facts for name, facts in (run.manifest.get("proxies") or {}).items() if isinstance(facts, dict)}
    columns = list(dict.fromkeys(key for facts in about.values() for key in facts))
    if not about:
        return '<p class="faint">The run says nothing about its proxies.</p>'
    columns.sort(key=lambda key: key != "summary")
    heads = "".join(f"<th>{escape(key)}</th>" for key in ("proxy", *columns))
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(_said(facts.get(key, '')))}</td>" for key in columns)
        + "</tr>"
        for name, facts in about.items()
    )
    return (
        f'<div class="scroll"><table class="plain"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'
    )


def _said(value: object) -> str:
    """A setting as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def provenance(run: StoredRun, summary: Summary) -> str:
    """Return all that the manifest says, and how the statistics were made, but about the proxies, as two columns."""
    facts = {name: value for name, value in run.manifest.items() if name != "proxies"}
    facts["statistics"] = summary.settings
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in flattened(facts)
    )
    return f'<div class="scroll"><table class="plain">{lines}</table></div>'


def flattened(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return (dotted name, value) of nested settings, in alphabetical order."""
    lines: list[tuple[str, str]] = []
    for name in sorted(facts, key=str):
        value = facts[name]
        if isinstance(value, dict) and value:
            lines += flattened(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", _said(value)))
    return lines
