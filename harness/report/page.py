"""report.html: one file, no network; the tables and drawings of a run, a scatter to point at, where it all came from.

Everything that came from outside (names, architectures, reasons, settings) is escaped; the page's own script is the
only one its content security policy lets run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.files.write import write_text
from harness.report import charts, sections, style, variants
from harness.report.headlines import best_line, protocol_line, target_line
from harness.report.points import scatter_data

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def write_page(run: StoredRun, summary: Summary, out: Path) -> Path:
    """Write report.html into `out`."""
    return write_text(out / "report.html", page(run, summary))


def page(run: StoredRun, summary: Summary) -> str:
    """Return the page."""
    script, sheet = (files("harness.report").joinpath(f"page.{end}").read_text("utf-8") for end in ("js", "css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    title = f"{run.manifest.get('benchmark', '')} {run.manifest.get('dataset', '')}: zero-cost proxies".strip()
    data = json.dumps(scatter_data(run, summary), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        data = data.replace(sign, f"\\u{ord(sign):04x}")
    parts = [
        section("How well each score ranks", "table", TABLE_NOTE, each(summary, partial(sections.table, run, summary))),
        section("Rank correlation", "correlation", BARS_NOTE, each(summary, partial(charts.bars, summary))),
        section("Score against accuracy", "scatter", SCATTER_NOTE, SCATTER),
        section(
            "What picking by the score costs", "regret", REGRET_NOTE, each(summary, partial(charts.regret, summary))
        ),
        section("Which proxies rank alike", "agreement", HEAT_NOTE, each(summary, partial(charts.agreement, summary))),
        section(
            "Among networks of equal size", "strata", STRATA_NOTE, each(summary, partial(sections.strata, summary))
        ),
        section(
            "Same name, different code",
            "variants",
            VARIANTS_NOTE,
            each(summary, partial(variants.section, run, summary)),
        ),
        section("Failures", "failures", "", sections.failures(run)),
        section("What was scored", "proxies", "", sections.proxies(run)),
        section("Where this came from", "provenance", "", sections.provenance(run, summary)),
    ]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{sheet}</style></head>
<body>
<header><h1>{escape(title)}</h1>
<p>{escape(target_line(run))}.</p><p>{escape(best_line(run))}.</p>
{f"<p>{escape(protocol_line(run))}.</p>" if protocol_line(run) else ""}</header>
{switch(summary)}
<main>
{"".join(parts)}
</main>
<script type="application/json" id="points">{data}</script>
<script>{script}</script>
</body></html>
"""


TABLE_NOTE = (
    "One row per proxy, larger is better except for regret and best rank; click a heading to sort; look at the "
    "baselines first: a proxy that does not beat them has learnt the size of the network."
)
BARS_NOTE = (
    "The longer the bar to the right, the better the score ranks; a thin line is the 95 % interval over other samples "
    "(absent where all were scored); marks show rho on the other populations."
)
SCATTER_NOTE = (
    "Each point is an architecture, accuracy upwards; a good score rises from left to right; point at one (or touch "
    "it) for its string; squares are the ten that the score would pick, rings have no path from input to output."
)
REGRET_NOTE = (
    "Points of accuracy between the best architecture and the best among the k top scores; lower is better; a score "
    "above the dotted line loses to picking at random; the axis is linear to 1 point and logarithmic above; with many "
    "proxies the lower ones are faint; point at a name or press it to bring its line forward."
)
HEAT_NOTE = (
    "Spearman's rho between the scores of two proxies; red blocks are proxies that say the same thing in other words."
)
VARIANTS_NOTE = (
    "Proxies of one name as different code bases compute them: how well each ranks, and rho between their scores; "
    "figures published under one name may be of any of them."
)
STRATA_NOTE = (
    "rho within groups of equal size (parameters, or convolutions where those differ too much; n below): what is left "
    "of a score once the size of the network cannot help it; groups too small for any rho are left out."
)
SCATTER = (
    '<p id="shown"></p><fieldset class="switch"><legend>Score axis</legend>'
    '<label><input type="radio" name="axis" value="score" checked> score</label>'
    '<label><input type="radio" name="axis" value="rank"> rank, percent</label></fieldset>'
    '<div id="panels"></div><div id="tip" role="status" hidden></div>'
    "<noscript><p>These figures need scripts; figures/scatter.png shows the same.</p></noscript>"
)


def section(title: str, name: str, note: str, body: str) -> str:
    """Return a section of the page; `title`, `note` and `name` are ours, `body` is finished HTML."""
    return (
        f'<section id="{name}"><h2>{title}</h2>' + (f'<p class="note">{note}</p>' if note else "") + f"{body}</section>"
    )


def switch(summary: Summary) -> str:
    """Return the radio buttons that choose the population, and what each population is."""
    first, *_ = names = style.populations(summary)
    choices = "".join(
        f'<label><input type="radio" name="population" value="{escape(name)}"'
        f"{' checked' if name == first else ''}> {escape(name)}</label>"
        for name in names
    )
    return (
        f'<nav><fieldset class="switch"><legend>Population</legend>{choices}</fieldset>'
        + each(summary, lambda name: f'<p class="note">{escape(style.POPULATIONS.get(name, ""))}</p>')
        + "</nav>"
    )


def each(summary: Summary, make: Callable[[str], str]) -> str:
    """Return `make(population)` for every population, each in a block that the switch shows or hides."""
    first, *_ = names = style.populations(summary)
    return "".join(
        f'<div class="population" data-for="{escape(name)}"{"" if name == first else " hidden"}>{make(name)}</div>'
        for name in names
    )
