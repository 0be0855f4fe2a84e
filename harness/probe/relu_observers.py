"""More quantities of a pass: how samples' responses in ReLUs correlate, how far apart they are, which codes they have.

Watchers as in `harness.probe.observers`, which says how they work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness.probe.observers import ACTIVATIONS, ChannelCorrelations, Watcher, is_relu, owned
from harness.probe.precision import widened
from harness.probe.view import stream

if TYPE_CHECKING:
    from harness.probe.passes import Passes

ROUNDING = 1e-12
"""How little a unit varies over samples where it should not at all (constant maps behind BatchNorm, float64)."""


def _rows(module: nn.Module, values: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """(samples, owners * channels, ...) -> owners, and (owners, samples, units)."""
    owners, parts = owned(module, values)
    return owners, parts.flatten(2).transpose(0, 1)


def absolute_correlations(rows: Tensor) -> Tensor:
    """(owners, samples, units) -> (owners, samples, samples) float64: |Pearson correlation| of samples.

    Those with a sample whose row is constant are zero, its own included.
    """
    rows = rows - rows[:, :, :1]  # a constant row becomes exactly zero
    rows = rows - rows.mean(2, keepdim=True)
    size = rows.abs().amax(2, keepdim=True)  # else squares of small gradients vanish
    rows = rows / torch.where(size > 0, size, 1.0)
    product = (rows @ rows.transpose(1, 2)).double()
    norm = product.diagonal(dim1=1, dim2=2).sqrt()
    scale = norm.unsqueeze(1) * norm.unsqueeze(2)
    return torch.where(scale > 0, product / scale, 0.0).abs()


class ReluCorrelations(Watcher):
    """(blocks + 1, archs, samples, samples) float64: sums over ReLU calls of |Pearson correlations| of their outputs.

    One sum for each feature block, of the ReLUs inside it. A ReLU outside all blocks goes with the next block in module
    order; the last sum is of those behind all blocks, and of all of them where no blocks are known.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        samples = len(probe.inputs)
        self.total = torch.zeros(
            len(probe.blocks) + 1, probe.archs, samples, samples, dtype=torch.float64, device=probe.inputs.device
        )
        self.block: dict[nn.Module, int] = {}
        passed = 0
        for name, module in probe.network.named_modules():
            passed += name in probe.blocks
            inside = [i for i, block in enumerate(probe.blocks) if f"{name}.".startswith(f"{block}.")]
            self.block[module] = inside[-1] if inside else passed

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = _rows(module, y)
        self.add(self.total[self.block[module]], owners, absolute_correlations(rows))

    def result(self) -> Tensor:
        return self.total


class ReluGradientCorrelations(ReluCorrelations):
    """The same of the objective's gradients with respect to the ReLUs' outputs; zeros until the backward has run."""

    graph = True

    def _hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        def reduce(gradient: Tensor) -> None:
            if self.probe._phase == "backward":
                with torch.no_grad():
                    wide = widened(gradient.detach())
                    self.see(module, wide, wide)

        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(reduce)


class ReluDistances(Watcher):
    """(archs, samples, samples) float64: squared distances between samples, summed over ReLU calls.

    Each unit of a ReLU's output is scaled to reach from 0 to 1 over the samples; where it varies by less than
    `ROUNDING` (units behind BatchNorm are of the order of 1; read in float64) it is 0.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        samples = len(probe.inputs)
        self.total = torch.zeros(probe.archs, samples, samples, dtype=torch.float64, device=probe.inputs.device)

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = _rows(module, y)
        rows = rows.double()
        low = rows.amin(1, keepdim=True)
        span = rows.amax(1, keepdim=True) - low
        rows = torch.where(span > ROUNDING, (rows - low) / span, 0.0)
        self.add(self.total, owners, torch.stack([(rows - one).square().sum(2) for one in rows.split(1, 1)], 2))

    def result(self) -> Tensor:
        return self.total


class LastInputDistances(ReluDistances):
    """The same of what the last convolution or linear layer (in module order) is given."""

    def wants(self, module: nn.Module) -> bool:
        return bool(self.probe.layers) and module is self.probe.layers[-1].module

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        super().see(module, y, x)


class Conditioning(Watcher):
    """(archs,) float64: sum over layers of smallest / largest singular value of the first sample's map.

    The map is a matrix (channels, positions); one of zeros counts 0. Layers are those of `ChannelCorrelations`.
    """

    wants = ChannelCorrelations.wants

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.total = torch.zeros(probe.archs, dtype=torch.float64, device=probe.inputs.device)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if y.dim() != 4:
            return
        owners, maps = owned(module, y[:1])
        matrix = maps[0].flatten(2).double()
        if matrix.shape[1] > matrix.shape[2]:
            matrix = matrix.transpose(1, 2)
        squares = torch.linalg.eigvalsh(matrix @ matrix.transpose(1, 2)).clamp(min=0)  # ascending
        largest = squares[:, -1]
        self.add(self.total, owners, torch.where(largest > 0, squares[:, 0] / largest, 0.0).sqrt())

    def result(self) -> Tensor:
        return self.total


class CodeHashes(Watcher):
    """(archs, samples) int64, and which architectures have a ReLU, (archs,): a hash of each sample's ReLU code.

    A code is which units of all ReLUs are above zero. Different codes have equal hashes with a chance of 2^-63.
    """

    def __init__(self, probe: Passes) -> None:
        super().__init__(probe)
        self.hashes: Tensor | None = None
        self.seen = torch.zeros(probe.archs, dtype=torch.bool, device=probe.inputs.device)
        self.calls = 0

    def wants(self, module: nn.Module) -> bool:
        return is_relu(module)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = _rows(module, y)
        draw = stream(0, str(self.calls), "code hash")
        factors = torch.randint(-(2**63), 2**63 - 1, (rows.shape[2],), generator=draw).to(y.device)
        if self.hashes is None:
            self.hashes = torch.zeros(self.probe.archs, rows.shape[1], dtype=torch.int64, device=y.device)
        self.add(self.hashes, owners, torch.where(rows > 0, factors, 0).sum(2))
        self.seen[list(owners)] = True
        self.calls += 1

    def result(self) -> tuple[Tensor, Tensor]:
        if self.hashes is None:
            raise LookupError("no ReLU module runs")
        return self.hashes, self.seen


RESPONSES: dict[str, type[Watcher]] = {
    "relu_correlations": ReluCorrelations,
    "relu_gradient_correlations": ReluGradientCorrelations,
    "relu_distances": ReluDistances,
    "last_input_distances": LastInputDistances,
    "conditioning": Conditioning,
    "code_hashes": CodeHashes,
}
"""What `probe.watched` gives beside `harness.probe.observers.WATCHERS`, by the name a proxy declares in `reads`."""

SMOOTH = tuple(
    kind for kind in ACTIVATIONS
    if not issubclass(kind, (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.Threshold))
)  # fmt: skip
"""Activations that are not piecewise linear."""
