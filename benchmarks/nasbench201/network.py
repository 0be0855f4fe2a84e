"""The networks of NAS-Bench-201 (official skeleton), as a stack of K architectures.

Stem 3x3 convolution and BatchNorm; three stages of N cells at widths C, 2C, 4C; between them a residual block that
halves the resolution; a last BatchNorm-ReLU, global average pooling and a linear classifier.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.nasbench201.cells import CONV1, CONV3, EDGES, KERNEL, NONE, POOL, SKIP, Cell, reachable
from benchmarks.spaces.layers import (
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    Take,
    like,
    relu_conv_bn,
)


class Edge(nn.Module):
    """One operation on one edge of the cell, for the architectures that have it there, reachable or not."""

    def __init__(
        self, operation: str, owners: Sequence[int], on_path: Sequence[bool], size: int, channels: int
    ) -> None:
        super().__init__()
        self.take = Take(owners, size)
        if operation in KERNEL:
            self.operation: nn.Module = relu_conv_bn(owners, channels, channels, KERNEL[operation], on_path=on_path)
        elif operation == POOL:
            self.operation = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        else:
            self.operation = nn.Identity()


class StackedCell(nn.Module):
    """The cells of K architectures: node 3 of each, from (samples, K * channels, height, width)."""

    def __init__(self, cells: Sequence[Cell], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList()
        self.ends: list[tuple[int, int]] = []
        kept = [reachable(cell) for cell in cells]
        for position, ends in enumerate(EDGES):
            for operation in (SKIP, CONV1, CONV3, POOL):
                if owners := [k for k, cell in enumerate(cells) if cell[position] == operation]:
                    on_path = [kept[k][position] == operation for k in owners]
                    self.edges.append(Edge(operation, owners, on_path, len(cells), channels))
                    self.ends.append(ends)

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, None, None, None]
        for edge, (source, target) in zip(self.edges, self.ends, strict=True):
            assert isinstance(edge, Edge)
            node = nodes[source]
            if node is None:  # nothing arrives there in any architecture of the stack
                node = torch.zeros_like(x)
            nodes[target] = edge.take.add(nodes[target], edge.operation(edge.take(node)), x)
        return torch.zeros_like(x) if nodes[3] is None else nodes[3]


class Reduction(nn.Module):
    """The residual block between stages: half the resolution, twice the channels."""

    def __init__(self, connected: Sequence[bool], channels: int) -> None:
        """`connected`: of each architecture, whether anything of the input arrives here."""
        super().__init__()
        owners = range(len(connected))
        self.conv_a = relu_conv_bn(owners, channels, 2 * channels, 3, stride=2, on_path=connected)
        self.conv_b = relu_conv_bn(owners, 2 * channels, 2 * channels, 3, on_path=connected)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), StackedConv2d(owners, channels, 2 * channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class Network201(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution."""

    def __init__(
        self, cells: Sequence[Cell], *, channels: int = 16, cells_per_stage: int = 5, classes: int = 10,
        input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(len(cells), input_channels)
        everyone = range(self.k)
        connected = [set(reachable(cell)) != {NONE} for cell in cells]
        self.stem = nn.Sequential(
            StackedConv2d(everyone, input_channels, channels, 3), StackedBatchNorm2d(everyone, channels)
        )
        body: list[nn.Module] = []
        for stage in range(3):
            width = channels * 2**stage
            if stage:
                body.append(Reduction(connected, width // 2))
            cell = StackedCell(cells, width)
            body += [cell, *(like(cell) for _ in range(cells_per_stage - 1))]
        self.body = nn.Sequential(*body)
        self.last = nn.Sequential(StackedBatchNorm2d(everyone, 4 * channels), StackedReLU(everyone, connected))
        self.classifier = StackedLinear(everyone, 4 * channels, classes)

    def tail(self, x: Tensor) -> Tensor:
        return self.last(x)
