"""The networks of the MobileNet-like spaces, as a stack of K architectures.

Stem 3x3 convolution of stride 2, BatchNorm, activation; in `proxyless` a fixed block (3x3, expansion 1) to 24 channels;
the chain of mobile blocks; a head of 1x1 convolution, BatchNorm, activation; global average pooling and a linear
classifier. A mobile block is 1x1 convolution, BatchNorm, activation (none of these at expansion 1), depthwise
convolution, BatchNorm, activation, squeeze-and-excitation where the architecture has it, 1x1 convolution, BatchNorm,
with a residual connection where the shape stays. The activation is ReLU6 in `proxyless`; Accel-NASBench's file does not
say which one it trained with, and ReLU is taken here.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from benchmarks.errors import UserError
from benchmarks.mobilenet.chains import FIXED, Block, Chain
from benchmarks.spaces.layers import (
    Places,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedNetwork,
    StackedReLU,
    gather,
    scatter,
)


class StackedReLU6(nn.ReLU6):
    """ReLU6 that knows the owners of its channels."""

    def __init__(self, owners: Sequence[int]) -> None:
        super().__init__()
        self.owners = tuple(owners)


def activation(owners: Sequence[int], relu6: bool) -> nn.Module:
    """Return the activation of a kind of networks."""
    return StackedReLU6(owners) if relu6 else StackedReLU(owners)


def conv_bn_act(
    owners: Sequence[int], inside: int, outside: int, kernel: int, relu6: bool, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """Return a convolution without bias, BatchNorm, activation."""
    return [
        StackedConv2d(owners, inside, outside, kernel, stride, groups), StackedBatchNorm2d(owners, outside),
        activation(owners, relu6),
    ]  # fmt: skip


class Squeeze(nn.Module):
    """Squeeze-and-excitation: each channel times a sigmoid of two linear layers of all channels' means."""

    def __init__(self, owners: Sequence[int], channels: int, squeezed: int, relu6: bool) -> None:
        super().__init__()
        self.reduce = StackedLinear(owners, channels, squeezed)
        self.activation = activation(owners, relu6)
        self.expand = StackedLinear(owners, squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        within = self.activation(self.reduce(x.mean((2, 3))))
        return x * self.expand(within.flatten(1)).flatten(1).sigmoid()[:, :, None, None]


class MobileBlock(nn.Module):
    """Expand, depthwise convolution, squeeze, project; with a residual connection where the shape stays."""

    def __init__(
        self, owners: Sequence[int], block: Block, inside: int, outside: int, stride: int, relu6: bool
    ) -> None:
        super().__init__()
        hidden = inside * block.expansion
        self.residual = stride == 1 and inside == outside
        layers = conv_bn_act(owners, inside, hidden, 1, relu6) if block.expansion > 1 else []
        layers += conv_bn_act(owners, hidden, hidden, block.kernel, relu6, stride, hidden)
        if block.squeezed:
            layers.append(Squeeze(owners, hidden, block.squeezed, relu6))
        self.conv = nn.Sequential(*layers, *conv_bn_act(owners, hidden, outside, 1, relu6)[:2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class Position(nn.Module):
    """One position of the chain: each architecture's own block there."""

    places: Any
    identities: tuple[int, ...]
    """Positions in the stack whose block is an identity: for those this is no block of features."""

    def __init__(self, blocks: Sequence[Block | None], shape: tuple[int, int, int], relu6: bool) -> None:
        super().__init__()
        self.size = len(blocks)
        self.blocks, self.places = nn.ModuleList(), nn.ModuleList()
        for block in sorted(set(blocks), key=lambda each: each or ()):
            owners = [k for k, own in enumerate(blocks) if own == block]
            self.blocks.append(nn.Identity() if block is None else MobileBlock(owners, block, *shape, relu6))
            self.places.append(Places(owners, self.size))
        self.identities = tuple(k for k, block in enumerate(blocks) if block is None)

    def forward(self, x: Tensor) -> Tensor:
        taken = gather(x, self.size, self.places)
        return scatter([block(part) for block, part in zip(self.blocks, taken, strict=True)], self.size, self.places)


class NetworkMobile(StackedNetwork):
    """K networks as one; their maps before pooling are the head's, at a 32nd of the resolution."""

    def __init__(self, chains: Sequence[Chain], *, classes: int = 1000, input_channels: int = 3) -> None:
        """UserError for chains of both kinds."""
        super().__init__(len(chains), input_channels)
        frame, owners = chains[0].frame, range(self.k)
        if any(chain.frame is not frame for chain in chains):
            raise UserError("networks of two MobileNet-like spaces are no stack: leave --stack out, or give 1")
        stem = conv_bn_act(owners, input_channels, frame.stem, 3, frame.relu6, 2)
        if frame.first is not None:
            stem.append(MobileBlock(owners, FIXED, frame.stem, frame.first, 1, frame.relu6))
        self.stem = nn.Sequential(*stem)
        self.body = nn.Sequential(
            *(
                Position([chain.blocks[at] for chain in chains], shape, frame.relu6)
                for at, shape in enumerate(frame.positions)
            )
        )
        self.head = nn.Sequential(*conv_bn_act(owners, frame.positions[-1][1], frame.head, 1, frame.relu6))
        self.classifier = StackedLinear(owners, frame.head, classes)

    def tail(self, x: Tensor) -> Tensor:
        """Return the head's map."""
        return self.head(x)
