"""The figure of a reproduction: published value against ours, a panel for each table of correlations."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.report.figures import GRID, Panel, drawing, save
from harness.reproduce.compare import SUBSTITUTE
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, UNDECIDED

COLUMNS = 4
LOOKS = {UNDECIDED: ("#999999", "s"), AGREES: ("#0072B2", "o"), DIFFERS: ("#D55E00", "D")}
NAMED = 3
"""Proxies farthest away that a panel names, at most."""


def write_figure(rows: pd.DataFrame, out: Path) -> Path | None:
    """Write figures/reproduction.{png,svg} under `out` and return the SVG; None where no correlation was checked."""
    rows = rows[(rows["kind"] == "correlation") & (rows["verdict"] != ABSENT)]
    tables = list(rows.groupby("table", sort=False))
    if not tables:
        return None
    columns = min(COLUMNS, len(tables))
    deep = -(-len(tables) // columns)
    with drawing(2.05 * columns + 0.4, 2.1 * deep + 0.6) as figure:
        panels = list(figure.subplots(deep, columns, squeeze=False).flat)
        for panel, (name, own) in zip(panels, tables, strict=False):
            _panel(panel, own, str(name))
        for panel in panels[len(tables) :]:
            panel.set_axis_off()
        figure.supxlabel("published value", fontsize=8.5)
        figure.supylabel("our value, with 95 % interval", fontsize=8.5)
        looks = [{"color": colour, "marker": marker, "label": name} for name, (colour, marker) in LOOKS.items()]
        looks.append({"facecolor": "white", "edgecolor": "#555555", "label": "images of another dataset"})
        handles = [panels[0].scatter([], [], s=18, **look) for look in looks]
        figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
        return save(figure, out, "reproduction")["figures/reproduction.svg"]


def _panel(panel: Panel, rows: pd.DataFrame, name: str) -> None:
    """One table: published across, ours up, the diagonal where they are equal."""
    sign = np.where(np.isclose(rows["value"] - rows["published"], rows["away"]), 1.0, -1.0)
    ours, low, high = (rows[column].to_numpy(float) * sign for column in ("value", "low", "high"))
    low, high = np.fmin(low, high), np.fmax(low, high)
    low, high = np.where(np.isfinite(low), low, ours), np.where(np.isfinite(high), high, ours)
    published = rows["published"].to_numpy(float)
    ends = np.array([min(published.min(), low.min()), max(published.max(), high.max())])
    ends = ends + np.array([-0.05, 0.05]) * max(ends[1] - ends[0], 0.15)
    panel.plot(ends, ends, color="#999999", linewidth=0.7, zorder=0)
    substitute = rows["inputs"].str.endswith(SUBSTITUTE).to_numpy(bool)
    for verdict, (colour, marker) in LOOKS.items():
        for kind, face in ((~substitute, colour), (substitute, "white")):
            at = (rows["verdict"] == verdict).to_numpy(bool) & kind
            panel.vlines(published[at], low[at], high[at], color=colour, linewidth=0.7, alpha=0.45)
            panel.scatter(
                published[at], ours[at], s=11, marker=marker, linewidth=0.8, edgecolor=colour, facecolor=face, zorder=2
            )
    panel.set(xlim=ends, ylim=ends)
    panel.locator_params(nbins=4)
    panel.set_aspect("equal")
    panel.grid(**GRID)
    panel.set_axisbelow(True)
    agree, differ = (int((rows["verdict"] == each).sum()) for each in (AGREES, DIFFERS))
    panel.set_title(f"{name}\n{agree} agree, {differ} differ of {len(rows)}", loc="left", pad=3)
    _name_farthest(panel, rows.assign(at=published, up=ours), ends)


def _name_farthest(panel: Panel, rows: pd.DataFrame, ends: np.ndarray) -> None:
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
