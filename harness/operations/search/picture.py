"""Pictures of the cells that a search found: nodes from left to right, an arc for each operation."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.benchmark import space_of
from benchmarks.spaces.space import Choices
from harness.operations.search.compared import FOUND
from harness.report.figures import COLUMN, Panel, drawing, save
from harness.report.style import COLOURS

Arc = tuple[int, int, str]
"""(source, target, operation)."""
MANY = 16
"""Nodes above which every second has its number."""
EDGE = re.compile(r"(?:(\w+) )?(\d+)<-(\d+)")
"""An edge of a cell, as `normal 2<-0`; others are the layers of a chain."""


def graphs(choices: Choices, place: int) -> dict[str, list[Arc]]:
    """Return the arcs of each cell of an architecture, by the name of the cell."""
    found: dict[str, list[Arc]] = {}
    for at, (edge, operation) in enumerate(zip(choices.edges, choices.chosen[place], strict=True)):
        cell, target, source = match.groups("") if (match := EDGE.fullmatch(edge)) else ("", at + 1, at)
        if operation >= 0:
            found.setdefault(cell, []).append((int(source), int(target), choices.operations[operation]))
    return found


def write_cells(cells: pd.DataFrame, manifest: Mapping[str, Any], out: Path) -> dict[str, Path]:
    """Write figures/cell-seed<S>.* for each cell found; nothing where there are none."""
    written: dict[str, Path] = {}
    for name, arch in _found(cells):
        choices = space_of(manifest["settings"]["base"]["bench"], [arch]).choices
        drawn = graphs(choices, 0)
        with drawing(COLUMN, 0.2 + 1.5 * len(drawn)) as figure:
            panels = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
            for panel, (cell, arcs) in zip(panels, drawn.items(), strict=True):
                draw_cell(panel, arcs, choices.operations)
                panel.set_title(f"{cell} cell" if cell else name, loc="left", pad=3)
            written |= save(figure, out, f"cell-{name.replace(' ', '')}")
    return written


def _found(cells: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield (name, architecture) of the cells found."""
    if not cells.empty:
        yield from cells.loc[cells["group"] == FOUND, ["name", "arch"]].itertuples(index=False, name=None)


def draw_cell(panel: Panel, arcs: Sequence[Arc], operations: Sequence[str]) -> None:
    """Draw the arcs, higher the further they reach, each with the name and the colour of its operation."""
    nodes = range(min(arc[0] for arc in arcs), 1 + max(arc[1] for arc in arcs))
    chain = all(target - source == 1 for source, target, _ in arcs)
    for source, target, operation in arcs:
        angle = np.linspace(np.pi, 0, 40)
        reach, middle = (target - source) / 2, (source + target) / 2
        colour = COLOURS[operations.index(operation) % len(COLOURS)]
        panel.plot(middle + reach * np.cos(angle), 2 * reach * np.sin(angle), color=colour, linewidth=1.2)
        words = operation.replace("_conv", "").replace("_connect", "").replace("_", " ")
        panel.text(middle, 2 * reach + 0.05, words, ha="center", va="bottom", fontsize=7, rotation=90 * chain)
    panel.plot(nodes, [0] * len(nodes), "o", color="black", markersize=3)
    panel.set_xticks(list(nodes)[:: 1 + (len(nodes) > MANY)])
    panel.set(yticks=[], ylim=(-0.3, 1.25 * max(target - source for source, target, _ in arcs) + 1.2 * chain))
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0)
