"""The tables and the figure of `speed.precision`: a row for each proxy and mode."""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from harness.report.figures import PAGE, drawing, grid, write
from harness.report.style import COLOURS
from harness.stats import kendall_tau_b, spearman
from speed.environment import described

LABELS = {"bfloat16": "bfloat16", "tf32": "TF32"}


def rows(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each mode but float32 and each proxy: seconds, ratio, agreement with float32, tau-b against the truth
    on the architectures that have a finite score in both, failures. Where a mode changes nothing there is no ratio."""
    base, truth = result["measured"]["float32"], np.array(result["accuracy"])
    return [
        {"proxy": name, "mode": mode, **_row(base, result["measured"][mode], name, truth)}
        for mode in result["modes"] if mode != "float32" for name in base["scores"]
    ]  # fmt: skip


def _row(base: dict[str, Any], other: dict[str, Any], name: str, truth: np.ndarray) -> dict[str, Any]:
    exact, rounded = (np.array(side["scores"][name], dtype=float) for side in (base, other))
    both = np.isfinite(exact) & np.isfinite(rounded)
    before, after = (statistics.mean(side["seconds"][name]) for side in (base, other))
    x, y, accuracy = exact[both], rounded[both], truth[both]
    tau = [kendall_tau_b(scores, accuracy) if len(x) > 1 else math.nan for scores in (x, y)]
    same = bool(np.array_equal(exact, rounded, equal_nan=True))
    return {
        "same": same, "seconds_float32": before, "seconds": after,
        "ratio": math.nan if same or not after else before / after,
        "rho": spearman(x, y) if len(x) > 1 else math.nan, "tau_b": kendall_tau_b(x, y) if len(x) > 1 else math.nan,
        "tau_b_truth_float32": tau[0], "tau_b_truth": tau[1], "change": tau[1] - tau[0],
        "failures_float32": int((~np.isfinite(exact)).sum()), "failures": int((~np.isfinite(rounded)).sum()),
    }  # fmt: skip


def report(result: dict[str, Any]) -> str:
    """Return the table as text."""
    lines = [
        "",
        described(result["machine"]),
        "",
        f"{len(result['archs'])} architectures, batch {result['options']['batch_size']}",
    ]
    lines += [f"{mode} is left out: {reason}" for mode, reason in result["left_out"].items()]
    for mode in result["modes"]:
        if mode != "float32":
            lines += ["", *_table(result, mode)]
    return "\n".join(lines)


def _table(result: dict[str, Any], mode: str) -> list[str]:
    head = f"{'ms float32':>11}{f'ms {mode}':>12}{'ratio':>7}{'rho':>9}{'tau-b':>8}"
    lines = [f"{'proxy':<22}{head}{'truth float32':>15}{'truth ' + mode:>16}{'change':>8}  failures"]
    for row in (row for row in result["proxies"] if row["mode"] == mode):
        failed = f"{row['failures_float32']} -> {row['failures']}"
        lines.append(
            f"{row['proxy']:<22}{1e3 * row['seconds_float32']:11.1f}{1e3 * row['seconds']:12.1f}{row['ratio']:7.2f}"
            f"{row['rho']:9.4f}{row['tau_b']:8.4f}{row['tau_b_truth_float32']:15.3f}{row['tau_b_truth']:16.3f}"
            f"{row['change']:+8.3f}  {failed}{'  the same scores' if row['same'] else ''}"
        )
    before, after = (statistics.mean(result["measured"][each]["together"]) for each in ("float32", mode))
    lines.append(f"{'all together':<22}{1e3 * before:11.1f}{1e3 * after:12.1f}{before / after:7.2f}")
    return lines


def draw(result: dict[str, Any], stem: Path) -> Path | None:
    """Draw how much faster each mode is, its agreement with float32 and tau-b with the accuracy, as stem.png, .svg and
    .pdf; return the first, None where there is no other mode."""
    names = list(dict.fromkeys(row["proxy"] for row in result["proxies"]))
    modes = [mode for mode in result["modes"] if mode != "float32"]
    if not modes:
        return None
    places = np.arange(len(names))
    with drawing(PAGE, 0.9 + 0.15 * len(names)) as figure:
        panels = figure.subplots(1, 3, sharey=True)
        for number, mode in enumerate(modes):
            shown = {row["proxy"]: row for row in result["proxies"] if row["mode"] == mode}
            at = places + 0.25 * (number - (len(modes) - 1) / 2)
            for panel, key in zip(panels, TITLES, strict=True):
                values = [shown[name][key] for name in names]
                panel.plot(values, at, "oD"[number % 2], color=COLOURS[number], markersize=3.6, label=LABELS[mode])
        exact = {row["proxy"]: row["tau_b_truth_float32"] for row in result["proxies"]}
        panels[2].plot([exact[name] for name in names], places, "|", markersize=8, color="black", label="float32")
        for panel, title in zip(panels, TITLES.values(), strict=True):
            panel.set_title(title, loc="left")
            panel.tick_params(axis="y", length=0)
            grid(panel)
        panels[0].axvline(1, color="black", linewidth=0.8)
        panels[0].set_yticks(places, names)
        panels[0].invert_yaxis()
        figure.legend(*panels[2].get_legend_handles_labels(), loc="outside upper right", ncols=3, frameon=False)
        size = f"{len(result['archs'])} architectures, batch {result['options']['batch_size']}"
        figure.supxlabel(f"{result['options']['bench']}, {size}, {result['machine']['device']}", fontsize=7)
        return write(figure, stem)[1]


TITLES = {"ratio": "times as fast as float32", "tau_b": "τ-b with the scores in float32",
          "tau_b_truth": "τ-b with the accuracy"}  # fmt: skip
"""Value of a row -> title of its panel."""
