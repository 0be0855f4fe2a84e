"""The cells of a row of a reproduction, the same in markdown and HTML."""

import math
from typing import Any

from harness.report.numbers import DASH
from harness.reproduce.compare import SUBSTITUTE
from harness.reproduce.verdict import DIFFERS

HEADS = (
    "method",
    "dataset",
    "population or reference",
    "measure",
    "published",
    "our value",
    "n",
    "verdict",
    "why they may differ",
)
MEASURES = {"rho": "rho", "tau_b": "tau-b", "concordance": "pairs in order", "accuracy": "accuracy, %"}


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one row of a reproduction (`compare.COLUMNS`), one for each of `HEADS`."""
    seen = _text(row["inputs"])
    inputs = f" ({seen.removesuffix(SUBSTITUTE)} images)" if seen.endswith(SUBSTITUTE) else ""
    digits = 4 if row["kind"] == "fact" and abs(row["published"]) < 1 else 3
    published, ours = (_number(row[name], row, digits) for name in ("published", "value"))
    if row["kind"] in ("search", "operations"):
        published += f" ± {row['published_sd']:.2f}" if _known(row["published_sd"]) else ""
        ours += f" ± {row['sd']:.2f}" if _known(row["sd"]) else ""
    elif _known(row["low"]):
        ours += f" [{row['low']:.3f}, {row['high']:.3f}]"
    verdict = row["verdict"]
    if verdict == DIFFERS:
        verdict = f"differs by {_signed(row['away'], row, digits)}"
    why = ": ".join(filter(None, (_text(row["cause_kind"]), _text(row["cause"]))))
    if (measured := _text(row["measured"])) and row["verdict"] == DIFFERS:
        measured = f"Measured: {measured}."
    why = " ".join(filter(None, (f"{why.rstrip('.')}." if why and measured else why, measured)))
    n = f"{int(row['n']):,}" if _known(row["n"]) else ""
    where, measure = f"{row['bench']} {row['dataset']}{inputs}", MEASURES.get(row["measure"], "value")
    return row["method"], where, row["population"], measure, published, ours, n, verdict, why


def _number(value: float, row: dict[str, Any], digits: int) -> str:
    if not _known(value):
        return DASH
    if row["kind"] == "search" or row["measure"] == "accuracy":
        return f"{value:.2f}"
    if row["kind"] == "fact" and abs(row["published"]) >= 1:
        return f"{value:,.0f}" if row["published"] == int(row["published"]) else f"{value:.4f}".rstrip("0")
    if row["kind"] == "fact" and abs(row["published"]) < 0.1:
        return f"{value:.6f}"
    return f"{value:.{digits}f}"


def _signed(value: float, row: dict[str, Any], digits: int) -> str:
    text = _number(abs(value), {**row, "published": max(abs(value), row["published"])}, digits)
    return ("+" if value >= 0 else "-") + text


def _known(value: Any) -> bool:
    return value is not None and not isinstance(value, str) and math.isfinite(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
