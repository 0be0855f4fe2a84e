"""NAS-Bench-101: cells of up to seven vertices and nine edges, known here as far as a table holds them.

Source: Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search" (ICML 2019, arXiv 1902.09635).
`benchmarks.nasbench101.cells` says what a cell is, how it is printed, and when two are the same. There are 423,624
different ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.errors import UserError
from benchmarks.files.sources import GB, MB, Source
from benchmarks.nasbench101.arrays import as_arrays, edited, fingerprints, sizes
from benchmarks.nasbench101.cells import CELLS, MD5, VERTICES, Cell, graph_hash, parse_cell, print_cell, printed
from benchmarks.nasbench101.enumerate import enumerate_cells
from benchmarks.spaces.space import Space

if TYPE_CHECKING:
    from torch import nn


FILES = "https://storage.googleapis.com/nasbench"


class CellSpace(Space):
    """What spaces of such cells share; all of it follows from the cells' graphs."""

    network = {"channels": 128, "stacks": 3, "modules": 3, "input_channels": 3}
    """Of the trained networks: channels of the stem, stacks of cells, cells in a stack, image channels."""
    reduced = {"channels": 8, "modules": 1}
    datasets = {"cifar10": (10, 32), "cifar10-halfway": (10, 32)}
    """dataset: (classes, resolution in pixels); halfway is the accuracy after half the epochs of each budget."""
    network_class = "benchmarks.nasbench101.network:Network101"
    together = 4
    """A larger stack gains nothing, as cells run one after the other."""

    @property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """(matrix, labels) of all cells, pruned, as `benchmarks.nasbench101.arrays` has them."""
        raise NotImplementedError

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fingerprints in ascending order, the first cell of each, and for every cell which of them it has."""
        return np.unique(fingerprints(*self._arrays), return_index=True, return_inverse=True)

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the first isomorphic cell."""
        _, first, number = self._classes
        return first[number]

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: vertices of the cell that are convolutions, 0 to 5; projections of the input not counted."""
        labels = self._arrays[1]
        return ((labels == 0) | (labels == 1)).sum(1)

    def sizes(self, *, reachable_only: bool = False, **network: Any) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every cell's network, (3, archs) float64.

        Parameters equal `trainable_parameters` of the official files. FLOPs are multiply-accumulates of convolutions
        and the classifier for one image. Cells are pruned, so `reachable_only` changes nothing.
        """
        return sizes(*self._arrays, oneshot=bool(self.form), **network)


class Space101(CellSpace):
    """The cells of a table, in its order. A table of all 423,624 is the whole benchmark; of fewer, a part of it.

    A sample is uniform over the cells the table holds, and neighbours are those among them.
    """

    name = "101"
    readers = {
        "tfrecord": "benchmarks.nasbench101.files:read_official",
        "npz": "benchmarks.nasbench101.archive:read_npz",
    }
    samples = ("nasbench101_uniform.h5", "nasbench101_uniform.npz")
    # The addresses are those of the project's page; written without a network, so not tried out.
    sources = (
        *(
            Source(name, about, size, "https://github.com/google-research/nasbench", f"{FILES}/{name}")
            for name, about, size in (
                ("nasbench_only108.tfrecord", "official, 108 epochs", 499 * MB),
                ("nasbench_full.tfrecord", "official, all budgets", int(1.95 * GB)),
            )
        ),
        Source("nasbench101_uniform.npz", "a uniform sample, if you have one", page="docs/data.md", direct=True),
    )

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
    def full_size(self) -> int:
        """Number of cells of NAS-Bench-101, whatever part a table holds."""
        return max(CELLS, len(self))

    @property
    def expected(self) -> None:
        """None: a table may hold any cells and defines the space."""

    @property
    def archs(self) -> tuple[str, ...]:
        """Printed cells by index."""
        return self._archs

    def cell(self, index: int) -> Cell:
        """Return the cell of an architecture."""
        return parse_cell(self.archs[index])

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """As `CellSpace._arrays`; each graph and each list of operations is parsed once. UserError for no cell."""
        graphs: dict[tuple[int, str], tuple[int, str]] = {}  # operations and edges -> its number, an arch that has it
        lists: dict[str, tuple[int, str]] = {}
        rows = []
        for arch in self.archs:
            listed, _, edges = arch.partition("|")
            graph = graphs.setdefault((listed.count(","), edges), (len(graphs), arch))[0]
            rows.append((graph, lists.setdefault(listed, (len(lists), arch))[0]))
        matrix, _ = as_arrays([parse_cell(arch) for _, arch in graphs.values()])
        _, labels = as_arrays([parse_cell(arch) for _, arch in lists.values()])
        of_graph, of_list = np.reshape(rows, (-1, 2)).astype(int).T
        return matrix[of_graph], labels[of_list]

    def find(self, cells: Sequence[Cell]) -> np.ndarray:
        """Return the index of the table's first isomorphic cell for each pruned cell, (cells,) int; -1 where none."""
        return self._with_fingerprint(fingerprints(*as_arrays(cells)))

    def _with_fingerprint(self, marks: np.ndarray) -> np.ndarray:
        """Return the first cell of the table with each fingerprint, an array of the same shape; -1 where none."""
        if not len(self):
            return np.full(marks.shape, -1)
        known, first, _ = self._classes
        at = np.minimum(np.searchsorted(known, marks), len(known) - 1)
        return np.where(known[at] == marks, first[at], -1)

    def index(self, arch: str) -> int:
        """Return the index of a printed cell, or of the first that is isomorphic to it."""
        if arch in self._position:
            return self._position[arch]
        found = int(self.find([parse_cell(arch)])[0])
        if found < 0:
            raise UserError(f"'{arch}' is a NAS-Bench-101 cell, but not among the {len(self):,} of the table at hand")
        return found

    def printed(self, name: str) -> str:
        """Return the printed form of any spelling (`cells.printed`); of an official MD5, the table's cell with it."""
        if MD5.fullmatch(name.strip()) is None:
            return printed(name)
        if (found := self._of_hash.get(name.strip())) is None:
            what = f"of no cell among the {len(self):,} at hand" if len(self) else "which does not say the cell itself"
            raise UserError(f"'{name}' is an MD5, {what}: give the cell's operations and edges")
        return self.archs[found]

    @cached_property
    def _of_hash(self) -> dict[str, int]:
        """Official MD5 -> index; takes a minute for all cells."""
        return {graph_hash(parse_cell(arch)): index for index, arch in reversed(list(enumerate(self.archs)))}

    def neighbours(self, index: int) -> list[int]:
        """Return the cells of the table one edit away: an edge added or removed, an operation changed, then pruned."""
        return [near for near in self.neighbour_table(np.array([index]))[0].tolist() if near >= 0]

    def neighbour_table(self, indices: np.ndarray) -> np.ndarray:
        """Return the neighbours of several cells, (indices, edits) int32; -1 where an edit leads to none."""
        matrix, labels = (array[indices] for array in self._arrays)
        own = fingerprints(matrix, labels)
        near = [np.where(marks == own, -1, self._with_fingerprint(marks)) for marks in edited(matrix, labels)]
        table = np.sort(np.stack(near, axis=1).astype(np.int32), axis=1)
        table[:, 1:][table[:, 1:] == table[:, :-1]] = -1
        return table

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these cells as one stack; nothing is unreachable in a pruned cell."""
        return self.stack([self.cell(self.class_id[index]) for index in indices], **network)
