"""The one-shot networks of NAS-Bench-1Shot1, one architecture each, as a stack of K cells.

The network the searches share weights in (Zela, Siems and Hutter, ICLR 2020, arXiv 2001.10422), with one operation left
in each choice block and its edges chosen. Stem 3x3 convolution, BatchNorm, ReLU with C channels (16); three stacks of
three cells at widths C, 2C, 4C, between them a max pooling that halves the resolution; ReLU, 1x1 convolution,
BatchNorm; global average pooling and a linear classifier. In a cell, the input reaches each block it feeds by a
projection of its own (1x1 convolution, BatchNorm, ReLU). Every block has the full width of its stack and takes the sum
of what feeds it. The output concatenates the blocks that feed it and adds the projected input if that does too.

It differs from the network of NAS-Bench-101 in its widths, which there shrink with the number of vertices that feed the
output, and in the last 1x1 convolution. Departures from a shared network: what leads nowhere is left out (unused
blocks, and the places in the concatenation of blocks that do not feed the output); a max pooling has no BatchNorm of
its own, which only balances mixed operations; all BatchNorms are affine.

Blocks are told apart by nothing but their edges and operation: renumbering them renumbers channels. So strings with
isomorphic cells are one network here too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.nasbench101.arrays import oneshot_channels
from benchmarks.nasbench101.cells import Cell
from benchmarks.nasbench101.network import CellModule
from benchmarks.spaces.layers import (
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    conv_bn_relu,
)


class SideBySide(nn.Module):
    """One module for each architecture, whose widths differ: (samples, K * places, ...) -> (samples, K * places, ...).

    A stack needs as many channels from each architecture, so outputs are filled up with zeros to `places` channels,
    and only the first `inside` of an input are taken.
    """

    def __init__(self, modules: Sequence[nn.Module], inside: Sequence[int], places: int) -> None:
        super().__init__()
        self.cells = nn.ModuleList(modules)
        self.inside, self.places = tuple(inside), places

    def forward(self, x: Tensor) -> Tensor:
        parts = [part[:, :width] for part, width in zip(x.chunk(len(self.cells), 1), self.inside, strict=True)]
        outputs = [cell(part) for cell, part in zip(self.cells, parts, strict=True)]
        filled = [functional.pad(y, (0, 0, 0, 0, 0, self.places - y.shape[1])) for y in outputs]
        return filled[0] if len(filled) == 1 else torch.cat(filled, 1)


class NetworkOneShot(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution.

    The maps of cells have as many channels as if all `choice_blocks` fed the output, the rest being zeros.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        choice_blocks: int,
        *,
        channels: int = 16,
        stacks: int = 3,
        modules: int = 3,
        classes: int = 10,
        input_channels: int = 3,
    ) -> None:
        super().__init__(len(cells), input_channels)
        everyone = range(self.k)
        self.stem = conv_bn_relu(everyone, input_channels, channels, 3)
        body: list[nn.Module] = []
        inside, outside = [channels] * self.k, channels
        for stack in range(stacks):
            if stack:
                body.append(nn.MaxPool2d(2, 2))
                outside *= 2
            for _ in range(modules):
                built = [CellModule(cell, k, inside[k], outside, oneshot_channels) for k, cell in enumerate(cells)]
                body.append(SideBySide(built, inside, choice_blocks * outside))
                inside = [cell.width[-1] for cell in built]
        self.body = nn.Sequential(*body)
        last = [
            nn.Sequential(
                StackedReLU((k,)), StackedConv2d((k,), width, outside, 1), StackedBatchNorm2d((k,), outside)
            )
            for k, width in enumerate(inside)
        ]  # fmt: skip
        self.last = SideBySide(last, inside, outside)
        self.classifier = StackedLinear(everyone, outside, classes)

    def tail(self, x: Tensor) -> Tensor:
        return self.last(x)
