"""The figures of operation scores, of a search's decisions, and of a supernet's training: heat maps of edges."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.spaces.space import short
from harness.report.figures import (
    COLUMN,
    PAGE,
    Figure,
    Panel,
    correlations_map,
    drawing,
    grid,
    save,
    square_map,
)
from harness.report.style import COLOURS, DASHES, number

ROW = 0.145
"""Inches of a row of a heat map with a number of 7 points in each cell."""
TALL = 8.0
"""Inches above which a figure of one column becomes one of two."""
STEPS = 12
"""Steps of a search that are drawn, at most; of more, as many at equal distances."""
ACCURACIES = (10, 50, 70, 80, 85, 90, 92, 94, 96, 98, 99)
"""Ticks of a scale of the logarithm of the error, percent."""
CLEAR = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.5}
"""Behind words that lie on lines."""
SHADES = {"cmap": "Blues", "aspect": "auto"}


def redraw(folder: Path, manifest: dict) -> dict[str, Path]:
    """Draw the figures of a stored comparison of operation scores, or of a search over a supernet, again."""
    written: dict[str, Path] = {}
    if (folder / "decisions.csv").exists():
        written = write_strip(pd.read_csv(folder / "decisions.csv"), manifest, folder)
    elif manifest["kind"] == "operations":
        along = folder / "along.csv"
        frames = pd.read_csv(folder / "scores.csv"), pd.read_csv(folder / "agreement.csv", index_col=0)
        written = write_figures(*frames, pd.read_csv(along) if along.exists() else pd.DataFrame(), manifest, folder)
        if (epochs := folder / "epochs.csv").exists():
            written |= write_epochs(pd.read_csv(epochs), manifest, folder)
    histories = {int(path.stem.removeprefix("seed")): pd.read_csv(path) for path in folder.glob("supernets/seed*.csv")}
    return written | write_training(histories, manifest, folder)


def write_figures(
    scores: pd.DataFrame, agreement: pd.DataFrame, along: pd.DataFrame, manifest: Mapping, out: Path
) -> dict[str, Path]:
    """Write figures/operations.*, agreement.* and, where scores were followed, along.* of a comparison under `out`."""
    edges, operations, names = manifest["edges"], manifest["operations"], list(agreement)
    width, columns = fitting(lambda columns: (-(-len(names) // columns)) * (0.4 + ROW * len(edges)))
    deep = -(-len(names) // columns)
    with drawing(width, 0.65 + deep * (0.24 + ROW * len(edges))) as figure:
        draw_operations(figure, mean_ranks(scores), names, edges, operations, columns)
        written = save(figure, out, "operations")
    side = max(COLUMN, 1.0 + 0.24 * len(names))
    with drawing(side, side) as figure:
        panel = figure.subplots()
        correlations_map(panel, agreement)
        panel.set_title("Spearman's ρ over operations, mean over edges", loc="right")
        written |= save(figure, out, "agreement")
    if not along.empty:
        with drawing(COLUMN, 2.6) as figure:
            draw_along(figure, along)
            written |= save(figure, out, "along")
    return written


def fitting(height: Callable[[int], float]) -> tuple[float, int]:
    """Return the width of a figure and its panels in a row: one column of print, two where that would be too tall."""
    return (COLUMN, 2) if height(2) <= TALL else (PAGE, 4)


def mean_ranks(scores: pd.DataFrame) -> "pd.Series[float]":
    """Return (score, edge, operation) -> rank of the operation on its edge, 1 is best, mean over seeds."""
    table = scores.assign(value=scores["value"].where(np.isfinite(scores["value"])))
    ranks = table.groupby(["score", "seed", "edge"], sort=False)["value"].rank(ascending=False)
    return table.assign(rank=ranks).groupby(["score", "edge", "operation"], sort=False)["rank"].mean()


def draw_operations(
    figure: Figure, ranks: "pd.Series[float]", names: Sequence[str], edges: Sequence[str], operations: Sequence[str],
    columns: int,
) -> None:  # fmt: skip
    """One panel a score: the rank of each operation on its edge, dark is best."""
    panels = figure.subplots(-(-len(names) // columns), columns, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place >= len(names):
            panel.set_axis_off()
            continue
        square = ranks[names[place]].unstack(sort=False).reindex(index=edges, columns=operations)
        rank_map(panel, square, len(operations))
        panel.set_title(names[place], loc="left", pad=3)
        _names(panel, edges if place % columns == 0 else [], operations if place // columns == len(panels) - 1 else [])
    figure.supxlabel("rank of the operation on its edge, 1 is best; mean over seeds", fontsize=7)


def rank_map(panel: Panel, ranks: pd.DataFrame, worst: int) -> None:
    """Draw ranks (edges, operations) with the rank in each cell, dark is best."""
    square_map(
        panel, ranks, text=lambda value: number(value, 1).removesuffix(".0"),
        dark=lambda value: value < (1 + worst) / 2, cmap="Blues_r", vmin=1, vmax=worst,
    )  # fmt: skip


def _names(panel: Panel, edges: Sequence[str], operations: Sequence[str]) -> None:
    panel.set_yticks(np.arange(len(edges)) + 0.5, edges)
    panel.set_xticks(np.arange(len(operations)) + 0.5, list(map(short, operations)), rotation=90)


def draw_along(figure: Figure, along: pd.DataFrame) -> None:
    """Mean rho with best-acc over the remaining edges at each step; bands are a standard deviation over seeds."""
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for panel, column, title in zip(panels, ("rho", "rho_conditional"), ("all", "reachable"), strict=True):
        for place, (name, rows) in enumerate(along.groupby("score", sort=False)):
            steps = rows.groupby("step")[column].agg(["mean", "std"])
            colour = COLOURS[place % len(COLOURS)]
            panel.plot(steps.index, steps["mean"], "osD^vP"[place % 6], color=colour, markersize=3, label=str(name),
                       linestyle="-", dashes=DASHES[place % len(DASHES)] or (None, None))  # fmt: skip
            low, high = (steps["mean"] + sign * steps["std"] for sign in (-1, 1))
            panel.fill_between(steps.index, low, high, color=colour, alpha=0.13, linewidth=0)
        panel.axhline(0, color="black", linewidth=0.6)
        panel.set(ylim=(-1.05, 1.05))
        panel.set_yticks([-1, -0.5, 0, 0.5, 1])
        panel.set_title(f"{title} cells", loc="left", pad=3)
        panel.set_xticks(range(along["step"].max() + 1))
        grid(panel)
    figure.supxlabel("edges discretised; band: standard deviation over seeds", fontsize=7)
    panels[0].set_ylabel("ρ with best-acc, remaining edges")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)


def write_epochs(found: pd.DataFrame, manifest: Mapping, out: Path) -> dict[str, Path]:
    """Write figures/epochs.*: what trained scores select along the training; nothing where there is nothing."""
    if found.empty:
        return {}
    with drawing(COLUMN, 3.9) as figure:
        panels = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
        for place, (name, rows) in enumerate(found.groupby("score", sort=False)):
            look = {"color": COLOURS[place % len(COLOURS)], "marker": "osD^vPX"[place % 7]}
            if len(rows) == found.groupby("score").size().max():  # magnitude, known after every epoch
                look = {"color": "black", "marker": "."}
            for panel, column in zip(panels, ("accuracy", "weightless_edges"), strict=True):
                panel.plot(rows["epoch"], rows[column], linestyle="", markersize=2.5, alpha=0.4, **look)
                mean = rows.groupby("epoch")[column].mean()
                panel.plot(mean.index, mean, label=str(name), markersize=4, markeredgewidth=0, **look)
        errors = (lambda a: -np.log(np.maximum(100 - a, 0.1)), lambda b: 100 - np.exp(-b))
        panels[0].set_yscale("function", functions=errors)
        low, high = found["accuracy"].min() - 1, found["accuracy"].max() + 1
        panels[0].set_yticks([each for each in ACCURACIES if low < each < high])
        for name, value in manifest["accuracies"].items():
            panels[0].axhline(value, color="#777777", linewidth=0.8, dashes=(3, 2))
            panels[0].annotate(f"{name}: {value:.2f}", (0.01, value), xycoords=("axes fraction", "data"), fontsize=7,
                               va="top", color="#555555", bbox=CLEAR)  # fmt: skip
        panels[0].set_title("accuracy of the selected cell, %; scale: log of the error", loc="left", pad=3)
        panels[1].set_title("its edges without weights: skip, pooling, none", loc="left", pad=3)
        for panel in panels:
            grid(panel)
        panels[1].set_xlabel("epochs of training; points: seeds, lines: means")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
        return save(figure, out, "epochs")


def write_strip(decisions: pd.DataFrame, manifest: Mapping, out: Path) -> dict[str, Path]:
    """Write figures/decisions.*: the first proposal of the first seed, a panel for each step."""
    first = decisions[(decisions["seed"] == decisions["seed"].min()) & (decisions["proposal"] == 0)]
    first = first[first["edge"].isin(manifest["edges"])]
    steps, edges, operations = sorted(set(first["step"])), manifest["edges"], manifest["operations"]
    shown = [steps[at] for at in np.unique(np.linspace(0, len(steps) - 1, STEPS).round().astype(int))]
    columns = min(3, len(shown))
    width, columns = (COLUMN, columns) if -(-len(shown) // columns) * (0.2 + ROW * len(edges)) <= TALL else (PAGE, 6)
    deep = -(-len(shown) // columns)
    with drawing(width, 0.75 + deep * (0.22 + 0.11 * len(edges))) as figure:
        panels = figure.subplots(deep, columns, squeeze=False)
        for panel in panels.flat[len(shown) :]:
            panel.set_axis_off()
        for place, (panel, step) in enumerate(zip(panels.flat, shown, strict=False)):
            _step(panel, first, step, edges, operations)
            panel.set_title(f"step {step + 1}", loc="left", pad=3)
            _names(panel, edges if place % columns == 0 else [], operations if place // columns == deep - 1 else [])
        figure.supxlabel(
            "blue: scored, darker is better; dot: decided;\nblack: discretised before; grey: not scored", fontsize=7
        )
        return save(figure, out, "decisions")


def _step(panel: Panel, decisions: pd.DataFrame, step: int, edges: Sequence[str], operations: Sequence[str]) -> None:
    """Draw what was scored at a step, what it decided, and what had been decided before."""
    rows = decisions[decisions["step"] == step]
    square = rows.pivot(index="edge", columns="operation", values="score").reindex(edges, columns=operations)
    ranks = square.rank(axis=1, ascending=False).to_numpy(dtype=float)
    extent = (0, len(operations), len(edges), 0)
    panel.imshow(
        np.ma.masked_invalid(ranks), cmap="Blues_r", vmin=1, vmax=len(operations), aspect="auto", extent=extent
    )
    decided = decisions[decisions["decided"] & (decisions["step"] <= step)]
    for row in decided.itertuples():
        across, down = operations.index(row.operation), edges.index(row.edge)
        if row.step == step:
            panel.plot(across + 0.5, down + 0.5, "o", color="white", markeredgecolor="black", markersize=3.5)
        else:
            panel.fill_between([across, across + 1], down, down + 1, color="black", linewidth=0)
    panel.set_facecolor("#e8e8e8")
    panel.spines[:].set_visible(False)
    panel.tick_params(length=0, pad=2)


def write_training(histories: Mapping[int, pd.DataFrame], manifest: Mapping, out: Path) -> dict[str, Path]:
    """Write figures/training-seed<S>.* for the history of each seed's supernet."""
    written: dict[str, Path] = {}
    for seed, history in sorted(histories.items()):
        written |= write_history(history, manifest["edges"], manifest["operations"], out, f"training-seed{seed}")
    return written


def write_history(
    history: pd.DataFrame, edges: Sequence[str], operations: Sequence[str], out: Path, name: str
) -> dict[str, Path]:
    """Write the figure of one supernet's training."""
    strip = 0.1 + 0.115 * len(operations)
    columns = 1 if 3 + strip * len(edges) <= TALL else 4
    deep = -(-len(edges) // columns)
    with drawing(COLUMN if columns == 1 else PAGE, 3 + strip * deep) as figure:
        places = figure.add_gridspec(3 + deep, columns, height_ratios=[0.6] * 3 + [strip] * deep)
        top = [figure.add_subplot(places[row, :]) for row in range(3)]
        draw_accuracies(top, history, len(edges))
        strips = [figure.add_subplot(places[3 + at // columns, at % columns]) for at in range(len(edges))]
        draw_weights(figure, strips, history, edges, operations, columns)
        return save(figure, out, name)


def draw_accuracies(panels: Sequence[Panel], history: pd.DataFrame, edges: int) -> None:
    """Draw the accuracies of the supernet, that of the cell of the largest parameters, and the share of skip
    connections."""
    mixed, cell, skip = panels
    epochs = history["epoch"].to_numpy()
    mixed.plot(epochs, history["train_accuracy"], color=COLOURS[0], label="training half")
    mixed.plot(epochs, history["valid_accuracy"], color=COLOURS[1], dashes=DASHES[1], label="held out")
    mixed.set_title("accuracy of the supernet, %", loc="left", pad=3)
    cell.plot(epochs, history["accuracy"], color="black", marker="o", markersize=2.5)
    known = history["accuracy"].notna().any()
    none = "" if known else ": none in the table"
    cell.set_title(f"accuracy of the selected cell, %{none}", loc="left", pad=3)
    skip.set_title("skip connections, %", loc="left", pad=3)
    if history["skip_weight"].notna().any():
        skip.plot(epochs, 100 * history["skip_weight"], color=COLOURS[2], label="mean weight")
        skip.plot(epochs, 100 * history["skip_edges"] / edges, color=COLOURS[3], dashes=DASHES[2],
                  label="edges where it leads")  # fmt: skip
        skip.set_ylim(-3, 103)
    for panel in panels:
        grid(panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False, ncols=2, loc="best", borderpad=0.1)
        panel.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        panel.locator_params(axis="x", integer=True)


def draw_weights(
    figure: Figure, panels: Sequence[Panel], history: pd.DataFrame, edges: Sequence[str], operations: Sequence[str],
    columns: int,
) -> None:  # fmt: skip
    """Draw a strip for each edge: dark is a large weight, a dot the largest of each epoch."""
    epochs = history["epoch"].to_numpy()
    weights = np.stack([history[[f"{edge} {name}" for name in operations]].to_numpy(dtype=float) for edge in edges])
    shades = SHADES | {"vmin": weights.min(), "vmax": weights.max()}
    extent = (epochs[0] - 0.5, epochs[-1] + 0.5, len(operations) - 0.5, -0.5)
    for place, (edge, square, panel) in enumerate(zip(edges, weights, panels, strict=True)):
        image = panel.imshow(square.T, **shades, extent=extent)
        panel.plot(epochs, square.argmax(1), "o", color="white", markeredgecolor="black", markeredgewidth=0.6,
                   markersize=2.5)  # fmt: skip
        names = list(map(short, operations)) if place % columns == 0 else []
        panel.set_yticks(range(len(names)), names)
        panel.tick_params(length=0)
        panel.set_title(edge, loc="left", pad=2) if columns > 1 else panel.set_ylabel(edge)
        panel.locator_params(axis="x", integer=True)
        if place + columns < len(edges):
            panel.set_xticklabels([])
    bar = figure.colorbar(image, ax=list(panels), location="bottom", shrink=0.7, aspect=40, pad=0.02)
    bar.set_label("epoch; shade: softmax of the architecture parameter", fontsize=7)
    bar.outline.set_visible(False)
