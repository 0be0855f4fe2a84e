"""How results look everywhere: numbers as text, markdown and CSV; order, colours and marks of proxies; verdicts."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.markup import escape

from benchmarks.errors import printable
from benchmarks.files.write import write_atomically
from harness.analysis.populations import facts_of
from harness.analysis.statistics import STATISTICS, Statistic, shown_in
from harness.analysis.summary import RANDOM_PICKS

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


@dataclass(frozen=True)
class Kind:
    """How all scores of one kind are drawn in the figures of a run: colour and shape mean nothing else."""

    label: str
    colour: str
    """#rrggbb, of Okabe and Ito's colour-blind safe set"""
    marker: str
    """Of matplotlib; tells kinds apart in grey too."""
    slot: str
    """CSS class of the colour in the page, which has a second set of colours for the dark."""


KINDS = {
    "proxy": Kind("proxy", "#0072B2", "o", "c0"),
    "fitted": Kind("fitted to accuracies", "#D55E00", "D", "c1"),
    "ensemble": Kind("ensemble", "#009E73", "^", "c2"),
    "count": Kind("count", "#555555", "s", "cb"),
    "random": Kind("random", "#999999", "X", "cb"),
}
# Okabe and Ito's colour-blind safe set without yellow (too light on paper) and black (text).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ((), (4, 1.5), (1.5, 1.2), (4, 1.5, 1.2, 1.5))
PICKS = (1, 10, 100)
DASH = "–"


@dataclass(frozen=True)
class Look:
    """How one proxy is drawn in every figure of a run."""

    colour: str
    """#rrggbb"""
    dashes: tuple[float, ...]
    """On-off lengths in points; empty is a solid line."""
    baseline: bool
    slot: str
    """CSS class of the colour in the page, which has a second set of colours for the dark."""


def ordered(summary: Summary, population: str = "all") -> list[str]:
    """Return the proxies of a population by falling rho (undefined last, then by name); those fitted to accuracies come
    after the others, and baselines last."""
    table = summary.table[summary.table["population"] == population]
    rho, set_apart = dict(zip(table["proxy"], table["rho"], strict=True)), groups(summary)

    def key(name: str) -> tuple[int, bool, float, str]:
        value = rho[name]
        return set_apart[name], not math.isfinite(value), -value if math.isfinite(value) else 0.0, name

    return sorted(rho, key=key)


def groups(summary: Summary) -> dict[str, int]:
    """Return {proxy: the group it is listed in}: 0 scores that saw no accuracy, 1 fitted to accuracies, 2 baselines."""
    fitted = dict(zip(summary.table["proxy"], summary.table["fitted"], strict=True))
    return {name: 2 if name in summary.baselines else int(fitted[name]) for name in fitted}


def looks(summary: Summary) -> dict[str, Look]:
    """Return one look per proxy, the same for every figure: the colour of its kind; the best has a solid line."""
    made: dict[str, Look] = {}
    for name in ordered(summary, populations(summary)[0]):
        kind = KINDS[kind_of(summary, name)]
        place = sum(look.colour == kind.colour for look in made.values())
        made[name] = Look(kind.colour, DASHES[place % len(DASHES)], name in summary.baselines, kind.slot)
    return made


def kind_of(summary: Summary, proxy: str) -> str:
    """Return which of `KINDS` a score is."""
    row = summary.table[summary.table["proxy"] == proxy].iloc[0]
    if proxy in summary.baselines:
        return "random" if proxy == "random" else "count"
    return "fitted" if row["fitted"] else "ensemble" if np.isfinite(row["reference_set"]) else "proxy"


def by_rho(summary: Summary, population: str) -> list[str]:
    """Return the proxies of a population by falling rho, all kinds together; undefined last."""
    table = summary.table[summary.table["population"] == population]
    rho = dict(zip(table["proxy"], table["rho"], strict=True))
    return sorted(
        rho, key=lambda name: (not math.isfinite(rho[name]), -rho[name] if math.isfinite(rho[name]) else 0, name)
    )


def populations(summary: Summary) -> list[str]:
    """Return the populations in the summary's own order."""
    return list(dict.fromkeys(summary.table["population"]))


def rows(summary: Summary, population: str) -> dict[str, dict[str, Any]]:
    """Return proxy -> its row of the summary table, for one population."""
    table = summary.table[summary.table["population"] == population]
    return {row["proxy"]: row for row in table.to_dict("records")}


def marks(run: StoredRun, proxy: str) -> str:
    """Return the signs after a proxy's name: † fitted to accuracies, ‡ depends on the set of architectures scored."""
    facts = facts_of(run, proxy)
    return "†" * bool(facts.get("fitted")) + "‡" * bool(facts.get("ensemble"))


def label(summary: Summary, proxy: str) -> str:
    """Return a proxy's name with the same signs, for figures."""
    row = summary.table[summary.table["proxy"] == proxy].iloc[0]
    return proxy + "†" * bool(row["fitted"]) + "‡" * bool(np.isfinite(row["reference_set"]))


def mean_scores(run: StoredRun, proxy: str) -> np.ndarray:
    """Return the mean score over seeds, (archs,); NaN where any seed's score is missing or not finite."""
    scores = np.asarray(run.scores[proxy], dtype=float)
    return np.where(np.isfinite(scores), scores, np.nan).mean(axis=0)


def random_picks(summary: Summary, population: str) -> dict[str, str]:
    """Return {statistic: the regret expected of as many random picks}, printed; 0 past the last architecture."""
    curve = summary.regret[(summary.regret["population"] == population) & (summary.regret["proxy"] == RANDOM_PICKS)]
    known = {int(k): float(regret) for k, regret in zip(curve["k"], curve["regret"], strict=True)}
    past = {k: 0.0 for k in PICKS if known and k > max(known)}
    return {f"regret_{k}": number((past | known).get(k), 2) for k in PICKS}


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


def number(value: Any, digits: int = 3) -> str:
    """Print a number to so many decimals; a dash stands for undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def brief(value: float) -> str:
    """Print a correlation in as few characters as possible: ".52", "-.07", "1"."""
    return "1" if round(value, 2) == 1 else number(value, 2).replace("0.", ".", 1)


def count(value: Any) -> str:
    """Print a whole number with thousands separated; a dash stands for undefined."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value):,}"


def duration(value: Any) -> str:
    """Print seconds to two significant digits."""
    if value is None or not math.isfinite(value):
        return DASH
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """Print an interval as [low, high]; empty where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def statistic_value(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic of one row of `Summary.table`."""
    value = row[statistic.name]
    if isinstance(statistic.form, int):
        return number(value, statistic.form)
    return count(value) if statistic.form == "count" else duration(value)


def statistic_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print the interval of a statistic of one row; empty where it has none."""
    return interval(row[f"{statistic.name}_low"], row[f"{statistic.name}_high"]) if statistic.interval else ""


def with_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic and its interval."""
    around = statistic_interval(statistic, row) if statistic.interval else ""
    return f"{statistic_value(statistic, row)} {around}".strip()


def measured(table: str) -> list[Statistic]:
    """Return the measured values of a table, without counts and times."""
    return [each for each in shown_in(table) if each.is_number]


def counted(table: str) -> list[Statistic]:
    """Return the counts and times of a table."""
    return [each for each in shown_in(table) if not each.is_number]


def definitions() -> list[str]:
    """Return the markdown table of all statistics that stands in docs/concepts.md."""
    rows = [[each.name, each.meaning, each.direction or DASH, each.fewest or DASH] for each in STATISTICS]
    return markdown_table(["column", "definition", "better", "needs n"], rows, [3])


def plain(text: object) -> str:
    """Return text for a rich console that neither marks up nor moves the cursor, whatever a file or a name holds."""
    return escape(printable(text))


def write_csv(frame: pd.DataFrame, path: Path, *, index: bool = False) -> Path:
    """Write a frame as CSV: shortest digits that read back to the same number, empty for undefined, \\n line ends.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    form: dict[str, Any] = {"index": index, "lineterminator": "\n", "encoding": "utf-8", "errors": "replace"}
    safe = without_formulas(frame)
    if index:
        safe = safe.rename(index=_no_formula)
    return write_atomically(path, lambda file: safe.to_csv(file, mode="wb", **form))


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with an apostrophe in front of all text that a spreadsheet would take for a formula."""
    safe = frame.rename(columns=_no_formula)
    for place, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            safe.isetitem(place, safe.iloc[:, place].map(_no_formula))
    return safe


def _no_formula(value: Any) -> Any:
    """Return a cell as it is, or text that begins like a formula with an apostrophe in front."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


FORMULA = re.compile(r"[=@+-].", re.DOTALL)
NUMBER = re.compile(r"[+-]?[\d.,]+(?:[eE][+-]?\d+)?%?")


def markdown_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], numeric_columns: Collection[int] | None = None
) -> list[str]:
    """Return the lines of a markdown table.

    numeric_columns: places of the columns that hold formatted numbers, aligned right (default: all but the first).
    Headings and the other columns are escaped with `cell`; numbers stay as they are, "0.71 [0.66, 0.75]" too.
    """
    numeric = range(1, len(heads)) if numeric_columns is None else numeric_columns
    lines = [_line(map(cell, heads)), "|" + "".join("---:|" if i in numeric else "---|" for i in range(len(heads)))]
    return lines + [_line(str(v) if i in numeric else cell(v) for i, v in enumerate(row)) for row in rows]


def fitting(heads: Sequence[str], lines: Sequence[Sequence[object]], width: int) -> list[list[int]]:
    """Return the columns of a table in parts that a terminal is wide enough for, the first column in each: no number is
    cut off. Cells may be folded."""
    texts = [[head, *(str(line[place]) for line in lines)] for place, head in enumerate(heads)]
    wide = [min(20, max(map(len, each))) if head == "cell" else max(map(len, each))
            for head, each in zip(heads, texts, strict=True)]  # fmt: skip
    parts: list[list[int]] = [[0]]
    for place in range(1, len(heads)):
        if len(parts[-1]) > 1 and sum(wide[each] + 2 for each in [*parts[-1], place]) > width:
            parts.append([0])
        parts[-1].append(place)
    return parts


def latex_table(
    heads: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1, caption: str = "", label: str = "tab:proxies"
) -> str:
    """Return a table for LaTeX with the package booktabs; the first `left` columns are aligned left, the others right.

    The text is escaped, so that names such as grad_norm and signs such as † are printed as they are. It is set small
    and close, and numbers have no 0 before their point, since columns of papers are narrow.
    """
    lines = [re.sub(r"(?<![\w.])0(?=\.\d)", "", " & ".join(map(latex, row))) + r" \\" for row in rows]
    columns = "@{}" + "l" * left + "r" * (len(heads) - left) + "@{}"
    return "\n".join([
        "% needs \\usepackage{booktabs}", r"\begin{table}", r"\centering", rf"\caption{{{latex(caption)}}}",
        rf"\label{{{label}}}", r"\footnotesize", r"\setlength{\tabcolsep}{4pt}", rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(map(latex, heads)) + r" \\", r"\midrule", *lines, r"\bottomrule", r"\end{tabular}",
        r"\end{table}", "",
    ])  # fmt: skip


LATEX = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "†": r"$\dagger$",
    "‡": r"$\ddagger$", "–": "--", "−": "$-$", "ρ": r"$\rho$", "τ": r"$\tau$", "<": "$<$", ">": "$>$", "·": r"$\cdot$",
}  # fmt: skip
"""Sign -> how LaTeX prints it."""


def latex(value: object) -> str:
    """Return text as LaTeX prints it; a minus before a digit is one, signs that no font has become a question mark."""
    text = "".join(LATEX.get(sign, f"\\{sign}" if sign in "&%$#_{}" else sign) for sign in printable(value))
    text = re.sub(r"(?<![\w])-(?=\d)", "$-$", text)
    return "".join(sign if sign.isascii() else "?" for sign in text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(value: object) -> str:
    """Return text that stays inside a markdown cell and starts no HTML, link, emphasis or code."""
    line = printable(" ".join(str(value).split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for sign in "\\`*_[]|":
        line = line.replace(sign, "\\" + sign)
    return line
