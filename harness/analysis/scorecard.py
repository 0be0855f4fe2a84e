"""The scorecard: every score on every task, from runs of kept scores; and where each score stands over all tasks.

Of a score with several sets on a task the one under the default protocol counts, then the largest. rho and its interval
are those of a run's report, analytic. A score beats the best count where its paired difference to the best count of
that set (the highest rho of all counts) is above 0, and so is its rho, beyond chance: p below 0.05, corrected by Holm
for all scores of the task, and more than 1.96 standard deviations of what another draw of weights and minibatch would
do to it. Where the whole space was scored there is no sampling error, and the draws alone are chance.

Tasks on the same architectures are no independent witnesses: 201 has many, its own networks only once. So a mean over
tasks is the mean over families (benchmarks whose architectures are others) of the mean over its groups of targets
(accuracies; each group such as `robust`). The interval is Student's over families, where there are three or more, cut
at what is possible. Ranks are among the panel, the scores that every family has: 1 plus how many of these others are
better, of all of them where a task lacks some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import harness.stats as stats
from harness.analysis.ensembles import with_ensembles
from harness.analysis.plan import count_to_beat
from harness.analysis.populations import COUNTS, facts_of, population_of, share_of_space
from harness.analysis.statistics import STATISTICS, Analytic, SamplingError
from harness.analysis.targets import by_target, facts_of_target

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

ALPHA, REACH = 0.05, 1.96
SHOWN = ("rho", "tau_b", "regret_1", "regret_10")
BEATS, WORSE, UNDECIDED = "beats", "worse", "undecided"
CELLS = (
    "task", "family", "score", "kind", "n", "failed", "rho", "rho_low", "rho_high", "tau_b", "regret_1", "regret_10",
    "whole", "count", "difference", "p", "p_adjusted", "verdict", "seconds", "kept", "protocol", "batch_size",
    "revision",
)  # fmt: skip
Drawn = Callable[[Sequence[str], int], float]
"""(scores, architectures) -> standard deviation of rho over draws of weights and minibatch."""


@dataclass(frozen=True)
class Scorecard:
    """All scores on all tasks."""

    cells: pd.DataFrame
    """`CELLS`, a row for each task and score. whole: no sampling error, low and high are rho; difference: rho minus
    that of `count`, the best one, NaN for it; regret in points, of the best scored; seconds for an architecture."""
    standing: pd.DataFrame
    """A row for each score, those on most families first, then by mean rank: score, kind, mean_rank with low and high,
    rho (mean) with low and high, beats, worse, tasks, families, seconds (median over tasks)."""
    panel: tuple[str, ...]
    """The scores that every family has, among which ranks are."""

    @property
    def tasks(self) -> list[str]:
        """The tasks in order."""
        return list(dict.fromkeys(self.cells["task"]))


def scorecard(tasks: Mapping[str, Sequence[StoredRun]], drawn: Drawn = lambda scores, archs: 0.0) -> Scorecard:
    """Return the scorecard of {task: its runs, preferred first}; `drawn` gives the error of the draws."""
    parts = [_task_cells(task, runs, drawn) for task, runs in with_targets(tasks).items()]
    cells = pd.concat(parts, ignore_index=True)
    panel = panel_of(cells)
    return Scorecard(cells, standing(cells, panel), panel)


def with_targets(tasks: Mapping[str, Sequence[StoredRun]]) -> dict[str, Sequence[StoredRun]]:
    """Return the tasks and, behind those of a benchmark, its further targets whose larger values are better."""
    found: dict[str, Sequence[StoredRun]] = {}
    benches = dict.fromkeys(task.partition(" ")[0] for task in tasks)
    for bench in benches:
        own = {task: runs for task, runs in tasks.items() if task.partition(" ")[0] == bench}
        found |= own
        for runs in own.values():
            names = [name for name in runs[0].targets if facts_of_target(runs[0], name)["better"] == "larger"]
            found |= {f"{bench} {name}": [by_target(run, name) for run in runs] for name in names}
    return found


def _task_cells(task: str, runs: Sequence[StoredRun], drawn: Drawn) -> pd.DataFrame:
    """Return the rows of one task; a score is taken from the first run that has it."""
    rows: dict[str, dict[str, Any]] = {}
    for run in map(with_ensembles, runs):
        hidden = {name for name in run.scores if facts_of(run, name).get("static")} - {*COUNTS, "random"}
        wanted = [name for name in run.scores if name not in (*rows, *hidden)]
        if set(wanted) - set(COUNTS) - {"random"}:
            rows |= _run_cells(run, wanted, drawn)
    frame = pd.DataFrame([{"task": task, **row} for row in rows.values()])
    frame["p_adjusted"] = stats.holm(frame["p"].to_numpy(float))
    beyond = (frame["p_adjusted"] < ALPHA) | frame["whole"]
    beyond &= frame["difference"].abs() > REACH * frame["draws"]
    ahead = (frame["difference"] > 0) & (frame["rho"] > REACH * frame["draws"])  # a rho of 0 beats nothing
    verdict = np.where(beyond & ahead, BEATS, np.where(beyond & (frame["difference"] < 0), WORSE, UNDECIDED))
    frame["verdict"] = np.where(frame["difference"].isna(), "", verdict)
    return frame[list(CELLS)]


def _run_cells(run: StoredRun, wanted: Sequence[str], drawn: Drawn) -> dict[str, dict[str, Any]]:
    """Return {score: its row} of some scores of a run."""
    share = share_of_space(run)
    part = population_of(run, "all", share)
    errors = SamplingError(part) if share >= 1 else Analytic(part)
    best = count_to_beat(run)
    made = {}
    for name in wanted:
        row = {each.name: float(stats.seed_mean([each.of_score(score, part) for score in part.scores[name]]))
               for each in STATISTICS if each.name in SHOWN and each.of_score}  # fmt: skip
        rho = next(each for each in STATISTICS if each.name == "rho")
        low, high = (row["rho"],) * 2 if share >= 1 else errors.interval(rho, name)
        gap, _, _, p = errors.difference(name, best) if name != best else (np.nan,) * 4
        n = int(np.isfinite(part.scores[name]).all(0).sum())
        members = facts_of(run, name).get("ensemble", [name])
        made[name] = {
            "family": run.manifest["family"], "score": name, "kind": kind_of(run, name), "n": n,
            "failed": len(part.accuracy) - n, **row, "rho_low": low, "rho_high": high, "whole": share >= 1,
            "count": best, "difference": gap, "p": p,
            "draws": _draws(kind_of(run, name), members, n, drawn),
            "seconds": seconds_of(run, members), "kept": run.manifest["kept"], "protocol": run.manifest["protocol"],
            "batch_size": run.manifest["batch_size"], "revision": run.manifest["scored"]["revision"],
        }  # fmt: skip
    return made


def _draws(kind: str, members: Sequence[str], n: int, drawn: Drawn) -> float:
    """Return the error of the draws: a count has none, a random order that of chance."""
    return 0.0 if kind == "count" else 1 / np.sqrt(n) if kind == "random" else drawn(members, n)


def kind_of(run: StoredRun, name: str) -> str:
    """Return which of `harness.report.style.KINDS` a score is."""
    facts = facts_of(run, name)
    if name == "random" or name in COUNTS:
        return "random" if name == "random" else "count"
    return "fitted" if facts.get("fitted") else "ensemble" if facts.get("ensemble") else "proxy"


def seconds_of(run: StoredRun, members: Sequence[str]) -> float:
    """Return the seconds that one architecture takes, the sum of the members'; NaN where one is not known."""
    cost = {name: 0.0 for name in members if facts_of(run, name).get("static")} | run.manifest["cost"]
    return float(sum(cost.get(name, np.nan) for name in members))


def panel_of(cells: pd.DataFrame) -> tuple[str, ...]:
    """Return the scores that every family has and that are defined there, without chance."""
    known = cells[cells["rho"].notna() & (cells["kind"] != "random")]
    families = known.groupby("score", sort=False)["family"].nunique()
    return tuple(families.index[families == cells["family"].nunique()])


def standing(cells: pd.DataFrame, panel: Sequence[str]) -> pd.DataFrame:
    """Return `Scorecard.standing`."""
    known = cells[cells["rho"].notna()].assign(rank=lambda frame: ranks(frame, panel))
    rows = []
    for (score, kind), of in known.groupby(["score", "kind"], sort=False):
        groups = of.assign(group=of["task"].map(group_of)).groupby(["family", "group"])[["rank", "rho"]].mean()
        by_family = groups.groupby("family").mean()
        rank = np.clip(stats.mean_interval(by_family["rank"].to_numpy(float)), 1, len(panel) + 1)
        rho = np.clip(stats.mean_interval(by_family["rho"].to_numpy(float)), -1, 1)
        rows.append((
            score, kind, *rank, *rho, int((of["verdict"] == BEATS).sum()), int((of["verdict"] == WORSE).sum()), len(of),
            len(by_family), float(of["seconds"].median()),
        ))  # fmt: skip
    heads = ("score", "kind", "mean_rank", "mean_rank_low", "mean_rank_high", "rho", "rho_low", "rho_high", "beats",
             "worse", "tasks", "families", "seconds")  # fmt: skip
    frame = pd.DataFrame(rows, columns=list(heads))
    order = {"by": ["families", "mean_rank", "score"], "ascending": [False, True, True]}
    return frame.sort_values(**order).reset_index(drop=True)


def group_of(task: str) -> str:
    """Return the group of a task's target: accuracy, or that of `201 robust:pgd@1`."""
    return task.partition(" ")[2].partition(":")[0] if ":" in task else "accuracy"


def ranks(cells: pd.DataFrame, panel: Sequence[str]) -> pd.Series:
    """Return for each cell 1 plus how many of the other scores of the panel have a higher rho on its task, equal ones
    counting half; where the task lacks some of them, their share times the size of the panel."""
    found = pd.Series(np.nan, index=cells.index)
    for _, of in cells.groupby("task", sort=False):
        judges = of[of["score"].isin(panel)].set_index("score")["rho"]
        for at, score, rho in zip(of.index, of["score"], of["rho"], strict=True):
            others = judges.drop(score, errors="ignore").to_numpy()
            better = ((others > rho) + (others == rho) / 2).mean() if len(others) else np.nan
            found[at] = 1 + better * (len(panel) - (score in panel))
    return found
