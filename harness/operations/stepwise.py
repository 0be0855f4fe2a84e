"""How well a score ranks operations along a search: at each step over the remaining edges.

The score itself discretises the edges in fixed order; every remaining edge is scored at each step. Two references from
the table, best-acc and avg-acc, each in two kinds: unconditional, over all architectures at every step, as Xiang et al.
(AAAI 2023, arXiv 2106.06799) report, and conditional, over those that agree with the edges discretised so far.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from benchmarks.errors import UserError
from benchmarks.spaces.space import Choices
from harness.operations.agreement import STATISTICS, judge_choice, mean_by_edge
from harness.operations.decide import Step, propose
from harness.operations.scores.perturbation import PERTURBATIONS, Evaluator
from harness.operations.scores.registry import OperationScore
from harness.operations.scores.table import avg_acc, best_acc
from harness.operations.setup import Setup

REFERENCES = {"": best_acc, "_avg": avg_acc}
"""Suffix of a column -> what it is compared with."""
COLUMNS = tuple(
    f"{statistic}{suffix}{kind}" for suffix in REFERENCES for kind in ("", "_conditional") for statistic in STATISTICS
)
"""rho and tau_b with best-acc, the same conditional; then with avg-acc."""


def follow(steps: Sequence[Step], choices: Choices, accuracy: np.ndarray) -> list[dict[str, float]]:
    """Return the `COLUMNS` of each step, means over the edges that it scored; `accuracy` as for `best_acc`."""
    decided, rows = np.full(len(choices.edges), -1), []
    overall = {suffix: reference(choices, accuracy) for suffix, reference in REFERENCES.items()}
    for step in steps:
        row = {}
        for suffix, reference in REFERENCES.items():
            conditional = reference(choices, accuracy, decided)
            for statistic in STATISTICS:
                row[statistic + suffix] = mean_by_edge(step.scores, overall[suffix], statistic)
                row[f"{statistic}{suffix}_conditional"] = mean_by_edge(step.scores, conditional, statistic)
        rows.append({name: row[name] for name in COLUMNS})
        decided[step.edge] = step.operation
    return rows


def along(setup: Setup, scores: Sequence[OperationScore], seeds: range, say: Callable[[str], None]) -> pd.DataFrame:
    """Return a row for each of `scores` that can be followed, seed and step; UserError where none can,
    nor any along a training."""
    followed = [(score.name, score.along) for score in scores if score.along]
    if not followed and not any(score.source == "trained" for score in scores):
        names = ", ".join(score.name for score in scores)
        raise UserError(f"--along is for {', '.join(PERTURBATIONS)} and trained scores among --scores, not for {names}")
    accuracy, rows = setup.trials if setup.trials.shape[1] else setup.accuracy, []
    for name, perturbation in followed:
        for seed in seeds:
            evaluate = Evaluator(setup.supernet(seed), perturbation.proxies, seed)
            mask = setup.undecided(evaluate.supernet, seed)
            batches = setup.minibatches(seed, len(mask))
            proposal = propose(perturbation.name, evaluate, mask, batches, "fixed", every_edge=True)
            found = follow(proposal.steps, setup.choices, accuracy)
            for number, (step, row) in enumerate(zip(proposal.steps, found, strict=True)):
                rows.append({
                    "score": name, "seed": seed, "step": number, "edges": len(mask) - number, **row,
                    "edge": setup.choices.edges[step.edge], "operation": setup.choices.operations[step.operation],
                })  # fmt: skip
            judged = judge_choice(setup.benchmark, setup.accuracy, np.array(proposal.operations))
            say(f"{name}, seed {seed}, fixed order: {setup.choices.said(proposal.operations)}: {judged.accuracy:.2f} %")
    return pd.DataFrame(rows)
