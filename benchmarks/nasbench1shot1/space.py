"""NAS-Bench-1Shot1: three search spaces of one-shot methods whose architectures are cells of NAS-Bench-101.

Source: Zela, Siems and Hutter, "NAS-Bench-1Shot1: Benchmarking and Dissecting One-shot Neural Architecture Search"
(ICLR 2020, arXiv 2001.10422). A space has four or five choice blocks, each one of 101's operations, and prescribes how
many vertices before it feed each block and the output; nine edges in all. A block that feeds nothing is a loose end.

Populations (counts for spaces 1, 2, 3):

    released   what the authors' released generator enumerates as "without loose ends": 2,487 / 3,609 / 24,066 strings,
               2,127 / 3,258 / 17,940 different cells. It grows a graph backwards from the output and goes on from one
               source at a time, so it finds those graphs only in which each used block feeds the next.
    closed     every graph in which all blocks feed something: 3,078 / 11,178 / 108,135 strings, 2,484 / 7,236 / 49,032
               different cells.
    pruned     every graph, with its loose ends pruned: 3,702 / 12,474 / 135,900 strings, 2,685 / 7,773 / 55,854
               different cells. Both others are part of it. It and closed need the full table of NAS-Bench-101.

With loose ends the papers state 6,240 / 29,160 / 363,648. There are 180 / 360 / 5,400 graphs; 6,240 and 363,648 count
operations only on the blocks that feed something, 29,160 (360 x 3^4) on all blocks: counted alike space 2 has 16,632.

Printed form: a cell of 101 with all blocks, `-` for one that is left out: `conv3x3,-,maxpool3x3,conv1x1|01,03,...`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.nasbench1shot1.graphs import PARENTS, POPULATIONS, Graph, used, without_loose_ends
from benchmarks.nasbench101.arrays import as_arrays
from benchmarks.nasbench101.cells import OPERATIONS, Cell, print_cell, pruned
from benchmarks.nasbench101.space import CellSpace, Space101
from benchmarks.spaces.space import Choices

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.table import Table

UNUSED = "-"
NETWORKS = ("101", "oneshot")
"""Kinds of networks; the first is the one that was trained."""
ONESHOT = {"channels": 16, "stacks": 3, "modules": 3, "input_channels": 3}
"""Of the one-shot networks: channels of the stem, stacks of cells, cells in a stack, image channels."""
ONESHOT_CLASS = "benchmarks.nasbench1shot1.network:NetworkOneShot"


class Space1Shot1(CellSpace):
    """One population of one of the three spaces; its networks are those of the cells of NAS-Bench-101.

    With `with_network("oneshot")` they are those of the searches instead (`benchmarks.nasbench1shot1.network`).
    """

    supernet_class = "benchmarks.nasbench1shot1.supernet:Supernet1Shot1"
    view_of = Space101.name
    searched = "oneshot"

    def __init__(self, space: int = 1, population: str = "released") -> None:
        if space not in PARENTS:
            raise UserError(f"NAS-Bench-1Shot1 has the spaces 1, 2 and 3, not {space}")
        if population not in POPULATIONS:
            raise suggest([population], POPULATIONS, "population of NAS-Bench-1Shot1")
        self.space, self.population = space, population
        self.name = f"1shot1-{space}" + f"-{population}" * (population != "released")
        self.blocks, self.parents = len(PARENTS[space]) - 2, PARENTS[space]

    @property
    def title(self) -> str:
        """Name for people, with the population."""
        return f"NAS-Bench-1Shot1, space {self.space} ({self.population})" + ", one-shot network" * bool(self.form)

    def with_network(self, name: str | None) -> Space1Shot1:
        """Return the space with the networks called "101" (as None) or "oneshot"; UserError for any other name."""
        if name not in (None, *NETWORKS):
            raise suggest([name], NETWORKS, "network of NAS-Bench-1Shot1")
        other = copy(self)
        other.form = None if name == NETWORKS[0] else name
        other.network = ONESHOT if other.form else CellSpace.network
        other.network_class = ONESHOT_CLASS if other.form else CellSpace.network_class
        return other

    @cached_property
    def _literal(self) -> tuple[tuple[tuple[str, ...], Graph], ...]:
        """(operation of each block, graph) by index."""
        rows = []
        for graph in POPULATIONS[self.population](self.space):
            feeding = used(graph, self.blocks)
            for chosen in itertools.product(OPERATIONS, repeat=len(feeding)):
                named = dict(zip(feeding, chosen, strict=True))
                rows.append((tuple(named.get(block, UNUSED) for block in range(1, self.blocks + 1)), graph))
        return tuple(rows)

    @cached_property
    def archs(self) -> tuple[str, ...]:
        """Printed strings by index."""
        return tuple(print_cell(Cell(operations, tuple(sorted(graph)))) for operations, graph in self._literal)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The cell of NAS-Bench-101 of each string, without unused blocks, by index."""
        found = (pruned(Cell(operations, tuple(sorted(graph)))) for operations, graph in self._literal)
        return tuple(cell for cell in found if cell is not None)

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return as_arrays(self.cells)

    @cached_property
    def choices(self) -> Choices:
        """Choice blocks of three operations, without their inputs."""
        place = {operation: at for at, operation in enumerate((*OPERATIONS, UNUSED))}
        chosen = np.array([[place[operation] for operation in operations] for operations, _ in self._literal])
        chosen[chosen == len(OPERATIONS)] = -1
        return Choices(tuple(f"block {at + 1}" for at in range(self.blocks)), tuple(OPERATIONS), chosen)

    def every(self) -> Space1Shot1:
        """Return the pruned population, with the same networks."""
        return self if self.population == "pruned" else Space1Shot1(self.space, "pruned").with_network(self.form)

    def place(self, operations: Sequence[int], inputs: Sequence[Sequence[int]] = ()) -> int:
        """Return the index of the string with these operations in all blocks, without loose ends.

        `inputs` are those of block 1, block 2, ..., the output; 0 is the input of the cell. UserError where the string
        is not in this population.
        """
        chosen = frozenset((source, vertex) for vertex, feeding in enumerate(inputs, start=1) for source in feeding)
        graph = without_loose_ends(chosen)
        feeding = used(graph, self.blocks)
        named = [OPERATIONS[at] if block in feeding else UNUSED for block, at in enumerate(operations, start=1)]
        return self.index(print_cell(Cell(tuple(named), tuple(sorted(graph)))))

    def neighbours(self, index: int) -> list[int]:
        """Return the strings that differ in the operation of one used block, the graph being the same."""
        operations, graph = self._literal[index]
        near = []
        for at, operation in enumerate(operations):
            for other in OPERATIONS:
                if operation not in (UNUSED, other):
                    changed = (*operations[:at], other, *operations[at + 1 :])
                    near.append(self._position[print_cell(Cell(changed, tuple(sorted(graph))))])
        return near

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these strings as one stack, its weights not initialised."""
        cells = [self.cells[self.class_id[index]] for index in indices]
        blocks = {"choice_blocks": self.blocks} if self.form else {}
        return self.stack(cells, **blocks, **network)

    def supernet(self, **network: int) -> nn.Module:
        """Return the network with every operation in every block, each vertex fed by all before it."""
        return super().supernet(parents=self.parents, **network)

    def view(self, table: Table) -> Table:
        """Return the ground truth of this population out of a table of NAS-Bench-101, matched by graph.

        UserError where cells are missing there, which says how many.
        """
        rows = Space101(table.archs).find(self.cells)
        if missing := int((rows < 0).sum()):
            lacks = f"{missing:,} of the {len(self):,} strings have no cell in {table.source}"
            raise UserError(f"{self.title}: {lacks}; the full table of NAS-Bench-101 has them all")
        seconds = None if table.seconds_per_run is None else table.seconds_per_run[rows]
        source = f"all {len(self):,} strings of this space, out of {table.source}"
        return replace(
            table, benchmark=self.name, archs=self.archs, accuracy=table.accuracy[rows], source=source,
            seconds_per_run=seconds,
        )  # fmt: skip


space_1, space_2, space_3 = (partial(Space1Shot1, number) for number in PARENTS)
space_1_closed, space_2_closed, space_3_closed = (partial(Space1Shot1, number, "closed") for number in PARENTS)
space_1_pruned, space_2_pruned, space_3_pruned = (partial(Space1Shot1, number, "pruned") for number in PARENTS)
