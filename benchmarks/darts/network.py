"""The networks of DARTS genotypes, as a stack of K architectures.

Stem, cells, global average pooling, a linear classifier; no auxiliary head. Cells n // 3 and 2 * n // 3 of n are
reduction cells: twice the channels, stride 2 on operations that take an input of the cell. A cell brings both its
inputs to C channels by ReLU, 1x1 convolution, BatchNorm, the older one by a factorised reduction where the cell before
reduced; its output are the four nodes. Stems:

    cifar      3x3 convolution to 3C, BatchNorm
    imagenet   3x3 convolutions of stride 2: to C / 2, BatchNorm, ReLU; to C, BatchNorm; then ReLU, to C, BatchNorm.
               The first cell's older input is from before the last
    none       the images themselves (the network of SWAP's authors: C = 3, one cell, which is a reduction cell)

Operations: pooling 3x3 (borders not counted), skip_connect (factorised reduction at stride 2), sep_conv (twice ReLU,
depthwise, 1x1 convolution, BatchNorm), dil_conv (once, dilation 2), none, and noise (N(0, 1), whatever the input).
Source: Liu, Simonyan and Yang, "DARTS" (ICLR 2019, arXiv 1806.09055), evaluation networks; noise: Zela et al. 2020
(arXiv 1909.09656). Departure: a factorised reduction of an odd side pads by one row and column, where the released code
fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.darts.genotypes import INPUTS, NODES, NOISE, NONE, Genotype, Pair, node_pairs, reachable
from benchmarks.darts.sizes import plan
from benchmarks.spaces.layers import (
    Places,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    gather,
    relu_conv_bn,
    scatter,
)


class FactorizedReduce(nn.Module):
    """ReLU, two 1x1 convolutions of stride 2, the second a pixel further, BatchNorm: half the resolution."""

    def __init__(self, owners: Sequence[int], inside: int, outside: int, on_path: Sequence[bool] | None = None) -> None:
        super().__init__()
        self.relu = StackedReLU(owners, on_path)
        self.first = StackedConv2d(owners, inside, outside // 2, 1, 2)
        self.second = StackedConv2d(owners, inside, outside - outside // 2, 1, 2)
        self.norm = StackedBatchNorm2d(owners, outside)

    def forward(self, x: Tensor) -> Tensor:
        x, k = self.relu(x), len(self.relu.owners)
        down, right = (side % 2 for side in x.shape[2:])
        moved = functional.pad(x, (-1, right, -1, down))
        halves = (conv(part).unflatten(1, (k, -1)) for conv, part in ((self.first, x), (self.second, moved)))
        return self.norm(torch.cat(list(halves), 2).flatten(1, 2))


class Noise(nn.Module):
    """N(0, 1) of the shape that an operation of this stride would give."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn_like(x[:, :, :: self.stride, :: self.stride])


def separable(owners: Sequence[int], channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """Return ReLU, depthwise convolution, 1x1 convolution, BatchNorm."""
    return [
        StackedReLU(owners),
        StackedConv2d(owners, channels, channels, kernel, stride, channels, dilation),
        StackedConv2d(owners, channels, channels, 1),
        StackedBatchNorm2d(owners, channels),
    ]


def operation_of(name: str, owners: Sequence[int], channels: int, stride: int) -> nn.Module:
    """Return the module of an operation, `channels` in and out; that of `none` is not built."""
    kind, size = name[:3], int(name[-1]) if name[-1].isdigit() else 0
    if kind == "sep":
        return nn.Sequential(*separable(owners, channels, size, stride), *separable(owners, channels, size, 1))
    if kind == "dil":
        return nn.Sequential(*separable(owners, channels, size, stride, 2))
    if kind == "max":
        return nn.MaxPool2d(size, stride, 1)
    if kind == "avg":
        return nn.AvgPool2d(size, stride, 1, count_include_pad=False)
    if name == NOISE:
        return Noise(stride)
    return nn.Identity() if stride == 1 else FactorizedReduce(owners, channels, channels)


@dataclass(frozen=True)
class Group:
    """The architectures of a stack that have one operation at one node: it runs once for all of them."""

    node: int
    operation: str
    stride: int
    members: tuple[tuple[int, int], ...]
    """(input, position in the stack), sorted; no position twice."""

    @property
    def sources(self) -> dict[int, list[int]]:
        """Input -> the positions that take it, in the order of members."""
        found: dict[int, list[int]] = {}
        for source, position in self.members:
            found.setdefault(source, []).append(position)
        return found


def groups_of(cells: Sequence[list[list[Pair]]], reduction: bool) -> Iterator[Group]:
    """Yield the groups of the cells of a stack, by node; what an architecture has twice is in two groups."""
    for node in range(NODES):
        found: dict[tuple, list[tuple[int, int]]] = {}
        for position, cell in enumerate(cells):
            seen: list[tuple] = []
            for name, source in cell[node]:
                if name != NONE:
                    key = (name, 2 if reduction and source < INPUTS else 1)
                    found.setdefault((*key, seen.count(key)), []).append((source, position))
                    seen.append(key)
        for (name, stride, _), members in sorted(found.items()):  # an architecture's own layers: in one order always
            yield Group(INPUTS + node, name, stride, tuple(sorted(members)))


class StackedCell(nn.Module):
    """One cell of K architectures: its two inputs -> (samples, K * 4 * channels, height, width)."""

    using: Any
    """The architectures that use each input of the cell, `Places`."""
    targets: Any
    """The architectures that have each operation, `Places`."""
    taking: Any
    """Input or node -> the architectures that take it, `Places` for each of `takers`."""

    def __init__(
        self, cells: Sequence[list[list[Pair]]], inside: tuple[int, int], channels: int, reduction: bool,
        reduced_before: bool, everything: bool = False,
    ) -> None:  # fmt: skip
        """`cells` are the pairs of each node; `inside` the channels of the older input and of the last. `everything`:
        inputs that nothing takes are prepared too."""
        super().__init__()
        self.size, self.channels, self.stride = len(cells), channels, 2 if reduction else 1
        used = [[any(source == at for pairs in cell for _, source in pairs) for cell in cells] for at in range(INPUTS)]
        self.prepared, self.using = nn.ModuleList(), nn.ModuleList()
        for at, on_path in enumerate(used):
            owners = [k for k, uses in enumerate(on_path) if uses or everything]
            self.prepared.append(prepared(owners, inside[at], channels, reduced_before and at == 0, on_path))
            self.using.append(Places(owners, self.size))
        groups = list(groups_of(cells, reduction))
        self.operations, self.targets = nn.ModuleList(), nn.ModuleList()
        self.of_node: list[list[int]] = [[] for _ in range(INPUTS + NODES)]
        """Node -> its operations."""
        self.takers: list[list[int]] = [[] for _ in range(INPUTS + NODES)]
        """Input or node -> the operations that take it, some of the architectures' maps each."""
        self.taking = nn.ModuleList(nn.ModuleList() for _ in range(INPUTS + NODES))
        for at, group in enumerate(groups):
            owners = [position for _, position in group.members]
            self.operations.append(operation_of(group.operation, owners, channels, group.stride))
            self.targets.append(Places(owners, self.size))
            self.of_node[group.node].append(at)
            for source, positions in group.sources.items():
                self.takers[source].append(at)
                self.taking[source].append(Places(positions, self.size))

    def forward(self, older: Tensor, last: Tensor) -> Tensor:
        """Return the nodes of each architecture, concatenated."""
        handed: list[list[Tensor]] = [[] for _ in self.operations]
        shape = len(last), self.size * self.channels, *(-(-side // self.stride) for side in last.shape[2:])
        nodes: list[Tensor] = []
        for number, x in enumerate((older, last, *[last] * NODES)):
            node = self._input(number, x) if number < INPUTS else self._node(number, handed, x, shape)
            taken = gather(node, self.size, self.taking[number])
            for at, part in zip(self.takers[number], taken, strict=True):
                handed[at].append(part)
            nodes.append(node)
        return torch.cat([node.unflatten(1, (self.size, -1)) for node in nodes[INPUTS:]], 2).flatten(1, 2)

    def _input(self, number: int, x: Tensor) -> Tensor:
        """Return an input of the cell at its channels, for the architectures that use it."""
        if not self.takers[number]:
            return x
        places = [self.using[number]]
        return scatter([self.prepared[number](gather(x, self.size, places)[0])], self.size, places)

    def _node(self, number: int, handed: list[list[Tensor]], x: Tensor, shape: Sequence[int]) -> Tensor:
        """Return the sum of a node's operations; zeros, like `x`, where no architecture has one."""
        mine = self.of_node[number]
        if not mine:
            return x.new_zeros(shape)
        inputs = [handed[at][0] if len(handed[at]) == 1 else torch.cat(handed[at], 1) for at in mine]
        results = [self.operations[at](given) for at, given in zip(mine, inputs, strict=True)]
        return scatter(results, self.size, [self.targets[at] for at in mine])


def prepared(owners: Sequence[int], inside: int, outside: int, reduce: bool, on_path: Sequence[bool]) -> nn.Module:
    """Return what brings an input of a cell to its channels; nothing without owners. `on_path` is of all the stack."""
    if not owners:
        return nn.Identity()
    used = [on_path[k] for k in owners]
    if reduce:
        return FactorizedReduce(owners, inside, outside, used)
    return relu_conv_bn(owners, inside, outside, 1, on_path=used)


def conv_bn(owners: Sequence[int], inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    """3x3 convolution, BatchNorm."""
    return [StackedConv2d(owners, inside, outside, 3, stride), StackedBatchNorm2d(owners, outside)]


class NetworkDarts(StackedNetwork):
    """K networks as one; their maps before pooling have 16 C channels each at a quarter of the stem's resolution."""

    def __init__(
        self, genotypes: Sequence[Genotype], *, stem: str = "cifar", channels: int = 36, cells: int = 20,
        classes: int = 10, input_channels: int = 3, everything: bool = False,
    ) -> None:  # fmt: skip
        """`everything`: operations that lie on no path are built too."""
        super().__init__(len(genotypes), input_channels)
        owners, inside, self.late_stem = range(self.k), (input_channels, input_channels), None
        self.stem: nn.Module = nn.Identity()
        if stem == "cifar":
            self.stem, inside = nn.Sequential(*conv_bn(owners, input_channels, 3 * channels)), (3 * channels,) * 2
        elif stem == "imagenet":
            half, inside = channels // 2, (channels, channels)
            self.stem = nn.Sequential(
                *conv_bn(owners, input_channels, half, 2), StackedReLU(owners), *conv_bn(owners, half, channels, 2)
            )
            self.late_stem = nn.Sequential(StackedReLU(owners), *conv_bn(owners, channels, channels, 2))
        pairs = node_pairs if everything else reachable
        normal = [pairs(genotype.normal) for genotype in genotypes]
        reduce = [pairs(genotype.reduce) for genotype in genotypes]
        body, before = [], stem == "imagenet"
        for width, reduction in plan(channels, cells):
            body.append(StackedCell(reduce if reduction else normal, inside, width, reduction, before, everything))
            inside, before = (inside[1], NODES * width), reduction
        self.body = nn.Sequential(*body)
        self.classifier = StackedLinear(owners, inside[1], classes)

    def blocks(self) -> list[str]:
        """Return the names of the feature blocks: the stem, where there is one, and the cells."""
        stem = [] if isinstance(self.stem, nn.Identity) else ["stem"]
        return [*stem, *["late_stem"] * (self.late_stem is not None), *(f"body.{i}" for i in range(len(self.body)))]

    def features(self, x: Tensor) -> Tensor:
        """Return the map before global pooling, (samples, K * channels, height, width)."""
        older = last = self.stem(x)
        if self.late_stem is not None:
            last = self.late_stem(older)
        for cell in self.body:
            older, last = last, cell(older, last)
        return last
