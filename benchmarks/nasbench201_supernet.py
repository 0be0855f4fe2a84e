"""The supernet of NAS-Bench-201: every operation on every edge, mixed by weights that are given with the images.

The output of edge e is the sum over operations o of weights[e, o] * o(x); `none` adds nothing. All else is the network
of an architecture (`benchmarks.nasbench201_network`): weights of 1 for the operations of a cell and 0 for all others
give exactly the function of that cell's network. Several weightings ("masks") run at once over the same parameters,
side by side along the axis of samples. In training mode, where BatchNorm's statistics have to be those of one mask,
they run one after the other. A BatchNorm that was not trained has weight 1 and bias 0: as if it had neither.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear, StackedReLU
from benchmarks.nasbench201 import EDGES, KERNEL, OPERATIONS, POOL, SKIP
from benchmarks.nasbench201_network import Reduction, relu_conv_bn

ONE = (0,)
"""The owner of layers that belong to one network."""
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
                for name, given in seen.items():
                    at = OPERATIONS.index(name)
                    convolution = self.operations[edge][name] if name in KERNEL else None  # type: ignore[index]
                    if blocked and convolution is not None:  # it runs anyway, but sees nothing where its weight is 0
                        kept = nodes[source] * _by_sample(live[:, edge, at].to(x), x)
                        nodes[target] = nodes[target] + convolution(kept) * _by_sample(weights[:, edge, at], x)
                    elif rows := live[:, edge, at].nonzero().flatten().tolist():
                        rest = convolution[1:] if convolution is not None else nn.Identity()
                        nodes[target] = _add(nodes[target], rest, given, weights[:, edge, at], rows)
            if self.on_node is not None:
                convolutions = live[:, [edge for edge, _ in leaving]][:, :, [OPERATIONS.index(name) for name in KERNEL]]
                self.on_node(nodes[source], convolutions.sum((1, 2)), len(leaving) * len(KERNEL))
        return nodes[3]


def _by_sample(weights: Tensor, like: Tensor) -> Tensor:
    """(masks,) -> (masks * samples, 1, 1, 1)."""
    return weights.repeat_interleave(len(like) // len(weights)).view(-1, 1, 1, 1)


def _add(total: Tensor, operation: nn.Module, x: Tensor, weights: Tensor, rows: list[int]) -> Tensor:
    """Return total plus weighted operation of x, for the masks in `rows`."""
    if len(rows) == len(weights):
        return torch.addcmul(total, operation(x), _by_sample(weights, x))
    by_mask = x.unflatten(0, (len(weights), -1))
    chosen = torch.tensor(rows, device=x.device)
    part = by_mask.index_select(0, chosen).flatten(0, 1)
    part = operation(part) * _by_sample(weights.index_select(0, chosen), part)
    added = total.unflatten(0, (len(weights), -1)).index_add(0, chosen, part.unflatten(0, (len(rows), -1)))
    return added.flatten(0, 1)


class Supernet201(nn.Module):
    """Images (samples, channels, height, width) and weights (masks, edges, operations) -> (masks, samples, classes)."""

    operations = OPERATIONS
    idle = (0,)
    """Positions of those that add nothing, whatever their weight."""

    def __init__(
        self, *, channels: int = 16, cells_per_stage: int = 5, classes: int = 10, input_channels: int = 3
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            StackedConv2d(ONE, input_channels, channels, 3), StackedBatchNorm2d(ONE, channels)
        )  # fmt: skip
        body: list[nn.Module] = []
        for stage in range(3):
            width = channels * 2**stage
            if stage:
                body.append(Reduction((True,), width // 2))
            body.extend(MixedCell(width) for _ in range(cells_per_stage))
        self.body = nn.ModuleList(body)
        self.last = nn.Sequential(StackedBatchNorm2d(ONE, 4 * channels), StackedReLU(ONE))
        self.classifier = StackedLinear(ONE, 4 * channels, classes)

    def cells(self) -> list[MixedCell]:
        """Return the mixed cells, from input to output."""
        return [module for module in self.body if isinstance(module, MixedCell)]

    def forward(self, images: Tensor, weights: Tensor, blocked: bool = False) -> Tensor:
        """Return logits, (masks, samples, classes).

        Operations of weight 0 are not computed; their weight then gets no gradient. `blocked`: convolutions are, with
        nothing as input, as in the released code of Zero-Cost-PT, where hooks on their ReLUs see that.
        """
        if self.training and len(weights) > 1:
            return torch.cat([self(images, each.unsqueeze(0), blocked) for each in weights])
        x = self.stem(images).repeat(len(weights), 1, 1, 1)
        for module in self.body:
            x = module(x, weights, blocked) if isinstance(module, MixedCell) else module(x)
        return self.classifier(self.last(x).mean(dim=(2, 3))).unflatten(0, (len(weights), -1)).squeeze(2)
