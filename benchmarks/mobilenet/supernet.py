"""The supernet of the 21 layers by ids: every block in every layer, whose outputs are summed as they are.

An edge of a mask is a layer; weights are 1 for the blocks that are left and 0 for the others, which are not run. All
else is the network of an architecture (`benchmarks.mobilenet.network`): one block left in each layer is its function.
Convolutions are drawn N(0, 2 / (kernel^2 * channels out)). As in Zero-Cost-PT (Xiang et al. 2023, arXiv 2106.06799).
"""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from benchmarks.mobilenet.chains import FIXED, IDS, OPERATIONS, PROXYLESS, block_of, may_idle
from benchmarks.mobilenet.network import MobileBlock, conv_bn_act
from benchmarks.spaces.layers import StackedConv2d, StackedLinear
from benchmarks.spaces.supernet import ONE, MixedNetwork, add_mixed


class SupernetMobile(MixedNetwork):
    """Images (samples, channels, height, width) and weights (masks, 21, operations) -> (masks, samples, classes)."""

    operations = OPERATIONS
    skip = len(OPERATIONS) - 1
    dropped = True
    summed = True
    scheme = "kaiming_fan_out"

    def __init__(self, *, classes: int = 1000, input_channels: int = 3) -> None:
        super().__init__()
        frame = PROXYLESS
        stem = conv_bn_act(ONE, input_channels, frame.stem, 3, True, 2)
        assert frame.first is not None
        self.stem = nn.Sequential(*stem, MobileBlock(ONE, FIXED, frame.stem, frame.first, 1, True))
        self.body: Any = nn.ModuleList()
        for at, shape in enumerate(frame.positions):
            blocks = {str(number): block_of(number) for number in IDS if number >= 0}
            layer = nn.ModuleDict({
                name: MobileBlock(ONE, block, *shape, True) for name, block in blocks.items() if block is not None
            })  # fmt: skip
            if may_idle(frame, at):
                layer[str(self.skip)] = nn.Identity()
            self.body.append(layer)
        self.head = nn.Sequential(*conv_bn_act(ONE, frame.positions[-1][1], frame.head, 1, True))
        self.classifier = StackedLinear(ONE, frame.head, classes)

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (layer, operation, convolution); a mobile block has three."""
        for layer, blocks in enumerate(self.body):
            for at, block in blocks.items():
                for module in block.modules():
                    if isinstance(module, StackedConv2d):
                        yield layer, int(at), module

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the head's map; what `forward` says, but for `blocked`: blocks of weight 0 never run."""
        live = (weights != 0).cpu()
        for layer, blocks in enumerate(self.body):
            total: Tensor | None = None
            for at, block in blocks.items():
                total = add_mixed(total, block, x, weights[:, layer, int(at)], live[:, layer, int(at)])
            assert total is not None, "a layer without any operation"
            x = total
        return self.head(x)
