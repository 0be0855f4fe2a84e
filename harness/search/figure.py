"""The figure of simulated searches: regret against cost, a line for each method, with bands."""

from pathlib import Path
from typing import Any

import pandas as pd

from harness.report.figures import COLUMN, PAGE, Figure, Panel, drawing, grid, save, short
from harness.report.style import COLOURS, DASHES

AXES = {"queries": "queries", "seconds": "seconds of proxies and trainings"}
COLUMNS = 3
"""Panels in a row, where there are several."""
HEIGHT = 1.9
"""Inches of a panel, without its legend."""
RANDOM: dict[str, Any] = {"color": "black", "linewidth": 1.6, "dashes": (1, 1.2)}


def redraw(folder: Path, manifest: dict) -> dict[str, Path]:
    """Draw the figures of a stored search again."""
    return write_figure(pd.read_csv(folder / "curves.csv", keep_default_na=False), folder)


def write_figure(curves: pd.DataFrame, out: Path) -> dict[str, Path]:
    """Write figures/regret.* under `out` from `Searches.curves`, and regret-seconds where seconds are known."""
    written: dict[str, Path] = {}
    for cost in (cost for cost in AXES if (curves["cost"] == cost).any()):
        shown = curves[curves["cost"] == cost]
        panels = groups(shown)
        columns, lines = min(COLUMNS, len(panels)), max(map(len, panels.values())) + 1
        height = 0.45 + -(-len(panels) // columns) * (HEIGHT + 0.14 * -(-lines // 2))
        with drawing(COLUMN if columns == 1 else PAGE, height) as figure:
            draw(figure, shown, panels, AXES[cost])
            written |= save(figure, out, "regret" if cost == "queries" else f"regret-{cost}")
    return written


def groups(curves: pd.DataFrame) -> dict[str, list[tuple[str, str]]]:
    """Return {title of a panel: its (method, guide)}: one without proxies, one of several, one for each method."""
    panels: dict[str, list[tuple[str, str]]] = {}
    for method, guide in dict.fromkeys(zip(curves["method"], curves["guide"], strict=True)):
        title = "several proxies" if "," in guide else method if guide else "no proxy"
        panels.setdefault(title, []).append((method, guide))
    return panels


def draw(figure: Figure, curves: pd.DataFrame, panels: dict[str, list[tuple[str, str]]], across: str) -> None:
    """Draw the median as a line, the middle half of the runs as a band; random search's median dotted in each panel."""
    columns = min(COLUMNS, len(panels))
    axes = figure.subplots(-(-len(panels) // columns), columns, squeeze=False, sharex=True, sharey=True)
    each = dict(list(curves.groupby(["method", "guide"], sort=False)))
    for panel, (title, members) in zip(axes.flat, panels.items(), strict=False):
        own = [member for member in members if member != ("random", "")]
        for place, (method, guide) in enumerate(own):
            label = method if title in ("no proxy", "several proxies") else guide
            look = {"color": COLOURS[place % len(COLOURS)], "dashes": DASHES[place % len(DASHES)] or (None, None)}
            _line(panel, each[method, guide], short(label, 18), True, look)
        if ("random", "") in each:
            _line(panel, each["random", ""], "random", len(own) < len(members), RANDOM)
        panel.set_title(title, loc="left", pad=3)
        panel.legend(frameon=False, handlelength=2.2, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2,
                     columnspacing=1, borderpad=0.2, labelspacing=0.25)  # fmt: skip
        grid(panel)
    for panel in axes.flat[len(panels) :]:
        panel.set_axis_off()
    _scales(axes.flat[0], curves)
    figure.supxlabel(f"{across}; line: median, band: middle half of the runs", fontsize=8)
    figure.supylabel("regret, points (log above 0.1)", fontsize=8)


def _line(panel: Panel, curve: pd.DataFrame, label: str, band: bool, look: dict[str, Any]) -> None:
    if band:
        panel.fill_between(
            curve["at"], curve["low"], curve["high"], color=look["color"], alpha=0.13, linewidth=0, step="post"
        )
    panel.plot(curve["at"], curve["median"], label=label, drawstyle="steps-post", **look)


def _scales(panel: Panel, curves: pd.DataFrame) -> None:
    """Set the scales and ticks that all panels share."""
    top = float(curves["high"].max())
    ticks = [tick for tick in (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= top * 1.05]
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    panel.xaxis.set_minor_formatter(lambda value, _: "")
    panel.set_yscale("symlog", linthresh=0.1, linscale=0.5)
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_yticks([], minor=True)
    panel.set_ylim(-0.01, max(top * 1.1, 0.1))
