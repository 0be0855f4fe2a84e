"""What a machine can do at most, measured: FLOP/s of large products and convolutions, bytes/s of copies by size.

Each is the best of several tries, on PyTorch's current threads and in float32: a ceiling, not an average.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch.nn import functional

from speed.passes import Watch

SIZES = tuple(2**power for power in range(16, 31, 2))
"""Bytes moved by the copies, 64 KiB to 1 GiB."""
SMALL = 2**20
"""The largest copy of a small run."""


@dataclass(frozen=True)
class Ceilings:
    """Measured limits of a machine for one number of threads."""

    matmul: float
    """FLOP/s of a large matrix product."""
    convolution: float
    """FLOP/s of a large 3x3 convolution."""
    copies: dict[int, float]
    """Bytes moved (read and written) by one copy -> bytes a second."""
    triad: float
    """Bytes a second of a + s * b -> c on the largest arrays: two reads, one write."""

    @property
    def flops(self) -> float:
        """The larger FLOP/s of the two."""
        return max(self.matmul, self.convolution)

    def bandwidth(self, moved: int) -> float:
        """Return the bytes a second at which this many bytes can be moved: the best of the copies that are not smaller.

        Small tensors come out of caches, so real passes could beat a floor from the largest copies alone. The next
        smaller size counts too, because the sizes are far apart.
        """
        least = max((size for size in self.copies if size <= moved), default=min(self.copies))
        return max(self.triad, *(rate for size, rate in self.copies.items() if size >= least))

    def as_json(self) -> dict[str, Any]:
        """Return the limits for a file."""
        return asdict(self)


def measure(device: str, *, small: bool = False) -> Ceilings:
    """Measure; `small` takes small products and copies, for a quick run."""
    side = 256 if small else 2048 if device == "cpu" else 8192
    a = torch.randn(side, side, device=device)
    matmul = 2 * side**3 / best(lambda: a @ a, device)
    n, channels, pixels = (2, 32, 8) if small else (32, 256, 16) if device == "cpu" else (256, 512, 32)
    x = torch.randn(n, channels, pixels, pixels, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    w = torch.randn(channels, channels, 3, 3, device=device).contiguous(memory_format=torch.channels_last)
    convolution = 2 * 9 * n * pixels**2 * channels**2 / best(lambda: functional.conv2d(x, w, padding=1), device)
    sizes = [size for size in SIZES if size <= SMALL] if small else SIZES
    copies = {size: size / best(_copying(size // 2, device), device) for size in sizes}
    count = sizes[-1] // 3 // 4
    one, other, out = (torch.ones(count, device=device) for _ in range(3))
    triad = 3 * 4 * count / best(lambda: torch.add(one, other, alpha=2.0, out=out), device)
    return Ceilings(matmul, convolution, copies, triad)


def _copying(size: int, device: str) -> Callable[[], object]:
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source)


def best(function: Callable[[], object], device: str, tries: int = 5, enough: float = 0.02) -> float:
    """Return the least seconds of a call over some tries, each repeated until it lasts `enough` seconds."""
    watch = Watch(device)
    clock = watch.clock
    watch.time("warm", function)
    once = watch.seen[clock]["warm"][0]
    calls = max(1, min(1000, int(enough / max(once, 1e-7))))

    def several() -> None:
        for _ in range(calls):
            function()

    for _ in range(tries):
        watch.time("tries", several)
    return min(watch.seen[clock]["tries"]) / calls
