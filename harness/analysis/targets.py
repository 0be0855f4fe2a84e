"""Scores against several targets: robustness, energy or latency beside the accuracy; and what they lose on a budget.

Correlations are with the value itself, in its unit: a positive rho with a latency says that larger scores are slower.
Regret is of targets whose larger values are better. `given` is a target too: its rank is partialled out, so that
what is left is the order among architectures of about equal cost, and its quantiles are the budgets of `by_budgets`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import harness.stats as stats
from benchmarks.errors import UserError, suggest
from harness.analysis.populations import POPULATIONS, Array, Population, population_of, share_of_space
from harness.analysis.statistics import STATISTICS, Analytic, SamplingError, Statistic
from harness.analysis.summary import RANDOM_PICKS, best_count, differences

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

ACCURACY = "accuracy"
"""The accuracy of the run, as a target."""
CONTROL = "rho_partial_params"
SHOWN = ("n", "failed", "rho", CONTROL, "regret_10")
"""Statistics of `by_targets`, by name."""
GIVEN = ("rho_given", "rho_given_low", "rho_given_high")
PICKS = (1, 10)


BUDGETS = ("target", "cost", "proxy", "k", "share", "limit", "archs", "best", "regret")
"""The columns of `by_budgets`."""


def _statistics() -> list[Statistic]:
    return [each for each in STATISTICS if each.name in SHOWN]


def by_target(run: StoredRun, name: str) -> StoredRun:
    """Return a run with one of its targets in the place of the accuracy. UserError where it has none of that name."""
    if name == ACCURACY:
        return run
    if name not in run.targets:
        raise suggest([name], [ACCURACY, *run.targets], "target of this run")
    values, facts = run.targets[name], run.manifest["targets"][name]
    known = values[np.isfinite(values)]
    if not len(known):
        raise UserError(f"target {name}: none of the {len(values):,} architectures scored has a value")
    target = {"dataset": name, "split": "", "epochs": 0, "reduction": "", "better": facts["better"]}
    return replace(
        run, accuracy=values, seed_accuracy=np.empty((len(values), 0)), manifest=run.manifest | {"target": target},
        space_best=float(known.max() if facts["better"] == "larger" else known.min()),
    )  # fmt: skip


def facts_of_target(run: StoredRun, name: str) -> dict[str, str]:
    """Return unit and better (larger or smaller) of a target."""
    return {"unit": "%", "better": "larger"} if name == ACCURACY else run.manifest["targets"][name]


def by_targets(run: StoredRun, given: str | None = None, population: str = "all") -> pd.DataFrame:
    """Return the statistics of every score on the accuracy and every other target of a run.

    Columns: target, unit, better (larger or smaller), proxy, those of `SHOWN`, given and `GIVEN`, baseline,
    rho_difference, p_adjusted, beats.

    given: the target that is partialled out in rho_given; NaN on itself. Intervals are analytic, NaN where the whole
    space was scored. beats: whether rho is above that of the best count beyond chance, corrected by Holm in a target;
    None where undecided. UserError for an unknown population or target.
    """
    if population not in POPULATIONS:
        raise suggest([population], POPULATIONS, "population")
    control = None if given is None else by_target(run, given).accuracy
    rows: list[dict[str, Any]] = []
    for name in (ACCURACY, *run.targets):
        rows += _rows(by_target(run, name), name, facts_of_target(run, name), population, given, control)
    shown = (name for each in _statistics() for name in each.columns)
    compared = ("baseline", "rho_difference", "p_adjusted", "beats")
    columns = ["target", "unit", "better", "proxy", *shown, "given", *GIVEN, *compared]
    return pd.DataFrame(rows, columns=columns)


def _rows(
    run: StoredRun, name: str, facts: dict[str, str], population: str, given: str | None, control: Array | None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each score on one target."""
    share = share_of_space(run)
    part = population_of(run, population, share)
    errors = (Analytic if share < 1 else SamplingError)(part)
    same = {} if control is None or name == given else _controlled(run, population, share, control)
    found = {proxy: _values(proxy, part, errors) for proxy in part.scores}
    rho = pd.DataFrame({"proxy": list(found), "rho": [each["rho"] for each in found.values()]})
    gaps = differences(part, best_count(run, rho), errors, certain=share >= 1).set_index("proxy")
    for proxy, values in found.items():
        if facts["better"] == "smaller":
            values["regret_10"] = np.nan
        gap = gaps.loc[proxy] if proxy in gaps.index else {}
        yield {
            "target": name, "unit": facts["unit"], "better": facts["better"], "proxy": proxy, **values, "given": given,
            **dict(zip(GIVEN, same.get(proxy, (np.nan,) * 3), strict=True)),
            **{column: gap.get(column) for column in ("baseline", "rho_difference", "p_adjusted")},
            "beats": gap.get("better"),
        }  # fmt: skip


def _values(proxy: str, part: Population, errors: SamplingError) -> dict[str, float]:
    """Return the statistics of one score, with their intervals."""
    values: dict[str, float] = {}
    for each in _statistics():
        here = part if each.weighted else part.met
        if each.of_proxy:
            values[each.name] = each.of_proxy(proxy, here)
        elif each.of_score:
            values[each.name] = float(stats.seed_mean([each.of_score(score, here) for score in here.scores[proxy]]))
        if each.interval:
            values[f"{each.name}_low"], values[f"{each.name}_high"] = errors.interval(each, proxy)
    return values


def _controlled(run: StoredRun, population: str, share: float, control: Array) -> dict[str, tuple[float, ...]]:
    """Return {proxy: rho with a column partialled out, and its interval}."""
    statistic = next(each for each in STATISTICS if each.name == CONTROL)
    part = population_of(replace(run, params=control), population, share)
    errors = (Analytic if share < 1 else SamplingError)(part)
    assert statistic.of_score
    return {
        proxy: (float(stats.seed_mean([statistic.of_score(score, part) for score in scores])),
                *errors.interval(statistic, proxy))
        for proxy, scores in part.scores.items()
    }  # fmt: skip


def by_budgets(
    run: StoredRun, cost: str, target: str = ACCURACY, ks: Sequence[int] = PICKS, steps: int = 10
) -> pd.DataFrame:
    """Return the regret of every score among the architectures within each tenth of a cost, `BUDGETS`.

    A row for each proxy, k and budget: share of the architectures within it, limit (the largest cost, in its unit),
    archs, best (value of the target there), regret of the k top scores, in the target's unit. "random picks" is the
    expectation of k random ones. UserError for a cost or target that is not of the run, or whose better values are not
    the smaller and the larger.
    """
    for name, better in ((cost, "smaller"), (target, "larger")):
        by_target(run, name)
        if facts_of_target(run, name)["better"] != better:
            raise UserError(f"target {name}: of a {'cost' if better == 'smaller' else 'target'} {better} values are"
                            f" better; of one of your own add :{better}")  # fmt: skip
    value, price = by_target(run, target).accuracy, run.targets[cost]
    known = stats.both_finite(value, price)
    value, price = value[known], price[known]
    limits = stats.budgets(price, steps)
    inside = [price <= limit for limit in limits]
    scores = {name: each[:, known] for name, each in run.scores.items()} | {RANDOM_PICKS: np.zeros((1, known.sum()))}
    rows: list[tuple] = []
    for proxy, seeds in scores.items():
        for k in ks:
            curves = [stats.budget_regret(score, value, price, limits, k) for score in stats.different_seeds(seeds)]
            facts = zip(limits, inside, stats.seed_mean(curves), strict=True)
            rows += [(target, cost, proxy, k, within.mean(), limit, int(within.sum()), value[within].max(), regret)
                     for limit, within, regret in facts]  # fmt: skip
    return pd.DataFrame(rows, columns=list(BUDGETS))


def picks(run: StoredRun, cost: str, proxy: str, target: str = ACCURACY) -> pd.DataFrame:
    """Return the Pareto picks of a score, cheapest first: arch, cost, score, the target's value, whether it is truly
    Pareto optimal. Means over seeds of the score."""
    score = np.where(np.isfinite(run.scores[proxy]), run.scores[proxy], np.nan).mean(axis=0)
    value, price = by_target(run, target).accuracy, run.targets[cost]
    known = stats.both_finite(value, price)
    chosen = np.flatnonzero(stats.front(np.where(known, score, np.nan), price))
    chosen = chosen[np.argsort(price[chosen], kind="stable")]
    optimal = stats.front(np.where(known, value, np.nan), price)
    return pd.DataFrame({
        "arch": [run.archs[at] for at in chosen], "cost": price[chosen], "score": score[chosen],
        "value": value[chosen], "optimal": optimal[chosen],
    })  # fmt: skip


def each_target(runs: Mapping[str, StoredRun]) -> dict[str, StoredRun]:
    """Return a run for each further target of some runs, by label and target; a run that has none stays as it is."""
    found = {label: run for label, run in runs.items() if not run.targets}
    return found | {f"{label} {name}": by_target(run, name) for label, run in runs.items() for name in run.targets}
