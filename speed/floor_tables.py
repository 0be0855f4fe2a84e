"""The tables and the figure of `speed.floor`, from the numbers that it wrote."""

from pathlib import Path
from typing import Any

from harness.report.figures import COLUMN, drawing, grid, write
from harness.report.style import COLOURS
from speed.counts import PASSES
from speed.environment import described


def tables(result: dict[str, Any]) -> str:
    """Return everything that was measured as text."""
    return "\n".join([*_ceilings(result), *_floors(result["floors"]), *_kinds(result["floors"])])


def _ceilings(result: dict[str, Any]) -> list[str]:
    found = result["ceilings"]
    copies = "  ".join(f"{_bytes(int(size))} {rate / 1e9:.1f}" for size, rate in found["copies"].items())
    return [
        "", described(result["machine"]),
        f"ceilings, float32: matrix product {found['matmul'] / 1e9:.0f} GFLOP/s, convolution"
        f" {found['convolution'] / 1e9:.0f} GFLOP/s, triad {found['triad'] / 1e9:.1f} GB/s",
        f"copies, GB/s by bytes moved: {copies}",
    ]  # fmt: skip


def _bytes(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"


def _floors(rows: list[dict[str, Any]]) -> list[str]:
    lines = ["", "per architecture, mean over architectures"]
    lines.append(
        f"{'space':<10}{'K':>4}{'archs':>6}{'batch':>6} {'pass':<15}{'GFLOP':>9}{'GB':>8}"
        f"{'floor ms':>10}{'ours ms':>10}{'over floor':>11}{'peak GiB':>10}"
    )
    for row in rows:
        peak = f"{row['peak_bytes'] / 2**30:10.2f}" if row["peak_bytes"] else f"{'':>10}"
        lines.append(
            f"{row['bench']:<10}{row['stack']:>4}{row['archs']:>6}{row['batch_size']:>6} {row['pass']:<15}"
            f"{row['flops'] / 1e9:9.2f}{row['bytes'] / 1e9:8.3f}{1e3 * row['floor']:10.2f}{1e3 * row['seconds']:10.2f}"
            f"{row['over_floor']:11.2f}{peak}"
        )
    return lines


def _kinds(rows: list[dict[str, Any]]) -> list[str]:
    """Where the time goes, of the first stack: the floor by kind of layer, ours by kind of PyTorch's operation."""
    lines = [
        "",
        "where it goes, ms of the first stack: the floor by kind of layer; ours by PyTorch's operations, profiled",
    ]
    for row in rows:
        floor = ", ".join(f"{kind} {1e3 * s:.1f}" for kind, s in row["floor_by_kind"].items() if s)
        ours = sorted(row["ours_by_kind"].items(), key=lambda each: -each[1])
        lines.append(f"{row['bench']} K={row['stack']} {row['pass']}: floor {floor}")
        lines.append(f"{'':8}ours {', '.join(f'{kind} {1e3 * s:.1f}' for kind, s in ours if s > 1e-5)}")
    return lines


def draw(result: dict[str, Any], stem: Path) -> Path:
    """Draw time over floor, a row for each space, stack and pass, as stem.png, .svg and .pdf; return the first."""
    rows = result["floors"]
    groups = list(dict.fromkeys((row["bench"], row["stack"]) for row in rows))
    several = len({stack for _, stack in groups}) > 1
    with drawing(COLUMN, 0.6 + 0.15 * (len(rows) + len(groups))) as figure:
        panel = figure.add_subplot()
        names: list[str] = []
        for bench, stack in groups:
            names.append(f"{bench}, K = {stack}" if several else bench)
            for row in (row for row in rows if (row["bench"], row["stack"]) == (bench, stack)):
                panel.plot(row["over_floor"], len(names), "o", color=COLOURS[0], markersize=3.6)
                panel.annotate(f"{1e3 * row['seconds']:.0f} ms", (row["over_floor"], len(names)), (5, 0),
                               textcoords="offset points", va="center", fontsize=7)  # fmt: skip
                names.append(row["pass"])
        panel.axvline(1, color="black", linewidth=0.8)
        panel.set_yticks(range(len(names)), names)
        for name, label in zip(names, panel.get_yticklabels(), strict=True):
            label.set_fontweight("normal" if name in PASSES else "bold")
        panel.set_ylim(len(names) - 0.4, -0.6)
        panel.set_xlim(0, 1.25 * max(row["over_floor"] for row in rows))
        panel.tick_params(axis="y", length=0)
        grid(panel, "x")
        panel.set_xlabel("time over floor\n(beside it the time of one architecture)")
        return write(figure, stem)[1]
