"""The supernets of NAS-Bench-1Shot1: every operation in every choice block, every vertex fed by all before it.

All else is the one-shot network of an architecture (`benchmarks.nasbench1shot1.network`, which has the paper): weights
of 1 for its operations and its edges and 0 for all others give exactly the function of that network.

Weights are (masks, rows, columns). The first rows are the operations of the blocks. Further rows are the inputs of
block 1, block 2, ..., the output: column s is the source s, 0 the input of the cell. Without them, a vertex with a
choice of inputs receives the mean of all vertices before it, and any other their sum. `whole` puts both together.

Departures from the shared network of the paper, as in the network of an architecture: a max pooling has no BatchNorm,
all BatchNorms are affine. The projected input is added only to those places of the concatenation whose block feeds the
output.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.nasbench101.cells import KERNEL, OPERATIONS
from benchmarks.nasbench101.network import skeleton
from benchmarks.spaces.layers import StackedLinear, conv_bn_relu, relu_conv_bn
from benchmarks.spaces.supernet import ONE, MixedNetwork, add_mixed, by_sample


class MixedBlocks(nn.Module):
    """A cell: (masks * samples, inside, ...) -> (masks * samples, blocks * outside, ...)."""

    def __init__(self, blocks: int, inside: int, outside: int) -> None:
        super().__init__()
        widths = [outside] * blocks + [blocks * outside]
        self.projections = nn.ModuleList(conv_bn_relu(ONE, inside, width, 1) for width in widths)
        self.operations = nn.ModuleList(
            nn.ModuleDict({
                name: conv_bn_relu(ONE, outside, outside, KERNEL[name]) if name in KERNEL else nn.MaxPool2d(3, 1, 1)
                for name in OPERATIONS
            })
            for _ in range(blocks)
        )  # fmt: skip

    def forward(
        self, x: Tensor, operations: Tensor, inputs: Tensor, blocked: bool = False, fed: bool = False
    ) -> Tensor:
        """operations (masks, blocks, operations); inputs (masks, blocks + 1, blocks + 1).

        `blocked`: convolutions of weight 0 run on zeros, on their input where `fed`; projections run whatever their
        weight.
        """
        nodes = [x]
        for block, named in enumerate(self.operations):
            received = self._received(block, nodes, inputs[:, block], blocked)
            live = (operations[:, block] != 0).cpu() | fed
            total: Tensor | None = None
            for at, (name, operation) in enumerate(named.items()):  # type: ignore[operator]
                weights = operations[:, block, at]
                total = add_mixed(total, operation, received, weights, live[:, at], blocked and name in KERNEL)
            nodes.append(torch.zeros_like(received) if total is None else total)
        output = inputs[:, -1]
        blocks = torch.cat([node * by_sample(output[:, at], x) for at, node in enumerate(nodes[1:], start=1)], 1)
        places = torch.cat([(output[:, at] != 0).to(x)[:, None] for at in range(1, len(nodes))], 1) * output[:, :1]
        if not blocked and not (output[:, 0] != 0).any():
            return blocks
        projected = self.projections[-1](x).unflatten(1, (len(nodes) - 1, -1))
        places = places.repeat_interleave(len(x) // len(places), 0)[:, :, None, None, None]
        return blocks + (projected * places).flatten(1, 2)

    def _received(self, block: int, nodes: list[Tensor], weights: Tensor, blocked: bool) -> Tensor:
        """Return the weighted sum of the inputs of a block; weights (masks, blocks + 1)."""
        live, x, projection = (weights != 0).cpu(), nodes[0], self.projections[block]
        if blocked:
            total = projection(x) * by_sample(weights[:, 0], x)
        else:
            total = add_mixed(None, projection, x, weights[:, 0], live[:, 0])
        for source, node in enumerate(nodes[1:], start=1):
            total = add_mixed(total, nn.Identity(), node, weights[:, source], live[:, source])
        if total is None:
            return x.new_zeros(len(x), projection[0].out_channels, *x.shape[2:])  # type: ignore[index]
        return total


class Supernet1Shot1(MixedNetwork):
    """Images (samples, channels, height, width) and weights (masks, rows, columns) -> (masks, samples, classes)."""

    operations = tuple(OPERATIONS)
    fed_in_release = True

    def __init__(
        self, parents: Sequence[int], *, channels: int = 16, stacks: int = 3, modules: int = 3, classes: int = 10,
        input_channels: int = 3
    ) -> None:  # fmt: skip
        """`parents`: how many vertices feed the input, each block, the output (`PARENTS` of a space)."""
        super().__init__()
        self.parents = tuple(parents)
        self.blocks = blocks = len(parents) - 2
        self.stem = conv_bn_relu(ONE, input_channels, channels, 3)

        def cell(inside: int, outside: int) -> tuple[nn.Module, int]:
            return MixedBlocks(blocks, inside, outside), blocks * outside

        body, inside = skeleton(channels, channels, stacks, modules, cell)
        self.body = nn.ModuleList(body)
        outside = channels * 2 ** (stacks - 1)
        self.last = relu_conv_bn(ONE, inside, outside, 1)
        self.classifier = StackedLinear(ONE, outside, classes)

    def all_inputs(self) -> Tensor:
        """Return the weights of vertex inputs where none is selected, (blocks + 1, blocks + 1): rows are vertices."""
        weights = torch.zeros(self.blocks + 1, self.blocks + 1)
        for vertex in range(1, self.blocks + 2):
            weights[vertex - 1, :vertex] = 1 / vertex if self.parents[vertex] < vertex else 1
        return weights

    def whole(self, operations: Tensor, inputs: Tensor | None = None) -> Tensor:
        """(blocks, operations) and (blocks + 1, blocks + 1) -> (2 * blocks + 1, columns): a mask with both."""
        parts = operations, (self.all_inputs() if inputs is None else inputs).to(operations)
        columns = max(part.shape[-1] for part in parts)
        return torch.cat([nn.functional.pad(part, (0, columns - part.shape[-1])) for part in parts])

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (block, operation, convolution) of every cell; projections belong to no operation."""
        for cell in self.body:
            for block, named in enumerate(getattr(cell, "operations", ())):
                for at, name in enumerate(OPERATIONS):
                    if name in KERNEL:
                        yield block, at, named[name][0]

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the map before pooling; what `forward` says."""
        operations = weights[:, : self.blocks, : len(OPERATIONS)]
        inputs = weights[:, self.blocks :, : self.blocks + 1]
        if weights.shape[1] == self.blocks:
            inputs = self.all_inputs().to(weights).expand(len(weights), -1, -1)
        for module in self.body:
            x = module(x, operations, inputs, blocked, self.fed) if isinstance(module, MixedBlocks) else module(x)
        return self.last(x)
