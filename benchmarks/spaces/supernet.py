"""What supernets share: several weightings ("masks") of all operations at once, over the same parameters.

Masks lie along the axis of samples: maps are (masks * samples, channels, height, width), mask by mask. In training
mode, where BatchNorm's statistics have to be those of one mask, they run one after the other. An untrained BatchNorm
has weight 1 and bias 0.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

ONE = (0,)
"""The owner of layers that belong to one network."""


class MixedNetwork(nn.Module):
    """Images (samples, channels, height, width) and weights (masks, edges, operations) -> (masks, samples, classes)."""

    operations: tuple[str, ...]
    idle: tuple[int, ...] = ()
    """Positions of operations that add nothing, whatever their weight."""
    skip: int | None = None
    """Position of the identity, where there is one."""
    fed = False
    """Whether convolutions of weight 0 that run all the same (`blocked`) see their input instead of zeros."""
    fed_in_release = False
    """The same in the released code of Zero-Cost-PT."""
    dropped = False
    """Whether operations of weight 0 are not run in the released code of Zero-Cost-PT and count nowhere."""
    summed = False
    """Whether the operations that are left are summed, without weights."""
    signed = False
    """Whether architecture parameters keep their sign where all weights are made positive (FreeDARTS's synflow)."""
    turns = 1
    """Edges that are decided in one step of a search, one of each of so many equal parts of them."""
    vertices: tuple[tuple[str, tuple[int, ...], int], ...] = ()
    """(name, edges, how many an architecture keeps) of every node whose edges are selected after their operations."""
    scheme = "default"
    """A key of `harness.probe.initialise.INITIALISATIONS`."""
    stem: nn.Module
    classifier: nn.Module

    def convolutions(self) -> Iterator[tuple[int, int, nn.Conv2d]]:
        """Yield (edge, operation, convolution) of every convolution that belongs to an operation."""
        raise NotImplementedError

    def mixed(self, x: Tensor, weights: Tensor, blocked: bool) -> Tensor:
        """Return the map before pooling from that behind the stem; arguments as for `forward`."""
        raise NotImplementedError

    def forward(self, images: Tensor, weights: Tensor, blocked: bool = False) -> Tensor:
        """Return logits, (masks, samples, classes).

        Operations of weight 0 are not computed; their weight then gets no gradient. `blocked`: convolutions of weight 0
        run on zeros, as in the released code of Zero-Cost-PT, whose hooks see their ReLUs.
        """
        if self.training and len(weights) > 1:
            return torch.cat([self(images, each.unsqueeze(0), blocked) for each in weights])
        x = self.stem(images).repeat(len(weights), 1, 1, 1)
        pooled = self.mixed(x, weights, blocked).mean(dim=(2, 3))
        return self.classifier(pooled).unflatten(0, (len(weights), -1)).squeeze(2)


def live_rows(live: Tensor) -> list[int]:
    """Return the masks that are True, (masks,) bool."""
    return live.nonzero().flatten().tolist()


def by_sample(weights: Tensor, like: Tensor) -> Tensor:
    """(masks,) -> (masks * samples, 1, 1, 1)."""
    return weights.repeat_interleave(len(like) // len(weights)).view(-1, 1, 1, 1)


def add_mixed(
    total: Tensor | None, operation: nn.Module, x: Tensor, weights: Tensor, live: Tensor, blocked: bool = False
) -> Tensor | None:
    """Return total (None: zeros) plus weighted operation of x for the masks of `live`, (masks,) bool on the CPU.

    `blocked`: for all masks, with zeros as the input of those that are not live.
    """
    if blocked:
        part = operation(x * by_sample(live.to(x), x)) * by_sample(weights, x)
        return part if total is None else total + part
    rows = live_rows(live)
    return add_weighted(total, operation, x, weights, rows) if rows else total


def add_weighted(total: Tensor | None, operation: nn.Module, x: Tensor, weights: Tensor, rows: list[int]) -> Tensor:
    """Return total (None: zeros) plus weighted operation of x, for the masks in `rows`."""
    if len(rows) == len(weights):
        part = operation(x)
        return part * by_sample(weights, x) if total is None else torch.addcmul(total, part, by_sample(weights, x))
    chosen = torch.tensor(rows, device=x.device)
    part = operation(x.unflatten(0, (len(weights), -1)).index_select(0, chosen).flatten(0, 1))
    part = part * by_sample(weights.index_select(0, chosen), part)
    if total is None:
        total = part.new_zeros(len(x), *part.shape[1:])
    total = total.unflatten(0, (len(weights), -1)).index_add(0, chosen, part.unflatten(0, (len(rows), -1)))
    return total.flatten(0, 1)
