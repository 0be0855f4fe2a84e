"""Figures of a stored run, each into a given panel: correlations, agreement of proxies, regret.

Colour and shape say what kind of score it is (`style.KINDS`), never which rank it has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from harness.analysis.populations import baselines_among
from harness.analysis.summary import RANDOM_PICKS, Summary
from harness.report import style
from harness.report.figures import COLUMN, PAGE, correlations_map, drawing, footnote, grid, save, short, svg_of
from harness.report.scatter import draw_scatter, warnings_of
from harness.report.style import KINDS

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

LABELS = {"rho": "Spearman's ρ with accuracy", "tau_b": "Kendall's τ-b with accuracy"}
LINES_SHOWN = 4
"""Proxies whose regret has a line of its own; the best of each other kind has one too."""


def forest(
    panel: Axes, summary: Summary, population: str | None = None, statistic: str = "rho", legend: bool = True
) -> None:
    """Draw a dot and its 95 % interval for each proxy, best first; a dashed line at the best count."""
    population = population or style.populations(summary)[0]
    names, rows = style.by_rho(summary, population)[::-1], style.rows(summary, population)
    kinds = [style.kind_of(summary, name) for name in names]
    value = np.array([rows[name][statistic] for name in names], dtype=float)
    ends = np.array([[rows[name][f"{statistic}_{end}"] for end in ("low", "high")] for name in names], dtype=float)
    places = np.arange(len(names))
    counts = [value[at] for at, kind in enumerate(kinds) if kind == "count" and np.isfinite(value[at])]
    if counts:
        panel.axvline(max(counts), color=KINDS["count"].colour, linewidth=0.8, dashes=(4, 2), zorder=0)
    panel.axvline(0, color="black", linewidth=0.6, zorder=0)
    for kind, look in KINDS.items():
        here = np.array([each == kind for each in kinds])
        panel.hlines(places[here], ends[here, 0], ends[here, 1], color=look.colour, linewidth=1)
        panel.plot(value[here], places[here], look.marker, color=look.colour, markersize=3.6, markeredgewidth=0,
                   label=look.label)  # fmt: skip
    for place in places[~np.isfinite(value)]:
        panel.text(0.02, place, "undefined", va="center", fontsize=7, color="#555555")
    panel.set_yticks(places, [short(style.label(summary, name)) for name in names])
    panel.set_ylim(-0.7, len(names) - 0.3)
    if not np.isfinite(value).any():
        panel.set_xlim(-1, 1)  # nothing to fit an axis to: too few architectures
    panel.tick_params(axis="y", length=0)
    grid(panel, "x")
    panel.set_xlabel(LABELS[statistic])
    if legend:
        kinds_legend(panel, kinds, ["best count"] if counts else [])


def kinds_legend(panel: Axes, kinds: Collection[str], lines: Collection[str] = ()) -> None:
    """Say above the panel what colours and shapes mean."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none", markersize=3.6, label=look.label)
        for kind, look in KINDS.items() if kind in kinds
    ]  # fmt: skip
    handles += [Line2D([], [], color=KINDS["count"].colour, dashes=(4, 2), linewidth=0.8, label=text) for text in lines]
    panel.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.35, 1.0), ncols=3, frameon=False,
                 handletextpad=0.3, columnspacing=1, borderpad=0.2)  # fmt: skip


def heat_map(panel: Axes, summary: Summary, population: str | None = None) -> None:
    """Draw Spearman's rho between every two proxies; proxies that rank alike stand together."""
    square = clustered(summary.agreement[population or style.populations(summary)[0]])
    correlations_map(panel, square)
    panel.set_title("Spearman's ρ between scores", loc="right")


def clustered(square: pd.DataFrame) -> pd.DataFrame:
    """Reorder a square of correlations so that alike rows are neighbours (average linkage of 1 - rho)."""
    if len(square) < 3:
        return square
    values = np.nan_to_num(square.to_numpy(dtype=float))
    distance = np.clip(1 - (values + values.T) / 2, 0, 2)
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return square.iloc[order, order]


def regret(panel: Axes, summary: Summary, population: str | None = None) -> None:
    """Draw regret in points of accuracy against the number of picks, with random picks; lower is better."""
    population = population or style.populations(summary)[0]
    curves = summary.regret[summary.regret["population"] == population]
    look, kinds = style.looks(summary), {name: style.kind_of(summary, name) for name in style.looks(summary)}
    shown, rest = lines_shown(style.by_rho(summary, population), kinds)
    for name in [*rest, *shown[::-1]]:
        curve = curves[curves["proxy"] == name].sort_values("k")
        faint, kind = name in rest, KINDS[kinds[name]]
        panel.plot(
            curve["k"], curve["regret"], color="#d9d9d9" if faint else kind.colour, linewidth=0.6 if faint else 1.2,
            dashes=(None, None) if faint else look[name].dashes or (None, None),
            marker="" if faint else kind.marker, markersize=2.8, markeredgewidth=0,
            label=f"_{name}" if faint else short(name, 20),
        )  # fmt: skip
    if rest:
        panel.plot([], [], color="#d9d9d9", linewidth=0.9, label=f"{len(rest)} other{'s' * (len(rest) > 1)}")
    random = curves[curves["proxy"] == RANDOM_PICKS].sort_values("k")
    panel.plot(random["k"], random["regret"], color="black", linewidth=1.6, dashes=(1, 1.2), label=RANDOM_PICKS)
    _regret_axes(panel, curves)
    handles, labels = panel.get_legend_handles_labels()
    panel.legend(handles[::-1], labels[::-1], loc="upper center", bbox_to_anchor=(0.42, -0.2), ncols=3, frameon=False,
                 handlelength=2.2, columnspacing=1, borderpad=0.2, labelspacing=0.25)  # fmt: skip


def _regret_axes(panel: Axes, curves: pd.DataFrame) -> None:
    panel.set_xscale("log")
    panel.set_yscale("symlog", linthresh=1, linscale=0.7)
    top = float(np.nanmax(curves["regret"], initial=1.0))
    ticks = [tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= top * 1.05]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_yticks([], minor=True)
    panel.set_ylim(-0.03, top * 1.15)
    panel.set_xticks([k for k in sorted(set(curves["k"])) if str(k).strip("0") == "1"], minor=False)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    grid(panel)
    panel.set_xlabel("k, architectures picked by the score")
    panel.set_ylabel("regret, points (log above 1)")


def lines_shown(names: list[str], kinds: dict[str, str]) -> tuple[list[str], list[str]]:
    """Split proxies, best first, into those with a line of their own and those drawn faint."""
    most = {"proxy": LINES_SHOWN, "fitted": 1, "ensemble": 1, "count": 1, "random": 0}
    shown: list[str] = []
    for name in names:
        if sum(kinds[each] == kinds[name] for each in shown) < most[kinds[name]]:
            shown.append(name)
    return shown, [name for name in names if name not in shown]


DRAWINGS = {"correlation": forest, "agreement": heat_map, "regret": regret}
"""Figures that need no more than the summary, each drawn into one panel."""


def size_of(name: str, proxies: int, width: float | None = None) -> tuple[float, float]:
    """Return width and height of a figure in inches, one column wide unless the labels need more."""
    if name == "agreement":
        side = max(width or COLUMN, 1.0 + 0.19 * proxies)
        return side, side
    heights = {"scatter": 0.5 + 1.75 * -(-proxies // 4), "correlation": 0.75 + 0.15 * max(proxies, 4), "regret": 3.0}
    return width or (PAGE if name == "scatter" else COLUMN), heights[name]


def redraw(folder: Path, manifest: dict) -> dict[str, Path]:
    """Draw the correlations of a run whose scores are not stored again, from its summary.csv."""
    table = pd.read_csv(folder / "summary.csv").rename(columns={"cohort": "reference_set"})  # its earlier name
    table = table.reindex(columns=list(dict.fromkeys([*table, "fitted", "reference_set"])))
    table["fitted"] = table["fitted"].eq(True)
    names = dict.fromkeys(table["proxy"])
    none = pd.DataFrame()
    summary = Summary(table, none, none, {}, none, none, baselines=baselines_among(names, manifest))
    with drawing(*size_of("correlation", len(names))) as figure:
        forest(figure.subplots(), summary)
        archs = int(table.loc[table["population"] == style.populations(summary)[0], ["n", "failed"]].sum(axis=1).max())
        footnote(figure, _source(manifest, archs))
        return save(figure, folder, "correlation")


def write_figures(run: StoredRun, summary: Summary, out: Path) -> dict[str, Path]:
    """Write figures/{scatter,correlation,agreement,regret}.{png,svg,pdf} under `out`; return file name -> path."""
    written: dict[str, Path] = {}
    for name in ("scatter", *DRAWINGS):
        with drawing(*size_of(name, len(run.scores))) as figure:
            draw(name, figure, summary, run=run)
            written |= save(figure, out, name)
    return written


def draw(
    name: str, figure: Figure, summary: Summary, population: str | None = None, run: StoredRun | None = None
) -> None:
    """Draw a figure by its name; the scatter needs the run."""
    if name == "scatter":
        assert run is not None
        draw_scatter(figure, run, summary)
        return
    panel = figure.subplots()
    DRAWINGS[name](panel, summary, population)
    if run is not None:
        footnote(figure, source_line(run))


def source_line(run: StoredRun) -> str:
    """Return what the scores are compared with, and what limits them, for a figure that stands alone."""
    return "\n".join([_source(run.manifest, len(run.archs)), *warnings_of(run, 60)])


def _source(manifest: Mapping[str, Any], archs: int) -> str:
    dataset = str((manifest.get("target") or manifest).get("dataset", ""))
    return f"{manifest.get('benchmark', '')}, {dataset}, {archs:,} architectures"


def svg(name: str, run: StoredRun, summary: Summary, population: str) -> bytes:
    """Return a figure of `DRAWINGS` for one population as SVG; that of the first population is the file's content."""
    with drawing(*size_of(name, len(style.ordered(summary, population)))) as figure:
        draw(name, figure, summary, population, run)
        return svg_of(figure)
