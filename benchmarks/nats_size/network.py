"""The networks of NATS-Bench's size space (official skeleton), as a stack of architectures of the same channels.

Stem 3x3 convolution and BatchNorm; three cells, before the second and third a residual block that halves the
resolution; a last BatchNorm-ReLU, global average pooling and a linear classifier. The cell: node 1 is a convolution of
the input, node 2 the sum of convolutions of the input and of node 1, the output the sum of the input and of
convolutions of nodes 1 and 2, all 3x3 after ReLU and before BatchNorm. Where a cell changes the width, its edges from
the input do; the input then reaches the output through a 1x1 convolution and BatchNorm, without ReLU.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.errors import UserError
from benchmarks.nasbench201.network import Reduction
from benchmarks.spaces.layers import (
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    relu_conv_bn,
)


class SizeCell(nn.Module):
    """The cell from `inside` to `outside` channels."""

    def __init__(self, owners: Sequence[int], inside: int, outside: int) -> None:
        super().__init__()
        self.conv_01 = relu_conv_bn(owners, inside, outside, 3)
        self.conv_02 = relu_conv_bn(owners, inside, outside, 3)
        self.conv_12 = relu_conv_bn(owners, outside, outside, 3)
        self.skip: nn.Module = nn.Identity()
        if inside != outside:
            self.skip = nn.Sequential(StackedConv2d(owners, inside, outside, 1), StackedBatchNorm2d(owners, outside))
        self.conv_13 = relu_conv_bn(owners, outside, outside, 3)
        self.conv_23 = relu_conv_bn(owners, outside, outside, 3)

    def forward(self, x: Tensor) -> Tensor:
        one = self.conv_01(x)
        two = self.conv_02(x) + self.conv_12(one)
        return self.skip(x) + self.conv_13(one) + self.conv_23(two)


class NetworkSize(StackedNetwork):
    """K networks as one; their maps before pooling have as many channels as the last cell, at a quarter of the
    resolution."""

    def __init__(self, members: Sequence[tuple[int, ...]], *, classes: int = 10, input_channels: int = 3) -> None:
        """UserError for members of different channels."""
        super().__init__(len(members), input_channels)
        if len(set(members)) > 1:
            raise UserError("networks of different channels are no stack: leave --stack out, or give 1")
        owners, (c1, c2, c3, c4, c5) = range(self.k), members[0]
        connected = [True] * self.k
        self.stem = nn.Sequential(StackedConv2d(owners, input_channels, c1, 3), StackedBatchNorm2d(owners, c1))
        self.body = nn.Sequential(
            SizeCell(owners, c1, c1), Reduction(connected, c1, c2), SizeCell(owners, c2, c3),
            Reduction(connected, c3, c4), SizeCell(owners, c4, c5),
        )  # fmt: skip
        self.last = nn.Sequential(StackedBatchNorm2d(owners, c5), StackedReLU(owners))
        self.classifier = StackedLinear(owners, c5, classes)

    def tail(self, x: Tensor) -> Tensor:
        return self.last(x)
