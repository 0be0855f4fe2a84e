"""The figure of a reproduction: published value against ours, a panel for each table of correlations."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.report.figures import COLUMN, PAGE, Panel, drawing, grid, save
from harness.reproduce.compare import SUBSTITUTE
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, UNDECIDED

COLUMNS = 4
LOOKS = {UNDECIDED: ("#999999", "s"), AGREES: ("#0072B2", "o"), DIFFERS: ("#D55E00", "D")}
NAMED = 3
"""Proxies farthest away that a panel names, at most."""


def redraw(folder: Path, manifest: dict) -> dict[str, Path]:
    """Draw the figure of a stored reproduction again."""
    written = write_figure(pd.read_csv(folder / "reproduction.csv", keep_default_na=True), folder)
    return {"figures/reproduction.png": written.with_suffix(".png")} if written else {}


def write_figure(rows: pd.DataFrame, out: Path) -> Path | None:
    """Write figures/reproduction.* under `out` and return the SVG; None where no correlation was checked."""
    rows = rows[(rows["kind"] == "correlation") & (rows["verdict"] != ABSENT)]
    tables = list(rows.groupby("table", sort=False))
    if not tables:
        return None
    columns = min(COLUMNS, len(tables))
    deep = -(-len(tables) // columns)
    with drawing(COLUMN if columns == 1 else PAGE, 1.8 * deep + 0.6) as figure:
        panels = list(figure.subplots(deep, columns, squeeze=False).flat)
        for panel, (name, own) in zip(panels, tables, strict=False):
            _panel(panel, own, str(name))
        for panel in panels[len(tables) :]:
            panel.set_axis_off()
        figure.supxlabel("published value", fontsize=8)
        figure.supylabel("our value, with 95 % interval", fontsize=8)
        looks = [{"color": colour, "marker": marker, "label": name} for name, (colour, marker) in LOOKS.items()]
        looks.append({"facecolor": "white", "edgecolor": "#555555", "label": "images of another dataset"})
        handles = [panels[0].scatter([], [], s=18, **look) for look in looks]
        figure.legend(handles=handles, loc="outside upper center", ncols=2 if columns == 1 else 4, frameon=False)
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
    substitute = rows["inputs"].fillna("").str.endswith(SUBSTITUTE).to_numpy(bool)
    for verdict, (colour, marker) in LOOKS.items():
        for kind, face in ((~substitute, colour), (substitute, "white")):
            at = (rows["verdict"] == verdict).to_numpy(bool) & kind
            panel.vlines(published[at], low[at], high[at], color=colour, linewidth=0.7, alpha=0.45)
            panel.scatter(
                published[at], ours[at], s=11, marker=marker, linewidth=0.8, edgecolor=colour, facecolor=face, zorder=2
            )
    panel.set(xlim=ends, ylim=ends)
    panel.locator_params(nbins=3)
    panel.set_aspect("equal")
    grid(panel)
    agree, differ = (int((rows["verdict"] == each).sum()) for each in (AGREES, DIFFERS))
    panel.set_title(f"{name}\n{agree} agree, {differ} differ of {len(rows)}", loc="left", pad=3, fontsize=7)
    _name_farthest(panel, rows.assign(at=published, up=ours), ends)


def _name_farthest(panel: Panel, rows: pd.DataFrame, ends: np.ndarray) -> None:
    """Write the names of the proxies that are farthest away, each once, where no other name is at that height."""
    far = rows[rows["verdict"] == DIFFERS].sort_values("away", key=lambda away: -away.abs())
    far = far.drop_duplicates("method").head(NAMED)
    span, placed = ends[1] - ends[0], list[float]()
    for row in far.itertuples():
        side = -1 if row.up > ends[0] + 0.85 * span else 1
        height = row.up + 0.1 * side * span
        if any(abs(height - other) < 0.09 * span for other in placed):
            continue
        placed.append(height)
        panel.annotate(
            row.method, (row.at, row.up), xytext=(0, 4 * side), textcoords="offset points",
            ha="right" if row.at > ends.mean() else "left", va="bottom" if side > 0 else "top", fontsize=7,
            color="#222222", zorder=1,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.4},
        )  # fmt: skip
