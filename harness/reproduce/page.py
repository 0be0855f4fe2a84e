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
from harness.reproduce.compare import OPEN, SUBSTITUTE, Reproduction, shares, without_cause
from harness.reproduce.recipes import Recipe
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, MARGINS, UNDECIDED, shuffled, votes

TITLE = "Published tables compared with ours"
RULES = (
    "A correlation is judged by an equivalence test: with d ours minus published and e its standard error (samples of"
    " either side, draws of weights and minibatch), it agrees where |d| + 1.645 e is at most the margin, differs where"
    " |d| - 1.645 e is above it, and cannot be told otherwise. Margins: "
    + "; ".join(f"{name} {whole} where both sides are whole spaces, {else_} otherwise"
                for name, (whole, else_) in list(MARGINS.items())[:2])
    + ". One vote for each paper, score and dataset: it differs if one of its values differs, agrees if one agrees and"
    " none differs. Shuffled: the same with published values shuffled among the scores of a benchmark, dataset and"
    " statistic. A fact agrees where ours rounds to the printed digits. A mean over seeds differs where a"
    " t-test of the two means says so at 5 %, agrees otherwise where they are within one standard deviation of either.",
    "A cause counts where a run has shown it: its command and what it gave stand in the row. Otherwise it is open, with"
    " the command that would settle it. 'Measured' is our value under other choices, the closest first.",
)  # fmt: skip
COUNTS = ("published", "checked", "agree", "cannot tell", "differ", "agree of those checked")
LARGE = 1000
"""Architectures from which votes are counted apart."""
LARGE_VOTES = f"those of n >= {LARGE:,}"
ORDER = (AGREES, UNDECIDED, DIFFERS)
VERDICTS = ("of", "agree", "cannot tell", "differ")
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
        verdicts = [row[HEADS.index("verdict")].partition(" (")[0].partition(" by ")[0] for row in self.rows]
        counts = {name: verdicts.count(name) for name in (AGREES, DIFFERS, UNDECIDED)}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none comparable"


def sections(made: Reproduction, declared: Sequence[Recipe], manifest: dict[str, Any]) -> list[Section]:
    """Return the page's sections in order, without the figure."""
    rows = made.rows
    known = {table.name: table for table in declared}
    found = [
        Section("Verdicts", RULES, ("", *VERDICTS), _verdicts(rows)),
        Section("Causes of the differences", (), ("kind of cause", "values", "tables"), _kinds(rows)),
        Section("By table", ("Values, not votes.",), ("table", *COUNTS), _shares(rows, "table")),
        Section("By proxy", ("Correlations alone.",), ("proxy", *COUNTS), _shares(_correlations(rows), "method")),
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
    cast, others = votes(rows), rows[rows["kind"] != "correlation"]
    counts = cast["verdict"].value_counts()
    said = [f"Of {len(cast):,} published correlations, one vote each, {_counted(counts, len(cast))}"]
    if counts.get(DIFFERS):
        said.append(f"{len(votes(without_cause(rows)))} of those that differ have no measured cause")
        said.append(f"shuffled among scores, {_percent(shuffled(rows)[AGREES])} would agree")
    (overall,) = shares(others).itertuples() if len(others) else [None]
    if overall and overall.checked:
        said.append(f"of {overall.checked:,} other values {overall.agrees:,} agree")
    return "; ".join(said)


def _counted(counts: "pd.Series[int]", of: int) -> str:
    words = {AGREES: "agree", DIFFERS: "differ", UNDECIDED: "cannot be told"}
    shares = {name: counts.get(name, 0) / of if of else math.nan for name in words}
    return ", ".join(f"{counts.get(name, 0)} {word} ({_percent(shares[name])})" for name, word in words.items())


def _verdicts(rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    """Return a line for the votes, for those of large samples, for the shuffled ones, and for all other values."""
    cast, lines = votes(rows), []
    if len(cast):
        large, unsettled = cast[cast["n"] >= LARGE], without_cause(_correlations(rows))
        lines += [_line("correlations, one vote for each paper, score, dataset", cast), _line(LARGE_VOTES, large)]
        chance = (_percent(shuffled(rows).get(name, 0.0)) for name in ORDER)
        lines.append(("the same, published values shuffled", str(len(cast)), *chance))
        share = f"{len(votes(unsettled))} ({_percent(len(votes(unsettled)) / len(cast))})"
        lines.append(("votes that differ without a measured cause", str(len(cast)), "", "", share))
        undecided = rows[rows["verdict"] == UNDECIDED]
        apart = int(undecided["differs_from_0"].fillna(False).astype(bool).sum())
        lines.append(("values that cannot be told, and apart from 0 at 95 %", str(len(undecided)), "", str(apart), ""))
    others = rows[(rows["kind"] != "correlation") & (rows["verdict"] != ABSENT)]
    return tuple(lines) + tuple(_line(f"{kind}, values", part) for kind, part in others.groupby("kind", sort=False))


def _line(name: str, part: pd.DataFrame) -> tuple[str, ...]:
    counts = part["verdict"].value_counts()
    shares = (f"{counts.get(each, 0)} ({_percent(counts.get(each, 0) / max(len(part), 1))})" for each in ORDER)
    return name, str(len(part)), *shares


def summary(rows: pd.DataFrame) -> str:
    """Return what the command prints: the headline, the verdicts, and the causes of what differs."""
    verdicts = ["  ".join((f"{line[0]:52}", *(f"{each:>12}" for each in line[1:]))) for line in _verdicts(rows)]
    heads = "  ".join((f"{'verdicts':52}", *(f"{each:>12}" for each in VERDICTS)))
    causes = [f"{kind:52}  {count:>12}  {names}" for kind, count, names in _kinds(rows)]
    return "\n".join([f"{headline(rows)}.", "", heads, *verdicts, "", "causes of values that differ", *causes])


def _correlations(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["kind"] == "correlation"]


def _shares(rows: pd.DataFrame, by: str) -> tuple[tuple[str, ...], ...]:
    found = shares(rows, [by])
    found = found[found["checked"] > 0]
    if by != "table":
        found = found.sort_values(["checked", by], ascending=[False, True])
    return tuple(
        (
            getattr(row, by),
            str(row.published),
            str(row.checked),
            str(row.agrees),
            str(row.undecided),
            str(row.differs),
            _percent(row.share),
        )
        for row in found.itertuples()
    )


def _kinds(rows: pd.DataFrame) -> tuple[tuple[str, ...], ...]:
    differing = rows[rows["verdict"] == DIFFERS]
    differing = differing.assign(cause_kind=differing["cause_kind"].replace(OPEN, "not shown by a run"))
    counts = differing.groupby("cause_kind")["table"].agg(["size", lambda names: ", ".join(dict.fromkeys(names))])
    counts = counts.sort_values("size", ascending=False)
    return tuple((str(kind), str(size), names) for kind, size, names in counts.itertuples(name=None))


def _about(table: Recipe, own: pd.DataFrame) -> list[str]:
    said = [f"Accuracy: {table.accuracy}."] if table.accuracy else []
    if table.kind == "correlation":
        protocols, judged, populations = (
            ", ".join(filter(None, dict.fromkeys(own[name].dropna())))
            for name in ("protocol", "judged_by", "population")
        )
        published = "not stated" if table.protocol == "default" else f"`{table.protocol}`"
        said.append(f"Protocol: published {published}, ours {protocols or 'counts alone'}; ours are judged by {judged};"
                    f" populations: {populations}.")  # fmt: skip
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
    if verdict in (DIFFERS, UNDECIDED):
        verdict += f" by {_signed(row['away'], row, digits)}" if verdict == DIFFERS else ""
        away = f"{_signed(row['away'], row, digits)} ± {row['error']:.3f}" if _known(row["error"]) else ""
        verdict += f" ({away})" * (row["verdict"] == UNDECIDED)
    kind, cause, how, gave = (_text(row[name]) for name in ("cause_kind", "cause", "command", "result"))
    why = ": ".join(filter(None, (kind, cause)))
    if row["verdict"] == DIFFERS:
        measured = _text(row["measured"])
        run = f"Shown by `{how}`: {gave}" if gave else f"`{how}` would settle it" if how else ""
        parts = (why, run, f"Measured: {measured}" if measured else "")
        why = " ".join(f"{part.rstrip('.')}." for part in parts if part)
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
        looks={AGREES[:1]: AGREES, DIFFERS[:1]: DIFFERS, ABSENT[:1]: "absent", UNDECIDED[:1]: "absent"},
    )  # fmt: skip
