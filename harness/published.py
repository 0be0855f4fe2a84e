"""`python -m harness.published RUN [MORE ...]`: every proxy of stored runs in one table, published figures beside it.

The published figures are in published.csv, each with its source and what is known of how it was made. A figure agrees
where it lies inside our 95 % interval; the populations are matched (all, connected, distinct), other differences of
protocol are named, not removed. A figure published as an absolute value is compared with the absolute value of ours.
Several runs of one benchmark and target, as of costly proxies on a smaller sample, make one table: a proxy is taken
from the first run that has it, and its row says how many architectures that are.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.command import Parser, carry_out
from benchmarks.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from harness.store.stored_run import StoredRun

FIGURES = Path(__file__).parent / "reproduce" / "published.csv"
COLUMNS = ["proxy", "population", "statistic", "published", "ours", "low", "high", "n", "verdict", "source", "note"]
TARGET = ("bench", "dataset", "split", "epochs", "reduction")
"""Settings that runs of one table have in common."""


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
        away = value - figure.value
        if value < 0 and str(figure.note).startswith("absolute value"):
            away, inside = -value - figure.value, -high <= figure.value <= -low
        else:
            inside = low <= figure.value <= high
        verdict = "agrees" if inside else f"differs by {away:+.2f}"
        rows.append(
            {
                "proxy": figure.proxy, "population": figure.population, "statistic": figure.statistic,
                "published": figure.value, "ours": value, "low": low, "high": high, "n": int(row["n"]),
                "verdict": verdict, "source": figure.source, "note": figure.note,
            }
        )  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


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


def joined(runs: Sequence[StoredRun]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `Summary.table` of all runs, each proxy's from the first run that has it, and the agreement.

    The agreement is Spearman's rho between every two proxies on the architectures that both scored; columns and rows
    are proxies. UserError where the runs are not of one target.
    """
    import pandas as pd

    from harness.analysis.summary import summarise
    from harness.report.style import mean_scores

    targets = {tuple(run.manifest["settings"].get(name) for name in TARGET) for run in runs}
    if len(targets) > 1:
        said = " and ".join(" ".join(map(str, target)) for target in sorted(targets, key=str))
        raise UserError(f"the runs have different targets ({said}): give runs of one benchmark, dataset, split, budget")
    tables: list[pd.DataFrame] = []
    scores: dict[str, pd.Series] = {}
    for run in runs:
        table = summarise(run).table
        tables.append(table[~table.proxy.isin([name for earlier in tables for name in earlier.proxy])])
        for name in tables[-1].proxy.unique():
            if name in run.scores:
                scores[name] = pd.Series(mean_scores(run, name), index=list(run.archs))
    agreement = pd.DataFrame(scores).replace([float("inf"), float("-inf")], float("nan")).corr("spearman")
    return pd.concat(tables, ignore_index=True), agreement


def by_proxy(table: pd.DataFrame, compared: pd.DataFrame, population: str = "all") -> str:
    """Return one row per proxy as markdown, best first, with the published figures for that population."""
    rows = table[table.population == population].sort_values("rho", ascending=False)
    lines = [
        "| proxy | n | failed | tau-b [95 %] | rho [95 %] | regret@1 | regret@10 | s/arch | published |",
        "|" + "---|" * 9,
    ]
    for r in rows.itertuples():
        beside = compared[(compared.proxy == r.proxy) & (compared.population == population)]
        told = "; ".join(
            f"{f.statistic.replace('_', '-')} {f.published:.3f} {f.source.split(',')[0].split(' (')[0]}: {f.verdict}"
            for f in beside.itertuples()
        )
        mark = " (fitted)" if r.fitted is True else "" if math.isnan(r.cohort) else " (ensemble)"
        lines.append(
            f"| {r.proxy}{mark} | {r.n:,} | {r.failed:,} | {r.tau_b:.3f} [{r.tau_b_low:.3f}, {r.tau_b_high:.3f}]"
            f" | {r.rho:.3f} [{r.rho_low:.3f}, {r.rho_high:.3f}] | {r.regret_1:.2f} | {r.regret_10:.2f}"
            f" | {r.seconds:.2f} | {told} |"
        )
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Read the command line; return the exit code."""
    parser = Parser(prog="python -m harness.published", description=__doc__.split("\n\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs of one benchmark and target")
    parser.add_argument("--out", type=Path, help="folder to write to (default: the first run's)")
    given = parser.parse_args(argv)

    def action() -> None:
        from benchmarks.files.write import write_text
        from harness.analysis.ensembles import with_ensembles
        from harness.store.stored_run import load_run

        runs = [with_ensembles(load_run(path)) for path in given.runs]
        settings = runs[0].manifest["settings"]
        table, agreement = joined(runs)
        frame = compare(table, settings["bench"], settings["dataset"])
        out = given.out or given.runs[0]
        write_text(out / "proxies.md", by_proxy(table, frame))
        write_text(out / "published.md", as_markdown(frame))
        if len(runs) > 1:  # of one run its report has written them
            pairs = agreement.rename_axis("proxy").rename_axis("other", axis=1).stack().rename("rho").reset_index()
            pairs = pairs[pairs.proxy != pairs.other].assign(population="all").round(4)
            write_text(out / "summary.csv", table.to_csv(index=False))
            write_text(out / "agreement.csv", pairs.to_csv(index=False))
        agree = f"{int((frame.verdict == 'agrees').sum())} of {len(frame)} published figures lie inside our interval"
        print(f"{by_proxy(table, frame)}\n{agree if len(frame) else 'nobody published figures for this target'}: {out}")

    return carry_out("harness.published", action, "stopped; nothing is lost, repeat the command")


if __name__ == "__main__":
    sys.exit(main())
