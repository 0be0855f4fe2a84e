"""Quantities of a forward pass that one family of proxies reads: each is reduced inside hooks, and only when declared.

A proxy names one in its `reads` and gets it from `probe.watched(name)`. A watcher sees every module's output as it is
when the module returns it; what a network later does to it in place does not matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.probe.layers import owners_of, places
from harness.probe.precision import as_written, widened
from harness.probe.view import stream

if TYPE_CHECKING:
    from harness.probe.passes import Passes

ACTIVATIONS = tuple(
    kind for kind in vars(nn.modules.activation).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind not in (nn.Module, nn.MultiheadAttention)
)  # fmt: skip


def is_relu(module: nn.Module) -> bool:
    """Whether a module counts as a ReLU: by its class's name, as the field's code does."""
    return "ReLU" in type(module).__name__


def owned(module: nn.Module, values: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """(samples, owners * channels, ...) -> a module's owners, and (samples, owners, -1, ...)."""
    owners = owners_of(module)
    if values.dim() == 3 and len(owners) > 1:  # of a stacked linear layer
        return owners, values
    return owners, values.reshape(len(values), len(owners), -1, *values.shape[2:])


def fixed_draw(count: int, what: str) -> torch.Generator:
    """Return a generator that depends on the seed at work and on a width alone, so the same for all architectures."""
    return stream(torch.initial_seed(), str(count), what)


class Watcher:
    """One quantity of one forward pass of a probe."""

    graph = False
    """Whether the pass has to be differentiable for it."""

    def __init__(self, probe: Passes) -> None:
        self.probe = probe
        self.handles: list = []
        self.error: Exception | None = None
        """What went wrong; raised to whoever reads this quantity, not to who else reads the pass."""

    def attach(self) -> None:
        """Put the hooks on the network."""
        for module in self.probe.network.modules():
            if self.wants(module):
                self.handles.append(module.register_forward_hook(self._hook))

    def detach(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()

    def wants(self, module: nn.Module) -> bool:
        """Whether a module's output is looked at."""
        raise NotImplementedError

    def _hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if self.error is None and isinstance(output, Tensor):
            x = inputs[0] if inputs and isinstance(inputs[0], Tensor) else output
            try:
                with torch.no_grad(), as_written(output):
                    self.see(module, widened(x.detach()), widened(output.detach()))
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                self.error = error
        return None

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        """Reduce what a module was given, x, and returned, y."""

    def gathered(self) -> object:
        """Return the quantity, or what went wrong with it."""
        try:
            return self.error or self.result()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            return error

    def result(self) -> object:
        """Return the quantity, or raise what a proxy that reads it shall fail with."""
        raise NotImplementedError

    def add(self, total: Tensor, owners: tuple[int, ...], values: Tensor) -> None:
        """Add (owners, ...) to (archs, ...) at the owners' places."""
        total.index_add_(0, places(owners, total.device), values)


class ReluGram(Watcher):
    """(archs, samples, samples) float64: sum over ReLUs of x x^T, x the ReLU's inputs."""

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        samples = len(probe.inputs)
        self.total = torch.zeros(probe.archs, samples, samples, dtype=torch.float64, device=probe.inputs.device)

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = owned(module, x)
        rows = rows.flatten(2).transpose(0, 1).double()  # (owners, samples, units)
        self.add(self.total, owners, rows @ rows.transpose(1, 2))

    def result(self) -> Tensor:
        return self.total


class ReluWords(Watcher):
    """(archs,) float64: how many different sign patterns over the samples the units of all ReLUs on maps have.

    A unit's pattern is which samples leave it above zero, as one whole number of as many bits; up to 24 samples, so
    that all patterns fit a list to tick off. NaN without a ReLU on maps.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        if len(probe.inputs) > 24:
            raise ValueError(f"counts patterns over at most 24 samples, got {len(probe.inputs)}")
        self.seen = torch.zeros(probe.archs, 1 << len(probe.inputs), dtype=torch.bool, device=probe.inputs.device)

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if y.dim() == 4:
            owners, words = sign_words(module, y)
            for owner, row in zip(owners, words, strict=True):
                self.seen[owner][row] = True

    def result(self) -> Tensor:
        counts = self.seen.sum(1).double().cpu()
        return torch.where(counts > 0, counts, torch.nan)


class ReluLayerWords(Watcher):
    """(archs,) float64: the different sign patterns that the units of each ReLU on maps have over the first 32 samples,
    added up over ReLUs; zero without any."""

    SAMPLES = 32

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.counts = torch.zeros(probe.archs, dtype=torch.float64)

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if y.dim() == 4:
            owners, words = sign_words(module, y[: self.SAMPLES])
            for owner, row in zip(owners, words, strict=True):
                self.counts[owner] += len(row.unique())

    def result(self) -> Tensor:
        return self.counts


def sign_words(module: nn.Module, values: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """(samples, owners * channels, height, width) -> a module's owners, and (owners, units) int64: bit i says whether
    the unit is above zero for sample i."""
    owners, units = owned(module, values)
    units = units.flatten(2)
    words = torch.zeros(units.shape[1:], dtype=torch.int64, device=values.device)
    for first in range(0, len(units), 16):  # 16 bits are exact in float32, whose products are fast
        positive = (units[first : first + 16] > 0).float()
        bits = 2.0 ** torch.arange(len(positive), device=values.device)
        words += torch.tensordot(bits, positive, 1).long() << first
    return owners, words


class ChannelCorrelations(Watcher):
    """By layer: (owners, Pearson correlations of the channels of the first sample's map (owners, channels, channels)
    float64, positions). A constant channel's correlations are zero, its own included.

    Layers are convolutions, BatchNorm and activations that return a map.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.found: list[tuple[tuple[int, ...], Tensor, int]] = []

    def wants(self, module: nn.Module) -> bool:
        return isinstance(module, (nn.Conv2d, nn.modules.batchnorm._BatchNorm, *ACTIVATIONS))

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if y.dim() != 4:
            return
        owners, maps = owned(module, y[:1])
        rows = maps[0].flatten(2).double()  # (owners, channels, positions)
        rows = rows - rows[:, :, :1]  # a constant channel becomes exactly zero
        rows = rows - rows.mean(2, keepdim=True)
        scale = rows.norm(dim=2, keepdim=True)
        rows = torch.where(scale > 0, rows / scale, 0.0)
        self.found.append((owners, rows @ rows.transpose(1, 2), rows.shape[2]))

    def result(self) -> list[tuple[tuple[int, ...], Tensor, int]]:
        return self.found


class SquareBlocks(Watcher):
    """By layer: (owners, (owners, rows, channels) float64), as many rows of its output as it has channels.

    Its matrix has a row for each sample and position (sample, column, row) and a column for each channel; the rows
    taken start at a place drawn once for each size, the same for every architecture. Layers are modules with a weight,
    and activations.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.found: list[tuple[tuple[int, ...], Tensor]] = []

    def wants(self, module: nn.Module) -> bool:
        weighted = isinstance(getattr(module, "weight", None), nn.Parameter)
        return (weighted or isinstance(module, ACTIVATIONS)) and next(module.children(), None) is None

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, parts = owned(module, y)  # (samples, owners, channels, height, width) or (samples, owners, features)
        rows = parts.transpose(0, 1)  # owners first
        rows = rows.permute(0, 1, 4, 3, 2) if rows.dim() == 5 else rows
        rows = rows.flatten(1, -2)  # (owners, rows, channels)
        channels, count = rows.shape[2], rows.shape[1]
        spare = max(count - channels, 0)
        start = int(torch.randint(spare + 1, (), generator=fixed_draw(channels, f"rows of {count}")))
        self.found.append((owners, rows[:, start : start + channels].double()))

    def result(self) -> list[tuple[tuple[int, ...], Tensor]]:
        return self.found


class BlockMaps(Watcher):
    """By feature block: its map (samples, archs * channels, height, width), with its part of the graph."""

    graph = True

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.maps: dict[str, Tensor] = {}

    def attach(self) -> None:
        for name in self.probe.blocks:
            self.handles.append(self.probe.network.get_submodule(name).register_forward_hook(self._keeper(name)))

    def _keeper(self, name: str):
        maps = self.maps

        def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            maps[name] = output
            return output.clone()  # what comes later may work in place

        return keep

    def result(self) -> list[Tensor]:
        """Raises LookupError where the network does not say which modules they are."""
        if not self.probe.blocks:
            raise LookupError("needs feature blocks: name the modules that give them in blocks=")
        return [self.maps[name] for name in self.probe.blocks]


WATCHERS: dict[str, type[Watcher]] = {
    "relu_gram": ReluGram,
    "relu_words": ReluWords,
    "relu_layer_words": ReluLayerWords,
    "channel_correlations": ChannelCorrelations,
    "square_blocks": SquareBlocks,
    "block_maps": BlockMaps,
}
"""What `probe.watched` gives, by the name a proxy declares in `reads`."""
