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
from harness.reproduce.correlations import SPLITS, Estimate
from harness.reproduce.recipes import Cause, Published, Recipe, cause_of
from harness.reproduce.score_sets import ScoreSet, Scoring
from harness.reproduce.session import Command, Session
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, TWO_SIDED, UNDECIDED, Verdict

COLUMNS = (
    *("table", "kind", "bench", "dataset", "method", "population", "measure", "published", "published_sd"),
    *("published_n", "value", "low", "high", "sd", "n", "verdict", "away", "error", "margin", "differs_from_0"),
    *("inputs", "protocol", "accuracy", "judged_by", "cause_kind", "cause", "command", "result", "measured", "source"),
    "note",
)
NO_IMAGES = "no network"
SUBSTITUTE = " (substitute images)"
"""Ends what images a score saw where they are of another dataset than the accuracies."""
CLOSER = 0.8
"""Another choice is reported where it leaves less than this share of the distance."""
OPEN = "open"
"""The kind of a cause that no run has shown."""


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
        "verdict": judged.name, "away": judged.away, "error": judged.error, "margin": judged.margin,
        "differs_from_0": judged.differs_from_0, "accuracy": table.accuracy,
        "source": published.source or table.title, "note": published.note or table.note,
    }  # fmt: skip
    if judged.name == DIFFERS:
        row |= _why(table, cause_of(table, published))
    return row | ours


def _why(table: Recipe, cause: Cause | None) -> dict[str, Any]:
    """Return the cells about a declared cause. One that no run has shown is open, with the run that would show it."""
    how = table.command or f"python -m harness.reproduce {table.name} --full"
    if cause is None:
        return {"cause_kind": OPEN, "cause": "not known", "command": how, "result": ""}
    shown = {"cause_kind": cause.kind} if cause.result else {"cause_kind": OPEN}
    return shown | {"cause": cause.text, "command": cause.command or how, "result": cause.result}


def _correlation(table: Recipe, published: Published, session: Session) -> tuple[Verdict, dict[str, Any]]:
    judge = session.judge(table, published.bench, published.dataset)
    split = judge.split(table.split_of(published))
    if missing := judge.lacks(published.method):
        names, how = ",".join(missing), f"python -m harness.run --bench {published.bench} --proxies"
        raise UserError(f"no scores of {names}: {how} {names}, or --full")
    ours = judge.estimate(published, split, table.draws)
    judged = _judged(published, ours)
    scores = None if published.method in judge.counts else judge.set
    reach = TWO_SIDED * ours.error if ours.error else math.nan
    row: dict[str, Any] = {
        "value": ours.value, "low": ours.value - reach, "high": ours.value + reach, "n": ours.n,
        "inputs": _inputs(published, scores) if scores else NO_IMAGES, "judged_by": SPLITS[split],
        "protocol": scores.protocol_of(published.method) if scores else "",
    }  # fmt: skip
    if ours.differenced:
        row["protocol"] = f"default, and what {row['protocol']} changes on {ours.differenced:,}"
    if judged.name == ABSENT:
        row["cause"] = "our value or its error is not defined: too few architectures, or a constant score"
    if judged.name != DIFFERS:
        lost = published.absolute and ours.value < 0
        return judged, row | {"measured": "our value is negative; it was published without its sign" if lost else ""}
    others = judge.alternatives(published, split)
    return judged, row | _explained(table, published, others, ours, row["inputs"])


def _judged(published: Published, ours: Estimate, value: float | None = None) -> Verdict:
    return verdict.correlation(
        published.value, ours.value if value is None else value, ours.distance, published.measure, whole=ours.whole,
        absolute=published.absolute,
    )  # fmt: skip


def _explained(
    table: Recipe, published: Published, others: Mapping[str, float], ours: Estimate, seen: str
) -> dict[str, Any]:  # fmt: skip
    """Return what is known of a value that differs: our value with other choices, and a cause if one of them is it."""
    cause = cause_of(table, published)
    found: dict[str, Any] = {"measured": _measured(published, others, ours)}
    if cause and cause.alternative and cause.alternative in others:
        value = others[cause.alternative]
        if _judged(published, ours, value).name == AGREES:
            found |= {"cause_kind": cause.kind, "result": f"with {cause.alternative} ours is {value:.3f}, which agrees"}
            found["command"] = f"python -m harness.reproduce {table.name}"
    elif cause is None and seen.endswith(SUBSTITUTE):
        said = f"our scores saw {seen.removesuffix(SUBSTITUTE)} images, the published ones {published.dataset}'s"
        found["cause"] = said
    return found


def _inputs(published: Published, scores: ScoreSet) -> str:
    """Return which images the networks saw; those of another dataset are substitutes."""
    proxy = registry().get(published.method)
    if proxy is not None and proxy.view.inputs != "minibatch":
        return {"gaussian": "noise", "ones": "ones"}[proxy.view.inputs]
    return scores.dataset if scores.dataset == published.dataset else scores.dataset + SUBSTITUTE


def _measured(published: Published, others: Mapping[str, float], ours: Estimate) -> str:
    """Return our value under other choices where that is closer."""
    sign = -1 if published.absolute and ours.value < 0 else 1
    away = {words: sign * value - published.value for words, value in others.items()}
    near = CLOSER * abs(sign * ours.value - published.value)
    closer = sorted((words for words in away if abs(away[words]) < near), key=lambda words: abs(away[words]))
    if closer:
        best = (f"{words}: {published.value + away[words]:.3f}" for words in closer[:2])
        return f"closer is our value with {'; '.join(best)}"
    return "no other population, accuracy or variant that was tried is much closer" if away else ""


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
    judged = verdict.seeds(published.value, published.sd, published.n, ours.value, ours.sd, ours.n)
    spread = 0.0 if math.isnan(ours.sd) else ours.sd
    reference = published.args.get("reference")
    row = {"value": ours.value, "low": ours.value - spread, "high": ours.value + spread, "sd": ours.sd, "n": ours.n,
           "inputs": "cifar10", "measured": ours.note}  # fmt: skip
    row["population"] = "; ".join(filter(None, [f"against {reference}" if reference else "", published.note]))
    if judged.name == ABSENT:
        row["cause"] = "one seed on either side: no spread to judge by"
    return judged, row


def _training(table: Recipe, published: Published, session: Session) -> tuple[Verdict, dict[str, Any]]:
    raise UserError(f"needs the training of the cells that a search found: {table.command}")


MAKERS = {
    "correlation": _correlation, "fact": _fact, "operations": _of_folder, "search": _of_folder,
    "training": _training,
}  # fmt: skip


def shares(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Return counts published, checked, agrees, undecided, differs, and share = agrees / checked, by the columns `by`,
    or overall."""
    named = {"agrees": AGREES, "undecided": UNDECIDED, "differs": DIFFERS}
    frame = rows.assign(published=1, checked=rows["verdict"] != ABSENT)
    frame = frame.assign(**{name: rows["verdict"] == each for name, each in named.items()})
    if not by:
        frame, by = frame.assign(all="all"), ["all"]
    counts = ["published", "checked", *named]
    found = frame.groupby(list(by), sort=False)[counts].sum().astype(int).reset_index()
    return found.assign(share=found["agrees"] / found["checked"].where(found["checked"] > 0))


def without_cause(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that differ and whose cause no run has shown."""
    return rows[(rows["verdict"] == DIFFERS) & (rows["cause_kind"] == OPEN)]
