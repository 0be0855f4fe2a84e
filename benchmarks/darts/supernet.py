"""The supernet of DARTS: every operation on every edge of both cells, mixed by weights that are passed with the images.

Edges are the 14 of the normal cell, then the 14 of the reduction cell: into node 2 from 0 and 1, into node 3 from 0, 1
and 2, and so on. All cells of a type share their weights of operations, not their parameters. Weights of 1 for two
edges of each node and 0 for all others give the function of that genotype's network (`benchmarks.darts.network`), but
for the BatchNorm that follows a pooling here, as in the released supernets. Operations of weight 0 are not run. Source:
Liu, Simonyan and Yang 2019 (arXiv 1806.09055). Departures: all BatchNorms are affine (weight 1, bias 0 at
initialisation); the separable and dilated convolutions that leave a node share one ReLU, which counts once for each.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.darts.edges import CELLS, ENDS, SETS
from benchmarks.darts.genotypes import INPUTS, NODES, NONE
from benchmarks.darts.network import conv_bn, operation_of, prepared
from benchmarks.darts.sizes import plan
from benchmarks.spaces.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear, StackedReLU
from benchmarks.spaces.supernet import ONE, MixedNetwork, add_weighted, live_rows


class MixedCell(nn.Module):
    """A cell with every operation on every edge; `edges.<edge>.<operation>` has the modules."""

    def __init__(
        self, operations: tuple[str, ...], inside: tuple[int, int], channels: int, reduction: bool, before: bool
    ) -> None:
        super().__init__()
        self.prepared = nn.ModuleList(
            prepared(ONE, inside[at], channels, before and at == 0, (True,)) for at in range(INPUTS)
        )
        self.channels, self.stride = channels, 2 if reduction else 1
        self.relus = nn.ModuleList(StackedReLU(ONE) for _ in range(INPUTS + NODES - 1))
        self.edges: Any = nn.ModuleList(
            nn.ModuleDict({
                name: mixed_operation(name, channels, self.stride if source < INPUTS else 1)
                for name in operations if name != NONE
            })
            for source, _ in ENDS
        )  # fmt: skip
        self.operations = operations

    def forward(self, older: Tensor, last: Tensor, weights: Tensor) -> Tensor:
        """Inputs (masks * samples, channels, height, width), mask by mask; weights (masks, 14, operations)."""
        live = (weights != 0).cpu()
        sides = (-(-side // self.stride) for side in last.shape[2:])
        shape = (len(last), self.channels, *sides)
        nodes: list[Tensor | None] = [self.prepared[0](older), self.prepared[1](last), *[None] * NODES]
        for source in range(INPUTS + NODES):
            node = nodes[source]
            if node is None:
                node = nodes[source] = last.new_zeros(shape)
            leaving = [edge for edge, (start, _) in enumerate(ENDS) if start == source]
            chosen = [(edge, at, name, rows) for edge in leaving for at, name in enumerate(self.operations)
                      if name != NONE and (rows := live_rows(live[:, edge, at]))]  # fmt: skip
            seen = self._activated(source, node, sum(name[:3] in ("sep", "dil") for _, _, name, _ in chosen))
            for edge, at, name, rows in chosen:
                operation, x = self.edges[edge][name], node
                if name[:3] in ("sep", "dil"):
                    operation, x = operation[1:], seen
                target = ENDS[edge][1]
                nodes[target] = add_weighted(nodes[target], operation, x, weights[:, edge, at], rows)
        return torch.cat([node for node in nodes[INPUTS:] if node is not None], 1)

    def _activated(self, source: int, node: Tensor, times: int) -> Tensor:
        """Return the node behind the ReLU that its convolutions share, which counts `times`."""
        if not times:
            return node
        self.relus[source].times = times  # type: ignore[assignment]
        return self.relus[source](node)


def mixed_operation(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation of the supernet: a pooling is followed by BatchNorm."""
    operation = operation_of(name, ONE, channels, stride)
    return nn.Sequential(operation, StackedBatchNorm2d(ONE, channels)) if "pool" in name else operation


class SupernetDarts(MixedNetwork):
    """Images (samples, channels, height, width) and weights (masks, 28, operations) -> (masks, samples, classes)."""

    dropped = True
    signed = True
    turns = len(CELLS)
    """A step decides an edge of each cell."""

    def __init__(
        self, *, part: str = "s5", stem: str = "cifar", channels: int = 16, cells: int = 8, classes: int = 10,
        input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        self.operations = SETS[part]
        self.idle = (self.operations.index(NONE),) if NONE in self.operations else ()
        self.skip = self.operations.index("skip_connect") if "skip_connect" in self.operations else None
        self.vertices = tuple(
            (f"{cell} {target}", tuple(number * len(ENDS) + at for at, (_, end) in enumerate(ENDS) if end == target), 2)
            for number, cell in enumerate(CELLS) for target in range(INPUTS, INPUTS + NODES)
        )  # fmt: skip
        """(name, edges, how many of them a genotype keeps) of every node."""
        self.late_stem: nn.Module = nn.Identity()
        if stem == "imagenet":
            half = channels // 2
            layers = [*conv_bn(ONE, input_channels, half, 2), StackedReLU(ONE), *conv_bn(ONE, half, channels, 2)]
            self.late_stem = nn.Sequential(StackedReLU(ONE), *conv_bn(ONE, channels, channels, 2))
        else:
            layers = conv_bn(ONE, input_channels, 3 * channels)
        self.stem = nn.Sequential(*layers)
        inside, before = (channels,) * 2 if stem == "imagenet" else (3 * channels,) * 2, stem == "imagenet"
        self.body: Any = nn.ModuleList()
        for width, reduction in plan(channels, cells):
            self.body.append(MixedCell(self.operations, inside, width, reduction, before))
            inside, before = (inside[1], NODES * width), reduction
        self.classifier = StackedLinear(ONE, inside[1], classes)

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (edge, operation, convolution) of every cell."""
        for cell in self.body:
            first = len(ENDS) if cell.stride == 2 else 0
            for edge, named in enumerate(cell.edges):
                for name, operation in named.items():
                    for module in operation.modules():
                        if isinstance(module, StackedConv2d):
                            yield first + edge, self.operations.index(name), module

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the map before pooling; what `forward` says, but for `blocked`: operations of weight 0 never run."""
        older, last = x, self.late_stem(x)
        normal, reduce = weights.split(len(ENDS), 1)
        for cell in self.body:
            older, last = last, cell(older, last, reduce if cell.stride == 2 else normal)
        return last
