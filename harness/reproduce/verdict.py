"""When a published value and ours agree. Five rules, one for each way our value can be known.

sampled   ours has a 95 % interval, over other samples of architectures: the published value lies inside it
whole     both are over the same whole space: they are at most WHOLE apart, as releases of a table differ
exact     ours rounds to the printed digits
seeds     means over seeds: they are at most one standard deviation apart, the larger of the two
absent    one of the two is unknown: not comparable
"""

import math
from dataclasses import dataclass

AGREES, DIFFERS, ABSENT = "agrees", "differs", "not comparable"
WHOLE = 0.005


@dataclass(frozen=True)
class Verdict:
    """A verdict and the distance of our value from the published one."""

    name: str
    away: float = math.nan
    """Ours minus published, of absolute values where that was published; NaN where not comparable."""


@dataclass(frozen=True)
class Estimate:
    """Our value of a correlation."""

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    whole: bool = False
    """Over the whole population, as the published value: no interval."""


def correlation(published: float, ours: Estimate, *, absolute: bool = False) -> Verdict:
    """Judge by our interval, or as whole spaces. `absolute`: an absolute value was published, so ours is made one."""
    value, low, high = ours.value, ours.low, ours.high
    if absolute and value < 0:
        value, low, high = -value, -high, -low
    if not all(map(math.isfinite, (value,) if ours.whole else (value, low, high))):
        return Verdict(ABSENT)
    agrees = abs(value - published) <= WHOLE + 1e-12 if ours.whole else low <= published <= high
    return _verdict(agrees, published, value)


def exact(published: float, ours: float, digits: int) -> Verdict:
    """Judge by the printed digits: half a unit of the last one, on either side."""
    if not math.isfinite(ours):
        return Verdict(ABSENT)
    return _verdict(abs(ours - published) <= 0.5 * 10.0**-digits * (1 + 1e-9), published, ours)


def seeds(published: float, published_sd: float | None, ours: float, sd: float) -> Verdict:
    """Judge two means by the larger standard deviation; with none known, not comparable."""
    known = [each for each in (published_sd, sd) if each is not None and math.isfinite(each)]
    if not math.isfinite(ours) or not known:
        return Verdict(ABSENT)
    return _verdict(abs(ours - published) <= max(known) + 1e-9, published, ours)


def _verdict(agrees: bool, published: float, ours: float) -> Verdict:
    return Verdict(AGREES if agrees else DIFFERS, ours - published)
