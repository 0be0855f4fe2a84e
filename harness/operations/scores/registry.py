"""The operation scores, a record each: (edges, operations), larger is better. A new one is a function and a line."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from benchmarks.errors import UserError, suggest
from harness.operations.scores.perturbation import PERTURBATIONS, Evaluator, Perturbation, perturb, perturbation_of
from harness.operations.scores.saliency import KINDS, OF_WEIGHTS, weight_saliency, zeros, zeros_global, zeros_iterative
from harness.operations.scores.table import avg_acc, best_acc
from harness.operations.scores.trained import STRENGTHS, strength
from harness.operations.setup import Setup
from harness.operations.supernets.masks import draw_alphas
from harness.operations.supernets.trained import supernet_of

ROUNDING = 1e-12
"""Saliencies below it are rounding errors of float64: logits and weights of operations are of order 1 and 0.001."""
VANISHES = "the gradient is 0 but for rounding errors, which decide the order"


@dataclass(frozen=True)
class Scored:
    """The values of a score for one seed."""

    values: np.ndarray
    """(edges, operations), larger is better; NaN or infinite where it failed."""
    failures: dict[str, int]
    """Reason -> how many evaluations failed because of it."""


@dataclass(frozen=True)
class OperationScore:
    """An operation score and what a reader must know of it."""

    name: str
    meaning: str
    compute: Callable[[Setup, int], Scored]
    """(setup, seed) -> values."""
    source: str = "untrained"
    """What it is computed from: the table, an untrained or a trained supernet. Seeds change all but the table's."""
    along: Perturbation | None = None
    """How it is computed again at each step of a search; None where it cannot be followed."""


def _from_table(compute: Callable, setup: Setup, seed: int, trials: bool = False) -> Scored:
    return Scored(compute(setup.choices, setup.trials if trials else setup.accuracy), {})


def _perturbed(perturbation: Perturbation, setup: Setup, seed: int) -> Scored:
    evaluate = Evaluator(supernet := setup.supernet(seed), perturbation.proxies, seed)
    mask, edges, allowed = setup.undecided(supernet, seed), range(setup.shape[0]), setup.choices.allowed
    values = perturb(perturbation.name, evaluate, mask, edges, setup.minibatches(seed, 1)(0), allowed)
    return Scored(values, evaluate.failures)


def _salient(compute: Callable, kind: str, setup: Setup, seed: int) -> Scored:
    alphas, minibatch = draw_alphas(*setup.shape, seed), setup.minibatches(seed, 1)(0)
    allowed = np.ones(setup.shape, bool) if setup.choices.allowed is None else setup.choices.allowed
    alphas = alphas * torch.from_numpy(allowed)
    values = np.where(allowed, compute(setup.supernet(seed), alphas.to(setup.device), minibatch, kind), np.nan)
    failed = int((~np.isfinite(values[allowed])).sum())
    failures = {"the gradient is not finite": failed} if failed else {}
    if kind == "synflow" and np.nanmax(np.abs(values)) < ROUNDING:
        failures[VANISHES] = int(allowed.sum())
    return Scored(values, failures)


def _trained(kind: str, setup: Setup, seed: int) -> Scored:
    own, edges = supernet_of(setup, seed), range(setup.shape[0])
    return Scored(strength(kind, own.network, own.mask, edges, own.held_out, setup.config.statistics)[0], {})


DEFAULT = ("best-acc", "avg-acc", "best-acc@trials", "avg-acc@trials", "zc-pt", "disc-zc", "zeros-snip", "zeros-grasp",
           "zeros-synflow", "zeros-synflow-iterative", "weights-snip", "weights-synflow")  # fmt: skip


def _of_perturbation(perturbation: Perturbation, name: str = "") -> OperationScore:
    compute = partial(_perturbed, perturbation)
    return OperationScore(name or perturbation.name, perturbation.meaning, compute, along=perturbation)


SCORES = {
    each.name: each
    for each in (
        *(OperationScore(f"{name}{suffix}", f"{which} accuracy with the operation, {over}",
                         partial(_from_table, compute, trials=bool(suffix)), "table")
          for suffix, over in (("", "seed means"), ("@trials", "single trainings"))
          for name, which, compute in (("best-acc", "best", best_acc), ("avg-acc", "mean", avg_acc))),
        *map(_of_perturbation, PERTURBATIONS.values()),
        *(OperationScore(name, meaning, partial(_salient, compute, kind))
          for kind in KINDS for name, meaning, compute in (
            (f"zeros-{kind}", f"{kind} saliency of the architecture parameter", zeros),
            (f"zeros-{kind}-iterative", "the same, one operation an edge pruned at a time", zeros_iterative),
            (f"zeros-{kind}-global", "the same, the lowest of all edges pruned in rounds", zeros_global),
        )),
        *(OperationScore(name, meaning, partial(_salient, compute, kind))
          for kind in OF_WEIGHTS for name, meaning, compute in (
            (f"weights-{kind}", f"control: {kind} saliency of the operation's weights, summed", weight_saliency),
            (f"weights-{kind}-mean", "control: the same, mean over the weights", partial(weight_saliency, mean=True)),
        )),
        *(OperationScore(name, each.meaning, partial(_trained, name), "trained") for name, each in STRENGTHS.items()),
    )
}  # fmt: skip
"""Besides, `zc-pt:PROXY` and `disc-zc:PROXY` with any proxy of `harness.proxies`."""
GROUPS = {
    "default": DEFAULT,
    "table": tuple(name for name, score in SCORES.items() if score.source == "table"),
    "trained": tuple(name for name, score in SCORES.items() if score.source == "trained"),
    "all": tuple(name for name, score in SCORES.items() if score.source != "trained"),
}
"""Words for several scores."""


def named(name: str) -> OperationScore | None:
    """Return a score by its name; None where there is none, UserError for a proxy that cannot score operations."""
    if name in SCORES:
        return SCORES[name]
    perturbation = perturbation_of(name)
    return _of_perturbation(perturbation, name) if perturbation else None


def choose(text: str) -> list[OperationScore]:
    """Return the scores of a comma-separated list of names and `GROUPS`; UserError lists all unknown names."""
    words = [part.strip() for part in text.split(",") if part.strip()]
    names = [name for word in words for name in GROUPS.get(word, (word,))]
    found = {name: named(name) for name in names}
    valid = [*SCORES, *GROUPS, *(f"{each.name}:PROXY" for each in PERTURBATIONS.values() if each.any_proxy)]
    if unknown := [name for name, score in found.items() if score is None]:
        raise suggest(unknown, valid, "operation score")
    if not found:
        raise UserError(f"no operation score in '{text}'; valid: {', '.join(valid)}")
    return [score for score in found.values() if score]
