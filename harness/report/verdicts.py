"""How proxies compare with the baseline and with random picks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.tables import RANDOM_PICKS
from harness.report.numbers import DASH, number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary

PICKS = (1, 10, 100)


def random_picks(summary: Summary, population: str) -> dict[str, str]:
    """Return {statistic: the regret expected of as many random picks}, printed; 0 past the last architecture."""
    curve = summary.regret[(summary.regret["population"] == population) & (summary.regret["proxy"] == RANDOM_PICKS)]
    known = {int(k): float(regret) for k, regret in zip(curve["k"], curve["regret"], strict=True)}
    past = {k: 0.0 for k in PICKS if known and k > max(known)}
    return {f"regret_{k}": number((past | known).get(k), 2) for k in PICKS}


def baseline(summary: Summary, population: str) -> str:
    """Return the baseline the differences of a population are to, or a dash."""
    frame = summary.differences
    found = frame.loc[frame["population"] == population, "baseline"]
    return str(found.iloc[0]) if len(found) else DASH


def verdict(summary: Summary, population: str, proxy: str) -> str:
    """Return whether a proxy beats the baseline: "yes", "no, worse" or "undecided"; empty for the baseline itself."""
    frame = summary.differences
    found = frame.loc[(frame["population"] == population) & (frame["proxy"] == proxy), "better"].tolist()
    if not found:
        return ""
    return "undecided" if found[0] is None or found[0] != found[0] else "yes" if found[0] else "no, worse"
