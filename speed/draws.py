"""`python -m speed.draws RUN ...`: how much rho and tau-b depend on the draw of weights and minibatch.

Each RUN is a run of several seeds (`python -m harness.run --seeds 4 ...`); the first that has a proxy counts. Written:
harness/reproduce/draws.csv, whose use `harness.reproduce.draws` states. With d the difference of a correlation between
two seeds and e its standard error over architectures (of the paired terms, `harness.stats`), means over pairs of seeds:

    own      e sqrt(n) / sqrt 2, of one architecture
    shared   sqrt((d^2 - e^2) / 2), 0 where that is negative
"""

import argparse
import math
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.errors import UserError
from harness import stats
from harness.cached.pack import plain_command
from harness.report.style import write_csv
from harness.reproduce.draws import PATH
from harness.store.stored_run import StoredRun, load_run
from speed.command import CommandLine

STATISTICS = {"rho": (stats.spearman, stats.rho_influence), "tau_b": (stats.kendall_tau_b, stats.tau_b_influence)}


def main(argv: list[str] | None = None) -> int:
    """Measure and write; return the exit code."""
    line = CommandLine("draws", __doc__)
    line.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of runs of several seeds")
    line.add_argument("--out", type=Path, default=PATH, help="file to write (default harness/reproduce/draws.csv)")
    return line.run(argv, _run, "stopped")


def _run(options: argparse.Namespace) -> bool:
    rows = pd.concat([measured(load_run(folder)) for folder in options.runs]).drop_duplicates(["proxy", "statistic"])
    write_csv(rows.sort_values(["proxy", "statistic"]), options.out)
    print(rows.to_string(index=False))
    return False


def measured(run: StoredRun) -> pd.DataFrame:
    """Return a row for each proxy and statistic: proxy, statistic, shared, own, archs, seeds, command."""
    rows, command = [], plain_command(run.manifest["command"])
    for name, scores in run.scores.items():
        if len(scores) < 2 or run.manifest["proxies"][name]["static"]:
            continue
        for statistic in STATISTICS:
            shared, own, n = spread(scores, run.accuracy, statistic)
            rows.append(
                (
                    name,
                    statistic,
                    round(shared, 5),
                    round(own, 4),
                    n,
                    len(scores),
                    command,
                )
            )
    if not rows:
        raise UserError(f"{run.manifest.get('command')}: a run of one seed, or of counts alone; run it with --seeds 4")
    return pd.DataFrame(rows, columns=["proxy", "statistic", "shared", "own", "archs", "seeds", "command"])


def spread(scores: np.ndarray, accuracy: np.ndarray, statistic: str) -> tuple[float, float, int]:
    """Return shared, own and the number of architectures; scores (seeds, archs)."""
    known = np.isfinite(scores).all(0) & np.isfinite(accuracy)
    scores, accuracy, n = scores[:, known], accuracy[known], int(known.sum())
    value, influence = STATISTICS[statistic]
    found = [(value(row, accuracy), influence(row, accuracy)) for row in scores]
    differences = np.array([(a - b, ((x - y) ** 2).sum() * n / (n - 1)) for (a, x), (b, y) in combinations(found, 2)])
    apart, error = (differences[:, 0] ** 2).mean(), differences[:, 1].mean()
    return math.sqrt(max(0.0, (apart - error) / 2)), math.sqrt(error * n / 2), n


if __name__ == "__main__":
    sys.exit(main())
