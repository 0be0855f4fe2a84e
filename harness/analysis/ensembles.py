"""Several proxies as one score: sums of ranks over a reference set, and majority votes on pairs.

An ensemble's score of an architecture depends on the reference set, the architectures that are ranked together. So it
is not a proxy: it is computed from stored scores, and reports state the size of the set. Larger is better. No function
that combines scores sees an accuracy; `judged_votes` counts the pairs that a vote orders right.

    rank_sum    sum over proxies of rank / n                  Chen et al., TE-NAS (ICLR 2021, arXiv 2102.11535)
    log_rank    sum over proxies of log(rank / n)             Lee and Ham, AZ-NAS (CVPR 2024, arXiv 2403.19232)
    vote        on each pair, the sign that most proxies give Abdelfattah et al. (ICLR 2021, arXiv 2101.08134)

Ranks run from 1 (worst) to n over the architectures that every member scored; equal scores share their mean rank;
infinite scores rank as they are. An architecture that a member failed on (NaN) is outside the set and gets NaN.
AZ-NAS's code ranks it last instead; `failed_last` does that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

import harness.stats as stats
from benchmarks.errors import UserError, suggest
from harness.proxies.ensembles import ENSEMBLES, Ensemble

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

ROWS = 256
"""Architectures compared with all others at a time."""
EXACT = 20_000
"""Architectures above which votes are judged on pairs drawn at random: there are 9e10 pairs in a table of 423,624."""
DRAWN = 10_000_000
"""So many pairs then: a standard error of 0.00016 at most."""
VOTE_COLUMNS = ("ensemble", "voter", "n", "pairs", "concordance")
"""The columns of `judged_votes`."""
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Places of one and of the other architecture, and which of these pairs count; they broadcast."""


def _ranked(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(proxies, archs) -> rank / n (proxies, reference set), and which archs are in that set, bool (archs,)."""
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise UserError(f"ensembles take scores of shape (proxies, archs), got {scores.shape}")
    inside = ~np.isnan(scores).any(0)
    return rankdata(scores[:, inside], axis=1) / max(inside.sum(), 1), inside


def _spread(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    whole = np.full(len(inside), np.nan)
    whole[inside] = values
    return whole


def rank_sum(scores: np.ndarray) -> np.ndarray:
    """(proxies, archs) -> (archs,): sum of relative ranks, NaN where a member failed."""
    ranks, inside = _ranked(scores)
    return _spread(ranks.sum(0), inside)


def log_rank(scores: np.ndarray) -> np.ndarray:
    """(proxies, archs) -> (archs,): sum of logarithms of relative ranks, at most 0; NaN where a member failed."""
    ranks, inside = _ranked(scores)
    return _spread(np.log(ranks).sum(0), inside)


RULES = {"rank_sum": rank_sum, "log_rank": log_rank}
"""Ways to combine scores, by the word in `harness.proxies.ensembles.Ensemble`."""


def failed_last(scores: np.ndarray) -> np.ndarray:
    """(proxies, archs) -> the same with minus infinity where a score is NaN, as AZ-NAS's code has it."""
    return np.where(np.isnan(scores), -np.inf, scores)


def combined(scores: Mapping[str, np.ndarray], members: Sequence[str], combine: str = "rank_sum") -> np.ndarray:
    """Combine stored scores {proxy: (seeds, archs)} seed by seed: (seeds, archs). All archs are the reference set.

    Raises UserError for members that were not scored, all at once.
    """
    if missing := [name for name in members if name not in scores]:
        raise suggest(missing, scores, "scored proxy")
    seeds = {scores[name].shape[0] for name in members} - {1}  # counts may come as one row for all seeds
    if len(seeds) > 1:
        raise UserError(f"members have different numbers of seeds: {sorted(seeds)}")
    s = seeds.pop() if seeds else 1
    stacked = np.stack([np.broadcast_to(scores[name], (s, scores[name].shape[1])) for name in members])
    return np.stack([RULES[combine](stacked[:, seed]) for seed in range(s)])


def available(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return {ensemble: (seeds, archs)} of each published ensemble that gives a score and whose members were scored."""
    return {
        name: combined(scores, each.members, each.combine)
        for name, each in ENSEMBLES.items()
        if each.combine is not None and set(each.members) <= scores.keys()
    }


def with_ensembles(run: StoredRun) -> StoredRun:
    """Return a run with the scores of the published ensembles added to those of its proxies, where all members exist.

    The reference set is every architecture of the run that all members scored. Ranks are computed once, over that set,
    and stay the same in every population and bootstrap resample. The manifest's facts on the ensemble name its members
    and the size of the set; the seconds are the sum of the members'. A name that the run already has is not replaced.
    """
    added = {name: scores for name, scores in available(run.scores).items() if name not in run.scores}
    if not added:
        return run
    facts, seconds, failures = dict(run.manifest.get("proxies") or {}), dict(run.seconds), [run.failures]
    for name, scores in added.items():
        each = ENSEMBLES[name]
        facts[name] = _facts(each, facts, int((~np.isnan(scores)).sum(1).min()))
        if all(member in seconds for member in each.members):
            seconds[name] = sum(seconds[member] for member in each.members) + np.zeros_like(scores)
        failures.append(_failed(name, scores, run.archs))
    return replace(
        run, scores=run.scores | added, seconds=seconds, manifest={**run.manifest, "proxies": facts},
        failures=pd.concat([frame for frame in failures if len(frame)] or failures[:1], ignore_index=True),
    )  # fmt: skip


def _facts(ensemble: Ensemble, known: Mapping[str, Any], reference_set: int) -> dict[str, Any]:
    """Return what a manifest says of an ensemble, as of a proxy."""
    of_members = [known[name] for name in ensemble.members if isinstance(known.get(name), dict)]
    return {
        "summary": ensemble.summary,
        "labels": any(facts.get("labels") for facts in of_members),
        "cost": "all of its members",
        "fitted": any(facts.get("fitted") for facts in of_members),
        "paper": ensemble.paper,
        "static": False,
        "direction": "larger is better",
        "ensemble": list(ensemble.members),
        "reference_set": reference_set,
    }


def _failed(name: str, scores: np.ndarray, archs: Sequence[str]) -> Any:
    rows = [(name, int(seed), archs[at], "a member has no score") for seed, at in np.argwhere(np.isnan(scores))]
    return pd.DataFrame(rows, columns=["proxy", "seed", "arch", "reason"])


@dataclass(frozen=True)
class Concordance:
    """How often votes on pairs agree with the accuracies. Not a rank correlation: chance is 0.5, not 0."""

    fraction: float
    """Pairs ordered as the accuracies order them, an undecided vote counting half; NaN without a pair."""
    pairs: int
    """Pairs of architectures of different accuracies that all proxies scored."""
    undecided: int
    """Of those, pairs on which the vote is a draw."""


def vote(scores: np.ndarray, one: int, other: int) -> int:
    """Return 1 where most proxies, (proxies, archs), put `one` above `other`, -1 for the opposite, 0 for a draw.

    Votes on pairs need not be transitive: there may be no ranking that agrees with all of them.
    """
    return int(np.sign((scores[:, one] > scores[:, other]).sum() - (scores[:, one] < scores[:, other]).sum()))


def concordance(scores: np.ndarray, accuracy: np.ndarray) -> Concordance:
    """Judge the majority vote of proxies, (proxies, archs), by accuracies (archs,), over all pairs.

    Above `EXACT` architectures over `DRAWN` pairs, drawn uniformly and the same ones each time.

    zero-cost-nas reports this fraction next to Spearman correlations. For one proxy without ties it is (tau + 1) / 2.
    """
    scores, accuracy = np.asarray(scores, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    inside = ~np.isnan(scores).any(0) & np.isfinite(accuracy)
    scores, accuracy = scores[:, inside], accuracy[inside]
    blocks = _drawn_pairs(len(accuracy)) if len(accuracy) > EXACT else _all_pairs(len(accuracy))
    pairs = undecided = agree = 0
    for one, other, counted in blocks:
        truth = np.sign(accuracy[one] - accuracy[other])
        votes = np.zeros(truth.shape, dtype=np.int16)
        for row in scores:  # no differences: infinities compare too
            votes += (row[one] > row[other]).astype(np.int16) - (row[one] < row[other])
        counted = counted & (truth != 0)
        pairs += int(counted.sum())
        undecided += int((counted & (votes == 0)).sum())
        agree += int((counted & (np.sign(votes) == truth)).sum())
    return Concordance((agree + undecided / 2) / pairs if pairs else float("nan"), pairs, undecided)


def _all_pairs(n: int) -> Iterator[Pairs]:
    """Every pair once, a block of rows at a time."""
    for start in range(0, n, ROWS):
        one, other = np.arange(start, min(start + ROWS, n))[:, None], np.arange(start, n)
        yield one, other, other > one


def _drawn_pairs(n: int) -> Iterator[Pairs]:
    """Pairs drawn with replacement, a million at a time."""
    generator = np.random.default_rng(0)
    for _ in range(DRAWN // 1_000_000):
        one, other = generator.integers(0, n, 1_000_000), generator.integers(0, n - 1, 1_000_000)
        other += other >= one  # never with itself
        yield one, other, np.ones(len(one), bool)


def judged_votes(scores: Mapping[str, np.ndarray], accuracy: np.ndarray) -> list[dict[str, Any]]:
    """Judge every published vote whose members were scored, and each of its members alone, on the same pairs.

    `scores` are {proxy: (seeds, archs)}. One row each: ensemble, voter (the ensemble itself, or a member), n
    (architectures that all members scored), pairs (of different accuracies), concordance (see `Concordance`); means
    over seeds.
    """
    rows = []
    for name, each in ENSEMBLES.items():
        if each.combine is None and set(each.members) <= scores.keys():
            seeds = range(max(len(scores[member]) for member in each.members))
            by_seed = [
                _judged(np.stack([scores[member][seed % len(scores[member])] for member in each.members]), accuracy)
                for seed in seeds
            ]
            for voter, values in zip((name, *each.members), np.mean(by_seed, axis=0).tolist(), strict=True):
                rows.append(dict(zip(VOTE_COLUMNS, (name, voter, *values), strict=True)))
    return rows


def _judged(scores: np.ndarray, accuracy: np.ndarray) -> list[tuple[float, float, float]]:
    """(members, archs) of one seed -> (n, pairs, share in the right order) of the vote, then of each member alone."""
    inside = ~np.isnan(scores).any(0) & np.isfinite(accuracy)
    scores, accuracy, n = scores[:, inside], accuracy[inside], int(inside.sum())
    whole = concordance(scores, accuracy)
    found: list[tuple[float, float, float]] = [(n, whole.pairs, whole.fraction)]
    for score in scores:
        if n > EXACT:
            alone = concordance(score[None], accuracy).fraction
        else:
            surplus = stats.kendall_tau_a(rankdata(score), accuracy) * n * (n - 1) / 2  # concordant minus discordant
            alone = (1 + surplus / whole.pairs) / 2 if whole.pairs else np.nan
        found.append((n, whole.pairs, alone))
    return found
