"""Neighbours of many architectures at once against those of each, found one edit after the other."""

from itertools import combinations

import numpy as np
import pytest

from benchmarks.benchmark import space_of
from benchmarks.nasbench101.cells import OPERATIONS, Cell, graph_hash, parse_cell, print_cell, problem_of, pruned
from benchmarks.nasbench101.enumerate import enumerate_cells
from benchmarks.nasbench101.space import Space101


def listed(table):
    return [sorted(int(near) for near in row if near >= 0) for row in table]


def edits(cell: Cell) -> list[Cell]:
    """Return the different cells one edit away, pruned: one edge added or removed, or one operation changed.

    The edits of the benchmark's own definition of distance. Isomorphic results are given once, the cell itself never.
    """
    changed = []
    for edge in combinations(range(cell.vertices), 2):
        edges = set(cell.edges) ^ {edge}
        changed.append(Cell(cell.operations, tuple(sorted(edges))))
    for at, operation in enumerate(cell.operations):
        for other in OPERATIONS:
            if other != operation:
                changed.append(Cell((*cell.operations[:at], other, *cell.operations[at + 1 :]), cell.edges))
    found = {graph_hash(kept): kept for each in changed if (kept := pruned(each)) and not problem_of(kept)}
    found.pop(graph_hash(cell), None)
    return list(found.values())


@pytest.fixture(scope="module")
def cells():
    """All cells of up to four vertices, some of five, and two of the largest: seven vertices and nine edges."""
    small = [cell for vertices in (2, 3, 4) for cell in enumerate_cells(vertices)]
    chain = [(i, i + 1) for i in range(6)]
    full = Cell(
        ("conv3x3", "conv1x1", "maxpool3x3", "conv3x3", "conv1x1"), tuple(sorted([*chain, (0, 6), (1, 3), (2, 6)]))
    )
    other = full._replace(operations=("conv3x3", "conv3x3", "maxpool3x3", "conv3x3", "conv1x1"))
    return [*small, *list(enumerate_cells(5))[::20], full, other]


def test_cells_of_101(cells):
    space = Space101([print_cell(cell) for cell in cells])
    table = space.neighbour_table(np.arange(len(space)))
    near = [space.find(edits(cell)) for cell in cells]
    assert listed(table) == [sorted({int(index) for index in found if index >= 0}) for found in near]
    assert listed(table) == [space.neighbours(index) for index in range(len(space))]
    assert all(len(set(row)) == len(row) for row in listed(table))
    assert len(space) - 2 in listed(table)[-1]
    some = np.array([5, 90, 2])
    assert listed(space.neighbour_table(some)) == [listed(table)[at] for at in some]


def test_architectures_of_201():
    space = space_of("201")
    some = np.array([7, 15_000, 0])
    assert listed(space.neighbour_table(some)) == [sorted(space.neighbours(int(index))) for index in some]
    assert space.neighbour_table(some).shape == (3, 24)


def test_edits_are_the_cells_at_distance_one():
    """All graphs on the cell's vertices that differ in one edge or one operation, tried one by one."""
    cell = parse_cell("conv3x3,maxpool3x3|01,02,13,23")
    expected = set()
    for mask in range(64):
        edges = tuple(pair for i, pair in enumerate(combinations(range(4), 2)) if mask >> i & 1)
        for operations in ((a, b) for a in OPERATIONS for b in OPERATIONS):
            changes = len(set(edges) ^ set(cell.edges)) + sum(map(str.__ne__, operations, cell.operations))
            if changes == 1 and (kept := pruned(Cell(operations, edges))):
                expected.add(graph_hash(kept))
    assert {graph_hash(each) for each in edits(cell)} == expected - {graph_hash(cell)}
