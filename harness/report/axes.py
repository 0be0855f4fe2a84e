"""Axes that stay readable whatever the range: positions in 0..1 with labelled ticks, for figures and the page.

Scores span 1e-3 to 1e60 and carry outliers, accuracies crowd at the top; a scale is chosen from the values and its
`note` says which one it is.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Scale:
    """A monotone map from values to positions 0..1."""

    kind: str
    """linear, log, symlog, rank, stretched or constant"""
    note: str
    """How to read the axis, in a few words; empty for linear."""
    ticks: tuple[tuple[float, str], ...]
    """(position, label), left to right"""
    positions: Callable[[ArrayLike], np.ndarray]
    """values of any shape -> positions in 0..1 of the same shape, NaN for values that are not finite"""


def rank_scale(values: ArrayLike) -> Scale:
    """Return the scale of midranks in percent: 0 is the lowest of `values` (archs,), 100 the highest.

    `positions` takes the same array that the scale was made from.
    """

    def positions(x: ArrayLike) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        finite = np.isfinite(x)
        placed = np.full(x.shape, np.nan)
        if finite.any():
            placed[finite] = (rankdata(x[finite]) - 0.5) / finite.sum()
        return placed

    ticks = tuple((percent / 100, str(percent)) for percent in (0, 25, 50, 75, 100))
    return Scale("rank", "rank in percent", ticks, positions)


def score_scale(values: ArrayLike) -> Scale:
    """Return a scale on which the bulk of `values` (archs,) is seen: linear, else log, else symlog, else ranks."""
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        label = f"{finite[0]:.3g}" if finite.size else ""
        return Scale("constant", "", ((0.5, label),) if label else (), lambda x: np.where(np.isfinite(x), 0.5, np.nan))
    if _seen(finite):
        return _mapped("linear", "", finite, lambda x: x, nice_ticks(finite.min(), finite.max()))
    if finite.min() > 0 and _seen(np.log10(finite)):
        return _mapped("log", "log", finite, np.log10, _decades(finite.min(), finite.max(), 0.0))
    candidates = [float(f"{size:.0e}") for size in np.percentile(np.abs(finite[finite != 0]), [0, 1, 10, 50])]
    threshold = max(candidates, key=lambda size: _spread(_symlog(finite, size)))
    if _seen(_symlog(finite, threshold)):
        note = f"symlog, linear within ±{_label(threshold)}"
        return _mapped(
            "symlog", note, finite, lambda x: _symlog(x, threshold), _decades(finite.min(), finite.max(), threshold)
        )
    return rank_scale(values)


def accuracy_scale(values: ArrayLike) -> Scale:
    """Return the scale of accuracies in percent: linear, or stretched towards the best where most crowd at the top."""
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    if finite.size == 0 or finite.min() == finite.max():
        return score_scale(values)
    low, middle, high = finite.min(), float(np.median(finite)), finite.max()
    if (middle - low) < 0.75 * (high - low):
        return _mapped("linear", "", finite, lambda x: x, nice_ticks(low, high))
    end = high + 0.5 * max(high - middle, 0.01 * (high - low))
    wanted = [*nice_ticks(low, high), *nice_ticks(middle, high, 4)]
    return _mapped(
        "stretched", "axis stretched towards the best", finite, lambda x: -np.log10(np.maximum(end - x, 1e-12)), wanted
    )


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most about `most` round values (1, 2 or 5 times a power of ten apart) within low..high."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [float(f"{step * place:.12g}") + 0.0 for place in np.arange(first, last + 1)]


def _seen(placed: np.ndarray) -> bool:
    """Whether the middle half of the points takes a twelfth of the axis, or few distinct values stand clear."""
    if _spread(placed) >= 1 / 12:
        return True
    distinct = np.unique(placed)
    return len(distinct) <= 30 and bool(np.diff(distinct).min() >= (placed.max() - placed.min()) / 100)


def _spread(placed: np.ndarray) -> float:
    """The share of the axis that the middle half of the points takes."""
    low, high = np.percentile(placed, [25, 75])
    return float((high - low) / (placed.max() - placed.min()))


def _symlog(x: np.ndarray, threshold: float) -> np.ndarray:
    """Linear within ±threshold, logarithmic beyond."""
    size = np.abs(x) / threshold
    return np.sign(x) * np.where(size <= 1, size, 1 + np.log10(np.maximum(size, 1)))


def _decades(low: float, high: float, threshold: float) -> list[float]:
    """Powers of ten within low..high, and 0 and both signs where the scale is linear within ±threshold."""

    def powers(start: float, stop: float) -> list[float]:
        first, last = int(np.ceil(np.log10(start))), int(np.floor(np.log10(stop)))
        step = max(1, (last - first + 4) // 4)
        return [10.0**power for power in range(first, last + 1, step)]

    if threshold == 0:
        return powers(low, high) or [low, high]
    above = powers(threshold, high) if high > threshold else []
    below = [-value for value in powers(threshold, -low)] if -low > threshold else []
    return [*below, *([0.0] if low <= 0 <= high else []), *above]


def _mapped(
    kind: str, note: str, finite: np.ndarray, forward: Callable[[np.ndarray], np.ndarray], wanted: list[float]
) -> Scale:
    """A scale through `forward`, with a margin of 3 % at both ends and ticks whose labels do not touch."""
    low, high = float(forward(finite.min())), float(forward(finite.max()))
    margin = 0.03 * (high - low)

    def positions(x: ArrayLike) -> np.ndarray:
        x = np.asarray(x, dtype=float)
        finite_only = np.where(np.isfinite(x), x, finite.min())
        placed = (forward(finite_only) - low + margin) / (high - low + 2 * margin)
        return np.where(np.isfinite(x), placed, np.nan)

    ticks: list[tuple[float, str]] = []
    inside = [value for value in wanted if finite.min() <= value <= finite.max()]
    if len(inside) < 2:
        inside = [float(f"{value:.2g}") for value in np.percentile(finite, [5, 50, 95])]
    for value in sorted(set(inside), reverse=True):
        place = float(positions(value))
        label = _label(value)
        if all(abs(place - other) >= 0.04 + 0.018 * (len(label) + len(drawn)) for other, drawn in ticks):
            ticks.append((round(place, 4), label))
    return Scale(kind, note, tuple(reversed(ticks)), positions)


def _label(value: float) -> str:
    """A short label: plain digits up to five of them, a power of ten beyond."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e4:
        return f"{value:g}"
    mantissa, power = f"{value:.5e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    shown = "10" + str(int(power)).translate(SUPERSCRIPT)
    sign = "-" if mantissa.startswith("-") else ""
    return sign + shown if mantissa.lstrip("-") == "1" else f"{mantissa}·{shown}"
