"""The reproduction as one page, in markdown and in HTML: the same sections in both, and one figure.

The HTML is one file that needs no network and holds no script; whatever came from outside is escaped.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.formats import cell
from harness.report.numbers import DASH
from harness.reproduce.cells import HEADS, cells
from harness.reproduce.compare import shares
from harness.reproduce.recipes import Recipe
from harness.reproduce.session import Reproduction
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, WHOLE

TITLE = "Published tables beside ours"
RULES = (
    "A figure agrees where it lies inside our 95 % interval, which is over other samples of architectures; a figure"
    f" over the whole space where ours, over the whole space too, is at most {WHOLE} away; a fact where ours rounds to"
    " the printed digits; a mean over seeds where the two are within one standard deviation of either. 'Measured' is"
    " what ours would be otherwise, the closest first."
)


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table."""

    title: str
    notes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    level: int = 2


def sections(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any]) -> list[Section]:
    """Return the page's sections in order, without the figure."""
    rows = made.rows
    known = {table.name: table for table in declared}
    found = [
        Section("How many agree", (RULES,), ("table", *COUNTS), _shares(rows, "table")),
        Section("By proxy", ("Correlations alone.",), ("proxy", *COUNTS), _shares(_correlations(rows), "method")),
        Section("Causes of the disagreements", (), ("kind of cause", "figures", "tables"), _kinds(rows)),
    ]
    for name in dict.fromkeys(rows["table"]):
        table, own = known[name], rows[rows["table"] == name]
        if table.kind != "unanswered":
            said = [f"{table.title}.", *_about(table, own)]
            found.append(Section(name, tuple(said), HEADS, tuple(map(cells, own.to_dict("records"))), level=3))
    missing = rows[rows["verdict"] == ABSENT]
    if len(missing):
        groups = missing.groupby(["table", "cause"], sort=False)
        lines = [(table, _count(known[table], group), cause) for (table, cause), group in groups]
        found.append(Section("Not comparable", (), ("table", "figures", "why"), tuple(lines)))
    return [*found, *_provenance(made, manifest)]


COUNTS = ("figures", "checked", "agree", "share")


def headline(rows: pd.DataFrame) -> str:
    """Return in a sentence how many figures were checked and agree."""
    told = []
    for name, part in (("published figures", rows), ("correlations among them", _correlations(rows))):
        (all_of,) = shares(part).itertuples()
        told.append(f"{all_of.agrees:,} of {all_of.checked:,} {name} agree ({_percent(all_of.share)})")
    return "; ".join(told)


def _correlations(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "correlation"]


def _shares(rows: pd.DataFrame, by: str) -> tuple[tuple[str, ...], ...]:
    found = shares(rows, [by]) if len(rows) else pd.DataFrame()
    found = found[found["checked"] > 0] if len(found) else found
    if by != "table" and len(found):
        found = found.sort_values(["checked", by], ascending=[False, True])
    return tuple(
        (getattr(row, by), str(row.figures), str(row.checked), str(row.agrees), _percent(row.share))
        for row in found.itertuples()
    )


def _kinds(rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    differing = rows[rows["verdict"] == DIFFERS]
    counts = differing.groupby("cause_kind")["table"].agg(["size", lambda names: ", ".join(dict.fromkeys(names))])
    counts = counts.sort_values("size", ascending=False)
    return tuple((str(kind), str(size), names) for kind, size, names in counts.itertuples(name=None))


def _about(table: Recipe, own: pd.DataFrame) -> list[str]:
    said = [f"Accuracy: {table.accuracy}."] if table.accuracy else []
    if table.kind == "correlation":
        protocols = ", ".join(filter(None, dict.fromkeys(own["protocol"].dropna()))) or "counts alone"
        ours = "validation" if table.split == "valid" else table.split
        theirs = "not told" if table.protocol == "default" else f"`{table.protocol}`"
        said.append(f"Protocol: theirs {theirs}, ours {protocols}, judged by {ours} accuracy.")
    if table.command:
        said.append(f"Ours: `{table.command}`.")
    if table.note:
        said.append(f"{table.note[0].upper()}{table.note[1:]}.")
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else DASH


def _count(table: Recipe, group: pd.DataFrame) -> str:
    return str(len(group)) if table.kind != "unanswered" else str(table.count or "not known")


def _provenance(made: Reproduction, manifest: dict[str, Any]) -> list[Section]:
    held = [
        (name, facts["source"], f"{facts['architectures']:,}", facts["sha256"]) for name, facts in made.files.items()
    ]
    origins = []
    for each in made.origins:
        name = each.get("scores") or each.get("run") or each.get("folder", "")
        size = f"{each['archs']:,} x {each['proxies']}" if "archs" in each else ""
        origins.append((str(name), size, str(each.get("command", each.get("protocol", "")))))
    said = [f"{key}: {manifest[key]}" for key in ("command", "mode", "revision", "started") if key in manifest]
    return [
        Section("Ground truth", (), ("benchmark", "table", "architectures", "sha256 of the file"), tuple(held)),
        Section("Scores, searches, operation scores", (), ("set", "archs x proxies", "made by"), tuple(origins)),
        Section("Made by", tuple(said)),
    ]


def markdown(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any]) -> str:
    """Return the page as markdown."""
    lines = [f"# {TITLE}", "", f"{headline(made.rows)}.", "", "![published against ours](figures/reproduction.png)", ""]
    for part in sections(made, declared, manifest):
        lines += [f"{'#' * part.level} {part.title}", ""]
        for note in part.notes:
            lines += [_plain(note), ""]
        if part.rows:
            lines += ["| " + " | ".join(part.heads) + " |", "|" + "---|" * len(part.heads)]
            lines += ["| " + " | ".join(map(_plain, row)) + " |" for row in part.rows] + [""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    return cell(text.replace("`", ""))


CSS = """
td.agrees { color: var(--c2); font-weight: 600; } td.differs { color: var(--c1); font-weight: 600; }
td.absent { color: var(--soft); } img { max-width: 100%; height: auto; background: #fff; }
.plain td, .plain th { min-width: 0; white-space: nowrap; overflow-wrap: normal; }
.plain td:last-child { min-width: 9em; white-space: normal; } tr.why td { color: var(--soft); border-top: 0; }
tr:has(+ tr.why) td { border-bottom: 0; }
details > summary { cursor: pointer; }
summary h2, summary h3 { display: inline-block; margin: 10px 0 2px; }
"""


def html(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any], figure: Path | None) -> str:
    """Return the page as HTML; `figure` is an SVG file that goes into it."""
    sheet = files("harness.report").joinpath("page.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    picture = ""
    if figure is not None:
        data = base64.b64encode(figure.read_bytes()).decode()
        picture = (
            '<section id="figure"><h2>Published against ours</h2><p class="note">One panel a table; the vertical line'
            " is our 95 % interval; open marks: scores that saw images of another dataset.</p>"
            f'<img alt="published against ours, by table" src="data:image/svg+xml;base64,{data}"></section>'
        )
    parts = "".join(_html(part) for part in sections(made, declared, manifest))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<title>{TITLE}</title><style>{sheet}{CSS}</style></head>
<body><header><h1>{TITLE}</h1><p>{escape(headline(made.rows))}.</p></header>
<main>{picture}{parts}</main></body></html>
"""


def _html(part: Section) -> str:
    notes = "".join(f'<p class="note">{_marked(note)}</p>' for note in part.notes)
    body = notes + _html_table(part) if part.rows else notes
    if part.level == 2:
        return f"<section><h2>{escape(part.title)}</h2>{body}</section>"
    verdicts = [row[HEADS.index("verdict")] for row in part.rows]
    said = f"{verdicts.count(AGREES)} of {len(verdicts) - verdicts.count(ABSENT)} agree"
    head = f"<summary><h3>{escape(part.title)}</h3> <small>{said}</small></summary>"
    return f"<details open>{head}{body}</details>"


def _html_table(part: Section) -> str:
    """Return a table; the last column of figures goes into a line of its own below the row."""
    wide = part.heads == HEADS
    heads = part.heads[:-1] if wide else part.heads
    lines = []
    for row in part.rows:
        cells = []
        for name, text in zip(heads, row, strict=False):
            look = {"a": AGREES, "d": DIFFERS, "n": "absent"}.get(text[:1], "") if name == "verdict" else ""
            cells.append(f'<td class="{look}">{_marked(text)}</td>' if look else f"<td>{_marked(text)}</td>")
        lines.append(f"<tr>{''.join(cells)}</tr>")
        if wide and row[-1]:
            lines.append(f'<tr class="why"><td></td><td colspan="{len(heads) - 1}">{_marked(row[-1])}</td></tr>')
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    table = f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _marked(text: str) -> str:
    """Return escaped text, `words` between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
