"""Observers of feature maps: correlations of channels, ranks, conditioning, maps of feature blocks."""

from functools import partial

import torch
from torch import Tensor, nn

from harness.probe.initialise import fixed_draw
from harness.probe.layer_rules import rule_of
from harness.probe.layers import owned
from harness.probe.linalg import eigvalsh
from harness.probe.observer import Observer, add


class ChannelCorrelations(Observer):
    """By layer: (owners, Pearson correlations of the channels of the first sample's map (owners, channels, channels)
    float64, positions). A constant channel's correlations are zero, with itself too.

    Layers are convolutions, linear layers, normalisations and activations that return a map, of one or more dimensions.
    """

    def start(self, samples: int) -> None:
        self.total: list[tuple[tuple[int, ...], Tensor, int]] = []

    def wants(self, module: nn.Module) -> bool:
        return rule_of(module).maps

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if not self.is_map(y):
            return
        owners, maps = owned(module, y[:1])
        rows = maps[0].flatten(2).double()  # (owners, channels, positions)
        rows = rows - rows[:, :, :1]  # a constant channel becomes exactly zero
        rows = rows - rows.mean(2, keepdim=True)
        scale = rows.norm(dim=2, keepdim=True)
        rows = torch.where(scale > 0, rows / scale, 0.0)
        self.total.append((owners, rows @ rows.transpose(1, 2), rows.shape[2]))


class Conditioning(Observer):
    """(archs,) float64: sum over layers of smallest / largest singular value of the first sample's map.

    The map is a matrix (channels, positions); one of zeros counts 0. Layers are those of `ChannelCorrelations`.
    """

    wants = ChannelCorrelations.wants

    def start(self, samples: int) -> None:
        self.total = self.context.zeros()

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if not self.is_map(y):
            return
        owners, maps = owned(module, y[:1])
        matrix = maps[0].flatten(2).double()
        if matrix.shape[1] > matrix.shape[2]:
            matrix = matrix.transpose(1, 2)
        squares = eigvalsh(matrix @ matrix.transpose(1, 2)).clamp(min=0)  # ascending
        largest = squares[:, -1]
        add(self.total, owners, torch.where(largest > 0, squares[:, 0] / largest, 0.0).sqrt())


class SquareBlocks(Observer):
    """By layer: (owners, (owners, rows, channels) float64), as many rows of its output as it has channels.

    Its matrix has a row for each sample and position (sample, column, row) and a column for each channel; the rows
    start at a place drawn once for each size, the same for every architecture. Layers are modules with a weight, and
    activations.
    """

    def start(self, samples: int) -> None:
        self.total: list[tuple[tuple[int, ...], Tensor]] = []

    def wants(self, module: nn.Module) -> bool:
        weighted = isinstance(getattr(module, "weight", None), nn.Parameter)
        return (weighted or rule_of(module).activation) and next(module.children(), None) is None

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, parts = owned(module, y)  # (samples, owners, channels, height, width) or (samples, owners, features)
        rows = parts.transpose(0, 1)  # owners first
        if self.twin is not None or rows.dim() == 5:
            rows = rows.permute(0, 1, *range(rows.dim() - 1, 1, -1))
        rows = rows.flatten(1, -2)  # (owners, rows, channels)
        channels, count = rows.shape[2], rows.shape[1]
        spare = max(count - channels, 0)
        start = int(torch.randint(spare + 1, (), generator=fixed_draw(channels, f"rows of {count}")))
        block = rows[:, start : start + channels]
        self.total.append(
            (owners, block.to(torch.float64, copy=self.twin is not None))
        )  # which may work in place later


class BlockMaps(Observer):
    """By feature block: its map (samples, archs * channels, height, width), with its part of the graph, and the axis of
    its channels where that is not the second."""

    graph = True

    def start(self, samples: int) -> None:
        self.total: dict[str, tuple[Tensor, int | None]] = {}

    def attach(self) -> None:
        for name in self.context.blocks:
            module = self.context.network.get_submodule(name)
            self.handles.append(module.register_forward_hook(partial(self._keep, name)))

    def _keep(self, name: str, module: nn.Module, inputs: object, output: Tensor) -> Tensor | None:
        if not isinstance(output, Tensor):
            self.error = TypeError(f"the block {name} returns a {type(output).__name__}: name one that returns a map")
            return None
        self.total[name] = output, None if self.twin is None else self.twin.layout(module)
        return output.clone()  # what comes later may work in place

    def result(self) -> list[tuple[Tensor, int | None]]:
        """Raises LookupError where the network does not say which modules they are."""
        if not self.context.blocks:
            raise LookupError("needs feature blocks: name the modules that give them in blocks=")
        return [self.total[name] for name in self.context.blocks]
