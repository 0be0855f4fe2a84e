"""The networks of NAS-Bench-101 (official skeleton), as a stack of K cells.

Stem 3x3 convolution, BatchNorm, ReLU; three stacks of three cells at widths C, 2C, 4C, between them a max pooling that
halves the resolution; global average pooling and a linear classifier. In a cell the input is projected (1x1
convolution, BatchNorm, ReLU) to every vertex it feeds; inner vertices add what they receive, dropping the one channel
by which a source may be wider; the output concatenates, and adds the projected input.

Stem and classifier of a stack run as one; the cells of its architectures run one after the other, as their vertices
have different widths. A stack of K costs what K networks cost; K = 1 loses nothing.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.nasbench101.arrays import LAST, as_arrays, vertex_channels
from benchmarks.nasbench101.cells import KERNEL, Cell
from benchmarks.spaces.layers import StackedLinear, StackedNetwork, conv_bn_relu

ChannelsOf = Callable[[np.ndarray, int, int], np.ndarray]
"""(matrix (cells, 7, 7), channels coming in, channels of the stage) -> (cells, 7), the channels of every vertex."""
Inside = TypeVar("Inside")
"""Channels that enter a cell: one number, or one for each architecture."""


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


class SideBySide(nn.Module):
    """One module for each architecture of a stack: (samples, K * inputs, ...) -> (samples, K * outputs, ...).

    Where widths differ among the architectures, module k takes the first `inside[k]` channels of its input, and its
    output is padded with zeros to `places` channels.
    """

    def __init__(
        self, modules: Sequence[nn.Module], inside: Sequence[int] | None = None, places: int | None = None
    ) -> None:
        super().__init__()
        self.cells = nn.ModuleList(modules)
        self.inside, self.places = inside, places

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.cells), 1)
        if self.inside is not None:
            parts = tuple(part[:, :width] for part, width in zip(parts, self.inside, strict=True))
        outputs = [cell(part) for cell, part in zip(self.cells, parts, strict=True)]
        if self.places is not None:
            outputs = [functional.pad(y, (0, 0, 0, 0, 0, self.places - y.shape[1])) for y in outputs]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)


def skeleton(
    inside: Inside, channels: int, stacks: int, modules: int, cell: Callable[[Inside, int], tuple[nn.Module, Inside]]
) -> tuple[list[nn.Module], Inside]:
    """Return the body of a network, `modules` cells in each stack and max poolings between stacks, and what leaves it.

    `cell(inside, outside)` returns a cell and the channels that leave it, which are the next one's `inside`. `outside`
    is `channels` in the first stack and doubles with every stack.
    """
    body: list[nn.Module] = []
    for stack in range(stacks):
        if stack:
            body.append(nn.MaxPool2d(2, 2))
        for _ in range(modules):
            made, inside = cell(inside, channels * 2**stack)
            body.append(made)
    return body, inside


class Network101(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution."""

    def __init__(
        self, cells: Sequence[Cell], *, channels: int = 128, stacks: int = 3, modules: int = 3, classes: int = 10,
        input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(len(cells), input_channels)
        everyone = range(self.k)
        self.stem = conv_bn_relu(everyone, input_channels, channels, 3)

        def cell(inside: int, outside: int) -> tuple[nn.Module, int]:
            built = [CellModule(each, owner, inside, outside) for owner, each in enumerate(cells)]
            return SideBySide(built), outside

        body, width = skeleton(channels, channels, stacks, modules, cell)
        self.body = nn.Sequential(*body)
        self.classifier = StackedLinear(everyone, width, classes)
