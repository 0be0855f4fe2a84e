"""The look of all figures, and how they are written: PNG and SVG in a folder `figures`.

Same drawing, same SVG bytes: ids come from a fixed salt and no date is written.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.files.write import write_atomically

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
Panel = Axes
"""One panel of a figure: the type for packages that do not import matplotlib."""


@contextmanager
def drawing(width: float, height: float) -> Iterator[Figure]:
    """Give a figure of width x height inches in this look; the caller's settings and pyplot stay as they are."""
    settings: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(settings | LOOK):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, out: Path, name: str) -> dict[str, Path]:
    """Write one figure as out/figures/name.png (300 dpi) and .svg; call inside the drawing context."""
    written = {}
    for kind in ("svg", "png"):  # the first drawing of a figure lays it out
        path = Path(out) / "figures" / f"{name}.{kind}"
        written[f"figures/{name}.{kind}"] = write_atomically(path, partial(_print, figure, kind))
    return written


def svg_of(figure: Figure) -> bytes:
    """Return a figure as the content of its SVG file; call inside the drawing context."""
    file = BytesIO()
    _print(figure, "svg", file)
    return file.getvalue()


def _print(figure: Figure, kind: str, file: Any) -> None:
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}[kind]
    fitted: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.03, "facecolor": "white"}
    figure.savefig(file, format=kind, metadata=metadata, dpi=300, **fitted)


def short(name: str, most: int = 26) -> str:
    """A name that fits a label: control characters out, long ones cut in the middle."""
    name = "".join(letter if letter.isprintable() else "?" for letter in name)
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"
