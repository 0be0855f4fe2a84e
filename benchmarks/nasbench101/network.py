"""The networks of NAS-Bench-101 (official skeleton), as a stack of K cells.

Stem 3x3 convolution, BatchNorm, ReLU; three stacks of three cells at widths C, 2C, 4C, between them a max pooling that
halves the resolution; global average pooling and a linear classifier. In a cell the input is projected (1x1
convolution, BatchNorm, ReLU) to every vertex it feeds; inner vertices add what they receive, dropping the one channel
by which a source may be wider; the output concatenates, and adds the projected input.

Stem and classifier of a stack run as one; the cells of its architectures run one after the other, as their vertices
have different widths. A stack of K costs what K networks cost; K = 1 loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.nasbench101.arrays import LAST, as_arrays, vertex_channels
from benchmarks.nasbench101.cells import KERNEL, Cell
from benchmarks.spaces.layers import StackedLinear, StackedNetwork, conv_bn_relu

ChannelsOf = Callable[[np.ndarray, int, int], np.ndarray]
"""(matrix (cells, 7, 7), channels coming in, channels of the stage) -> (cells, 7), the channels of every vertex."""


class CellModule(nn.Module):
    """The cell of one architecture, `owner` of the stack: (samples, inside, ...) -> (samples, outside, ...)."""

    def __init__(
        self, cell: Cell, owner: int, inside: int, outside: int, channels_of: ChannelsOf = vertex_channels
    ) -> None:
        super().__init__()
        last = cell.vertices - 1
        width = [int(c) for c in channels_of(as_arrays([cell])[0], inside, outside)[0]]
        self.width = [*width[:last], width[LAST]]
        self.sources = [[a for a, b in cell.edges if b == vertex] for vertex in range(last + 1)]
        self.projections = nn.ModuleDict()
        self.operations = nn.ModuleDict()
        for vertex in range(1, last + 1):
            if 0 in self.sources[vertex]:
                self.projections[str(vertex)] = conv_bn_relu((owner,), inside, self.width[vertex], 1)
            if vertex < last:
                name, channels = cell.operations[vertex - 1], self.width[vertex]
                if name in KERNEL:
                    self.operations[str(vertex)] = conv_bn_relu((owner,), channels, channels, KERNEL[name])
                else:
                    self.operations[str(vertex)] = nn.MaxPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor] = [x]
        for vertex, sources in enumerate(self.sources[1:], start=1):
            inner = [nodes[source] for source in sources if source]
            if vertex == len(self.sources) - 1:
                received = [torch.cat(inner, 1)] if inner else []
            else:
                received = [node[:, : self.width[vertex]] for node in inner]
            if 0 in sources:
                received.append(self.projections[str(vertex)](x))
            total = received[0]
            for each in received[1:]:
                total = total + each
            nodes.append(self.operations[str(vertex)](total) if str(vertex) in self.operations else total)
        return nodes[-1]


class StackedCells(nn.Module):
    """The cells of K architectures side by side: (samples, K * inside, ...) -> (samples, K * outside, ...)."""

    def __init__(self, cells: Sequence[Cell], inside: int, outside: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(CellModule(cell, owner, inside, outside) for owner, cell in enumerate(cells))

    def forward(self, x: Tensor) -> Tensor:
        if len(self.cells) == 1:
            return self.cells[0](x)
        parts = x.chunk(len(self.cells), 1)
        return torch.cat([cell(part) for cell, part in zip(self.cells, parts, strict=True)], 1)


class Network101(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution."""

    def __init__(
        self,
        cells: Sequence[Cell],
        *,
        channels: int = 128,
        stacks: int = 3,
        modules: int = 3,
        classes: int = 10,
        input_channels: int = 3,
    ) -> None:
        super().__init__(len(cells), input_channels)
        everyone = range(self.k)
        self.stem = conv_bn_relu(everyone, input_channels, channels, 3)
        body: list[nn.Module] = []
        inside = outside = channels
        for stack in range(stacks):
            if stack:
                body.append(nn.MaxPool2d(2, 2))
                outside *= 2
            for _ in range(modules):
                body.append(StackedCells(cells, inside, outside))
                inside = outside
        self.body = nn.Sequential(*body)
        self.classifier = StackedLinear(everyone, outside, classes)
