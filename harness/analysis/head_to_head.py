"""Proxies head to head: paired differences on each benchmark, corrected p, wins, mean rank, and a verdict in words.

Every difference is over the architectures that both proxies scored, so what they share cancels: it is far more certain
than two separate intervals let one think. p of rho and of tau-b are corrected by Holm (1979) for all pairs on all
benchmarks. A pair is decided where p of rho is below 0.05; on a whole space, where there is no sampling error, the sign
decides. Regret has no interval and no p (docs/method.md): its difference decides nothing.

The mean difference is over benchmarks, with Student's interval over them: it holds the sampling errors and how much
benchmarks differ. Spaces of one benchmark (1shot1) and further targets on it count once, with their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import harness.stats as stats
from benchmarks.benchmark import GROUPS
from benchmarks.errors import UserError, suggest
from harness.analysis.populations import POPULATIONS, Population, population_of, share_of_space
from harness.analysis.statistics import sampling_error

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

ALPHA = 0.05
PICKS = 10
AHEAD, BEHIND, UNDECIDED = "ahead", "behind", "undecided"
COLUMNS = (
    "benchmark", "proxy", "other", "n", "rho_difference", "rho_low", "rho_high", "rho_p", "rho_p_adjusted",
    "tau_b_difference", "tau_b_low", "tau_b_high", "tau_b_p", "tau_b_p_adjusted", "regret_10_difference", "verdict",
)  # fmt: skip
MEANS = ("proxy", "other", "benchmarks", *(f"{name}_{end}" for name in ("rho", "tau_b", "regret_10")
                                           for end in ("difference", "low", "high")))  # fmt: skip
RANKS = (
    "benchmark",
    "proxy",
    "rho",
    "rho_low",
    "rho_high",
    "tau_b",
    "tau_b_low",
    "tau_b_high",
    "regret_10",
    "n",
    "rank",
)


@dataclass(frozen=True)
class HeadToHead:
    """Proxies compared on one benchmark or several. Differences are proxy minus other; regret: negative is better."""

    pairs: pd.DataFrame
    """`COLUMNS`, a row for each benchmark and pair; verdict: ahead, behind or undecided, of proxy against other."""
    scores: pd.DataFrame
    """`RANKS`, a row for each benchmark and proxy, on the architectures that all of them scored; rank by rho, 1 is
    best."""
    means: pd.DataFrame
    """`MEANS`, a row for each pair where there are several benchmarks: mean differences over `benchmarks` of them."""
    standing: pd.DataFrame
    """A row for each proxy, best mean rank first: wins, losses, undecided (over pairs and benchmarks), mean_rank."""
    population: str
    settings: dict[str, dict[str, Any]]
    """{benchmark: dataset, split, architectures, whole (whether the whole space was scored), embedded}."""

    @property
    def names(self) -> list[str]:
        """The proxies in the order in which they were named."""
        return list(dict.fromkeys(self.scores["proxy"]))

    @property
    def benchmarks(self) -> list[str]:
        """The benchmarks in order."""
        return list(self.settings)

    def verdicts(self) -> list[str]:
        """Return one sentence for each pair: on which benchmarks it is decided, and what follows."""
        return [self._sentence(one, other) for one, other in combinations(self.names, 2)]

    def _sentence(self, one: str, other: str) -> str:
        rows = self.pairs[(self.pairs["proxy"] == one) & (self.pairs["other"] == other)]
        where = {word: list(rows.loc[rows["verdict"] == word, "benchmark"]) for word in (AHEAD, BEHIND, UNDECIDED)}
        total, ahead, behind = len(rows), where[AHEAD], where[BEHIND]
        if len(ahead) == total:
            return f"{one} is ahead of {other}{_everywhere(ahead)}."
        if len(behind) == total:
            return f"{one} is behind {other}{_everywhere(behind)}."
        if not ahead and not behind:
            return f"{one} and {other} cannot be told apart{_everywhere(where[UNDECIDED])}: score more architectures."
        said = [f"{word} on {', '.join(where[word])}" for word in where if where[word]]
        end = "which is better depends on the benchmark" if ahead and behind else "the rest is within chance"
        return f"{one} against {other}: {'; '.join(said)}; {end}."


def _everywhere(benchmarks: Sequence[str]) -> str:
    if len(benchmarks) < 3:
        return f" on {' and '.join(benchmarks)}"
    return f" on all {len(benchmarks)} benchmarks"


def head_to_head(
    runs: Mapping[str, StoredRun],
    names: Sequence[str],
    *,
    population: str = "all",
    resamples: int = 1000,
    seed: int = 0,
) -> HeadToHead:
    """Return the comparison of some proxies of one run for each benchmark, {label: run}.

    Raises UserError for an unknown population, fewer than two proxies, and a run that lacks one.
    """
    if population not in POPULATIONS:
        raise suggest([population], POPULATIONS, "population")
    if len(names) < 2:
        raise UserError(f"a comparison needs two proxies; got {', '.join(names) or 'none'}")
    pairs: list[tuple] = []
    scores: list[tuple] = []
    settings: dict[str, dict[str, Any]] = {}
    for label, run in runs.items():
        if lacking := [name for name in names if name not in run.scores]:
            raise UserError(f"{label}: no scores of {', '.join(lacking)}")
        share = share_of_space(run)
        part = population_of(run.of(names), population, share)
        found = _Compared(label, part, len(run.archs), share < 1, resamples, seed)
        pairs += [found.pair(one, other) for one, other in combinations(names, 2)]
        scores += found.scores(names)
        settings[label] = {
            "dataset": str(run.manifest.get("dataset") or run.manifest["target"]["dataset"]),
            "architectures": len(part.accuracy), "whole": share >= 1, "embedded": bool(run.manifest.get("embedded")),
        }  # fmt: skip
    frame = _decided(
        pd.DataFrame(pairs, columns=list(COLUMNS)), {label: each["whole"] for label, each in settings.items()}
    )
    ranks = pd.DataFrame(scores, columns=list(RANKS))
    costs = [label for label, run in runs.items() if (run.manifest.get("target") or {}).get("better") == "smaller"]
    frame.loc[frame["benchmark"].isin(costs), "regret_10_difference"] = np.nan  # nobody looks for the slowest
    ranks.loc[ranks["benchmark"].isin(costs), "regret_10"] = np.nan
    ranks["rank"] = ranks.groupby("benchmark", sort=False)["rho"].rank(ascending=False)
    return HeadToHead(frame, ranks, _means(frame), _standing(frame, ranks, names), population, settings)


class _Compared:
    """The proxies of one population of one run."""

    def __init__(self, label: str, part: Population, archs: int, sampled: bool, resamples: int, seed: int) -> None:
        self.label, self.part, self.sampled = label, part, sampled
        self.errors = sampling_error(part, archs, sampled, resamples, seed)

    def pair(self, one: str, other: str) -> tuple:
        """Return a row of `HeadToHead.pairs` but for what is corrected and decided later."""
        part, nothing = self.part, float("nan")
        x, y = part.scores[one], part.scores[other]
        both = np.isfinite(x).any(axis=0) & np.isfinite(y).any(axis=0)
        rho = self.errors.difference(one, other)
        of = (stats.kendall_tau_b, stats.tau_b_influence, x, y, part.accuracy)
        error = stats.difference_interval(*of, **part.drawn) if self.sampled else (nothing,) * 3
        tau = self._gap(x, y, lambda score: stats.kendall_tau_b(score, part.accuracy, part.weight))
        at = part.met
        regret = self._gap(at.scores[one], at.scores[other], lambda s: stats.top_k_regret(s, at.accuracy, PICKS))
        return self.label, one, other, int(both.sum()), *rho, nothing, tau, *error, nothing, regret, UNDECIDED

    @staticmethod
    def _gap(one: np.ndarray, other: np.ndarray, of: object) -> float:
        """Return the difference of a statistic on the architectures both scored, mean over seeds."""
        assert callable(of)
        return float(stats.seed_mean([of(x) - of(y) for x, y in stats.pairs_of_seeds(one, other)]))

    def scores(self, names: Sequence[str]) -> list[tuple]:
        """Return the rows of `HeadToHead.scores`: every proxy on the architectures that all scored."""
        part = self.part
        common = np.logical_and.reduce([np.isfinite(part.scores[name]).all(axis=0) for name in names])
        rows = []
        for name in names:
            score = np.where(common, part.scores[name], np.nan)
            at = np.where(common, part.scores[name], np.nan)[:, slice(None) if part.first is None else part.first]
            value = {
                "rho": stats.seed_mean([stats.spearman(row, part.accuracy, part.weight) for row in score]),
                "tau": stats.seed_mean([stats.kendall_tau_b(row, part.accuracy, part.weight) for row in score]),
                "regret": stats.seed_mean([stats.top_k_regret(row, part.met.accuracy, PICKS) for row in at]),
            }
            nothing = (float("nan"),) * 2
            rho = stats.rho_interval(score, part.accuracy, **part.drawn) if self.sampled else nothing
            tau = stats.tau_b_interval(score, part.accuracy, **part.drawn) if self.sampled else nothing
            rows.append((self.label, name, float(value["rho"]), *rho, float(value["tau"]), *tau, float(value["regret"]),
                         int(common.sum()), float("nan")))  # fmt: skip
        return rows


def _decided(frame: pd.DataFrame, whole: Mapping[str, bool]) -> pd.DataFrame:
    """Correct p for all pairs on all benchmarks and decide each."""
    for statistic in ("rho", "tau_b"):
        frame[f"{statistic}_p_adjusted"] = stats.holm(frame[f"{statistic}_p"].to_numpy(float))
    gap = frame["rho_difference"]
    certain = frame["benchmark"].map(whole).astype(bool) & (gap != 0)
    decided = (frame["rho_p_adjusted"] < ALPHA) | certain
    frame["verdict"] = np.where(decided & (gap > 0), AHEAD, np.where(decided & (gap < 0), BEHIND, UNDECIDED))
    return frame


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `HeadToHead.means`."""
    of = {member: group for group, members in GROUPS.items() for member in members}
    keys, rows = frame["benchmark"].str.split(" ").str[0], []  # a further target comes after the key
    family = keys.map(lambda key: of.get(key, key))
    names = [f"{name}_difference" for name in ("rho", "tau_b", "regret_10")]
    for (one, other), own in frame.groupby(["proxy", "other"], sort=False):
        each = own.groupby(family, sort=False)[names].mean()
        if len(each) > 1:
            means = [stats.mean_interval(each[name].to_numpy(float)) for name in names]
            rows.append((one, other, len(each), *(value for mean in means for value in mean)))
    return pd.DataFrame(rows, columns=list(MEANS))


def _standing(frame: pd.DataFrame, ranks: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name in names:
        as_one, as_other = frame[frame["proxy"] == name], frame[frame["other"] == name]
        wins = int((as_one["verdict"] == AHEAD).sum() + (as_other["verdict"] == BEHIND).sum())
        losses = int((as_one["verdict"] == BEHIND).sum() + (as_other["verdict"] == AHEAD).sum())
        mean = float(ranks.loc[ranks["proxy"] == name, "rank"].mean())
        rows.append((name, wins, losses, len(as_one) + len(as_other) - wins - losses, mean))
    table = pd.DataFrame(rows, columns=["proxy", "wins", "losses", "undecided", "mean_rank"])
    return table.sort_values(["mean_rank", "wins"], ascending=[True, False], kind="stable").reset_index(drop=True)
