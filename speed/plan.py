"""`python -m speed.plan`: whether `nas-harness plan` plans as many architectures as are needed.

Ten pairs of scores whose planned numbers are nearest to `WANTED`, on NAS-Bench-201 with scores of all 15,625 strings.
For each, samples of the whole table are drawn without replacement, of 0.7 to 1.3 times the planned number, and it is
counted how often the two scores are distinguished (p of their difference below 0.05, with the right sign): needed are
so many that 80 % do. Below 150 architectures the plan resamples too, with other samples. Prints and writes both
numbers.
"""

import argparse
import sys
from itertools import combinations

import numpy as np
import pandas as pd

from benchmarks.errors import UserError
from harness.analysis.plan import Gap, archs_needed, gap_of, resampled
from harness.analysis.populations import population_of
from harness.report.style import write_csv
from harness.runs.kept_runs import kept_tasks
from speed.command import CommandLine, say

TASK = "201 cifar10"
WANTED = tuple(np.geomspace(30, 6000, 10))


def main(argv: list[str] | None = None) -> int:
    """Compare; return the exit code."""
    line = CommandLine("plan", __doc__)
    line.add_argument("--data", help="folder of ground truth (default: the variable NAS_HARNESS_DATA)")
    line.count("--samples", "samples of each size", 400)
    line.out("results/plan/check.csv")
    return line.run(argv, _run)


def _run(options: argparse.Namespace) -> None:
    run = kept_tasks(options.data, "201")[TASK][0]
    if len(run.archs) != run.manifest["space_size"]:
        raise UserError(f"the kept scores of {TASK} are not of the whole space")
    part, size = population_of(run, "all", 1.0), float(len(run.archs))
    names = [name for name in run.scores if name != "random"]
    gaps = {pair: gap_of(part, 1.0, size, *pair) for pair in combinations(names, 2)}
    rows = []
    for (one, other), gap in chosen(gaps).items():
        planned = archs_needed(part, one, other, gap)
        needed = resampled(part, one, other, gap.difference, gap.archs(), options.samples, seed=1)
        rows.append((one, other, gap.difference, planned, needed, planned / needed - 1))
        say(f"{one} against {other}: planned {rows[-1][3]:.0f}, needed {needed:.0f}")
    table = pd.DataFrame(rows, columns=["score", "other", "difference", "planned", "needed", "error"])
    print(table.round(4).to_string(index=False))
    print(f"largest error {table['error'].abs().max():.1%}; written to {write_csv(table, options.out)}")


def chosen(gaps: dict[tuple[str, str], Gap]) -> dict[tuple[str, str], Gap]:
    """Return the pairs whose planned numbers are nearest to `WANTED`, no score in more than three."""
    used: dict[str, int] = {}
    found = {}
    for wanted in WANTED:
        free = [pair for pair in gaps if pair not in found and all(used.get(name, 0) < 3 for name in pair)]
        pair = min(free, key=lambda pair: abs(np.log(gaps[pair].archs() / wanted)))
        found[pair] = gaps[pair]
        used |= {name: used.get(name, 0) + 1 for name in pair}
    return found


if __name__ == "__main__":
    sys.exit(main())
