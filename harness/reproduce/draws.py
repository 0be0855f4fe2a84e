"""How much a correlation depends on the draw of weights and minibatch: measured once, in draws.csv.

A correlation over n architectures moves with the draw in two ways: by what the draw does to all architectures alike
(one minibatch for all), which no number of architectures averages out, and by what it does to each alone (its
weights), which falls with their root. draws.csv has both standard deviations, `shared` and `own` (of one
architecture), with the run that they come from, made by `python -m speed.draws RUN` from a run of several seeds. A
proxy that was not measured gets the root mean square of those that were.
"""

import csv
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

PATH = Path(__file__).with_name("draws.csv")


def draw_error(proxies: Sequence[str], statistic: str, archs: int, draws: int = 1) -> float:
    """Return the standard deviation over draws of a correlation over `archs` architectures, the mean of `draws`. Of
    several proxies, the members of an ensemble, the root mean square; of a share of pairs, half that of tau-b."""
    if statistic == "concordance":
        return draw_error(proxies, "tau_b", archs, draws) / 2
    known = measured(statistic)
    parts = [known[name] for name in proxies if name in known] or list(known.values())
    squares = [shared**2 + own**2 / max(archs, 1) for shared, own in parts]
    return math.sqrt(sum(squares) / len(squares) / draws) if squares else 0.0


@cache
def measured(statistic: str) -> dict[str, tuple[float, float]]:
    """Return {proxy: (shared, own)} of a statistic."""
    with PATH.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["statistic"] == statistic]
    return {row["proxy"]: (float(row["shared"]), float(row["own"])) for row in rows}
