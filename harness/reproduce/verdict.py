"""When a published figure and ours agree. Five rules, one for each way ours can be known.

sampled   ours has a 95 % interval, over other samples of architectures: the figure lies inside it
whole     ours is over the whole space, theirs too: they are at most WHOLE apart, as releases of a table differ
exact     ours rounds to the printed digits
seeds     means over seeds: they are at most one standard deviation apart, the larger of theirs and ours
absent    one of the two cannot be known: not comparable
"""

from __future__ import annotations

import math
from dataclasses import dataclass

AGREES, DIFFERS, ABSENT = VERDICTS = "agrees", "differs", "not comparable"
WHOLE = 0.005


@dataclass(frozen=True)
class Verdict:
    """A verdict and how far ours lies from the published figure."""

    name: str
    away: float = math.nan
    """Ours minus published, of the sizes where theirs is an absolute value; NaN where not comparable."""


def sampled(published: float, ours: float, low: float, high: float, *, absolute: bool = False) -> Verdict:
    """Judge by our interval. `absolute`: the published figure has lost its sign, so ours is turned to be positive."""
    if not all(map(math.isfinite, (ours, low, high))):
        return Verdict(ABSENT)
    if absolute and ours < 0:
        ours, low, high = -ours, -high, -low
    return Verdict(AGREES if low <= published <= high else DIFFERS, ours - published)


def whole(published: float, ours: float) -> Verdict:
    """Judge two figures over the same whole space."""
    if not math.isfinite(ours):
        return Verdict(ABSENT)
    return Verdict(AGREES if abs(ours - published) <= WHOLE + 1e-12 else DIFFERS, ours - published)


def exact(published: float, ours: float, digits: int) -> Verdict:
    """Judge by the printed digits: half a unit of the last one, on either side."""
    if not math.isfinite(ours):
        return Verdict(ABSENT)
    near = abs(ours - published) <= 0.5 * 10.0**-digits * (1 + 1e-9)
    return Verdict(AGREES if near else DIFFERS, ours - published)


def seeds(published: float, published_sd: float | None, ours: float, sd: float) -> Verdict:
    """Judge two means by the larger standard deviation; with none known, not comparable."""
    known = [each for each in (published_sd, sd) if each is not None and math.isfinite(each)]
    if not math.isfinite(ours) or not known:
        return Verdict(ABSENT)
    near = abs(ours - published) <= max(known) + 1e-9
    return Verdict(AGREES if near else DIFFERS, ours - published)
