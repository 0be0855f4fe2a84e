"""The supernet of NAS-Bench-Macro: every operation in every layer, mixed by weights that are passed with the images.

All else is the network of an architecture (`benchmarks.nasbench_macro.network`): weights of 1 for the operations of a
string and 0 for all others give exactly the function of that string's network. See `benchmarks.spaces.supernet`.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from benchmarks.nasbench_macro.layers import OPERATIONS, widths
from benchmarks.nasbench_macro.network import operation_of
from benchmarks.spaces.layers import StackedConv2d, StackedLinear, conv_bn_relu
from benchmarks.spaces.supernet import ONE, MixedNetwork, add_mixed


class SupernetMacro(MixedNetwork):
    """The edges of a mask, (layers, operations), are the layers."""

    operations = tuple(OPERATIONS)
    skip = 0

    def __init__(
        self, *, channels: int = 32, head_channels: int = 1280, classes: int = 10, input_channels: int = 3
    ) -> None:
        super().__init__()
        self.stem = conv_bn_relu(ONE, input_channels, channels, 3)
        shapes = widths(channels)
        self.body = nn.ModuleList(
            nn.ModuleList(operation_of(digit, ONE, *shape) for digit in OPERATIONS) for shape in shapes
        )
        self.head = conv_bn_relu(ONE, shapes[-1][1], head_channels, 1)
        self.classifier = StackedLinear(ONE, head_channels, classes)

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (layer, operation, convolution); a mobile block has three."""
        for layer, operations in enumerate(self.body):
            for at, operation in enumerate(operations):  # type: ignore[arg-type, var-annotated]
                for module in operation.modules():
                    if isinstance(module, StackedConv2d):
                        yield layer, at, module

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the head's map; what `forward` says."""
        live = (weights != 0).cpu()
        for layer, operations in enumerate(self.body):
            total: Tensor | None = None
            for at, operation in enumerate(operations):  # type: ignore[arg-type, var-annotated]
                total = add_mixed(total, operation, x, weights[:, layer, at], live[:, layer, at], blocked)
            assert total is not None, "a layer without any operation"
            x = total
        return self.head(x)
