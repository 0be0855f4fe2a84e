"""The networks of NAS-Bench-Macro as a stack of K architectures.

Stem 3x3 convolution, BatchNorm, ReLU; eight layers in stages of 2, 3, 3 at widths 2C, 4C, 8C, the first of each stage
with stride 2; a head of 1x1 convolution, BatchNorm, ReLU; global average pooling and a linear classifier. A mobile
block is 1x1 convolution, BatchNorm, ReLU, depthwise convolution, BatchNorm, ReLU, 1x1 convolution, BatchNorm, with a
residual connection unless it is the first of its stage. Parameters and FLOPs equal the official file's for all 6,561
strings.

What the counts cannot tell, and how it is here: nothing follows the BatchNorm of a first identity's 1x1 convolution
(as in the shortcuts of residual networks), mobile blocks after the first of a stage have the residual connection, and
the activation is ReLU. MobileNetV2 has ReLU6; behind BatchNorm in training mode, at initialisation, hardly a unit comes
near 6 standard deviations, so the two are all but the same function: naswot, which counts units on and off, and the
other proxies that keep BatchNorm, rank alike with either. Where a proxy takes BatchNorm away (synflow) ReLU6 would stop
the gradient of whatever exceeds 6.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.nasbench_macro.layers import BLOCK, OPERATIONS, widths
from benchmarks.spaces.layers import (
    Places,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    conv_bn_relu,
    gather,
    scatter,
)


class MobileBlock(nn.Module):
    """Expand, depthwise convolution, project; with a residual connection where the shape stays."""

    def __init__(
        self, owners: Sequence[int], inside: int, outside: int, stride: int, kernel: int, expansion: int
    ) -> None:
        super().__init__()
        hidden = inside * expansion
        self.residual = stride == 1 and inside == outside
        self.conv = nn.Sequential(
            *conv_bn_relu(owners, inside, hidden, 1),
            *conv_bn_relu(owners, hidden, hidden, kernel, stride, hidden),
            *list(conv_bn_relu(owners, hidden, outside, 1))[:2],
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


def operation_of(digit: str, owners: Sequence[int], inside: int, outside: int, stride: int) -> nn.Module:
    """Return the layer a digit stands for."""
    if digit in BLOCK:
        return MobileBlock(owners, inside, outside, stride, *BLOCK[digit])
    if stride == 1:
        return nn.Identity()
    return nn.Sequential(StackedConv2d(owners, inside, outside, 1, stride), StackedBatchNorm2d(owners, outside))


class Layer(nn.Module):
    """One position of the chain: each architecture's own operation there."""

    identities: tuple[int, ...]
    """Positions in the stack whose operation does nothing: for those this is no block of features."""

    def __init__(self, digits: Sequence[str], inside: int, outside: int, stride: int) -> None:
        super().__init__()
        groups = [[k for k, digit in enumerate(digits) if digit == operation] for operation in OPERATIONS]
        self.operations = nn.ModuleList(
            operation_of(operation, owners, inside, outside, stride)
            for operation, owners in zip(OPERATIONS, groups, strict=True)
            if owners
        )
        idle = [k for k, digit in enumerate(digits) if digit not in BLOCK]
        self.identities = tuple(idle) if stride == 1 else ()
        self.size = len(digits)
        self.places = nn.ModuleList(Places(owners, len(digits)) for owners in groups if owners)

    def forward(self, x: Tensor) -> Tensor:
        taken = gather(x, self.size, self.places)
        return scatter([of(part) for of, part in zip(self.operations, taken, strict=True)], self.size, self.places)


class NetworkMacro(StackedNetwork):
    """K networks as one; their maps before pooling are the head's, at an eighth of the resolution.

    A layer that is an identity is a feature block too, as in another architecture it may not be; its `identities` tell.
    """

    def __init__(
        self, archs: Sequence[str], *, channels: int = 32, head_channels: int = 1280, classes: int = 10,
        input_channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__(len(archs), input_channels)
        everyone = range(self.k)
        self.stem = conv_bn_relu(everyone, input_channels, channels, 3)
        shapes = widths(channels)
        self.body = nn.Sequential(
            *(Layer([arch[position] for arch in archs], *shape) for position, shape in enumerate(shapes))
        )
        self.head = conv_bn_relu(everyone, shapes[-1][1], head_channels, 1)
        self.classifier = StackedLinear(everyone, head_channels, classes)

    def tail(self, x: Tensor) -> Tensor:
        return self.head(x)
