"""The figures of operation scores, of a search's decisions, and of a supernet's training: heat maps of edges."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.spaces.space import short
from harness.operations.compare import Comparison
from harness.report.figures import GRID, Figure, Panel, drawing, save
from harness.report.style import COLOURS, number

COLUMNS = 4
"""Panels in a row."""


def write_figures(found: Comparison, out: Path) -> dict[str, Path]:
    """Write figures/operations.{png,svg}, agreement and, where scores were followed, along, under `out`."""
    names = list(found.agreement.columns)
    deep = -(-len(names) // COLUMNS)
    with drawing(7.2, 0.4 + deep * (0.55 + 0.17 * len(found.manifest["edges"]))) as figure:
        draw_operations(figure, found)
        written = save(figure, out, "operations")
    with drawing(2.2 + 0.36 * len(names), 1.5 + 0.3 * len(names)) as figure:
        draw_agreement(figure, found)
        written |= save(figure, out, "agreement")
    if not found.along.empty:
        with drawing(5.2, 2.9) as figure:
            draw_along(figure, found.along)
            written |= save(figure, out, "along")
    return written


def draw_operations(figure: Figure, found: Comparison) -> None:
    """One panel a score: the rank of each operation on its edge, dark is best, mean over seeds."""
    names, edges, operations = list(found.agreement), found.manifest["edges"], found.manifest["operations"]
    panels = figure.subplots(-(-len(names) // COLUMNS), COLUMNS, squeeze=False)
    table = found.scores.assign(value=found.scores["value"].where(np.isfinite(found.scores["value"])))
    ranks = table.groupby(["score", "seed", "edge"], sort=False)["value"].rank(ascending=False)
    mean = table.assign(rank=ranks).groupby(["score", "edge", "operation"], sort=False)["rank"].mean()
    for place, panel in enumerate(panels.flat):
        if place >= len(names):
            panel.set_axis_off()
            continue
        square = mean[names[place]].unstack(sort=False).loc[edges, operations].to_numpy(dtype=float)
        panel.imshow(np.ma.masked_invalid(square), cmap="Blues_r", vmin=1, vmax=len(operations), aspect="auto")
        _numbers(panel, square, lambda value: value < (1 + len(operations)) / 2, 1)
        panel.set_title(names[place], loc="left", pad=3)
        last = place + COLUMNS >= len(names)
        panel.set_xticks(range(len(operations)), list(map(short, operations)) if last else [], rotation=90)
        panel.set_yticks(range(len(edges)), edges if place % COLUMNS == 0 else [])
        panel.tick_params(length=0, pad=2)
        panel.spines[:].set_visible(False)
    figure.supxlabel("rank of the operation on its edge, 1 is best; mean over seeds", fontsize=7.5)


def draw_agreement(figure: Figure, found: Comparison) -> None:
    """Mean rho over edges and seeds between every two scores."""
    panel, square = figure.subplots(), found.agreement.to_numpy(dtype=float)
    image = panel.imshow(np.ma.masked_invalid(square), cmap="RdBu_r", vmin=-1, vmax=1)
    _numbers(panel, square, lambda value: abs(value) > 0.65, 2)
    names = list(found.agreement.columns)
    panel.set_xticks(range(len(names)), names, rotation=90)
    panel.set_yticks(range(len(names)), names)
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=panel, shrink=0.6, aspect=25, pad=0.02)
    bar.set_label("Spearman ρ over operations, mean over edges")
    bar.outline.set_visible(False)


def draw_along(figure: Figure, along: pd.DataFrame) -> None:
    """Mean rho with best-acc over the remaining edges at each step; bands are a standard deviation over seeds."""
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for panel, column, title in zip(panels, ("rho", "rho_conditional"), ("all", "still reachable"), strict=True):
        for name, rows in along.groupby("score", sort=False):
            steps = rows.groupby("step")[column].agg(["mean", "std"])
            (line,) = panel.plot(steps.index, steps["mean"], marker="o", markersize=3, label=str(name))
            low, high = (steps["mean"] + sign * steps["std"] for sign in (-1, 1))
            panel.fill_between(steps.index, low, high, color=line.get_color(), alpha=0.15, linewidth=0)
        panel.axhline(0, color="0.6", linewidth=0.6)
        panel.set(xlabel="edges discretised", ylim=(-1.05, 1.05), title=f"best-acc over {title} cells")
        panel.set_xticks(range(along["step"].max() + 1))
    panels[0].set_ylabel("Spearman ρ, remaining edges")
    panels[1].legend(frameon=False, fontsize=7)


def write_strip(decisions: pd.DataFrame, manifest: dict, out: Path) -> dict[str, Path]:
    """Write figures/decisions.{png,svg}: the first proposal of the first seed, a panel for each step."""
    first = decisions[(decisions["seed"] == decisions["seed"].min()) & (decisions["proposal"] == 0)]
    first = first[first["edge"].isin(manifest["edges"])]
    steps, edges, operations = sorted(set(first["step"])), manifest["edges"], manifest["operations"]
    done = np.zeros((len(edges), len(operations)))
    with drawing(0.6 + 1.15 * len(steps), 0.9 + 0.2 * len(edges)) as figure:
        panels = figure.subplots(1, len(steps), squeeze=False)[0]
        for panel, step in zip(panels, steps, strict=True):
            rows = first[first["step"] == step]
            square = rows.pivot(index="edge", columns="operation", values="score").reindex(edges, columns=operations)
            ranks = square.rank(axis=1, ascending=False).to_numpy(dtype=float)
            panel.imshow(np.where(done > 0, 1, np.nan), cmap="Greys", vmin=0, vmax=1, aspect="auto")
            panel.imshow(np.ma.masked_invalid(ranks), cmap="Blues_r", vmin=1, vmax=len(operations), aspect="auto")
            for edge, operation in rows.loc[rows["decided"], ["edge", "operation"]].to_numpy():
                at = edges.index(edge), operations.index(operation)
                panel.plot(at[1], at[0], "o", color="white", markersize=4)
                done[at[0]], done[at] = -1, 1
            panel.set(xlim=(-0.5, len(operations) - 0.5), ylim=(len(edges) - 0.5, -0.5))
            panel.set_title(f"step {step + 1}", loc="left", pad=3)
            panel.set_xticks(range(len(operations)), list(map(short, operations)), rotation=90)
            panel.set_yticks(range(len(edges)), edges if step == steps[0] else [])
            panel.tick_params(length=0, pad=2)
        figure.supxlabel("blue: scored, darker is better; dot: decided; black: discretised before", fontsize=7.5)
        return save(figure, out, "decisions")


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
    mixed, cell = panels[:2]
    mixed.plot(epochs, history["train_accuracy"], color=COLOURS[0], label="training half")
    mixed.plot(epochs, history["valid_accuracy"], color=COLOURS[1], label="held out")
    mixed.set_ylabel("supernet, %")
    mixed.legend(frameon=False, ncols=2, loc="lower right")
    cell.plot(epochs, history["accuracy"], color="black", marker=".")
    cell.set_ylabel("cell of the dots\nbelow, table, %")
    if not history["accuracy"].notna().any():
        cell.text(0.5, 0.5, "no accuracy in the table", transform=cell.transAxes, ha="center", fontsize=7)
    if history["skip_weight"].notna().any():
        right = cell.twinx()
        right.plot(epochs, 100 * history["skip_weight"], color=COLOURS[2], linestyle="--")
        right.plot(epochs, 100 * history["skip_edges"] / len(edges), color=COLOURS[2], linestyle=":")
        right.set(ylim=(-3, 103))
        right.set_ylabel("skip: weight (dashes),\nedges it leads (dots), %", color=COLOURS[2], fontsize=7)
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


def _numbers(panel: Panel, square: np.ndarray, dark, digits: int) -> None:
    for (row, column), value in np.ndenumerate(square):
        text = number(value, digits).replace("0.", ".", 1) if digits == 2 else number(value, digits)
        colour = "white" if np.isfinite(value) and dark(value) else "black"
        panel.text(column, row, text.removesuffix(".0"), ha="center", va="center", fontsize=5.8, color=colour)
