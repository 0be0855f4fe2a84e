"""The figure of a reproduction: published against ours, a panel for each table of correlations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.report.figures import GRID, drawing, save
from harness.reproduce.compare import STAND_INS
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
LOOKS = {AGREES: ("#0072B2", "o"), DIFFERS: ("#D55E00", "D")}
NAMED = 3
"""Figures farthest away that a panel names, at most."""


def write_figure(rows: pd.DataFrame, out: Path) -> Path | None:
    """Write figures/reproduction.{png,svg} under `out` and return the SVG; None where no correlation was checked."""
    rows = rows[(rows["kind"] == "correlation") & (rows["verdict"] != ABSENT)]
    names = list(dict.fromkeys(rows["table"]))
    if not names:
        return None
    columns = min(COLUMNS, len(names))
    deep = -(-len(names) // columns)
    with drawing(2.05 * columns + 0.4, 2.1 * deep + 0.6) as figure:
        panels = figure.subplots(deep, columns, squeeze=False)
        for place, panel in enumerate(panels.flat):
            if place >= len(names):
                panel.set_axis_off()
                continue
            _panel(panel, rows[rows["table"] == names[place]], names[place])
        figure.supxlabel("published", fontsize=8.5)
        figure.supylabel("ours, with 95 % interval", fontsize=8.5)
        handles = [
            panels.flat[0].scatter([], [], s=18, color=colour, marker=marker, label=name)
            for name, (colour, marker) in LOOKS.items()
        ]
        handles.append(
            panels.flat[0].scatter(
                [], [], s=18, facecolor="white", edgecolor="#555555", label="images of another dataset"
            )
        )
        figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
        written = save(figure, out, "reproduction")
    return written["figures/reproduction.svg"]


def _panel(panel: Axes, rows: pd.DataFrame, name: str) -> None:
    """One table: published across, ours up, the diagonal where they are equal."""
    sign = np.where(np.isclose(rows["ours"] - rows["published"], rows["away"]), 1.0, -1.0)
    ours, low, high = (rows[column].to_numpy(float) * sign for column in ("ours", "low", "high"))
    low, high = np.fmin(low, high), np.fmax(low, high)
    low, high = np.where(np.isfinite(low), low, ours), np.where(np.isfinite(high), high, ours)
    theirs = rows["published"].to_numpy(float)
    ends = np.array([min(theirs.min(), low.min()), max(theirs.max(), high.max())])
    ends = ends + np.array([-0.05, 0.05]) * max(ends[1] - ends[0], 0.15)
    panel.plot(ends, ends, color="#999999", linewidth=0.7, zorder=0)
    for verdict, (colour, marker) in LOOKS.items():
        for stand_in in (False, True):
            at = (rows["verdict"] == verdict) & (rows["inputs"].str.endswith(STAND_INS) == stand_in)
            at = at.to_numpy(bool)
            panel.vlines(theirs[at], low[at], high[at], color=colour, linewidth=0.7, alpha=0.45)
            panel.scatter(
                theirs[at], ours[at], s=11, marker=marker, linewidth=0.8, edgecolor=colour,
                facecolor="white" if stand_in else colour, zorder=2,
            )  # fmt: skip
    panel.set(xlim=ends, ylim=ends)
    panel.locator_params(nbins=4)
    panel.set_aspect("equal")
    panel.grid(**GRID)
    panel.set_axisbelow(True)
    agree, checked = int((rows["verdict"] == AGREES).sum()), len(rows)
    panel.set_title(f"{name}\n{agree} of {checked} agree", loc="left", pad=3)
    _name_farthest(panel, rows.assign(at=theirs, up=ours), ends)


def _name_farthest(panel: Axes, rows: pd.DataFrame, ends: np.ndarray) -> None:
    """Write the names of the proxies that are farthest away, each once, where no other name is at that height."""
    far = rows[rows["verdict"] == DIFFERS].sort_values("away", key=lambda away: -away.abs())
    far = far.drop_duplicates("method").head(NAMED)
    placed: list[float] = []
    for row in far.itertuples():
        if any(abs(row.up - other) < 0.09 * (ends[1] - ends[0]) for other in placed):
            continue
        placed.append(row.up)
        right = row.at > ends.mean()
        panel.annotate(
            row.method, (row.at, row.up), xytext=(-5 if right else 5, 0), textcoords="offset points",
            ha="right" if right else "left", va="center", fontsize=6.5, color="#222222", zorder=3,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4},
        )  # fmt: skip
