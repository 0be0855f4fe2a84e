"""Observers of ReLUs: Gram matrices, sign patterns, correlations of and distances between samples, hashes of codes."""

from functools import partial

import torch
from torch import Tensor, nn

from harness.probe.initialise import stream
from harness.probe.layers import owned, places
from harness.probe.observer import Observer, add, rows_of
from harness.probe.precision import widened
from harness.probe.relu_codes import hamming_kernel

ROUNDING = 1e-12
"""How little a unit varies over samples where it should not at all (constant maps behind BatchNorm, float64)."""


class ReluGram(Observer):
    """(archs, samples, samples) float64: sum over ReLUs of x x^T, x the ReLU's inputs."""

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = rows_of(module, x)
        rows = rows.double()
        add(self.total, owners, rows @ rows.transpose(1, 2))


class ReluBlocks(Observer):
    """(archs, samples, samples) float64: Hamming kernel over every module with ReLU in its class's name.

    A block that is named after the ReLU that it begins with (ReLUConvBN) counts besides that ReLU.
    """

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, units = owned(module, x)
        add(self.total, owners, hamming_kernel(units.flatten(2)) * (1 + getattr(module, "blocks", 0)))


class ReluWords(Observer):
    """(archs,) float64: how many different sign patterns over the samples the units of all ReLUs on maps have.

    A unit's pattern is which samples leave it above zero, as one whole number of as many bits; up to 24 samples, so
    that all patterns fit a list to tick off. NaN without a ReLU on maps.
    """

    def start(self, samples: int) -> None:
        if samples > 24:
            raise ValueError(f"counts patterns over at most 24 samples, got {samples}")
        self.seen = torch.zeros(self.context.archs, 1 << samples, dtype=torch.bool, device=self.context.inputs.device)

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if self.is_map(y):
            owners, words = sign_words(module, y)
            self.seen[places(owners, y.device)[:, None], words] = True

    def result(self) -> Tensor:
        counts = self.seen.sum(1).double().cpu()
        return torch.where(counts > 0, counts, torch.nan)


class ReluLayerWords(Observer):
    """(archs,) float64: the different sign patterns that the units of each ReLU on maps have over the first 32 samples,
    added up over ReLUs; zero without any."""

    SAMPLES = 32

    def start(self, samples: int) -> None:
        self.total = self.context.zeros()

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        if self.is_map(y):
            owners, words = sign_words(module, y[: self.SAMPLES])
            words = words.sort(1).values
            add(self.total, owners, 1.0 + (words[:, 1:] != words[:, :-1]).sum(1).double())


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


class ReluCorrelations(Observer):
    """(blocks + 1, archs, samples, samples) float64: sums over ReLU calls of |Pearson correlations| of their outputs.

    One sum for each feature block, of the ReLUs inside it. A ReLU outside all blocks goes with the next block in module
    order, of a user's module in the order of calls; the last sum is of those behind all blocks, and of all of them
    where no blocks are known.
    """

    def start(self, samples: int) -> None:
        blocks = self.context.blocks
        self.total = torch.stack([self.context.zeros(samples, samples)] * (len(blocks) + 1))
        self.block: dict[nn.Module, int] = {}
        passed = 0
        for name, module in self.context.network.named_modules():
            passed += name in blocks
            inside = [i for i, block in enumerate(blocks) if f"{name}.".startswith(f"{block}.")]
            self.block[module] = inside[-1] if inside else passed
        self.entered: list[int] = []
        """Blocks that run now."""
        self.left = 0
        """Blocks that have run."""

    def attach(self) -> None:
        super().attach()
        for place, name in enumerate(self.context.blocks if self.twin is not None else ()):
            block = self.context.network.get_submodule(name)
            self.handles.append(block.register_forward_pre_hook(partial(self._enter, place)))
            self.handles.append(block.register_forward_hook(partial(self._leave, place), prepend=True))

    def _enter(self, place: int, *_: object) -> None:
        self.entered.append(place)

    def _leave(self, place: int, *_: object) -> None:
        self.entered.remove(place)
        self.left = max(self.left, place + 1)

    def place(self, module: nn.Module) -> int:
        """Return which sum a ReLU goes into that runs now."""
        if self.twin is None:
            return self.block[module]
        return self.entered[-1] if self.entered else self.left

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        self.add_at(self.place(module), module, y)

    def add_at(self, place: int, module: nn.Module, values: Tensor) -> None:
        """Add the correlations of the values at a ReLU."""
        owners, rows = rows_of(module, values)
        add(self.total[place], owners, absolute_correlations(rows))


class ReluGradientCorrelations(ReluCorrelations):
    """The same of the objective's gradients with respect to the ReLUs' outputs; zeros until the backward has run."""

    graph = True

    def _hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        place, axis = self.place(module), None if self.twin is None else self.twin.layout(module)

        def reduce(gradient: Tensor) -> None:
            if self.context.phase == "backward":
                with torch.no_grad():
                    wide = widened(gradient.detach())
                    self.add_at(place, module, wide if self.twin is None else self.twin.arranged(wide, axis))

        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(reduce)


class ReluDistances(Observer):
    """(archs, samples, samples) float64: squared distances between samples, summed over ReLU calls.

    Each unit of a ReLU's output is scaled to reach from 0 to 1 over the samples; where it varies by less than
    `ROUNDING` (units behind BatchNorm are of the order of 1; read in float64) it is 0.
    """

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = rows_of(module, y)
        rows = rows.double()
        low = rows.amin(1, keepdim=True)
        span = rows.amax(1, keepdim=True) - low
        rows = torch.where(span > ROUNDING, (rows - low) / span, 0.0)
        add(self.total, owners, torch.stack([(rows - one).square().sum(2) for one in rows.split(1, 1)], 2))


class LastInputDistances(ReluDistances):
    """The same of the inputs of the last convolution or linear layer in module order."""

    def wants(self, module: nn.Module) -> bool:
        return bool(self.context.layers) and module is self.context.layers[-1].module

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        super().see(module, y, x)


class CodeHashes(Observer):
    """(archs, samples) int64, and which architectures have a ReLU, (archs,): a hash of each sample's ReLU code.

    A code is which units of all ReLUs are above zero. Different codes have equal hashes with a chance of 2^-63.
    """

    def start(self, samples: int) -> None:
        self.hashes: Tensor | None = None
        self.seen = torch.zeros(self.context.archs, dtype=torch.bool, device=self.context.inputs.device)
        self.calls = 0

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        owners, rows = rows_of(module, y)
        draw = stream(0, str(self.calls), "code hash")
        factors = torch.randint(-(2**63), 2**63 - 1, (rows.shape[2],), generator=draw).to(y.device)
        if self.hashes is None:
            self.hashes = torch.zeros(self.context.archs, rows.shape[1], dtype=torch.int64, device=y.device)
        add(self.hashes, owners, torch.where(rows > 0, factors, 0).sum(2))
        self.seen[list(owners)] = True
        self.calls += 1

    def result(self) -> tuple[Tensor, Tensor]:
        if self.hashes is None:
            raise LookupError("no ReLU module runs")
        return self.hashes, self.seen
