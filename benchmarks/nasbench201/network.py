"""The networks of NAS-Bench-201 (official skeleton), as a stack of K architectures.

Stem 3x3 convolution and BatchNorm; three stages of N cells at widths C, 2C, 4C; between them a residual block that
halves the resolution; a last BatchNorm-ReLU, global average pooling and a linear classifier.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from benchmarks.nasbench201.space import CONV1, CONV3, EDGES, KERNEL, NONE, POOL, SKIP, Cell, reachable
from benchmarks.spaces.layers import (
    Places,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    gather,
    like,
    relu_conv_bn,
    scatter,
)


class Edge(nn.Module):
    """One operation on one edge of the cell, for the architectures that have it there, reachable or not."""

    def __init__(
        self, operation: str, owners: Sequence[int], on_path: Sequence[bool], size: int, channels: int
    ) -> None:
        super().__init__()
        self.places = Places(owners, size)
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
        self.size = len(cells)
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
        arriving: list[list[tuple[Tensor, nn.Module]]] = [[] for _ in range(4)]
        node = x
        for number in range(4):
            if arriving[number]:
                parts, places = zip(*arriving[number], strict=True)
                node = scatter(parts, self.size, places)
            elif number:  # nothing arrives here in any architecture of the stack
                node = torch.zeros_like(x)
            leaving = [
                (edge, target)
                for edge, (source, target) in zip(self.edges, self.ends, strict=True)
                if source == number and isinstance(edge, Edge)
            ]
            taken = gather(node, self.size, [edge.places for edge, _ in leaving])
            for (edge, target), part in zip(leaving, taken, strict=True):
                arriving[target].append((edge.operation(part), edge.places))
        return node


class Reduction(nn.Module):
    """The residual block between stages: half the resolution, other channels."""

    def __init__(self, connected: Sequence[bool], inside: int, outside: int) -> None:
        """`connected`: of each architecture, whether anything of the input arrives here."""
        super().__init__()
        owners = range(len(connected))
        self.conv_a = relu_conv_bn(owners, inside, outside, 3, stride=2, on_path=connected)
        self.conv_b = relu_conv_bn(owners, outside, outside, 3, on_path=connected)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, stride=2), StackedConv2d(owners, inside, outside, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


def skeleton(
    connected: Sequence[bool], input_channels: int, channels: int, classes: int,
    stage: Callable[[int], list[nn.Module]],
) -> tuple[nn.Module, list[nn.Module], nn.Module, nn.Module]:  # fmt: skip
    """Return the stem, the body, what follows it, and the classifier; `stage(width)` returns the cells of a stage."""
    owners = range(len(connected))
    stem = nn.Sequential(StackedConv2d(owners, input_channels, channels, 3), StackedBatchNorm2d(owners, channels))
    first, *others = (stage(channels * 2**number) for number in range(3))
    reductions = [Reduction(connected, width, 2 * width) for width in (channels, 2 * channels)]
    body = [*first, reductions[0], *others[0], reductions[1], *others[1]]
    last = nn.Sequential(StackedBatchNorm2d(owners, 4 * channels), StackedReLU(owners, connected))
    return stem, body, last, StackedLinear(owners, 4 * channels, classes)


class Network201(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution."""

    def __init__(
        self, cells: Sequence[Cell], *, channels: int = 16, cells_per_stage: int = 5, classes: int = 10,
        input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(len(cells), input_channels)
        connected = [set(reachable(cell)) != {NONE} for cell in cells]

        def stage(width: int) -> list[nn.Module]:
            cell = StackedCell(cells, width)
            return [cell, *(like(cell) for _ in range(cells_per_stage - 1))]

        stem, body, last, classifier = skeleton(connected, input_channels, channels, classes, stage)
        # In this order, in which weights are drawn.
        self.stem, self.body, self.last, self.classifier = stem, nn.Sequential(*body), last, classifier

    def tail(self, x: Tensor) -> Tensor:
        return self.last(x)
