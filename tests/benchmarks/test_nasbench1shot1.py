"""The three 1Shot1 spaces: counts of the released generator, their cells in the real table, their best errors."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from test_nasbench101 import read_once

from benchmarks import UserError
from benchmarks.nasbench1shot1.graphs import PARENTS, all_graphs, closed_graphs, pruned_graphs, released_graphs, used
from benchmarks.nasbench1shot1.space import Space1Shot1
from benchmarks.nasbench101.cells import OPERATIONS, graph_hash, problem_of, pruned
from benchmarks.spaces.layers import allocate
from benchmarks.table import Table
from harness.probe.initialise import initialise, stream


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


def test_counts_of_what_pruning_leaves(spaces):
    assert [len(pruned_graphs(number)) for number in PARENTS] == [66, 190, 876]
    for number, strings, cells in ((1, 3_702, 2_685), (2, 12_474, 7_773), (3, 135_900, 55_854)):
        space = Space1Shot1(number, "pruned")
        assert (len(space), len(set(space.class_id))) == (strings, cells)
        if number < 3:
            assert set(spaces[number].archs) | set(Space1Shot1(number, "closed").archs) <= set(space.archs)
    closed = ["-" not in arch for arch in space.archs]
    assert (sum(closed), len(set(space.class_id[closed]))) == (108_135, 49_032)


def test_distinct_cells_by_the_official_hash():
    space = Space1Shot1(1, "closed")
    assert len({graph_hash(cell) for cell in space.cells}) == 2_484


def count_with_loose_ends(space: int) -> tuple[int, int]:
    """Return how many strings there are with loose ends: operations distinguished on used blocks only, and on all."""
    blocks = len(PARENTS[space]) - 2
    feeding = [len(used(graph, blocks)) for graph in all_graphs(space)]
    return sum(len(OPERATIONS) ** n for n in feeding), len(feeding) * len(OPERATIONS) ** blocks


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
    with pytest.raises(UserError, match=r"is not an architecture of NAS-Bench-1Shot1, space 1 \(released\)"):
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


# --- one-shot networks ------------------------------------------------------------------------------------------------

TINY = {"channels": 4, "stacks": 2, "modules": 2, "input_channels": 3, "classes": 5}


def stack_of(space: Space1Shot1, indices: list[int], network: dict = TINY) -> torch.nn.Module:
    stack = allocate(space.build(indices, **network), "cpu")
    initialise(stack, [stream(0, space.canonical(i), "test") for i in indices])
    return stack


class PlainOneShot(torch.nn.Module):
    """The network of one string, written from the description: blocks in the string's order.

    `names` and `edges` are those of the string, vertex 0 the input; the weights are those of a stack of one, whose
    cell calls the vertex v `number[v]`.
    """

    def __init__(self, text: str, stack: torch.nn.Module, number: dict[int, int], stacks: int, modules: int) -> None:
        super().__init__()
        listed, edges = text.split("|")
        self.names = listed.split(",")
        self.edges = [(int(a), int(b)) for a, b in edges.split(",")]
        self.stack, self.number, self.stacks, self.modules_each = stack, number, stacks, modules

    def cell(self, cell: torch.nn.Module, x: torch.Tensor, width: int) -> torch.Tensor:
        """Blocks in the order of the string; what the output receives is put into the order of the stack's cell."""
        last, state = len(self.names) + 1, {0: x}
        used = sorted({a for a, _ in self.edges} - {0})
        for block in used:
            received = 0
            for source, target in self.edges:
                if target == block:
                    own = cell.projections[str(self.number[block])](x) if source == 0 else state[source]
                    received = received + own
            name = self.names[block - 1]
            if name == "maxpool3x3":
                state[block] = torch.nn.functional.max_pool2d(received, 3, stride=1, padding=1)
            else:
                convolution, norm, _ = cell.operations[str(self.number[block])]
                assert convolution.weight.shape == (width, width, *(2 * [{"conv3x3": 3, "conv1x1": 1}[name]]))
                state[block] = norm(convolution(received)).relu()
        feeding = sorted((a for a, b in self.edges if b == last and a), key=lambda block: self.number[block])
        output = torch.cat([state[block] for block in feeding], 1)
        return output + cell.projections[str(self.number[last])](x) if (0, last) in self.edges else output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, width = self.stack.stem(x), 4
        cells = iter([module for module in self.stack.body if hasattr(module, "cells")])
        for stack in range(self.stacks):
            if stack:
                x, width = torch.nn.functional.max_pool2d(x, 2), 2 * width
            for _ in range(self.modules_each):
                x = self.cell(next(cells).cells[0], x, width)
        _, convolution, norm = self.stack.last.cells[0]
        x = norm(convolution(x.relu()))
        return self.stack.classifier(x.mean((2, 3)))


def renumbering(text: str, representative: str) -> dict[int, int]:
    """Return how the vertices of a string are called in an isomorphic one, blocks that are unused left out of both."""
    (names, edges), (others, other_edges) = (
        (listed.split(","), {(int(a), int(b)) for a, b in pairs.split(",")})
        for listed, pairs in (text.split("|"), representative.split("|"))
    )
    last = len(names) + 1
    used, kept = ([v for v in range(1, last) if row[v - 1] != "-"] for row in (names, others))
    for order in itertools.permutations(kept):
        place = {0: 0, last: last, **dict(zip(used, order, strict=True))}
        alike = all(names[v - 1] == others[place[v] - 1] for v in used)
        if alike and {(place[a], place[b]) for a, b in edges} == other_edges:
            compact = {v: i for i, v in enumerate([0, *kept, last])}
            return {v: compact[place[v]] for v in place}
    raise AssertionError(f"{text} and {representative} are not isomorphic")


@pytest.mark.parametrize("number", PARENTS)
def test_a_oneshot_network_is_what_the_string_says(spaces, number):
    """Of each string and the first isomorphic one: the network written out equals the one that is built."""
    space = (Space1Shot1(number, "pruned") if number < 3 else spaces[3]).with_network("oneshot")
    twins = np.flatnonzero(space.class_id != np.arange(len(space)))
    assert len(twins) > 100
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for index in (*twins[:: len(twins) // 6].tolist(), 0, len(space) - 1):
        stack = stack_of(space, [index])
        number_of = renumbering(space.archs[index], space.canonical(index))
        plain = PlainOneShot(space.archs[index], stack, number_of, 2, 2)
        torch.testing.assert_close(plain(x), stack(x), rtol=1e-4, atol=1e-5)


def test_parameters_of_a_oneshot_network_by_hand():
    """conv3x3 <- input; conv1x1 <- input, 1; max pooling <- 1, 2; conv3x3 <- 0, 3; output <- 2, 4."""
    arch = "conv3x3,conv1x1,maxpool3x3,conv3x3|01,02,04,12,13,23,25,34,45"
    space = Space1Shot1(1, "pruned").with_network("oneshot")
    c = 16
    expected, inside = 3 * c * 9 + 2 * c, c
    for width in (c, 2 * c, 4 * c):
        for _ in range(3):
            projections = 3 * (inside * width + 2 * width)
            expected += projections + 2 * (9 * width**2 + 2 * width) + width**2 + 2 * width
            inside = 2 * width
    expected += (inside * 4 * c + 2 * 4 * c) + 4 * c * 10 + 10
    index = space.index(arch)
    built = space.build([index], classes=10, **space.network)
    assert sum(p.numel() for p in built.parameters()) == expected
    assert space.sizes(classes=10, resolution=32, **space.network)[0, index] == expected


def test_counts_of_oneshot_networks_are_those_of_the_networks(spaces):
    for each in spaces.values():
        space = each.with_network("oneshot")
        indices = np.random.default_rng(0).choice(len(space), 8, replace=False).tolist()
        stack, counted = space.build(indices, **TINY), np.zeros((3, len(indices)))

        def count(layer, _, output, counted=counted):
            owners = list(layer.owners)
            for parameter in layer.parameters():
                counted[0, owners] += parameter.numel() / len(owners)
                counted[2, owners] += 1
            if not isinstance(layer, torch.nn.BatchNorm2d):
                places = output.shape[2:].numel() if output.dim() == 4 else 1
                counted[1, owners] += layer.weight.numel() / len(owners) * places

        for layer in stack.modules():
            if hasattr(layer, "owners") and not isinstance(layer, torch.nn.ReLU):
                layer.register_forward_hook(count)
        stack.to("meta")(torch.empty(1, 3 * len(indices), 8, 8, device="meta"))
        np.testing.assert_array_equal(counted, space.sizes(resolution=8, **TINY)[:, space.class_id[indices]])


def test_a_stack_of_oneshot_networks_is_its_networks(spaces):
    space = spaces[3].with_network("oneshot")
    widths_differ = [next(i for i, arch in enumerate(space.archs) if ("06" in arch) == direct) for direct in (0, 1)]
    indices = [*widths_differ, 5_000, 24_065]
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    stack = stack_of(space, indices)
    outputs, features = stack(x.repeat(1, 4, 1, 1)), stack.features(x.repeat(1, 4, 1, 1))
    assert outputs.shape == (3, 4, 5) and features.shape == (3, 4 * 8, 4, 4)
    assert stack.blocks() == ["stem", "body.0", "body.1", "body.3", "body.4"]
    for position, index in enumerate(indices):
        alone = stack_of(space, [index])
        torch.testing.assert_close(alone(x)[:, 0], outputs[:, position], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.features(x), features.unflatten(1, (4, -1))[:, position], rtol=1e-4, atol=1e-5)
    assert stack.body[0](stack.stem(x.repeat(1, 4, 1, 1))).shape[1] == 4 * 5 * 4  # as if all five blocks fed the output
