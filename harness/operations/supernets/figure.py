"""The figure of a supernet's training: does it degenerate? Architecture parameters of every edge over the epochs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.spaces.choices import short
from harness.report import style
from harness.report.figures import GRID, Figure, drawing, save


def write_training(histories: Mapping[int, pd.DataFrame], manifest: dict, out: Path) -> dict[str, Path]:
    """Write figures/training-seed<S>.{png,svg} for the history of each seed's supernet."""
    written: dict[str, Path] = {}
    for seed, history in histories.items():
        with drawing(6.0, 3.2 + 0.75 * len(manifest["edges"])) as figure:
            draw_training(figure, history, manifest["edges"], manifest["operations"])
            written |= save(figure, out, f"training-seed{seed}")
    return written


def draw_training(figure: Figure, history: pd.DataFrame, edges: list[str], operations: list[str]) -> None:
    """Draw the accuracies of the supernet; the accuracy of the cell of the largest parameters, with the share of skip
    connections; then a strip for each edge: dark is a large weight, a dot the largest of each epoch."""
    heights = [1.6, 1.6, *[1.0] * len(edges)]
    panels = figure.subplots(2 + len(edges), 1, sharex=True, height_ratios=heights)
    epochs = history["epoch"].to_numpy()
    colours = style.COLOURS
    mixed, cell = panels[:2]
    mixed.plot(epochs, history["train_accuracy"], color=colours[0], label="training half")
    mixed.plot(epochs, history["valid_accuracy"], color=colours[1], label="held out")
    mixed.set_ylabel("supernet, %")
    mixed.legend(frameon=False, ncols=2, loc="lower right")
    cell.plot(epochs, history["accuracy"], color="black", marker=".")
    cell.set_ylabel("cell of the dots\nbelow, table, %")
    if not history["accuracy"].notna().any():
        cell.text(0.5, 0.5, "no accuracy in the table", transform=cell.transAxes, ha="center", fontsize=7)
    if history["skip_weight"].notna().any():
        right = cell.twinx()
        right.plot(epochs, 100 * history["skip_weight"], color=colours[2], linestyle="--")
        right.plot(epochs, 100 * history["skip_edges"] / len(edges), color=colours[2], linestyle=":")
        right.set(ylim=(-3, 103))
        right.set_ylabel("skip: weight (dashes),\nedges it leads (dots), %", color=colours[2], fontsize=7)
    for panel in (mixed, cell):
        panel.grid(**GRID)
        panel.set_axisbelow(True)
    weights = np.stack([history[[f"{edge} {name}" for name in operations]].to_numpy(dtype=float) for edge in edges])
    shades = {"cmap": "Blues", "vmin": weights.min(), "vmax": weights.max(), "aspect": "auto"}
    for edge, square, panel in zip(edges, weights, panels[2:], strict=True):
        extent = (epochs[0] - 0.5, epochs[-1] + 0.5, len(operations) - 0.5, -0.5)
        image = panel.imshow(square.T, **shades, extent=extent)
        panel.plot(epochs, square.argmax(1), "o", color="white", markeredgecolor="black", markersize=3)
        panel.set_yticks(range(len(operations)), list(map(short, operations)), fontsize=5.5)
        panel.tick_params(length=0)
        panel.set_ylabel(edge)
    bar = figure.colorbar(image, ax=list(panels[2:]), shrink=0.6, aspect=30, pad=0.02)
    bar.set_label("softmax of the architecture parameter")
    bar.outline.set_visible(False)
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    panels[-1].set_xlabel("epoch")
