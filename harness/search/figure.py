"""The figure of simulated searches: regret against cost, a line for each method, with bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from harness.plots import GRID, _drawing, save
from harness.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AXES = {"queries": "queries", "seconds": "seconds of proxies and trainings"}


def write_figure(curves: pd.DataFrame, out: Path) -> dict[str, Path]:
    """Write figures/regret.{png,svg} under `out` from `judge.curves` with columns method and guide in front."""
    costs = [cost for cost in AXES if (curves["cost"] == cost).any()]
    with _drawing(1.9 + 3.6 * len(costs), 3.6) as figure:
        draw(figure, curves, costs)
        return save(figure, out, "regret")


def draw(figure: Figure, curves: pd.DataFrame, costs: list[str]) -> None:
    """One panel for each cost: the median as a line, the middle half of the runs as a band; lower is better."""
    panels = figure.subplots(1, len(costs), squeeze=False, sharey=True)[0]
    methods = list(dict.fromkeys(curves["method"]))
    for panel, cost in zip(panels, costs, strict=True):
        shown = curves[curves["cost"] == cost]
        for (method, guide), curve in shown.groupby(["method", "guide"], sort=False):
            guides = list(dict.fromkeys(curves.loc[curves["method"] == method, "guide"]))
            _line(panel, curve, methods.index(method), guides.index(guide), f"{method} {guide}".strip())
        panel.set(xscale="log", xlabel=AXES[cost])
        panel.set_yscale("symlog", linthresh=0.1, linscale=0.5)
        _ticks(panel, float(shown["high"].max()))
        panel.grid(**GRID)
    panels[0].set_ylabel("regret, points of accuracy\n(linear to 0.1, log above)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right center", frameon=False, handlelength=2.6,
        title="median; band: middle half", title_fontsize=7.5,
    )  # fmt: skip


def _line(panel: Axes, curve: pd.DataFrame, method: int, guide: int, label: str) -> None:
    colour = style.COLOURS[method % len(style.COLOURS)] if method < len(style.COLOURS) else style.BASELINE_COLOUR
    panel.fill_between(curve["at"], curve["low"], curve["high"], color=colour, alpha=0.1, linewidth=0, step="post")
    dashes = style.DASHES[(guide + (method >= len(style.COLOURS)) * (method - len(style.COLOURS))) % len(style.DASHES)]
    panel.plot(
        curve["at"], curve["median"], color=colour, dashes=dashes or (None, None), linewidth=1.2, label=label,
        drawstyle="steps-post",
    )  # fmt: skip


def _ticks(panel: Axes, top: float) -> None:
    ticks = [tick for tick in (0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if tick <= top * 1.05]
    panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_yticks([], minor=True)
    panel.set_ylim(-0.01, max(top * 1.1, 0.1))
