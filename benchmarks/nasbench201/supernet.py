"""The supernet of NAS-Bench-201: every operation on every edge, mixed by weights that are passed with the images.

The output of edge e is the sum over operations o of weights[e, o] * o(x); `none` adds nothing. All else is the network
of an architecture (`benchmarks.nasbench201.network`): weights of 1 for the operations of a cell and 0 for all others
give exactly the function of that cell's network. See `benchmarks.spaces.supernet` for how many masks run at once.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from benchmarks.nasbench201.network import skeleton
from benchmarks.nasbench201.space import EDGES, KERNEL, OPERATIONS, POOL, SKIP
from benchmarks.spaces.layers import relu_conv_bn
from benchmarks.spaces.supernet import ONE, MixedNetwork, add_weighted, by_sample, live_rows

NodeWatcher = Callable[[Tensor, Tensor, int], None]
"""(features of a node (masks * samples, channels, height, width), how many convolutions of each mask see them
(masks,), how many leave the node in all)."""


class MixedCell(nn.Module):
    """A cell with every operation on every edge; `operations.<edge>.<operation>` has the convolutions."""

    on_node: NodeWatcher | None = None
    """Called with what every convolution's ReLU sees, once for each node instead of once for each convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.operations = nn.ModuleList(
            nn.ModuleDict({name: relu_conv_bn(ONE, channels, channels, kernel) for name, kernel in KERNEL.items()})
            for _ in EDGES
        )

    def forward(self, x: Tensor, weights: Tensor, blocked: bool = False) -> Tensor:
        """x (masks * samples, channels, height, width), mask by mask; weights (masks, edges, operations)."""
        live = (weights != 0).cpu()
        nodes = [x, torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)]
        for source in range(3):  # edges lead upwards, so that a node is whole when its turn comes
            leaving = [(edge, target) for edge, (start, target) in enumerate(EDGES) if start == source]
            needed = live[:, [edge for edge, _ in leaving]].flatten(0, 1).any(0)
            seen = {SKIP: nodes[source], **dict.fromkeys(KERNEL, torch.relu(nodes[source]))}  # on all edges from here
            if needed[OPERATIONS.index(POOL)]:
                seen[POOL] = self.pool(nodes[source])
            for edge, target in leaving:
                for name, features in seen.items():
                    at = OPERATIONS.index(name)
                    convolution = self.operations[edge][name] if name in KERNEL else None  # type: ignore[index]
                    if blocked and convolution is not None:  # it runs anyway, but sees nothing where its weight is 0
                        kept = nodes[source] * by_sample(live[:, edge, at].to(x), x)
                        nodes[target] = nodes[target] + convolution(kept) * by_sample(weights[:, edge, at], x)
                    elif rows := live_rows(live[:, edge, at]):
                        rest = convolution[1:] if convolution is not None else nn.Identity()
                        nodes[target] = add_weighted(nodes[target], rest, features, weights[:, edge, at], rows)
            if self.on_node is not None:
                convolutions = live[:, [edge for edge, _ in leaving]][:, :, [OPERATIONS.index(name) for name in KERNEL]]
                self.on_node(nodes[source], convolutions.sum((1, 2)), len(leaving) * len(KERNEL))
        return nodes[3]


class Supernet201(MixedNetwork):
    """Images (samples, channels, height, width) and weights (masks, edges, operations) -> (masks, samples, classes)."""

    operations = OPERATIONS
    idle = (0,)
    skip = OPERATIONS.index(SKIP)

    def __init__(
        self, *, channels: int = 16, cells_per_stage: int = 5, classes: int = 10, input_channels: int = 3
    ) -> None:
        super().__init__()

        def stage(width: int) -> list[nn.Module]:
            return [MixedCell(width) for _ in range(cells_per_stage)]

        stem, body, last, classifier = skeleton((True,), input_channels, channels, classes, stage)
        # In this order, in which weights are drawn.
        self.stem, self.body, self.last, self.classifier = stem, nn.ModuleList(body), last, classifier

    def cells(self) -> list[MixedCell]:
        """Return the mixed cells, from input to output."""
        return [module for module in self.body if isinstance(module, MixedCell)]

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (edge, operation, convolution) of every cell."""
        for cell in self.cells():
            for edge, named in enumerate(cell.operations):
                for name, operation in named.items():  # type: ignore[operator]
                    yield edge, OPERATIONS.index(name), operation[1]

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the map before pooling; what `forward` says."""
        for module in self.body:
            x = module(x, weights, blocked) if isinstance(module, MixedCell) else module(x)
        return self.last(x)
