"""NAS-Bench-101: cells of up to seven vertices and nine edges, known here as far as a table holds them.

Source: Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search" (ICML 2019, arXiv 1902.09635).
A cell is a directed acyclic graph from an input to an output vertex; each vertex between them is a 3x3 convolution, a
1x1 convolution or a 3x3 max pooling. Vertices that lie on no path from input to output are pruned; two cells are the
same if their graphs, labels included, are isomorphic, which the benchmark tells by an MD5 of the graph. There are
423,624 different ones.

Printed form: the operations of the inner vertices, a bar, the edges: `conv3x3,maxpool3x3|01,02,12,23`. Vertex 0 is the
input, the last the output, and edges lead from lower to higher numbers. The cell that only passes on is `|01`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.nasbench101_arrays import as_arrays, edited, fingerprints, sizes
from benchmarks.sources import GB, MB, Source
from benchmarks.space import Space

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
"""In the official order, by which the graph hash numbers them."""
OFFICIAL = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The same as the official files call them."""
KERNEL = {"conv3x3": 3, "conv1x1": 1}
VERTICES, EDGES = 7, 9
"""Limits of the space, input and output vertex counted."""
CELLS = 423_624
"""Different cells of the whole space."""
FORM = re.compile(r"((?:\w+(?:,\w+)*)?)\|(\d\d(?:,\d\d)*)")


class Cell(NamedTuple):
    """A labelled graph; edges ascend, as (source, target)."""

    operations: tuple[str, ...]
    """Of the inner vertices 1 .. V-2."""
    edges: tuple[tuple[int, int], ...]

    @property
    def vertices(self) -> int:
        """Number of vertices, input and output among them."""
        return len(self.operations) + 2


def print_cell(cell: Cell) -> str:
    """Return the printed form."""
    return ",".join(cell.operations) + "|" + ",".join(f"{a}{b}" for a, b in cell.edges)


def parse_cell(text: str) -> Cell:
    """Return the cell of a printed form; UserError where it is none of this space, or not in its pruned form."""
    found = FORM.fullmatch(text)
    if not found:
        raise UserError(f"'{text}' is not a NAS-Bench-101 cell; expected a form like conv3x3,maxpool3x3|01,02,12,23")
    operations = tuple(filter(None, found[1].split(",")))
    if unknown := sorted(set(operations) - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "NAS-Bench-101 operation")
    cell = Cell(operations, tuple((int(edge[0]), int(edge[1])) for edge in found[2].split(",")))
    if problem := problem_of(cell):
        raise UserError(f"'{text}' is not a NAS-Bench-101 cell: {problem}")
    if (kept := pruned(cell)) != cell:
        short = kept and print_cell(kept)
        raise UserError(f"'{text}' has vertices on no path from input to output; without them it is '{short}'")
    return cell


def problem_of(cell: Cell) -> str:
    """Return why a cell is not one of the space, or nothing. The limits hold for what is left after pruning."""
    if any(not a < b < cell.vertices for a, b in cell.edges):
        return f"edges lead from a lower to a higher vertex, 0 to {cell.vertices - 1}"
    if list(cell.edges) != sorted(set(cell.edges)):
        return "edges are named once each, in ascending order"
    kept = pruned(cell)
    if kept is None:
        return "no path leads from the input to the output"
    if kept.vertices > VERTICES or len(kept.edges) > EDGES:
        has = f"{kept.vertices} vertices and {len(kept.edges)} edges"
        return f"it has {has}; at most {VERTICES} and {EDGES} are allowed"
    return ""


def pruned(cell: Cell) -> Cell | None:
    """Return the cell without vertices on no path from input to output; None where there is no such path."""
    last = cell.vertices - 1
    from_input, to_output = {0}, {last}
    for a, b in sorted(cell.edges):
        if a in from_input:
            from_input.add(b)
    for a, b in sorted(cell.edges, key=lambda edge: -edge[1]):
        if b in to_output:
            to_output.add(a)
    kept = sorted(from_input & to_output)
    if kept[:1] != [0] or kept[-1:] != [last]:
        return None
    number = {vertex: i for i, vertex in enumerate(kept)}
    edges = tuple(sorted((number[a], number[b]) for a, b in cell.edges if a in number and b in number))
    return Cell(tuple(cell.operations[vertex - 1] for vertex in kept[1:-1]), edges)


def graph_hash(cell: Cell) -> str:
    """Return the official MD5 of a pruned cell: equal for isomorphic cells, different for all others of the space."""
    labels = [-1, *(OPERATIONS.index(operation) for operation in cell.operations), -2]
    sources: list[list[int]] = [[] for _ in labels]
    targets: list[list[int]] = [[] for _ in labels]
    for a, b in cell.edges:
        sources[b].append(a)
        targets[a].append(b)
    hashes = [_md5(str((len(targets[v]), len(sources[v]), label))) for v, label in enumerate(labels)]
    for _ in labels:
        received = ["".join(sorted([hashes[a] for a in before])) for before in sources]
        sent = ["".join(sorted([hashes[b] for b in after])) for after in targets]
        hashes = [_md5(f"{a}|{b}|{own}") for a, b, own in zip(received, sent, hashes, strict=True)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


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


def enumerate_cells(vertices: int) -> Iterator[Cell]:
    """Yield every different cell of exactly this many vertices once: 1, 6, 84, 2,441, 62,010, 359,082 for 2 to 7.

    Graphs are told apart unlabelled first, so that each labelling is looked at for one graph of its kind only. All
    423,624 cells take some ten seconds.
    """
    pairs = list(combinations(range(vertices), 2))
    bits = np.arange(2 ** len(pairs), dtype=np.int64)
    present = (bits[:, None] >> np.arange(len(pairs))) & 1  # (graphs, pairs)
    full = present.sum(1) <= EDGES
    for vertex in range(vertices):
        if vertex:
            full &= present[:, [b == vertex for _, b in pairs]].any(1)
        if vertex < vertices - 1:
            full &= present[:, [a == vertex for a, _ in pairs]].any(1)
    same = (OPERATIONS[0],) * (vertices - 2)
    graphs = [Cell(same, tuple(pairs[i] for i in row.nonzero()[0])) for row in present[full]]
    _, first = np.unique(fingerprints(*as_arrays(graphs)), return_index=True)
    for at in sorted(first):
        labelled = [Cell(operations, graphs[at].edges) for operations in _labellings(vertices - 2)]
        _, kept = np.unique(fingerprints(*as_arrays(labelled)), return_index=True)
        yield from (labelled[i] for i in sorted(kept))


def _labellings(n: int) -> list[tuple[str, ...]]:
    return [()] if n == 0 else [(*rest, operation) for rest in _labellings(n - 1) for operation in OPERATIONS]


def _first_of_each(keys: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Return where each different key is first, and for every key which of those it is."""
    seen: dict[Hashable, int] = {}
    numbers = [seen.setdefault(key, len(seen)) for key in keys]
    firsts = np.unique(numbers, return_index=True)[1] if keys else np.array([], dtype=int)
    return firsts.tolist(), numbers


FILES = "https://storage.googleapis.com/nasbench"


class Space101(Space):
    """The cells of a table, in its order. A table of all 423,624 is the whole benchmark; of fewer, a part of it.

    A sample is uniform over the cells the table holds, and neighbours are those among them.
    """

    name = "101"
    network = {"channels": 128, "stacks": 3, "modules": 3, "input_channels": 3}
    """Channels of the stem, stacks of cells, cells in a stack, image channels of the networks the benchmark trained."""
    reduced = {"channels": 8, "modules": 1}
    datasets = {"cifar10": (10, 32), "cifar10-halfway": (10, 32)}
    """dataset: (classes, resolution in pixels); halfway is the accuracy after half the epochs of each budget."""
    readers = {
        "tfrecord": "benchmarks.nasbench101_files:read_official",
        "npz": "benchmarks.nasbench101_files:read_npz",
    }
    """Kind of file (`benchmarks.convert.recognise`) -> what reads it."""
    # The addresses are those of the project's page; written without a network, so not tried out.
    sources = tuple(
        Source(name, about, size, "https://github.com/google-research/nasbench", f"{FILES}/{name}")
        for name, about, size in (
            ("nasbench_only108.tfrecord", "official, 108 epochs", 499 * MB),
            ("nasbench_full.tfrecord", "official, all budgets", int(1.95 * GB)),
        )
    )

    together = 4
    """A larger stack gains nothing, as cells run one after the other."""

    def __init__(self, archs: Sequence[str] = ()) -> None:
        self._archs = tuple(archs)

    @property
    def title(self) -> str:
        """Name for people; says so where the table holds a part of the benchmark."""
        part = f" ({len(self):,} of {CELLS:,} cells)" if 0 < len(self) < CELLS else ""
        return f"NAS-Bench-101{part}"

    def whole(self) -> Space101:
        """Return the space of all 423,624 cells, by number of vertices; takes some ten seconds."""
        counts = range(2, VERTICES + 1)
        return Space101([print_cell(cell) for vertices in counts for cell in enumerate_cells(vertices)])

    def over(self, archs: Sequence[str]) -> Space101:
        """Return the space of the cells of a table."""
        return Space101(archs)

    @property
    def expected(self) -> None:
        """Any cells may be in a table; it says what the space is."""

    @property
    def archs(self) -> tuple[str, ...]:
        """Printed cells by index."""
        return self._archs

    def cell(self, index: int) -> Cell:
        """Return the cell of an architecture."""
        return parse_cell(self.archs[index])

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """(matrix, labels) of all cells; each graph and each list of operations is parsed once. UserError where a
        string is no cell."""
        parts = [arch.partition("|") for arch in self.archs]
        graphs, graph = _first_of_each([(listed.count(","), edges) for listed, _, edges in parts])
        lists, operations = _first_of_each([listed for listed, _, _ in parts])
        matrix, _ = as_arrays([self.cell(at) for at in graphs])
        _, labels = as_arrays([self.cell(at) for at in lists])
        return matrix[graph], labels[operations]

    @cached_property
    def _position(self) -> dict[str, int]:
        return {arch: position for position, arch in enumerate(self.archs)}

    @cached_property
    def _by_fingerprint(self) -> dict[int, int]:
        marks = fingerprints(*self._arrays).tolist()
        return {mark: position for position, mark in reversed(list(enumerate(marks)))}

    def find(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return the index of the table's first isomorphic cell for each pruned cell, (cells,) int; -1 where none."""
        return np.array([self._by_fingerprint.get(mark, -1) for mark in fingerprints(*as_arrays(cells)).tolist()])

    def index(self, arch: str) -> int:
        """Return the index of a printed cell, or of the first that is isomorphic to it."""
        if arch in self._position:
            return self._position[arch]
        found = int(self.find([parse_cell(arch)])[0])
        if found < 0:
            raise UserError(f"'{arch}' is a NAS-Bench-101 cell, but not among the {len(self):,} of the table at hand")
        return found

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the first isomorphic cell; in an official table all are different."""
        marks = fingerprints(*self._arrays)
        _, first, inverse = np.unique(marks, return_index=True, return_inverse=True)
        return first[inverse]

    @cached_property
    def connected(self) -> np.ndarray:
        """(archs,) bool: every valid cell is."""
        return np.ones(len(self), dtype=bool)

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: vertices of the cell that are convolutions, 0 to 5; projections of the input not counted."""
        labels = self._arrays[1]
        return ((labels == 0) | (labels == 1)).sum(1)

    def canonical(self, index: int) -> str:
        """Return the string that names the network of a cell: of isomorphic ones, the first."""
        return self.archs[self.class_id[index]]

    def sizes(
        self,
        *,
        channels: int,
        stacks: int,
        modules: int,
        input_channels: int,
        classes: int,
        resolution: int,
        reachable_only: bool = False,
    ) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every cell's network, (3, archs) float64.

        Parameters equal `trainable_parameters` of the official files. FLOPs are multiply-accumulates of convolutions
        and the classifier for one image. Cells are pruned, so `reachable_only` changes nothing.
        """  # fmt: skip
        return sizes(
            *self._arrays, channels=channels, stacks=stacks, modules=modules, input_channels=input_channels,
            classes=classes, resolution=resolution,
        )  # fmt: skip

    def neighbours(self, index: int) -> list[int]:
        """Return the cells of the table one edit away: an edge added or removed, an operation changed, then pruned."""
        return sorted({int(position) for position in self.find(edits(self.cell(index))) if position >= 0})

    def neighbour_table(self, indices: np.ndarray) -> np.ndarray:
        """Return the neighbours of several cells, (indices, edits) int32; -1 where an edit leads to none."""
        matrix, labels = (array[indices] for array in self._arrays)
        own = fingerprints(matrix, labels)
        marks, positions = np.array(sorted(self._by_fingerprint.items()), dtype=np.uint64).T
        columns = []
        for found in edited(matrix, labels):
            at = np.minimum(np.searchsorted(marks, found), len(marks) - 1)
            columns.append(np.where((marks[at] == found) & (found != own), positions[at].astype(np.int32), -1))
        table = np.sort(np.stack(columns, axis=1), axis=1)
        table[:, 1:][table[:, 1:] == table[:, :-1]] = -1
        return table

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these cells as one stack, its weights not initialised.

        Nothing is unreachable in a pruned cell. `network` as for `benchmarks.nasbench101_network.Network101`.
        """
        from benchmarks.nasbench101_network import Network101

        return Network101([self.cell(self.class_id[index]) for index in indices], **network)
