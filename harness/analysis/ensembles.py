"""Several proxies as one score: sums of ranks over a reference set, and majority votes on pairs.

An ensemble's score of an architecture depends on the reference set, the architectures that are ranked together. So it
is not a proxy: it is computed from stored scores, and reports state the size of the set. Larger is better. No function
here sees an accuracy; votes are judged in `harness.analysis.votes`.

    rank_sum    sum over proxies of rank / n                  Chen et al., TE-NAS (ICLR 2021, arXiv 2102.11535)
    log_rank    sum over proxies of log(rank / n)             Lee and Ham, AZ-NAS (CVPR 2024, arXiv 2403.19232)
    vote        on each pair, the sign that most proxies give Abdelfattah et al. (ICLR 2021, arXiv 2101.08134)

Ranks run from 1 (worst) to n over the architectures that every member scored; equal scores share their mean rank;
infinite scores rank as they are. An architecture that a member failed on (NaN) is outside the set and gets NaN.
AZ-NAS's code ranks it last instead; `failed_last` does that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.errors import UserError, suggest
from harness.proxies.ensembles import ENSEMBLES, Ensemble

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun


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
