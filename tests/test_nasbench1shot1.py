"""The three 1Shot1 spaces: counts of the released generator, their cells in the real table, their best errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from test_nasbench101 import read_once

from benchmarks import UserError
from benchmarks.layers import allocate
from benchmarks.nasbench1shot1 import (
    PARENTS,
    Space1Shot1,
    all_graphs,
    closed_graphs,
    count_with_loose_ends,
    pruned_graphs,
    released_graphs,
)
from benchmarks.nasbench101 import graph_hash, problem_of, pruned
from benchmarks.table import Table
from harness.view import initialise, stream


@pytest.fixture(scope="module")
def spaces() -> dict[int, Space1Shot1]:
    return {number: Space1Shot1(number) for number in PARENTS}


@pytest.fixture(scope="session")
def table(real_data: Path) -> Table:
    path = real_data / "nasbench101_subset.npz"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {real_data}")
    return read_once(path)


def test_counts_of_the_released_generator(spaces):
    assert [len(space) for space in spaces.values()] == [2_487, 3_609, 24_066]
    assert [len(set(space.archs)) for space in spaces.values()] == [2_487, 3_609, 24_066]
    assert [len(set(space.class_id)) for space in spaces.values()] == [2_127, 3_258, 17_940]


def grown_backwards(graph: frozenset, vertex: int, parents: tuple[int, ...]):
    """The released generator's recursion: sources of a vertex, then on from one of them, until the whole is valid."""
    fed = [sum(b == v for _, b in graph) for v in range(len(parents))]
    feeding = {a for a, _ in graph}
    complete = all(n in (0, wanted) for n, wanted in zip(fed, parents, strict=True))
    if complete and len(feeding) > 1 and 0 in feeding and all(fed[v] for v in feeding - {0}):
        yield graph
        return
    for sources in itertools.combinations(range(vertex), parents[vertex]):
        grown = graph
        for source in sources:
            grown |= {(source, vertex)}
            yield from grown_backwards(grown, source, parents)


@pytest.mark.parametrize("number", PARENTS)
def test_the_released_generator_finds_the_chains(number):
    parents = PARENTS[number]
    found = list(grown_backwards(frozenset(), len(parents) - 1, parents))
    assert len(found) == len(set(found)) == {1: 49, 2: 65, 3: 234}[number]
    assert set(found) == set(released_graphs(number))


def test_counts_of_what_really_has_no_loose_ends():
    assert [len(closed_graphs(number)) for number in PARENTS] == [38, 138, 445]
    for number, strings, cells in ((1, 3_078, 2_484), (2, 11_178, 7_236)):
        space = Space1Shot1(number, "closed")
        assert (len(space), len(set(space.class_id))) == (strings, cells)
    assert 445 * 3**5 == 108_135


def test_counts_of_what_pruning_leaves(spaces):
    assert [len(pruned_graphs(number)) for number in PARENTS] == [66, 190, 876]
    for number, strings, cells in ((1, 3_702, 2_685), (2, 12_474, 7_773)):
        space = Space1Shot1(number, "pruned")
        assert (len(space), len(set(space.class_id))) == (strings, cells)
        assert set(spaces[number].archs) | set(Space1Shot1(number, "closed").archs) <= set(space.archs)


def test_distinct_cells_by_the_official_hash():
    space = Space1Shot1(1, "closed")
    assert len({graph_hash(cell) for cell in space.cells}) == 2_484


def test_counts_with_loose_ends():
    assert [len(list(all_graphs(number))) for number in PARENTS] == [180, 360, 5_400]
    assert [count_with_loose_ends(number) for number in PARENTS] == [
        (6_240, 180 * 81), (16_632, 29_160), (363_648, 5_400 * 243),
    ]  # fmt: skip


@pytest.mark.parametrize("number", PARENTS)
def test_every_graph_keeps_the_prescription(spaces, number):
    parents = PARENTS[number]
    for graph in itertools.chain(released_graphs(number), closed_graphs(number)):
        sources = {v: [a for a, b in graph if b == v] for v in range(len(parents))}
        feeding = {a for a, _ in graph}
        assert all(len(sources[v]) == parents[v] for v in feeding | {len(parents) - 1})
    for cell in spaces[number].cells[::97]:
        assert not problem_of(cell) and pruned(cell) == cell


def test_best_errors_of_the_real_table(spaces, table):
    """Every string of the released generator is there; the best errors are the published ones."""
    best = [100 - np.nanmax(space.view(table).target()) for space in spaces.values()]
    np.testing.assert_allclose(best, [5.7993, 6.0931, 5.8226], atol=5e-5)
    single = [100 - np.nanmax(space.view(table).target(reduction="max")) for space in spaces.values()]
    np.testing.assert_allclose(single, [5.4487, 5.7792, 5.5990], atol=5e-5)


def test_a_table_without_the_cells(table):
    with pytest.raises(UserError, match=r"space 1 \(closed\): [\d,]+ of the 3,078 strings have no cell in "):
        Space1Shot1(1, "closed").view(table)


def test_strings_and_arguments(spaces):
    space = spaces[1]
    assert all(space.index(space.archs[i]) == i for i in (0, 1_000, 2_486))
    assert any("-" in arch for arch in space.archs)
    assert space.canonical(5) == space.archs[space.class_id[5]]
    with pytest.raises(UserError, match=r"is not in NAS-Bench-1Shot1, space 1 \(released\); its strings look like"):
        space.index("conv3x3|01,12")
    with pytest.raises(UserError, match="has the spaces 1, 2 and 3, not 4"):
        Space1Shot1(4)
    with pytest.raises(UserError, match="unknown population of NAS-Bench-1Shot1: 'close' .did you mean closed"):
        Space1Shot1(1, "close")


def test_neighbours_differ_in_one_operation(spaces):
    space = spaces[2]
    for index in (0, 500, 3_600):
        operations, edges = space.archs[index].split("|")
        near = [space.archs[i].split("|") for i in space.neighbours(index)]
        assert len(near) == 2 * sum(name != "-" for name in operations.split(","))
        assert all(other == edges for _, other in near)
        assert all(sum(map(str.__ne__, a.split(","), operations.split(","))) == 1 for a, _ in near)


def test_isomorphic_strings_are_one_network(spaces):
    space = spaces[1]
    values, counts = np.unique(space.class_id, return_counts=True)
    twins = np.flatnonzero(space.class_id == values[counts > 1][0])[:2]
    network = {"channels": 6, "stacks": 2, "modules": 1, "input_channels": 3, "classes": 4}
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    outputs = []
    for index in twins:
        stack = allocate(space.build([index], **network), "cpu")
        initialise(stack, [stream(0, space.canonical(index), "test")])
        outputs.append(stack(x))
    assert torch.equal(*outputs)
    params = space.sizes(resolution=8, **network)[0]
    assert sum(p.numel() for p in stack.parameters()) == params[space.class_id[index]]
