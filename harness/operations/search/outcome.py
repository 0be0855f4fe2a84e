"""What a search over a supernet returns for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.operations.decide import Proposal


@dataclass(frozen=True)
class Outcome:
    """The proposals of one seed and the one that was chosen."""

    proposals: Sequence[Proposal]
    evaluations: int
    """Masks of the supernet that were evaluated."""
    best: int = 0
    """Place of the chosen proposal."""
