"""NAS-Bench-201: the space of cells with four nodes and five operations on each of six edges.

Source: Dong and Yang, "NAS-Bench-201" (ICLR 2020, arXiv 2001.00326); the same space as NATS-Bench's topology set.
An architecture is printed as the benchmark prints it, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`: node i lists its
incoming edges from nodes 0 .. i-1. Inside this file an architecture is a tuple of six operation names in that order.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.files.sources import GB, Source
from benchmarks.nasbench201.sources import MEAN_SOURCES, TARGETS
from benchmarks.spaces.space import Choices, Space

if TYPE_CHECKING:
    from torch import nn


NONE, SKIP, CONV1, CONV3, POOL = OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source node, target node) of each of the six edges, in the order the string lists them."""
KERNEL = {CONV1: 1, CONV3: 3}


Cell = tuple[str, ...]


def print_cell(cell: Cell) -> str:
    """Return the official string of six operations."""
    a, b, c, d, e, f = cell
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def parse_cell(text: str) -> Cell:
    """Return the six operations of an official string; UserError says what is wrong with it."""
    cell = tuple(re.findall(r"([^|+~]+)~", text))
    if len(cell) != len(EDGES) or print_cell(cell) != text:
        raise UserError(f"'{text}' is not a NAS-Bench-201 cell; expected the form {print_cell((NONE,) * 6)}")
    if unknown := sorted(set(cell) - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "NAS-Bench-201 operation")
    return cell


NASLIB = (SKIP, NONE, CONV3, CONV1, POOL)
"""Operations by NASLib's numbers (`op_indices`), one for each edge; it orders the edges by source node."""
OP_INDICES = re.compile(r"[\[(]?" + r"[, ]*".join([r"([0-4])"] * len(EDGES)) + r"[\])]?")


def printed(text: str) -> str:
    """Return the official string of a cell in any of these spellings; UserError says what is wrong with it.

    The official one, blanks in it passed over; `op_indices` of NASLib and NAS-Bench-Suite-Zero: (4, 0, 3, 1, 4, 3).
    """
    text = text.strip()
    if found := OP_INDICES.fullmatch(text):
        operations = dict(zip(sorted(EDGES), (NASLIB[int(number)] for number in found.groups()), strict=True))
        return print_cell(tuple(operations[edge] for edge in EDGES))
    return print_cell(parse_cell(text.replace(" ", "")))


def reachable(cell: Cell) -> Cell:
    """Return the cell with every edge that lies on no path from node 0 to node 3 set to `none`.

    Cells with the same result compute the same function: this is the equivalence rule of the harness.
    """
    edges = [edge for edge, operation in zip(EDGES, cell, strict=True) if operation != NONE]
    from_input, to_output = {0}, {3}
    for source, target in edges:  # targets ascend, so one pass is enough
        if source in from_input:
            from_input.add(target)
    for source, target in reversed(edges):
        if target in to_output:
            to_output.add(source)
    return tuple(
        operation if source in from_input and target in to_output else NONE
        for (source, target), operation in zip(EDGES, cell, strict=True)
    )


PAGE, NATS_PAGE = "https://github.com/D-X-Y/NAS-Bench-201", "https://github.com/D-X-Y/NATS-Bench"


class Space201(Space):
    """All 15,625 architectures in official index order, and what follows from them without a network."""

    name = "201"
    title = "NAS-Bench-201"
    network = {"channels": 16, "cells_per_stage": 5, "input_channels": 3}
    """C, N and image channels of the networks the benchmark trained."""
    reduced = {"channels": 8, "cells_per_stage": 1}
    targets = TARGETS
    datasets = {"cifar10": (10, 32), "cifar10-valid": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
    readers = {"pickle": "benchmarks.nasbench201.files:read_official"}
    network_class = "benchmarks.nasbench201.network:Network201"
    supernet_class = "benchmarks.nasbench201.supernet:Supernet201"
    sources = (
        Source("NAS-Bench-201-v1_1-*.pth", "official release v1_1", int(4.7 * GB), PAGE),
        Source("NAS-Bench-201-v1_0-*.pth", "official release v1_0", int(2.2 * GB), PAGE),
        Source("NATS-tss-v1_0-*.pickle.pbz2", "NATS-Bench topology set", page=NATS_PAGE),
        Source("NATS-tss-v1_0-*-simple/", "the same, a file each", page=NATS_PAGE),
        *MEAN_SOURCES,
    )

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Six operations of every architecture, by official index: the benchmark shuffled the product with seed 88."""
        cells = list(itertools.product(OPERATIONS, repeat=len(EDGES)))
        random.Random(88).shuffle(cells)
        return tuple(cells)

    @cached_property
    def archs(self) -> tuple[str, ...]:
        """Official strings by official index."""
        return tuple(print_cell(cell) for cell in self.cells)

    @cached_property
    def _of_cell(self) -> dict[Cell, int]:
        return {cell: position for position, cell in enumerate(self.cells)}

    @cached_property
    def _reachable(self) -> tuple[Cell, ...]:
        return tuple(reachable(cell) for cell in self.cells)

    def printed(self, name: str) -> str:
        """Return the official string of any spelling, `op_indices` among them."""
        return printed(name)

    def index(self, arch: str) -> int:
        """Return the official index of an architecture string."""
        return self._of_cell[parse_cell(arch)]

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the member whose unreachable edges are all `none`; 9,445 different values."""
        return np.array([self._of_cell[cell] for cell in self._reachable])

    @cached_property
    def connected(self) -> np.ndarray:
        """(archs,) bool: whether any path leads from the input to the output; 341 architectures have none."""
        return np.array([any(operation != NONE for operation in cell) for cell in self._reachable])

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: reachable convolutions in the cell; 1,983 architectures have none."""
        return np.array([sum(operation in KERNEL for operation in cell) for cell in self._reachable])

    def canonical(self, index: int) -> str:
        """Return the string that names the network of an architecture: unreachable edges printed as `none`."""
        return print_cell(self._reachable[index])

    def sizes(
        self, *, channels: int, cells_per_stage: int, classes: int, resolution: int, input_channels: int,
        reachable_only: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        `reachable_only` leaves out operations on no input-output path; the benchmark's own counts include them. FLOPs
        are multiply-accumulates of convolutions and the classifier (its bias included) for one image, as the benchmark
        states them; pooling, BatchNorm and additions are left out.
        """
        cells = self._reachable if reachable_only else self.cells
        convs = np.array([[cell.count(operation) for operation in KERNEL] for cell in cells])  # (archs, kernels)
        area = np.array([kernel**2 for kernel in KERNEL.values()])
        stem, classifier = 9 * input_channels * channels, (4 * channels + 1) * classes
        total = np.zeros((3, len(cells)))
        total += [[stem + 10 * channels + classifier], [stem * resolution**2 + classifier], [3 + 2 + 2]]
        for stage in range(3):
            width, side = channels * 2**stage, resolution // 2**stage
            if stage:  # 3x3 from half the width, 3x3, 1x1 of the shortcut
                reduction = (9 * width // 2 + 9 * width + width // 2) * width
                total += [[reduction + 4 * width], [reduction * side**2], [3 + 3 + 1]]
            weights = width**2 * convs @ area
            params = weights + 2 * width * convs.sum(1)
            total += cells_per_stage * np.stack([params, weights * side**2, 3 * convs.sum(1)])
        return total

    @cached_property
    def choices(self) -> Choices:
        """Six edges of five operations; `3<-1` leads from node 1 to node 3."""
        place = {operation: at for at, operation in enumerate(OPERATIONS)}
        chosen = np.array([[place[operation] for operation in cell] for cell in self.cells])
        return Choices(tuple(f"{target}<-{source}" for source, target in EDGES), OPERATIONS, chosen)

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack, as `Space.build`."""
        source = self.cells if keep_unreachable else self._reachable
        return self.stack([source[index] for index in indices], **network)
