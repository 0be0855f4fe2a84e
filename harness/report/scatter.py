"""The scatter figure: score against accuracy, one panel for each proxy."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from harness.report import style
from harness.report.axes import Scale, accuracy_scale, score_scale
from harness.report.figures import footnote, short
from harness.report.points import even_draw
from harness.report.style import count, number
from harness.report.text import warning_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

RASTER_ABOVE = 20_000
"""Points in one figure above which an SVG holds them as a picture: it stays small, the text stays text."""
THINNED_ABOVE = 20_000
"""Architectures above which the scatter draws a part of them, the same in every panel; it says how many."""
DRAWN = 5_000


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
        panel.set_title(f"{short(name, 22)}\nρ {number(rows[name]['rho'], 2)}{failed}", loc="left", pad=3)
        panel.set_yticks(
            [tick for tick, _ in accuracy.ticks], [label for _, label in accuracy.ticks] if place % columns == 0 else []
        )
    figure.supylabel("accuracy, %" + (f" ({accuracy.note})" if accuracy.note else ""), fontsize=8)
    thinned = f"\n{len(kept):,} of {len(run.archs):,} architectures are drawn: the ten best, the others at random"
    said = "score (linear unless the axis says otherwise; mean over seeds). Open rings: no path from input to output."
    footnote(figure, "\n".join([said + thinned * (len(kept) < len(run.archs)), *warnings_of(run, 110)]))


def warnings_of(run: StoredRun, width: int) -> list[str]:
    """Return what limits a run as lines for a figure, `width` characters wide."""
    return [textwrap.fill(f"warning: {line}", width) for line in warning_lines(run)]


def _scatter_panel(
    panel: Axes, scale: Scale, across: np.ndarray, up: np.ndarray, connected: np.ndarray, look: style.Look, raster: bool
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
    panel.tick_params(length=2, pad=1.5, labelsize=7)
    if scale.note:
        panel.set_xlabel(scale.note, fontsize=7, labelpad=1, color="#555555")
