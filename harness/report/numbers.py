"""Numbers as text: fixed decimals, thousands separated, a dash for what is undefined."""

import math
from typing import Any

DASH = "–"


def number(value: Any, digits: int = 3) -> str:
    """Print a number to so many decimals; a dash stands for undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def count(value: Any) -> str:
    """Print a whole number with thousands separated; a dash stands for undefined."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value):,}"


def duration(value: Any) -> str:
    """Print seconds to two significant digits."""
    if value is None or not math.isfinite(value):
        return DASH
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """Print an interval as [low, high]; empty where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"
