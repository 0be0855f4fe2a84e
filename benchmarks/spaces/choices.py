"""A space as operations on edges: what a supernet leaves open, and what each architecture has there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Choices:
    """The edges of a space (in 1Shot1 its choice blocks, in Macro its layers) and the operations each may have."""

    edges: tuple[str, ...]
    """Names, in the order from input to output."""
    operations: tuple[str, ...]
    """Names; every edge chooses among all of them."""
    chosen: np.ndarray
    """(archs, edges) int: position of each architecture's operation in `operations`; -1 where the edge is not used."""

    def of(self, rows: np.ndarray) -> Choices:
        """Return the choices of some architectures, by index."""
        return Choices(self.edges, self.operations, self.chosen[rows])

    def find(self, operations: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the architectures that have these operations on all edges; several where more than edges differ."""
        return np.flatnonzero((self.chosen == np.asarray(operations)).all(1))

    def said(self, operations: Sequence[int] | np.ndarray) -> str:
        """Return the names of the operations on all edges, for people."""
        return ", ".join(self.operations[at] for at in operations)


def short(operations: str) -> str:
    """Return names of operations without what all of NAS-Bench-201's share."""
    for long, brief in (("nor_conv_", ""), ("_connect", ""), ("avg_pool_3x3", "pool"), (", ", " ")):
        operations = operations.replace(long, brief)
    return operations
