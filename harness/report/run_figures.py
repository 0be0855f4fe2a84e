"""Figures of a stored run: rank correlations, agreement of proxies, regret; colours as in `harness.report.style`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from harness.analysis.summary import RANDOM_PICKS
from harness.report import style
from harness.report.figures import GRID, drawing, save, short, svg_of
from harness.report.scatter import draw_scatter
from harness.report.style import number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

LINES_SHOWN = 12


def draw_correlation(figure: Figure, summary: Summary, population: str | None = None) -> None:
    """Bars of rho and tau-b with intervals, sorted by rho; marks show rho on the other populations."""
    first = population or style.populations(summary)[0]
    others = [name for name in style.populations(summary) if name != first]
    names, look, rows = style.ordered(summary, first)[::-1], style.looks(summary), style.rows(summary, first)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    places = np.arange(len(names))
    for panel, statistic, label in ((left, "rho", "Spearman ρ"), (right, "tau_b", "Kendall τ-b")):
        values = np.array([rows[name][statistic] for name in names], dtype=float)
        ends = np.array([[rows[name][f"{statistic}_{end}"] for end in ("low", "high")] for name in names], dtype=float)
        panel.barh(places, np.nan_to_num(values), height=0.62, color=[look[name].colour for name in names], alpha=0.8)
        panel.hlines(places, ends[:, 0], ends[:, 1], color="black", linewidth=0.9)
        panel.axvline(0, color="black", linewidth=0.6)
        for place in places[~np.isfinite(values)]:
            panel.text(0.02, place, "undefined", va="center", fontsize=6.5, color="#555555")
        panel.set_xlabel(label)
        panel.grid(axis="x", **GRID)
        panel.set_axisbelow(True)
        panel.tick_params(axis="y", length=0)
    for other, marker in zip(others, "Do", strict=False):
        there = style.rows(summary, other)
        left.plot(
            [there[name]["rho"] if name in there else np.nan for name in names],
            places,
            marker,
            markersize=3,
            markerfacecolor="white",
            markeredgecolor="black",
            markeredgewidth=0.6,
            linestyle="none",
            label=f"ρ, {other}",
        )
    left.set_yticks(places, [short(style.label(summary, name)) for name in names])
    left.set_ylim(-0.6, len(names) - 0.4)
    if not any(np.isfinite(rows[name][statistic]) for name in names for statistic in ("rho", "tau_b")):
        left.set_xlim(-1, 1)  # nothing to fit an axis to: too few architectures
    intervals = summary.table.loc[summary.table["population"] == first, "rho_low"].notna().any()
    figure.legend(
        *left.get_legend_handles_labels(),
        loc="outside upper right",
        ncols=3,
        frameon=False,
        title=f"bars: population {first}" + (", with intervals" if intervals else ", no intervals (no sampling error)"),
        title_fontsize=7.5,
        alignment="right",
    )


def draw_agreement(figure: Figure, summary: Summary, population: str | None = None) -> None:
    """Spearman between every two proxies, in cells; proxies that rank alike stand together."""
    square = clustered(summary.agreement[population or style.populations(summary)[0]])
    panel = figure.subplots()
    names = [short(str(name)) for name in square.columns]
    values = square.to_numpy(dtype=float)
    image = panel.imshow(np.ma.masked_invalid(values), cmap="RdBu_r", vmin=-1, vmax=1, aspect="equal")
    for (row, column), value in np.ndenumerate(values):
        text = number(value, 2).replace("0.", ".", 1)
        panel.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=5.8,
            color="white" if np.isfinite(value) and abs(value) > 0.65 else "black",
        )
    panel.set_xticks(range(len(names)), names, rotation=90)
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=panel, shrink=0.6, aspect=25, pad=0.02)
    bar.set_label("Spearman ρ between scores")
    bar.outline.set_visible(False)


def clustered(square: pd.DataFrame) -> pd.DataFrame:
    """Reorder a square of correlations so that alike rows are neighbours (average linkage of 1 - rho)."""
    if len(square) < 3:
        return square
    values = np.nan_to_num(square.to_numpy(dtype=float))
    distance = np.clip(1 - (values + values.T) / 2, 0, 2)
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return square.iloc[order, order]


def draw_regret(figure: Figure, summary: Summary, population: str | None = None) -> None:
    """Regret in points of accuracy against the number of picks, with random picks; lower is better."""
    population = population or style.populations(summary)[0]
    curves = summary.regret[summary.regret["population"] == population]
    look, panel = style.looks(summary), figure.subplots()
    shown, rest = lines_shown(style.ordered(summary, population), summary.baselines)
    for name in [*rest, *shown[::-1]]:
        curve = curves[curves["proxy"] == name].sort_values("k")
        faint = name in rest
        panel.plot(
            curve["k"],
            curve["regret"],
            color="#cccccc" if faint else look[name].colour,
            linewidth=0.7 if faint else 1.3,
            dashes=look[name].dashes or (None, None),
            marker="" if faint else ".",
            markersize=3.5,
            label=None if faint else short(name),
        )
    if rest:
        panel.plot([], [], color="#cccccc", linewidth=0.9, label=f"{len(rest)} others")
    random = curves[curves["proxy"] == RANDOM_PICKS].sort_values("k")
    panel.plot(random["k"], random["regret"], color="black", linewidth=2, dashes=(1, 1.2), label=RANDOM_PICKS)
    panel.set_xscale("log")
    panel.set_yscale("symlog", linthresh=1, linscale=0.7)
    top = float(np.nanmax(curves["regret"], initial=1.0))
    ticks = [tick for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= top * 1.05]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_yticks([], minor=True)
    panel.set_ylim(-0.03, top * 1.15)
    picks = sorted(set(curves["k"]))
    panel.set_xticks([k for k in picks if str(k).strip("0") == "1"], minor=False)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.grid(**GRID)
    panel.set_xlabel("k, architectures picked by the score")
    panel.set_ylabel("regret, points of accuracy\n(linear to 1, log above)")
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside right center", frameon=False, handlelength=2.8)


def lines_shown(names: list[str], baselines: Collection[str]) -> tuple[list[str], list[str]]:
    """Split proxies, best first, into those drawn in colour and those drawn faint: baselines are always seen."""
    own = [name for name in names if name not in baselines]
    keep = len(own) if len(own) <= LINES_SHOWN else LINES_SHOWN - 2
    rest = own[keep:]
    return [name for name in names if name not in rest], rest


DRAWINGS = {"correlation": draw_correlation, "agreement": draw_agreement, "regret": draw_regret}
"""Figures that need no more than the summary."""


def _size(name: str, proxies: int) -> tuple[float, float]:
    """Width and height of a figure in inches."""
    return {
        "scatter": (7.2, 0.5 + 1.75 * -(-proxies // 4)),
        "correlation": (5.4, 0.9 + 0.19 * max(proxies, 4)),
        "agreement": (1.9 + 0.27 * max(proxies, 8), 1.7 + 0.27 * max(proxies, 6)),
        "regret": (5.4, 3.4),
    }[name]


def write_figures(run: StoredRun, summary: Summary, out: Path) -> dict[str, Path]:
    """Write figures/{scatter,correlation,agreement,regret}.{png,svg} under `out`; return file name -> path."""
    written: dict[str, Path] = {}
    for name in ("scatter", *DRAWINGS):
        with drawing(*_size(name, len(run.scores))) as figure:
            if name == "scatter":
                draw_scatter(figure, run, summary)
            else:
                DRAWINGS[name](figure, summary)
            written |= save(figure, out, name)
    return written


def svg(name: str, summary: Summary, population: str) -> bytes:
    """Return a figure of `DRAWINGS` for one population as SVG; that of the first population is the file's content."""
    with drawing(*_size(name, len(style.ordered(summary, population)))) as figure:
        DRAWINGS[name](figure, summary, population)
        return svg_of(figure)
