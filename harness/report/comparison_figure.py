"""The figure of several runs: rho per proxy, one mark per run."""

from pathlib import Path

import numpy as np
import pandas as pd

from harness.report.figures import GRID, drawing, save, short
from harness.report.style import COLOURS


def write_comparison_figure(table: pd.DataFrame, labels: list[str], out: Path) -> dict[str, Path]:
    """Write figures/comparison.{png,svg}: rho per proxy, one mark per run.

    `table` has proxy as index and for each run label the columns (label, "rho"), (label, "rho_low") and
    (label, "rho_high").
    """
    with drawing(5.4, 1.1 + 0.22 * max(len(table), 4)) as figure:
        panel = figure.subplots()
        places = np.arange(len(table))[::-1]
        for order, label in enumerate(labels):
            shift = 0.0 if len(labels) == 1 else 0.3 - 0.6 * order / (len(labels) - 1)
            colour = COLOURS[order % len(COLOURS)]
            panel.hlines(
                places + shift, table[(label, "rho_low")], table[(label, "rho_high")], color=colour, linewidth=0.9
            )
            panel.plot(
                table[(label, "rho")],
                places + shift,
                "osD^vP"[order % 6],
                markersize=3.5,
                color=colour,
                linestyle="none",
                label=short(label, 40),
            )
        for place in places[:-1]:
            panel.axhline(place - 0.5, color="#eeeeee", linewidth=0.5)
        panel.axvline(0, color="black", linewidth=0.6)
        panel.set_yticks(places, [short(str(name)) for name in table.index])
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="x", **GRID)
        panel.set_axisbelow(True)
        panel.set_xlabel("Spearman ρ")
        figure.legend(loc="outside upper right", ncols=2, frameon=False)
        return save(figure, out, "comparison")
