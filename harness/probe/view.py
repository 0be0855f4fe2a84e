"""How a network is looked at, as data (`View`), and how its weights are drawn: initialisation, inputs, BatchNorm
mode, precision, minibatches, repeats.

Every random number of an architecture comes from its own generator, seeded by a hash of (seed, the canonical string of
its equivalence class, purpose). So a score depends on the architecture, the settings and the seed alone, not on the
stack it was in, the order of work or the global generator.

PyTorch is imported by the functions that need it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class View:
    """Two proxies with equal views share the network, its weights, the inputs and every pass."""

    init: str = "default"
    """A key of harness.probe.initialise.INITIALISATIONS; "default" keeps a module's own weights in `harness.score`."""
    inputs: str = "minibatch"
    """"minibatch" (the run's), "gaussian" noise of the same shape, or "ones" (one image)."""
    batchnorm: str = "train"
    """"train" (statistics of the minibatch), "one" (of each sample alone, as in batches of one), "eval" (running
    statistics) or "off" (BatchNorm is the identity)."""
    precision: str = "float32"
    """Or "float64"; "tf32" and "bfloat16" are modes of a run (harness.probe.precision)."""
    batch_size: int | None = None
    """Samples of noise or ones, or the first so many of the minibatch; None is the run's minibatch size."""
    minibatches: int = field(default=1, compare=False)
    """How many minibatches the proxy needs; does not make another view, as the other proxies leave the rest alone."""
    repeats: int = 1
    """Scores are the mean over this many draws of weights and noise."""
    objective: str = "loss"
    """What is differentiated: the cross-entropy "loss", or the "sum" of all outputs."""
    absolute_weights: bool = False
    """Every weight and bias replaced by its absolute value."""


DEFAULT = View()
"""One real minibatch, PyTorch's default initialisation, training-mode BatchNorm, float32."""


def stream(seed: int, name: str, purpose: str) -> torch.Generator:
    """Return the CPU generator of an architecture (`name`: canonical string of its class) for one purpose."""
    import torch

    digest = hashlib.sha256(f"{seed}\x1f{name}\x1f{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def fixed_draw(count: int, what: str) -> torch.Generator:
    """Return a generator that depends on the seed at work and on a width alone, so the same for all architectures."""
    import torch

    return stream(torch.initial_seed(), str(count), what)


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Start PyTorch's global generators (CPU and device) from a seed; behind the block they are as before."""
    import torch

    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every other device too, for good
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield
