"""The one-shot networks of NAS-Bench-1Shot1, one architecture each, as a stack of K cells.

The network the searches share weights in (Zela, Siems and Hutter, ICLR 2020, arXiv 2001.10422), with one operation left
in each choice block and its edges chosen. Stem 3x3 convolution, BatchNorm, ReLU with C channels (16); three stacks of
three cells at widths C, 2C, 4C, between them a max pooling that halves the resolution; ReLU, 1x1 convolution,
BatchNorm; global average pooling and a linear classifier. In a cell, the input reaches each block it feeds by a
separate projection (1x1 convolution, BatchNorm, ReLU). Every block has the full width of its stack and takes the sum of
its inputs. The output concatenates the blocks that feed it and adds the projected input if that does too.

It differs from the network of NAS-Bench-101 in its widths, which there shrink with the number of vertices that feed the
output, and in the last 1x1 convolution. Departures from a shared network: unused blocks, and the places in the
concatenation of blocks that do not feed the output, are left out; a max pooling has no BatchNorm, which only balances
mixed operations; all BatchNorms are affine.

Blocks differ in nothing but their edges and operation: renumbering them renumbers channels. So strings with isomorphic
cells are one network here too.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.nasbench101.arrays import oneshot_channels
from benchmarks.nasbench101.cells import Cell
from benchmarks.nasbench101.network import CellModule, SideBySide, skeleton
from benchmarks.spaces.layers import StackedLinear, StackedNetwork, conv_bn_relu, relu_conv_bn


class NetworkOneShot(StackedNetwork):
    """K networks as one; their maps before pooling have 4C channels each at a quarter of the resolution.

    The maps of cells have as many channels as if all `choice_blocks` fed the output, the rest being zeros.
    """

    def __init__(
        self, cells: Sequence[Cell], choice_blocks: int, *, channels: int = 16, stacks: int = 3, modules: int = 3,
        classes: int = 10, input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(len(cells), input_channels)
        everyone = range(self.k)
        self.stem = conv_bn_relu(everyone, input_channels, channels, 3)

        def cell(inside: list[int], outside: int) -> tuple[nn.Module, list[int]]:
            built = [CellModule(each, k, inside[k], outside, oneshot_channels) for k, each in enumerate(cells)]
            return SideBySide(built, inside, choice_blocks * outside), [each.width[-1] for each in built]

        body, inside = skeleton([channels] * self.k, channels, stacks, modules, cell)
        self.body = nn.Sequential(*body)
        outside = channels * 2 ** (stacks - 1)
        last = [relu_conv_bn((k,), width, outside, 1) for k, width in enumerate(inside)]
        self.last = SideBySide(last, inside, outside)
        self.classifier = StackedLinear(everyone, outside, classes)

    def tail(self, x: Tensor) -> Tensor:
        return self.last(x)
