"""The neighbours of many architectures at once are those of each by itself."""

import numpy as np
import pytest

from benchmarks.nasbench101.space import Cell, Space101, enumerate_cells, print_cell
from benchmarks.registry import space_of


def listed(table):
    return [sorted(int(near) for near in row if near >= 0) for row in table]


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
