"""The figure of simulated searches: regret against cost, a line for each method, with bands."""

from pathlib import Path

import pandas as pd

from harness.report import style
from harness.report.figures import GRID, Figure, Panel, drawing, save

AXES = {"queries": "queries", "seconds": "seconds of proxies and trainings"}
COLUMNS = 3
"""Panels in a row."""
PANEL = (2.7, 2.3)
"""Inches."""


def write_figure(curves: pd.DataFrame, out: Path) -> dict[str, Path]:
    """Write figures/regret.{png,svg} under `out` from `Searches.curves`, and regret-seconds where seconds are known."""
    written: dict[str, Path] = {}
    for cost in (cost for cost in AXES if (curves["cost"] == cost).any()):
        shown = curves[curves["cost"] == cost]
        panels = groups(shown)
        columns = min(COLUMNS, len(panels))
        with drawing(0.6 + PANEL[0] * columns, 0.5 + PANEL[1] * -(-len(panels) // columns)) as figure:
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
        for place, (method, guide) in enumerate(members):
            label = method if title in ("no proxy", "several proxies") else guide
            _line(panel, each[method, guide], style.COLOURS[place % len(style.COLOURS)], label)
        if ("random", "") in each and ("random", "") not in members:
            random = each["random", ""]
            panel.plot(random["at"], random["median"], color="black", linewidth=1, dashes=(1, 1.2), label="random")
        panel.set_title(title, loc="left", pad=3)
        panel.legend(frameon=False, handlelength=1.6, fontsize=6.5, loc="lower left")
        panel.grid(**GRID)
        panel.set_axisbelow(True)
    for panel in axes.flat[len(panels) :]:
        panel.set_axis_off()
    _scales(axes.flat[0], curves)
    figure.supxlabel(across, fontsize=8.5)
    figure.supylabel("regret, points of accuracy\n(linear to 0.1, log above)\nmedian; band: middle half", fontsize=8.5)


def _line(panel: Panel, curve: pd.DataFrame, colour: str, label: str) -> None:
    panel.fill_between(curve["at"], curve["low"], curve["high"], color=colour, alpha=0.15, linewidth=0, step="post")
    panel.plot(curve["at"], curve["median"], color=colour, linewidth=1.2, label=label, drawstyle="steps-post")


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
