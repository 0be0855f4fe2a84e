"""From declared tables to one row for each published figure: ours, the verdict, and why they may differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.errors import UserError
from harness.proxies.registry import registry
from harness.reproduce import facts, result_folders, verdict
from harness.reproduce.correlations import Estimate, Judge
from harness.reproduce.recipes import Figure, Recipe, cause_of
from harness.reproduce.score_pools import Pool, Scoring, kept
from harness.reproduce.session import Reproduction, Workshop
from harness.reproduce.verdict import ABSENT, Verdict

COLUMNS = (
    *("table", "kind", "bench", "dataset", "method", "population", "measure", "published", "published_sd"),
    *("published_n", "ours", "low", "high", "sd", "n", "verdict", "away", "inputs", "protocol", "accuracy"),
    *("cause_kind", "cause", "measured", "source", "note"),
)
NO_IMAGES = "no network"
STAND_INS = " (stand-ins)"
"""Ends what images a score saw where they are of another dataset than the accuracies."""
CLOSER = 0.8
"""Another way to make a figure is told where it leaves less than this share of the distance."""


def reproduce(
    tables: Sequence[Recipe],
    *,
    data: str | None = None,
    out: Path = Path("results/reproduction"),
    scoring: Scoring | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Reproduction:
    """Make ours for every figure of the tables; what cannot be made is a row that says why, never an error.

    Without `scoring` correlations are of the kept scores; with it, of runs under `out` that are made or continued.
    """
    made = Reproduction(pd.DataFrame())
    shop = Workshop(data, out, scoring, say, made)
    rows: list[dict[str, Any]] = []
    for table in tables:
        say(f"{table.name}: {len(table.figures) or 'no'} figures")
        rows += _unanswered(table) if table.kind == "unanswered" else MAKERS[table.kind](table, shop)
    made.rows = pd.DataFrame(rows, columns=list(COLUMNS))
    return made


def _unanswered(table: Recipe) -> list[dict[str, Any]]:
    said = f"{table.count} figures" if table.count else ""
    return [{"table": table.name, "kind": table.kind, "method": said, "verdict": ABSENT, "cause": table.reason,
             "source": table.title}]  # fmt: skip


def _row(table: Recipe, figure: Figure, judged: Verdict, **ours: Any) -> dict[str, Any]:
    """Return a row; a figure that differs gets its declared cause."""
    row = {
        "table": table.name, "kind": table.kind, "bench": figure.bench, "dataset": figure.dataset,
        "method": figure.method, "population": figure.population, "measure": figure.measure,
        "published": figure.value, "published_sd": figure.sd, "published_n": figure.n, "verdict": judged.name,
        "away": judged.away, "accuracy": table.accuracy, "source": figure.source or table.title,
        "note": figure.note or table.note,
    }  # fmt: skip
    if judged.name == verdict.DIFFERS:
        cause = cause_of(table, figure)
        row |= {"cause_kind": cause.kind if cause else "open", "cause": cause.text if cause else "not known"}
    return row | ours


def _absent(table: Recipe, figure: Figure, why: object) -> dict[str, Any]:
    return _row(table, figure, Verdict(ABSENT), cause_kind="", cause=str(why))


def _correlations(table: Recipe, shop: Workshop) -> list[dict[str, Any]]:
    rows = []
    for figure in table.figures:
        try:
            rows.append(_correlation(table, figure, shop.judge(table, figure.bench, figure.dataset)))
        except UserError as error:
            rows.append(_absent(table, figure, error))
    return rows


def _correlation(table: Recipe, figure: Figure, judge: Judge) -> dict[str, Any]:
    if missing := judge.lacks(figure.method):
        names = ",".join(missing)
        return _absent(table, figure, f"no scores of {names}: python -m harness.run --bench {figure.bench}"
                       f" --proxies {names}, or --full")  # fmt: skip
    ours = judge.estimate(figure, table.split)
    if ours.whole:
        judged = verdict.whole(figure.value, -ours.value if figure.absolute and ours.value < 0 else ours.value)
    else:
        judged = verdict.sampled(figure.value, ours.value, ours.low, ours.high, absolute=figure.absolute)
    counted = figure.method in judge.counts
    seen = NO_IMAGES if counted or judge.pool is None else _inputs(figure, judge.pool)
    row = _row(table, figure, judged, ours=ours.value, low=ours.low, high=ours.high, n=ours.n, inputs=seen,
               protocol="" if counted or judge.pool is None else judge.pool.protocol)  # fmt: skip
    if judged.name == ABSENT:
        row["cause"] = "ours is not defined: too few architectures, or a constant score"
    if judged.name != verdict.DIFFERS:
        lost = figure.absolute and ours.value < 0
        return row | {"measured": "ours is negative; theirs was published without its sign" if lost else ""}
    if seen.endswith(STAND_INS) and cause_of(table, figure) is None:
        said = f"our scores saw {seen.removesuffix(STAND_INS)} images, theirs {figure.dataset}'s"
        row |= {"cause_kind": "transfer", "cause": said}
    return row | {"measured": _measured(figure, table.split, judge, ours)}


def _inputs(figure: Figure, pool: Pool) -> str:
    """Return which images scores saw; those of another dataset are stand-ins."""
    proxy = registry().get(figure.method)
    if proxy is not None and proxy.view.inputs != "minibatch":
        return {"gaussian": "noise", "ones": "ones"}[proxy.view.inputs]
    return pool.dataset if pool.dataset == figure.dataset else pool.dataset + STAND_INS


def _measured(figure: Figure, split: str, judge: Judge, ours: Estimate) -> str:
    """Return what ours would be otherwise where that is closer, and how far samples of their size scatter."""
    sign = -1 if figure.absolute and ours.value < 0 else 1
    away = {words: sign * value - figure.value for words, value in judge.alternatives(figure, split).items()}
    near = CLOSER * abs(sign * ours.value - figure.value)
    closer = sorted((words for words in away if abs(away[words]) < near), key=lambda words: abs(away[words]))
    parts = []
    if closer:
        told = (f"{words}: {figure.value + away[words]:.3f}" for words in closer[:2])
        parts.append(f"closer is ours with {'; '.join(told)}")
    elif away:
        parts.append("no other population, accuracy or variant that was tried is much closer")
    if figure.n is not None and figure.n < 0.5 * ours.n and figure.method not in judge.counts:
        low, high = judge.smaller(figure, split)
        parts.append(f"{figure.n} of ours at random give {low:.2f} to {high:.2f}")
    return "; ".join(parts)


def _facts(table: Recipe, shop: Workshop) -> list[dict[str, Any]]:
    rows = []
    for figure in table.figures:
        try:
            benchmark = shop.benchmark(figure.bench, figure.dataset)
            ground = facts.Ground(benchmark, shop.data, partial(shop.benchmark, figure.bench))
            ours = facts.MEASURES[figure.measure](ground, **figure.args)
        except UserError as error:
            rows.append(_absent(table, figure, error))
            continue
        judged = verdict.exact(figure.value, ours, figure.digits or 0)
        row = _row(table, figure, judged, ours=ours, n=len(benchmark.table), inputs=NO_IMAGES)
        if judged.name == verdict.DIFFERS and figure.measure == "accuracy_of":
            trials = facts.trials_of(benchmark, figure.args["arch"])
            row["measured"] = (
                f"single trainings: {', '.join(f'{value:.2f}' for value in trials)}" if len(trials) else ""
            )
        rows.append(row)
    return rows


def _folders(table: Recipe, shop: Workshop) -> list[dict[str, Any]]:
    try:
        folder = _folder(table, shop)
    except UserError as error:
        return [_absent(table, figure, error) for figure in table.figures]
    shop.made.origins.append(result_folders.origin(folder))
    rows = []
    for figure in table.figures:
        try:
            ours = result_folders.read(table, figure, folder, shop.benchmark(figure.bench, figure.dataset))
        except UserError as error:
            rows.append(_absent(table, figure, error))
            continue
        judged = verdict.seeds(figure.value, figure.sd, ours.value, ours.sd)
        spread = 0.0 if math.isnan(ours.sd) else ours.sd
        row = _row(table, figure, judged, ours=ours.value, low=ours.value - spread, high=ours.value + spread,
                   sd=ours.sd, n=ours.n, inputs=figure.bench and "cifar10")  # fmt: skip
        if judged.name == ABSENT:
            row["cause"] = "one seed on either side: no spread to judge by"
        reference = figure.args.get("reference")
        row["population"] = "; ".join(filter(None, [f"against {reference}" if reference else "", figure.note]))
        rows.append(row | {"measured": ours.note})
    return rows


def _folder(table: Recipe, shop: Workshop) -> Path:
    """Return the folder of a table: found; made where that was asked for; made anew where that is cheap."""
    if table.network and (there := result_folders.locate(table, shop.out)):
        return there
    benchmark = shop.benchmark(table.figures[0].bench, table.figures[0].dataset)
    if table.network and not (shop.scoring and shop.scoring.commands):
        raise UserError(f"needs the folder {table.folder}: {table.command} --data DIR --out {shop.out / table.folder}")
    scores = None
    if table.needs_scores:
        pool = kept(benchmark.space.name)
        if pool is None or (missing := [name for name in table.needs_scores if name not in pool.frame]):
            raise UserError(f"no scores of {', '.join(missing if pool else table.needs_scores)} are kept")
        scores = shop.out / "runs" / f"{table.name}.csv"
        scores.parent.mkdir(parents=True, exist_ok=True)
        pool.frame[list(table.needs_scores)].dropna().to_csv(scores, index_label="arch")
    return result_folders.carry_out(table, shop.out, shop.data, scores, shop.say)


MAKERS = {"correlation": _correlations, "fact": _facts, "operations": _folders, "search": _folders}


def shares(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return figures, checked, agrees and share = agrees / checked, for each value of the columns `by`, or overall."""
    checked = rows["verdict"] != ABSENT
    frame = rows.assign(figures=1, checked=checked, agrees=rows["verdict"] == verdict.AGREES)
    if not by:
        frame, by = frame.assign(all="all"), ["all"]
    found = frame.groupby(list(by), sort=False)[["figures", "checked", "agrees"]].sum().astype(int).reset_index()
    return found.assign(share=found["agrees"] / found["checked"].where(found["checked"] > 0))
