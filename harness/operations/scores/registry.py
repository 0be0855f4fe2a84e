"""The operation scores by name; each is a function of a setup and a seed, (edges, operations), larger is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.errors import UserError, suggest
from harness.operations.scores.perturbation import PERTURBATIONS, perturb, usable
from harness.operations.scores.saliency import KINDS, OF_WEIGHTS, weight_saliency, zeros, zeros_global, zeros_iterative
from harness.operations.scores.table import avg_acc, best_acc
from harness.operations.scores.tenas import NAME as TENAS
from harness.operations.scores.tenas import evaluator
from harness.operations.scores.trained import TRAINED, strength
from harness.operations.setup import Setup
from harness.operations.supernets.masks import draw_alphas, mixture
from harness.operations.supernets.trained import supernet_of
from harness.proxies.registry import registry


@dataclass(frozen=True)
class Scored:
    """What a score gave for one seed."""

    values: np.ndarray
    """(edges, operations), larger is better; NaN or infinite where it failed."""
    failures: dict[str, int]
    """Reason -> how many evaluations it spoilt."""


@dataclass(frozen=True)
class OperationScore:
    """An operation score and what a reader must know of it."""

    name: str
    compute: Callable[[Setup, int], Scored]
    seeded: bool
    """Whether seeds change it; what comes from the table is the same for all."""
    meaning: str


def _from_table(compute: Callable, trials: bool, setup: Setup, seed: int) -> Scored:
    return Scored(compute(setup.choices, setup.trials if trials else setup.accuracy), {})


def _perturbed(kind: str, proxy: str, setup: Setup, seed: int) -> Scored:
    evaluate = evaluator(kind, setup.supernet(seed), proxy, seed)
    mask = mixture(draw_alphas(*setup.shape, seed))
    values = perturb(kind, evaluate, mask, range(setup.shape[0]), setup.minibatches(seed, 1)(0))
    return Scored(values, evaluate.failures)


def _salient(compute: Callable, kind: str, setup: Setup, seed: int) -> Scored:
    alphas, minibatch = draw_alphas(*setup.shape, seed), setup.minibatches(seed, 1)(0)
    values = compute(setup.supernet(seed), alphas.to(setup.device), minibatch, kind)
    failed = int((~np.isfinite(values)).sum())
    return Scored(values, {"the gradient is not finite": failed} if failed else {})


def _trained(kind: str, setup: Setup, seed: int) -> Scored:
    own = supernet_of(setup, seed)
    edges = range(setup.shape[0])
    return Scored(strength(kind, own.network, own.mask, edges, own.held_out, setup.statistics), {})


FROM_TABLE = tuple(
    OperationScore(name + "@trials" * trials, partial(_from_table, compute, trials), False, meaning)
    for trials in (False, True)
    for name, compute, meaning in (
        ("best-acc", best_acc, f"best accuracy with the operation, {'single trainings' if trials else 'seed means'}"),
        ("avg-acc", avg_acc, f"mean accuracy with the operation, {'single trainings' if trials else 'seed means'}"),
    )
)
MEAN_SALIENCY = partial(weight_saliency, mean=True)
SALIENT = tuple(
    OperationScore(name, partial(_salient, compute, kind), True, meaning)
    for kind in KINDS
    for name, compute, meaning in (
        (f"zeros-{kind}", zeros, f"{kind} saliency of the architecture parameter"),
        (f"zeros-{kind}-iterative", zeros_iterative, "the same, one operation an edge taken away at a time"),
        (f"zeros-{kind}-global", zeros_global, "the same, the lowest of all edges taken away in rounds"),
        (f"weights-{kind}", weight_saliency, f"control: {kind} saliency of the operation's weights, summed"),
        (f"weights-{kind}-mean", MEAN_SALIENCY, "control: the same, mean over the weights"),
    )
    if kind in OF_WEIGHTS or compute not in (weight_saliency, MEAN_SALIENCY)
)
CHANGED = {
    "zc-pt": "sign flipped: the proxy after the operation was removed",
    "disc-zc": "the proxy, edge decided",
    TENAS: "sign flipped: ranks of ntk_cond and linear_regions@te_nas after the operation was removed, added",
}
PERTURBED = tuple(
    OperationScore(kind, partial(_perturbed, kind, "naswot"), True, CHANGED[kind]) for kind in PERTURBATIONS
)
OF_TRAINED = tuple(OperationScore(name, partial(_trained, name), True, meaning) for name, meaning in TRAINED.items())
SCORES = {each.name: each for each in (*FROM_TABLE, *PERTURBED, *SALIENT, *OF_TRAINED)}
"""Besides, `zc-pt:PROXY` and `disc-zc:PROXY` with any proxy of `harness.proxies`."""
DEFAULT = ("best-acc", "avg-acc", "best-acc@trials", "avg-acc@trials", "zc-pt", "disc-zc", "zeros-snip", "zeros-grasp",
           "zeros-synflow", "zeros-synflow-iterative", "weights-snip", "weights-synflow")  # fmt: skip
TABLE_ONLY = tuple(each.name for each in FROM_TABLE)
GROUPS = {
    "default": DEFAULT, "table": TABLE_ONLY, "trained": tuple(TRAINED),
    "all": tuple(name for name in SCORES if name not in TRAINED),
}  # fmt: skip
"""Words for several scores; what needs a trained supernet is asked for by name."""


def choose(text: str) -> list[OperationScore]:
    """Return the scores of a comma-separated list of names and `GROUPS`; UserError lists all unknown names."""
    names: list[str] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        names += GROUPS.get(word, (word,))
    found, unknown = {}, []
    for name in names:
        kind, _, proxy = name.partition(":")
        if name in SCORES:
            found[name] = SCORES[name]
        elif kind in PERTURBATIONS and kind != TENAS and proxy in registry():
            usable(proxy)
            meaning = SCORES[kind].meaning.replace("the proxy", proxy)
            found[name] = OperationScore(name, partial(_perturbed, kind, proxy), True, meaning)
        else:
            unknown.append(name)
    if unknown:
        raise suggest(unknown, [*SCORES, *GROUPS, "zc-pt:PROXY", "disc-zc:PROXY"], "operation score")
    if not found:
        raise UserError(f"no operation score in '{text}'; valid: {', '.join([*SCORES, *GROUPS])}")
    return list(found.values())
