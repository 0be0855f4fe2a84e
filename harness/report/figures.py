"""The look of all figures, and how they are written: PNG, SVG and PDF in a folder `figures`.

Sizes are those of print: a column is `COLUMN` inches wide, two are `PAGE`, no text is smaller than 7 points. Same
drawing, same bytes: ids come from a fixed salt and no date is written.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.files.write import write_atomically
from harness.report.style import brief

LOOK: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.grid": False,
    "text.parse_math": False,
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "text.usetex": False,
}
COLUMN, PAGE = 3.35, 7.0
"""Width of one column of a paper and of two, in inches."""
FORMATS = ("svg", "png", "pdf")
"""Kinds of files; the first drawing of a figure lays it out."""
GRID: dict[str, Any] = {"color": "#dddddd", "linewidth": 0.5}
DARK = 0.75
"""Size of a correlation from which a cell of a heat map is dark."""
Panel = Axes
"""One panel of a figure: the type for packages that do not import matplotlib."""


class Drawing(Figure):
    """A figure that a notebook shows, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png", dpi=120, facecolor="white")
        return file.getvalue()


@contextmanager
def look() -> Iterator[None]:
    """Draw in this look inside the block: seaborn's `ticks` style at the sizes of print."""
    settings: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(settings | seaborn.axes_style("ticks") | LOOK):
        yield


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of width x height inches in this look; the caller's settings and pyplot stay as they are."""
    with look():
        figure = Drawing(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, out: Path, name: str) -> dict[str, Path]:
    """Write one figure as out/figures/name.svg, .png (300 dpi) and .pdf; call inside the drawing context."""
    return {f"figures/{path.name}": path for path in write(figure, Path(out) / "figures" / name)}


def write(figure: Figure, stem: Path) -> list[Path]:
    """Write one figure as stem.svg, .png and .pdf; call inside the drawing context."""
    paths = [stem.with_name(f"{stem.name}.{kind}") for kind in FORMATS]
    return [write_atomically(path, partial(_print, figure, path.suffix[1:])) for path in paths]


def svg_of(figure: Figure) -> bytes:
    """Return a figure as the content of its SVG file; call inside the drawing context."""
    file = BytesIO()
    _print(figure, "svg", file)
    return file.getvalue()


def _print(figure: Figure, kind: str, file: Any) -> None:
    dates: dict[str, Any] = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Creator": None}}
    metadata = dates.get(kind, {"Software": None})
    figure.savefig(file, format=kind, metadata=metadata, dpi=300, facecolor="white")


def square_map(
    panel: Axes, values: pd.DataFrame, *, text: Callable[[float], str], dark: Callable[[float], bool], **look: Any
) -> None:
    """Draw a table as a heat map with a value in each cell; undefined ones stay empty. look: seaborn.heatmap's."""
    found = values.to_numpy(dtype=float)
    words = np.array([[text(value) for value in row] for row in found])
    seaborn.heatmap(
        values, ax=panel, annot=words, fmt="", annot_kws={"size": 7, "color": "black"}, cbar=False, xticklabels=True,
        yticklabels=True, **look,
    )  # fmt: skip
    for label, value in zip(panel.texts, found[np.isfinite(found)], strict=True):  # none for what is undefined
        label.set_color("white" if dark(value) else "black")
    panel.tick_params(length=0, pad=2)
    panel.set(xlabel="", ylabel="")
    panel.tick_params(axis="x", rotation=90)
    panel.tick_params(axis="y", rotation=0)


def correlations_map(panel: Axes, square: pd.DataFrame) -> None:
    """Draw Spearman's rho between every two scores."""
    names = [short(str(name)) for name in square.columns]
    square_map(
        panel, pd.DataFrame(square.to_numpy(dtype=float), names, names), text=brief,
        dark=lambda value: abs(value) > DARK, cmap="vlag", vmin=-1, vmax=1, square=True, linewidths=0.3,
    )  # fmt: skip


def footnote(figure: Figure, text: str) -> None:
    """Write small text under a figure, which grows by the lines after the first."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LINE * text.count("\n"))
    figure.supxlabel(text, fontsize=7)


LINE = 0.12
"""Inches of a line of the smallest text."""


def grid(panel: Axes, axis: Literal["both", "x", "y"] = "both") -> None:
    """Draw thin grid lines behind everything else."""
    panel.grid(axis=axis, **GRID)
    panel.set_axisbelow(True)


def short(name: str, most: int = 26) -> str:
    """A name that fits a label: control characters out, long ones cut in the middle."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"
