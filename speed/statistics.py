"""`python -m speed.statistics`: the time of all statistics with intervals for the whole of NAS-Bench-201.

Made-up scores (`speed.large_tables`) of 15,625 strings in about 9,000 classes of equivalent ones, three populations.
Prints wall and processor seconds, the load before, and peak memory.
"""

import argparse
import os
import sys
from pathlib import Path

from harness.analysis.summary import summarise
from speed.command import CommandLine
from speed.large_tables import made_up_run, timed


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("statistics", __doc__)
    line.count("--archs", "architectures", 15_625)
    line.count("--proxies", "proxies, counts among them", 20)
    line.count("--resamples", "resamples of the bootstrap", 1000)
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    return parser().run(argv, _run, "stopped")


def _run(given: argparse.Namespace) -> None:
    run = made_up_run(Path(), given.archs, given.proxies, classes=True)
    print(f"{given.archs:,} architectures x {given.proxies} proxies, load before {os.getloadavg()[0]:.1f}")
    timed("statistics", lambda: summarise(run, resamples=given.resamples, intervals="always"))


if __name__ == "__main__":
    sys.exit(main())
