"""The drawings of the page that need no script: bars, regret curves, heat map; SVG and HTML that follow the theme.

Whatever came from outside goes through `escape`.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from harness.report import style
from harness.report.axes import nice_ticks
from harness.report.figures import clustered, lines_shown
from harness.report.numbers import DASH, interval, number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary

NAME_WIDTH = 170
ROW = 20


def bars(summary: Summary, population: str) -> str:
    """Return an SVG of rho and tau-b per proxy, sorted by rho, with intervals and rho on the other populations."""
    names, look, rows = style.ordered(summary, population), style.looks(summary), style.rows(summary, population)
    others = {other: style.rows(summary, other) for other in style.populations(summary) if other != population}
    values = [rows[name][f"{s}{end}"] for name in names for s in ("rho", "tau_b") for end in ("", "_low", "_high")]
    values += [there[name]["rho"] for there in others.values() for name in names if name in there]
    known = [value for value in values if math.isfinite(value)] + [0.0]
    low, high = min(known), max(max(known), 0.1)
    height, width = ROW * len(names) + 40, 900
    parts = [
        f'<div class="scroll"><svg class="chart" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Rank correlation per proxy">'
    ]
    for place, name in enumerate(names):
        middle, label_of = ROW * place + 24, escape(shorten(style.label(summary, name)))
        parts.append(
            f'<text x="{NAME_WIDTH - 8}" y="{middle + 4}" text-anchor="end">{label_of}'
            f"<title>{escape(name)}</title></text>"
        )
    for panel, (statistic, label) in enumerate((("rho", "Spearman ρ"), ("tau_b", "Kendall τ-b"))):
        left = NAME_WIDTH + panel * 365
        span = 345

        def across(value: float, left: int = left, span: int = span) -> float:
            return round(left + span * (value - low) / (high - low), 2)

        parts.append(f'<text x="{left + span / 2}" y="10" text-anchor="middle" class="strong">{label}</text>')
        for tick in nice_ticks(low, high, 8):
            x = across(tick)
            parts.append(
                f'<line class="{"axis" if tick == 0 else "grid"}" x1="{x}" x2="{x}" y1="14" y2="{height - 18}"/>'
                f'<text x="{x}" y="{height - 4}" text-anchor="middle">{tick:g}</text>'
            )
        for place, name in enumerate(names):
            middle, row = ROW * place + 24, rows[name]
            parts.append(_bar(row, statistic, across, middle, look[name].slot, name))
            if statistic == "rho":
                for order, there in enumerate(others.values()):
                    if name in there and math.isfinite(there[name]["rho"]):
                        parts.append(_mark(across(there[name]["rho"]), middle, order))
    keys = "".join(
        f' <span class="key">{"◇○"[order % 2]} ρ on {escape(other)}</span>' for order, other in enumerate(others)
    )
    return "".join([*parts, "</svg></div>"]) + f'<p class="keys">Bars: {escape(population)}.{keys}</p>'


def _bar(row: dict, statistic: str, across, middle: int, slot: str, name: str) -> str:
    value, low, high = (row[f"{statistic}{end}"] for end in ("", "_low", "_high"))
    if not math.isfinite(value):
        return f'<text x="{across(0) + 4}" y="{middle + 4}" class="faint">undefined</text>'
    start, stop = sorted((across(0), across(value)))
    said = f"{name}: {number(value)} {interval(low, high, 3)}"
    bar = f'<rect class="fill {slot}" x="{start}" y="{middle - 6}" width="{stop - start:.2f}" height="12"/>'
    if interval(low, high):
        bar += f'<line class="whisker" x1="{across(low)}" x2="{across(high)}" y1="{middle}" y2="{middle}"/>'
    return f"<g><title>{escape(said)}</title>{bar}</g>"


def _mark(x: float, y: int, order: int) -> str:
    if order % 2:
        return f'<circle class="mark" cx="{x}" cy="{y}" r="3"/>'
    return f'<path class="mark" d="M{x - 4:.2f} {y}l4 -4l4 4l-4 4z"/>'


def regret(summary: Summary, population: str) -> str:
    """Return an SVG of regret against k with random picks, and a legend of buttons that bring one line forward."""
    curves = summary.regret[summary.regret["population"] == population]
    look, names = style.looks(summary), style.ordered(summary, population)
    if curves.empty:
        return '<p class="faint">No curve: no architecture was scored.</p>'
    most, top = max(int(curves["k"].max()), 2), max(float(curves["regret"].max()), 1.0)

    def across(k: float) -> float:
        return round(50 + 630 * math.log10(k) / math.log10(most), 2)

    def up(points: float) -> float:
        squeezed = points if points <= 1 else 1 + 1.5 * math.log10(points)
        return round(340 - 320 * squeezed / (1 + 1.5 * math.log10(top)), 2)

    parts = [
        '<div class="scroll"><svg class="chart" viewBox="0 0 700 390" role="img" '
        'aria-label="Regret against the number of picks">'
    ]
    for tick in (0, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if tick <= top:
            parts.append(
                f'<line class="grid" x1="50" x2="690" y1="{up(tick)}" y2="{up(tick)}"/>'
                f'<text x="44" y="{up(tick) + 4}" text-anchor="end">{tick:g}</text>'
            )
    for power in range(int(math.log10(most)) + 1):
        parts.append(
            f'<line class="grid" x1="{across(10**power)}" x2="{across(10**power)}" y1="20" y2="340"/>'
            f'<text x="{across(10**power)}" y="358" text-anchor="middle">{10**power:,}</text>'
        )
    parts.append(
        '<text x="370" y="382" text-anchor="middle">k, architectures picked by the score</text>'
        '<text transform="translate(12 180) rotate(-90)" text-anchor="middle">regret, points of accuracy</text>'
    )
    keys, rest = [], lines_shown(names)[1]
    for place, name in enumerate([*names, style.RANDOM_PICKS]):
        curve = curves[curves["proxy"] == name].sort_values("k")
        slot, dashes = (look[name].slot, look[name].dashes) if name in look else ("picks", (2, 3))
        points = [
            (across(k), up(value), k, value)
            for k, value in zip(curve["k"], curve["regret"], strict=True)
            if math.isfinite(value)
        ]
        path = " ".join(f"{x},{y}" for x, y, _, _ in points)
        dash = f' stroke-dasharray="{" ".join(map(str, dashes))}"' if dashes else ""
        dots = "".join(
            f'<circle class="fill {slot}" cx="{x}" cy="{y}" r="3"><title>{escape(name)}: {value:.2f} points'
            f" at k = {k:,}</title></circle>"
            for x, y, k, value in points
        )
        kind = "curve rest" if name in rest else "curve"
        parts.append(
            f'<g class="{kind}" data-line="{place}"><polyline class="line {slot}" points="{path}"{dash}/>{dots}</g>'
        )
        keys.append(
            f'<button type="button" class="linekey" data-line="{place}" aria-pressed="false"><svg width="28" '
            f'height="10" aria-hidden="true"><line class="line {slot}" x1="0" x2="28" y1="5" y2="5"{dash}/></svg> '
            f"{escape(name)}</button>"
        )
    return f'<div class="regret">{"".join(parts)}</svg></div><div class="linekeys">{"".join(keys)}</div></div>'


def agreement(summary: Summary, population: str) -> str:
    """Return a table whose cells are coloured by Spearman's rho between two proxies; alike ones stand together."""
    square = clustered(summary.agreement[population])
    heads = "".join(f'<th scope="col"><span>{escape(shorten(str(name)))}</span></th>' for name in square.columns)
    lines = []
    for name, line in zip(square.index, square.to_numpy(dtype=float), strict=True):
        cells = "".join(
            heat_cell(str(name), str(other), value) for other, value in zip(square.columns, line, strict=True)
        )
        lines.append(f'<tr><th scope="row">{escape(shorten(str(name)))}</th>{cells}</tr>')
    body = f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table class="heat">{body}</table></div>'


def heat_cell(name: str, other: str, value: float) -> str:
    if not math.isfinite(value):
        return f'<td title="{escape(name)} with {escape(other)}: undefined">{DASH}</td>'
    kind = ("neg" if value < 0 else "pos") + (" high" if abs(value) > 0.6 else "")
    text = number(value, 2).replace("0.", ".", 1)
    said = f"{escape(name)} with {escape(other)}: {number(value)}"
    return f'<td class="{kind}" style="--v:{abs(value) * 100:.0f}%" title="{said}">{text}</td>'


def shorten(name: str, most: int = 26) -> str:
    """Cut a long name in the middle."""
    return name if len(name) <= most else f"{name[: most - 9]}…{name[-8:]}"
