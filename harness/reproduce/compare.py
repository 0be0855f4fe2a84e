"""From declared tables to one row for each published value: ours, the verdict, and why they may differ."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.errors import UserError
from harness.proxies.registry import registry
from harness.reproduce import facts, result_folders, verdict
from harness.reproduce.correlations import Judge
from harness.reproduce.recipes import Published, Recipe, cause_of
from harness.reproduce.score_sets import ScoreSet, Scoring
from harness.reproduce.session import Command, Session
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, Estimate, Verdict

COLUMNS = (
    *("table", "kind", "bench", "dataset", "method", "population", "measure", "published", "published_sd"),
    *("published_n", "value", "low", "high", "sd", "n", "verdict", "away", "inputs", "protocol", "accuracy"),
    *("cause_kind", "cause", "measured", "source", "note"),
)
NO_IMAGES = "no network"
SUBSTITUTE = " (substitute images)"
"""Ends what images a score saw where they are of another dataset than the accuracies."""
CLOSER = 0.8
"""Another choice is reported where it leaves less than this share of the distance."""


@dataclass(frozen=True)
class Reproduction:
    """Published tables and what was computed for them."""

    rows: pd.DataFrame
    """`COLUMNS`, one row for each published value; one row in all for an unanswered table."""
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Benchmark and dataset -> source, sha256 and number of architectures of the table file."""
    origins: list[dict[str, Any]] = field(default_factory=list)
    """How scores, searches and operation scores were made."""


def reproduce(
    tables: Sequence[Recipe], *, data: str | None = None, out: Path = Path("results/reproduction"),
    scoring: Scoring | None = None, commands: Mapping[str, Command] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Reproduction:  # fmt: skip
    """Make our value for every published one; what cannot be made is a row that says why, never an error. Without
    `scoring` correlations are of the kept scores; with it, of runs under `out` that are made or continued. `commands`,
    {module: what carries out its command line}, write the folders of searches and operation scores."""
    session = Session(data, out, scoring, say, commands or {})
    rows: list[dict[str, Any]] = []
    for table in tables:
        say(f"{table.name}: {len(table.values) or 'no'} values")
        rows += [_row(table, published, session) for published in table.values]
        if not table.values:
            rows.append({
                "table": table.name, "kind": table.kind, "method": f"{table.count} values" if table.count else "",
                "verdict": ABSENT, "cause": table.reason, "source": table.title,
            })  # fmt: skip
    return Reproduction(pd.DataFrame(rows, columns=list(COLUMNS)), session.files, session.origins)


def _row(table: Recipe, published: Published, session: Session) -> dict[str, Any]:
    """Return a value's row; one that differs gets its declared cause, one that cannot be made the reason."""
    try:
        judged, ours = MAKERS[table.kind](table, published, session)
    except UserError as error:
        judged, ours = Verdict(ABSENT), {"cause_kind": "", "cause": str(error)}
    row = {
        "table": table.name, "kind": table.kind, "bench": published.bench, "dataset": published.dataset,
        "method": published.method, "population": published.population, "measure": published.measure,
        "published": published.value, "published_sd": published.sd, "published_n": published.n,
        "verdict": judged.name, "away": judged.away, "accuracy": table.accuracy,
        "source": published.source or table.title, "note": published.note or table.note,
    }  # fmt: skip
    if judged.name == DIFFERS:
        cause = cause_of(table, published)
        row |= {"cause_kind": cause.kind if cause else "open", "cause": cause.text if cause else "not known"}
    return row | ours


def _correlation(table: Recipe, published: Published, session: Session) -> tuple[Verdict, dict[str, Any]]:
    judge = session.judge(table, published.bench, published.dataset)
    if missing := judge.lacks(published.method):
        names, how = ",".join(missing), f"python -m harness.run --bench {published.bench} --proxies"
        raise UserError(f"no scores of {names}: {how} {names}, or --full")
    ours = judge.estimate(published, table.split)
    judged = verdict.correlation(published.value, ours, absolute=published.absolute)
    scores = None if published.method in judge.counts else judge.set
    seen = _inputs(published, scores) if scores else NO_IMAGES
    row = {"value": ours.value, "low": ours.low, "high": ours.high, "n": ours.n, "inputs": seen,
           "protocol": scores.protocol if scores else ""}  # fmt: skip
    if judged.name == ABSENT:
        row["cause"] = "our value is not defined: too few architectures, or a constant score"
    if judged.name != DIFFERS:
        lost = published.absolute and ours.value < 0
        return judged, row | {"measured": "our value is negative; it was published without its sign" if lost else ""}
    if seen.endswith(SUBSTITUTE) and cause_of(table, published) is None:
        said = f"our scores saw {seen.removesuffix(SUBSTITUTE)} images, the published ones {published.dataset}'s"
        row |= {"cause_kind": "transfer", "cause": said}
    return judged, row | {"measured": _measured(published, table.split, judge, ours)}


def _inputs(published: Published, scores: ScoreSet) -> str:
    """Return which images the networks saw; those of another dataset are substitutes."""
    proxy = registry().get(published.method)
    if proxy is not None and proxy.view.inputs != "minibatch":
        return {"gaussian": "noise", "ones": "ones"}[proxy.view.inputs]
    return scores.dataset if scores.dataset == published.dataset else scores.dataset + SUBSTITUTE


def _measured(published: Published, split: str, judge: Judge, ours: Estimate) -> str:
    """Return our value under other choices where that is closer, and how far samples of the published size scatter."""
    sign = -1 if published.absolute and ours.value < 0 else 1
    away = {words: sign * value - published.value for words, value in judge.alternatives(published, split).items()}
    near = CLOSER * abs(sign * ours.value - published.value)
    closer = sorted((words for words in away if abs(away[words]) < near), key=lambda words: abs(away[words]))
    parts = []
    if closer:
        best = (f"{words}: {published.value + away[words]:.3f}" for words in closer[:2])
        parts.append(f"closer is our value with {'; '.join(best)}")
    elif away:
        parts.append("no other population, accuracy or variant that was tried is much closer")
    if published.n is not None and published.n < 0.5 * ours.n and published.method not in judge.counts:
        sample = judge.sample(published.method, published.population, split)
        low, high = sample.parts(published.measure, published.n)
        parts.append(f"random parts of {published.n} of our architectures give {low:.2f} to {high:.2f}")
    return "; ".join(parts)


def _fact(table: Recipe, published: Published, session: Session) -> tuple[Verdict, dict[str, Any]]:
    benchmark = session.benchmark(published.bench, published.dataset)
    ground = facts.Ground(benchmark, session.data, partial(session.benchmark, published.bench))
    value = facts.MEASURES[published.measure](ground, **published.args)
    judged = verdict.exact(published.value, value, published.digits or 0)
    row = {"value": value, "n": len(benchmark.table), "inputs": NO_IMAGES}
    if judged.name == DIFFERS and published.measure == "accuracy_of":
        at = benchmark.table.archs.index(published.args["arch"])
        trials = ", ".join(f"{each:.2f}" for each in benchmark.table.per_seed("test")[at] if math.isfinite(each))
        row["measured"] = f"single trainings: {trials}" if trials else ""
    return judged, row


def _of_folder(table: Recipe, published: Published, session: Session) -> tuple[Verdict, dict[str, Any]]:
    folder = session.folder(table)
    ours = result_folders.read(table, published, folder, session.benchmark(published.bench, published.dataset))
    judged = verdict.seeds(published.value, published.sd, ours.value, ours.sd)
    spread = 0.0 if math.isnan(ours.sd) else ours.sd
    reference = published.args.get("reference")
    row = {"value": ours.value, "low": ours.value - spread, "high": ours.value + spread, "sd": ours.sd, "n": ours.n,
           "inputs": "cifar10", "measured": ours.note}  # fmt: skip
    row["population"] = "; ".join(filter(None, [f"against {reference}" if reference else "", published.note]))
    if judged.name == ABSENT:
        row["cause"] = "one seed on either side: no spread to judge by"
    return judged, row


MAKERS = {"correlation": _correlation, "fact": _fact, "operations": _of_folder, "search": _of_folder}


def shares(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return counts published, checked, agrees and share = agrees / checked, by the columns `by`, or overall."""
    checked = rows["verdict"] != ABSENT
    frame = rows.assign(published=1, checked=checked, agrees=rows["verdict"] == AGREES)
    if not by:
        frame, by = frame.assign(all="all"), ["all"]
    found = frame.groupby(list(by), sort=False)[["published", "checked", "agrees"]].sum().astype(int).reset_index()
    return found.assign(share=found["agrees"] / found["checked"].where(found["checked"] > 0))
