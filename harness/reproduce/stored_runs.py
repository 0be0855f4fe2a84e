"""Stored runs in one table of all proxies, compared with the published correlations: `harness.reproduce --run`.

Published values are judged as by `harness.reproduce` (`verdict`), by the sampling error of either side and the draws of
weights and minibatch. The populations are matched (all, connected, distinct), other differences of protocol are named
in a note, not removed. Several runs of one target, such as costly proxies on a smaller sample, make one table: a
proxy is taken from the first run that has it, and its row says how many architectures that are.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.errors import UserError
from benchmarks.files.write import write_text
from harness.analysis.ensembles import with_ensembles
from harness.analysis.populations import rows_of, share_of_space
from harness.analysis.summary import summarise
from harness.proxies.registry import registry
from harness.report.result import writing
from harness.report.style import count, interval, markdown_table, mean_scores, number, write_csv
from harness.reproduce.correlations import Estimate, Sample
from harness.reproduce.draws import draw_error
from harness.reproduce.recipes import Published, published_correlations
from harness.reproduce.verdict import ABSENT, AGREES, TWO_SIDED, correlation
from harness.runs.kept_runs import run_in
from harness.store.stored_run import StoredRun, target_in

COLUMNS = ["proxy", "population", "statistic", "published", "value", "low", "high", "n", "verdict", "source", "note"]


def write_comparison(folders: Sequence[Path], out: Path, data: str | None = None) -> str:
    """Write proxies.md and published.md, of several runs summary.csv and agreement.csv; return what to print."""
    runs = [with_ensembles(run_in(folder, data)) for folder in folders]
    table, agreement = joined(runs)
    bench, dataset, *_ = _target(runs[0])
    compared = compare(table, bench, dataset, runs)
    proxies = by_proxy(table, compared)
    with writing(out):
        write_text(out / "proxies.md", proxies)
        write_text(out / "published.md", as_markdown(compared))
        if len(runs) > 1:  # of a single run its report has written them
            write_csv(table, out / "summary.csv")
            write_csv(agreement, out / "agreement.csv")
    agree = f"{int((compared.verdict == 'agrees').sum())} of {len(compared)} published values agree"
    return f"{proxies}\n{agree if len(compared) else 'no published values for this target'}: {out}"


def _target(run: StoredRun) -> tuple[Any, ...]:
    """Return what runs of one table have in common: benchmark, dataset, split, epochs, reduction."""
    return run.manifest["settings"]["bench"], *target_in(run.manifest).values()


def joined(runs: Sequence[StoredRun]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows of `Summary.table` of all runs, each proxy's from the first run that has it, and the agreement.
    The agreement has a row for every two proxies: proxy, other, Spearman's rho on the architectures that both scored,
    population (all). UserError where the runs are not of one target."""
    targets = {_target(run) for run in runs}
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
    square = pd.DataFrame(scores).replace([math.inf, -math.inf], math.nan).corr("spearman")
    pairs = square.rename_axis("proxy").rename_axis("other", axis=1).stack().rename("rho").reset_index()
    pairs = pairs[pairs.proxy != pairs.other].assign(population="all").round(4)
    return pd.concat(tables, ignore_index=True), pairs


def compare(table: pd.DataFrame, bench: str, dataset: str, runs: Sequence[StoredRun] = ()) -> pd.DataFrame:
    """Return a row for each published value of a benchmark and dataset that `table` (Summary.table) has a value for.
    Columns: `COLUMNS`; value with the ends of its interval is ours; verdict is "agrees", "not comparable" or the
    difference, ours minus published. `runs` hold the scores of the table, for parts of a whole space."""
    ours = {(row["population"], row["proxy"]): row for row in table.to_dict("records")}
    rows = []
    for published in published_correlations():
        row = ours.get((published.population, published.method))
        if (published.bench, published.dataset) != (bench, dataset) or row is None or published.measure not in row:
            continue
        estimate = _estimate(published, row, runs)
        judged = correlation(
            published.value, estimate.value, estimate.distance, published.measure, whole=estimate.whole,
            absolute=published.absolute,
        )  # fmt: skip
        verdict = judged.name if judged.name in (AGREES, ABSENT) else f"{judged.name} ({judged.away:+.2f})"
        ends = (row[f"{published.measure}_{end}"] for end in ("low", "high"))
        rows.append((
            published.method, published.population, published.measure, published.value, estimate.value, *ends,
            estimate.n, verdict, published.source, published.note,
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _estimate(published: Published, row: dict[str, Any], runs: Sequence[StoredRun]) -> Estimate:
    """Return our value and its error, by the ends of its interval; there is none of the whole space."""
    measure, n = published.measure, int(row["n"])
    value, low, high = (float(row[f"{measure}{end}"]) for end in ("", "_low", "_high"))
    run = next((run for run in runs if published.method in run.scores), None)
    whole = math.isnan(low) if run is None else share_of_space(run) >= 1
    proxy = registry().get(published.method)
    errors = [0.0 if whole else (high - low) / 2 / TWO_SIDED]
    if proxy is None or not proxy.static:
        errors += [draw_error([published.method], measure, n)] * 2
    fewer = whole and published.n is not None and published.n < n
    if fewer and run is not None and published.n:
        at = rows_of(run, published.population)
        sample = Sample(mean_scores(run, published.method)[at], run.accuracy[at])
        errors.append(sample.deviation(measure) / math.sqrt(published.n) * math.sqrt(1 - published.n / n))
    return Estimate(value, errors[0], math.hypot(*errors), n, whole and not fewer)


def as_markdown(compared: pd.DataFrame) -> str:
    """Return the comparison as a markdown table."""
    heads = ("proxy", "population", "statistic", "published", "our value [95 %]", "n", "verdict", "source", "note")
    rows = [
        (r.proxy, r.population, _dashed(r.statistic), number(r.published), _with_interval(r.value, r.low, r.high),
         count(r.n), r.verdict, r.source, r.note)
        for r in compared.itertuples()
    ]  # fmt: skip
    return "\n".join([*markdown_table(heads, rows, (3, 4, 5)), ""])


def by_proxy(table: pd.DataFrame, compared: pd.DataFrame, population: str = "all") -> str:
    """Return one row per proxy as markdown, best first, with the published values for that population."""
    heads = ("proxy", "n", "failed", "tau-b [95 %]", "rho [95 %]", "regret@1", "regret@10", "s/arch", "published")
    rows = []
    for r in table[table.population == population].sort_values("rho", ascending=False).itertuples():
        published = compared[(compared.proxy == r.proxy) & (compared.population == population)]
        mark = " (fitted)" if r.fitted is True else "" if math.isnan(r.reference_set) else " (ensemble)"
        rows.append((
            f"{r.proxy}{mark}", count(r.n), count(r.failed), _with_interval(r.tau_b, r.tau_b_low, r.tau_b_high),
            _with_interval(r.rho, r.rho_low, r.rho_high), number(r.regret_1, 2), number(r.regret_10, 2),
            number(r.seconds, 2), "; ".join(map(_in_short, published.itertuples())),
        ))  # fmt: skip
    return "\n".join([*markdown_table(heads, rows, range(1, 8)), ""])


def _in_short(row: Any) -> str:
    source = row.source.split(",")[0].split(" (")[0]
    return f"{_dashed(row.statistic)} {row.published:.3f} {source}: {row.verdict}"


def _with_interval(value: float, low: float, high: float) -> str:
    return f"{number(value)} {interval(low, high, 3)}".rstrip()


def _dashed(statistic: str) -> str:
    return statistic.replace("_", "-")
