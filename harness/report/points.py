"""The points of the page's scatter: which architectures are drawn, and where on each proxy's axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.populations import rows_of
from harness.report import style
from harness.report.axes import Scale, accuracy_scale, rank_scale, score_scale
from harness.report.style import number

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

MOST_POINTS = 3000
MOST_CELLS = 72_000
"""Points times proxies that keep the page well under 3 MB."""
PICKS = 10
RESOLUTION = 1000


def scatter_data(run: StoredRun, summary: Summary) -> dict[str, Any]:
    """Return what the page's script draws: architectures, positions 0..1000, ticks, ten top picks per population."""
    first = style.populations(summary)[0]
    names, look = style.ordered(summary, first), style.looks(summary)
    scores = {name: style.mean_scores(run, name) for name in names}
    members = {name: np.isin(np.arange(len(run.archs)), rows_of(run, name)) for name in style.populations(summary)}
    picks = {
        name: {population: top(score, members[population]) for population in members} for name, score in scores.items()
    }
    kept = drawn(run, [place for each in picks.values() for place in each.values()])
    place_of = {int(arch): place for place, arch in enumerate(kept)}
    up = accuracy_scale(run.accuracy)
    rows = {population: style.rows(summary, population) for population in members}
    return {
        "total": len(run.archs),
        "archs": [run.archs[i] for i in kept],
        "accuracy": [_value(run.accuracy[i]) for i in kept],
        "up": _positions(up.positions(run.accuracy)[kept]),
        "upTicks": up.ticks,
        "upNote": up.note,
        "connected": [int(run.connected[i]) for i in kept],
        "members": {name: [int(mask[i]) for i in kept] for name, mask in members.items()},
        "proxies": [
            {
                "name": name,
                "slot": look[name].slot,
                "rho": {population: number(there[name]["rho"]) for population, there in rows.items() if name in there},
                "score": _axis(score_scale(scores[name]), scores[name], kept),
                "rank": _axis(rank_scale(scores[name]), scores[name], kept),
                "values": [_value(scores[name][i]) for i in kept],
                "picks": {population: [place_of[int(i)] for i in chosen] for population, chosen in picks[name].items()},
            }
            for name in names
        ],
    }


def top(score: np.ndarray, allowed: np.ndarray, k: int = PICKS) -> np.ndarray:
    """Return the k largest finite scores' places among the allowed, ties in the run's order (they are only drawn)."""
    places = np.flatnonzero(np.isfinite(score) & allowed)
    if len(places) > k:  # those that can be among them, so that a large table is not sorted
        places = places[score[places] >= np.partition(score[places], -k)[-k]]
    return places[np.argsort(-score[places], kind="stable")[:k]]


def drawn(run: StoredRun, always: list[np.ndarray]) -> np.ndarray:
    """Return the places of the architectures to draw, ascending: all, or an even draw with a fixed seed.

    The ten best accuracies and all of `always` are in it.
    """
    return even_draw(run, always, min(MOST_POINTS, MOST_CELLS // max(len(run.scores), 1)))


def even_draw(run: StoredRun, always: list[np.ndarray], most: int) -> np.ndarray:
    """The same for at most `most` architectures, as long as those that must be in it are fewer."""
    if len(run.archs) <= most:
        return np.arange(len(run.archs))
    best = np.argsort(-np.nan_to_num(run.accuracy, nan=-np.inf), kind="stable")[:PICKS]
    must = np.unique(np.concatenate([best, *always]))
    rest = np.setdiff1d(np.arange(len(run.archs)), must)
    drawn_too = np.random.default_rng(0).choice(rest, max(0, min(most - len(must), len(rest))), replace=False)
    return np.sort(np.concatenate([must, drawn_too]))


def _axis(scale: Scale, scores: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    return {"at": _positions(scale.positions(scores)[kept]), "ticks": scale.ticks, "note": scale.note}


def _positions(places: np.ndarray) -> list[int]:
    """Positions 0..1 as whole thousandths; -1 for what has none."""
    return [round(float(place) * RESOLUTION) if np.isfinite(place) else -1 for place in places]


def _value(value: float) -> float | None:
    """A number to six significant digits for the tip; None for what is not finite."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
