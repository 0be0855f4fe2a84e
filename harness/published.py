"""`python -m harness.published RUN`: published correlations beside those of a stored run.

The published figures are in published.csv, each with its source and what is known of how it was made. A figure agrees
where it lies inside our 95 % interval; the populations are matched (all, connected, distinct), other differences of
protocol are named, not removed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FIGURES = Path(__file__).with_name("published.csv")


def compare(table: pd.DataFrame, bench: str, dataset: str) -> pd.DataFrame:
    """Return one row per published figure of a benchmark and dataset that `table` (Summary.table) has a value for.

    Columns: proxy, population, statistic, published, ours, low, high, n, verdict ("agrees", or the difference ours
    minus published), source, note.
    """
    import pandas as pd

    figures = pd.read_csv(FIGURES, dtype={"bench": str})
    figures = figures[(figures.bench == bench) & (figures.dataset == dataset)]
    ours = table.set_index(["population", "proxy"])
    rows = []
    for figure in figures.itertuples():
        if (figure.population, figure.proxy) not in ours.index:
            continue
        row = ours.loc[(figure.population, figure.proxy)]
        value, low, high = (float(row[f"{figure.statistic}{end}"]) for end in ("", "_low", "_high"))
        verdict = "agrees" if low <= figure.value <= high else f"differs by {value - figure.value:+.2f}"
        rows.append(
            {
                "proxy": figure.proxy, "population": figure.population, "statistic": figure.statistic,
                "published": figure.value, "ours": value, "low": low, "high": high, "n": int(row["n"]),
                "verdict": verdict, "source": figure.source, "note": figure.note,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def as_markdown(frame: pd.DataFrame) -> str:
    """Return the comparison as a markdown table."""
    lines = [
        "| proxy | population | statistic | published | ours [95 %] | n | verdict | source | what is known of it |"
    ]
    lines.append("|" + "---|" * 9)
    lines += [
        f"| {r.proxy} | {r.population} | {r.statistic.replace('_', '-')} | {r.published:.3f}"
        f" | {r.ours:.3f} [{r.low:.3f}, {r.high:.3f}] | {r.n:,} | {r.verdict} | {r.source} | {r.note} |"
        for r in frame.itertuples()
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Read the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m harness.published", description=__doc__.split("\n\n")[0])
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--out", type=Path, help="markdown file to write (default: RUN/published.md)")
    given = parser.parse_args(argv)
    from harness.store import load_run
    from harness.summary import summarise

    try:
        run = load_run(given.run)
        settings = run.manifest["settings"]
        frame = compare(summarise(run).table, settings["bench"], settings["dataset"])
        if frame.empty:
            raise UserError(f"no published figures for benchmark {settings['bench']}, dataset {settings['dataset']}")
    except UserError as error:
        print(f"harness.published: {error}", file=sys.stderr)
        return 2
    text = as_markdown(frame)
    out = given.out or given.run / "published.md"
    out.write_text(text)
    agree = int((frame.verdict == "agrees").sum())
    print(f"{text}\n{agree} of {len(frame)} published figures lie inside our interval; written to {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
