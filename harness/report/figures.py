"""Figures of a stored run as PNG and SVG: scatter, rank correlations, rank agreement, regret; several runs together.

Same run, same SVG bytes: ids come from a fixed salt and no date is written. Colours follow `harness.report.style`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.files.write import write_atomically
from harness.report import style
from harness.report.axes import Scale, accuracy_scale, score_scale
from harness.report.numbers import count, number
from harness.report.points import even_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

LOOK: dict[str, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": False,
    "text.parse_math": False,
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "text.usetex": False,
}
GRID: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.5}
LINES_SHOWN = 12
RASTER_ABOVE = 20_000
"""Points in one figure above which an SVG holds them as a picture: it stays small, the text stays text."""
THINNED_ABOVE = 20_000
"""Architectures above which the scatter draws a part of them, the same in every panel; it says how many."""
DRAWN = 5_000


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """A figure of width x height inches in our look, without touching the caller's settings or pyplot."""
    settings: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(settings | LOOK):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def write_figures(run: StoredRun, summary: Summary, out: Path) -> dict[str, Path]:
    """Write figures/{scatter,correlation,agreement,regret}.{png,svg} under `out`; return file name -> path."""
    figures: dict[str, Callable[[Figure], None]] = {
        "scatter": lambda figure: draw_scatter(figure, run, summary),
        "correlation": lambda figure: draw_correlation(figure, summary),
        "agreement": lambda figure: draw_agreement(figure, summary),
        "regret": lambda figure: draw_regret(figure, summary),
    }
    proxies = len(style.ordered(summary, style.populations(summary)[0]))
    sizes = {
        "scatter": (7.2, 0.5 + 1.75 * -(-proxies // 4)),
        "correlation": (5.4, 0.9 + 0.19 * max(proxies, 4)),
        "agreement": (1.9 + 0.27 * max(proxies, 8), 1.7 + 0.27 * max(proxies, 6)),
        "regret": (5.4, 3.4),
    }
    written = {}
    for name, draw in figures.items():
        with drawing(*sizes[name]) as figure:
            draw(figure)
            written.update(save(figure, out, name))
    return written


def save(figure: Figure, out: Path, name: str) -> dict[str, Path]:
    """Write one figure as out/figures/name.png (300 dpi) and .svg; call inside the drawing context."""
    written = {}
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        path = Path(out) / "figures" / f"{name}.{kind}"
        settings: dict[str, Any] = {"format": kind, "metadata": metadata, "dpi": 300, "facecolor": "white"}
        fitted: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.03}
        write_atomically(path, partial(figure.savefig, **settings, **fitted))
        written[f"figures/{name}.{kind}"] = path
    return written


def draw_scatter(figure: Figure, run: StoredRun, summary: Summary) -> None:
    """One panel per proxy: score across, accuracy in percent up; disconnected architectures as open grey rings."""
    population = style.populations(summary)[0]
    names, look, rows = style.ordered(summary, population), style.looks(summary), style.rows(summary, population)
    columns = min(4, len(names))
    panels = figure.subplots(-(-len(names) // columns), columns, squeeze=False)
    accuracy = accuracy_scale(run.accuracy)
    kept = np.arange(len(run.archs)) if len(run.archs) <= THINNED_ABOVE else even_draw(run, [], DRAWN)
    up = accuracy.positions(run.accuracy)[kept]
    connected = np.asarray(run.connected, bool)[kept]
    raster = len(names) * len(kept) > RASTER_ABOVE
    for place, panel in enumerate(panels.flat):
        if place >= len(names):
            panel.set_axis_off()
            continue
        name = names[place]
        scores = style.mean_scores(run, name)
        scale = score_scale(scores)
        _scatter_panel(panel, scale, scale.positions(scores)[kept], up, connected, look[name], raster)
        failed = f", {count(rows[name]['failed'])} failed" if rows[name]["failed"] else ""
        panel.set_title(f"{_short(name, 22)}\nρ {number(rows[name]['rho'], 2)}{failed}", loc="left", pad=3)
        panel.set_yticks(
            [tick for tick, _ in accuracy.ticks], [label for _, label in accuracy.ticks] if place % columns == 0 else []
        )
    figure.supylabel("accuracy, %" + (f" ({accuracy.note})" if accuracy.note else ""), fontsize=8.5)
    thinned = f"\n{len(kept):,} of {len(run.archs):,} architectures are drawn: the ten best, the others at random"
    figure.supxlabel(
        "score (linear unless the axis says otherwise; mean over seeds). Open rings: no path from input to output."
        + thinned * (len(kept) < len(run.archs)),
        fontsize=7.5,
    )


def _scatter_panel(
    panel: Axes,
    scale: Scale,
    across: np.ndarray,
    up: np.ndarray,
    connected: np.ndarray,
    look: style.Look,
    raster: bool,
) -> None:
    size = float(np.clip(2500 / max(len(across), 1), 0.6, 5))
    panel.scatter(
        across[~connected],
        up[~connected],
        s=size * 1.5,
        facecolors="none",
        edgecolors="#888888",
        linewidths=0.4,
        rasterized=raster,
    )
    panel.scatter(
        across[connected], up[connected], s=size, color=look.colour, alpha=0.45, linewidths=0, rasterized=raster
    )
    panel.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    panel.set_xticks([tick for tick, _ in scale.ticks], [label for _, label in scale.ticks])
    panel.tick_params(length=2, pad=1.5, labelsize=6.5)
    if scale.note:
        panel.set_xlabel(scale.note, fontsize=6.5, labelpad=1, color="#555555")


def draw_correlation(figure: Figure, summary: Summary) -> None:
    """Bars of rho and tau-b with intervals, sorted by rho; marks show rho on the other populations."""
    first, *others = style.populations(summary)
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
    for population, marker in zip(others, "Do", strict=False):
        there = style.rows(summary, population)
        left.plot(
            [there[name]["rho"] if name in there else np.nan for name in names],
            places,
            marker,
            markersize=3,
            markerfacecolor="white",
            markeredgecolor="black",
            markeredgewidth=0.6,
            linestyle="none",
            label=f"ρ, {population}",
        )
    left.set_yticks(places, [_short(style.label(summary, name)) for name in names])
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
    names = [_short(str(name)) for name in square.columns]
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
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(square) < 3:
        return square
    values = np.nan_to_num(square.to_numpy(dtype=float))
    distance = np.clip(1 - (values + values.T) / 2, 0, 2)
    np.fill_diagonal(distance, 0)
    order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return square.iloc[order, order]


def draw_regret(figure: Figure, summary: Summary, population: str | None = None) -> None:
    """Regret in points of accuracy against the number of picks, beside random picks; lower is better."""
    population = population or style.populations(summary)[0]
    curves = summary.regret[summary.regret["population"] == population]
    look, panel = style.looks(summary), figure.subplots()
    shown, rest = lines_shown(style.ordered(summary, population))
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
            label=None if faint else _short(name),
        )
    if rest:
        panel.plot([], [], color="#cccccc", linewidth=0.9, label=f"{len(rest)} others")
    random = curves[curves["proxy"] == style.RANDOM_PICKS].sort_values("k")
    panel.plot(random["k"], random["regret"], color="black", linewidth=2, dashes=(1, 1.2), label=style.RANDOM_PICKS)
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


def lines_shown(names: list[str]) -> tuple[list[str], list[str]]:
    """Split proxies, best first, into those drawn in colour and those drawn faint: baselines are always seen."""
    own = [name for name in names if name not in style.BASELINES]
    keep = len(own) if len(own) <= LINES_SHOWN else LINES_SHOWN - 2
    rest = own[keep:]
    return [name for name in names if name not in rest], rest


def write_comparison_figure(table: pd.DataFrame, labels: list[str], out: Path) -> dict[str, Path]:
    """Write figures/comparison.{png,svg}: rho per proxy, one mark per run.

    `table` has proxy as index and for each run label the columns (label, "rho"), (label, "rho_low") and
    (label, "rho_high").
    """
    with drawing(5.4, 1.1 + 0.22 * max(len(table), 4)) as figure:
        panel = figure.subplots()
        places = np.arange(len(table))[::-1]
        for order, label in enumerate(labels):
            shift = 0.0 if len(labels) == 1 else 0.3 - 0.6 * order / (len(labels) - 1)
            colour = style.COLOURS[order % len(style.COLOURS)]
            panel.hlines(
                places + shift, table[(label, "rho_low")], table[(label, "rho_high")], color=colour, linewidth=0.9
            )
            panel.plot(
                table[(label, "rho")],
                places + shift,
                "osD^vP"[order % 6],
                markersize=3.5,
                color=colour,
                linestyle="none",
                label=_short(label, 40),
            )
        for place in places[:-1]:
            panel.axhline(place - 0.5, color="#eeeeee", linewidth=0.5)
        panel.axvline(0, color="black", linewidth=0.6)
        panel.set_yticks(places, [_short(str(name)) for name in table.index])
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="x", **GRID)
        panel.set_axisbelow(True)
        panel.set_xlabel("Spearman ρ")
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        return save(figure, out, "comparison")


def _short(name: str, most: int = 26) -> str:
    """A name that fits a label: control characters out, long ones cut in the middle."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"
