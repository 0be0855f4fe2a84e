"""The reproduction as one page, in markdown and in HTML: the same sections in both, and one figure.

The HTML is one file, made from page.html, that needs no network and holds no script; Jinja2 escapes what it fills in.
"""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.html import environment
from harness.report.style import DASH, cell, markdown_table
from harness.reproduce.compare import SUBSTITUTE, Reproduction, shares
from harness.reproduce.recipes import Recipe
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, WHOLE

TITLE = "Published tables compared with ours"
RULES = (
    "A published value agrees where it lies inside our 95 % interval, over other samples of architectures. Over"
    f" the whole space it agrees where the two are at most {WHOLE} apart; a fact, where ours rounds to the printed"
    " digits; a mean over seeds, where the two are within one standard deviation of either. 'Measured' is our value"
    " under other choices, the closest first."
)
COUNTS = ("published", "checked", "agree", "share")
HEADS = (
    *("method", "dataset", "population or reference", "measure", "published", "our value", "n", "verdict"),
    "why they may differ",
)
MEASURES = {"rho": "rho", "tau_b": "tau-b", "concordance": "pairs in order", "accuracy": "accuracy, %"}


@dataclass(frozen=True)
class Section:
    """A heading, sentences, and a table."""

    title: str
    notes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    level: int = 2

    @property
    def agreement(self) -> str:
        """The verdicts of a table of `HEADS`, counted."""
        verdicts = [row[HEADS.index("verdict")] for row in self.rows]
        return f"{verdicts.count(AGREES)} of {len(verdicts) - verdicts.count(ABSENT)} agree"


def sections(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any]) -> list[Section]:
    """Return the page's sections in order, without the figure."""
    rows = made.rows
    known = {table.name: table for table in declared}
    found = [
        Section("How many agree", (RULES,), ("table", *COUNTS), _shares(rows, "table")),
        Section("By proxy", ("Correlations alone.",), ("proxy", *COUNTS), _shares(_correlations(rows), "method")),
        Section("Causes of the disagreements", (), ("kind of cause", "values", "tables"), _kinds(rows)),
    ]
    for name in dict.fromkeys(rows["table"]):
        table, own = known[name], rows[rows["table"] == name]
        if table.kind != "unanswered":
            said = [f"{table.title}.", *_about(table, own)]
            found.append(Section(name, tuple(said), HEADS, tuple(map(cells, own.to_dict("records"))), level=3))
    missing = rows[rows["verdict"] == ABSENT]
    if len(missing):
        sizes = missing.groupby(["table", "cause"], sort=False).size()
        lines = [
            (name, str(size if known[name].values else known[name].count or "not known"), cause)
            for (name, cause), size in sizes.items()
        ]
        found.append(Section("Not comparable", (), ("table", "values", "why"), tuple(lines)))
    return [*found, *_provenance(made, manifest)]


def headline(rows: pd.DataFrame) -> str:
    """Return the sentence that says how many values were checked and agree."""
    parts = []
    for name, part in (("published values", rows), ("correlations among them", _correlations(rows))):
        (overall,) = shares(part).itertuples()
        parts.append(f"{overall.agrees:,} of {overall.checked:,} {name} agree ({_percent(overall.share)})")
    return "; ".join(parts)


def _correlations(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "correlation"]


def _shares(rows: pd.DataFrame, by: str) -> tuple[tuple[str, ...], ...]:
    found = shares(rows, [by])
    found = found[found["checked"] > 0]
    if by != "table":
        found = found.sort_values(["checked", by], ascending=[False, True])
    return tuple(
        (getattr(row, by), str(row.published), str(row.checked), str(row.agrees), _percent(row.share))
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
        accuracy = "validation" if table.split == "valid" else table.split
        published = "not stated" if table.protocol == "default" else f"`{table.protocol}`"
        said.append(f"Protocol: published {published}, ours {protocols}, judged by {accuracy} accuracy.")
    if table.command:
        said.append(f"Our values: `{table.command}`.")
    if table.note:
        said.append(f"{table.note[0].upper()}{table.note[1:]}.")
    return said


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if math.isfinite(share) else DASH


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


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one row of a reproduction (`compare.COLUMNS`), one for each of `HEADS`."""
    seen = _text(row["inputs"])
    inputs = f" ({seen.removesuffix(SUBSTITUTE)} images)" if seen.endswith(SUBSTITUTE) else ""
    digits = 4 if row["kind"] == "fact" and abs(row["published"]) < 1 else 3
    published, ours = (_number(row[name], row, digits) for name in ("published", "value"))
    if row["kind"] in ("search", "operations"):
        published += f" ± {row['published_sd']:.2f}" if _known(row["published_sd"]) else ""
        ours += f" ± {row['sd']:.2f}" if _known(row["sd"]) else ""
    elif _known(row["low"]):
        ours += f" [{row['low']:.3f}, {row['high']:.3f}]"
    verdict = row["verdict"]
    if verdict == DIFFERS:
        verdict = f"differs by {_signed(row['away'], row, digits)}"
    why = ": ".join(filter(None, (_text(row["cause_kind"]), _text(row["cause"]))))
    if (measured := _text(row["measured"])) and row["verdict"] == DIFFERS:
        measured = f"Measured: {measured}."
    why = " ".join(filter(None, (f"{why.rstrip('.')}." if why and measured else why, measured)))
    n = f"{int(row['n']):,}" if _known(row["n"]) else ""
    where, measure = f"{row['bench']} {row['dataset']}{inputs}", MEASURES.get(row["measure"], "value")
    return row["method"], where, row["population"], measure, published, ours, n, verdict, why


def _number(value: float, row: dict[str, Any], digits: int) -> str:
    if not _known(value):
        return DASH
    if row["kind"] == "search" or row["measure"] == "accuracy":
        return f"{value:.2f}"
    if row["kind"] == "fact" and abs(row["published"]) >= 1:
        return f"{value:,.0f}" if row["published"] == int(row["published"]) else f"{value:.4f}".rstrip("0")
    if row["kind"] == "fact" and abs(row["published"]) < 0.1:
        return f"{value:.6f}"
    return f"{value:.{digits}f}"


def _signed(value: float, row: dict[str, Any], digits: int) -> str:
    text = _number(abs(value), {**row, "published": max(abs(value), row["published"])}, digits)
    return ("+" if value >= 0 else "-") + text


def _known(value: Any) -> bool:
    return value is not None and not isinstance(value, str) and math.isfinite(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def markdown(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any]) -> str:
    """Return the page as markdown."""
    lines = [f"# {TITLE}", "", f"{headline(made.rows)}.", "", "![published and our values](figures/reproduction.png)"]
    for part in sections(made, declared, manifest):
        lines += ["", f"{'#' * part.level} {part.title}"]
        for note in part.notes:
            lines += ["", cell(note.replace("`", ""))]
        if part.rows:
            rows = [[text.replace("`", "") for text in row] for row in part.rows]
            lines += ["", *markdown_table(part.heads, rows, ())]
    return "\n".join([*lines, ""])


def html(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any], figure: Path | None) -> str:
    """Return the page as HTML; `figure` is an SVG file that goes into it."""
    template = environment().from_string(Path(__file__).with_name("page.html").read_text("utf-8"))
    return template.render(
        title=TITLE, headline=headline(made.rows), sections=sections(made, declared, manifest), wide=HEADS,
        figure=figure and base64.b64encode(figure.read_bytes()).decode(),
        looks={AGREES[:1]: AGREES, DIFFERS[:1]: DIFFERS, ABSENT[:1]: "absent"},
    )  # fmt: skip
