"""How a network is looked at, as data (`View`), and how its weights are drawn: initialisation, inputs, BatchNorm
mode, precision, minibatches, repeats.

Every random number of an architecture comes from its own generator, seeded by a hash of (seed, the canonical string of
its equivalence class, what for). So a score depends on the architecture, the settings and the seed alone, not on the
stack it was in, the order of work or the global generator.

PyTorch is imported by the functions that need it: what a view is can be told without.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class View:
    """Two proxies with equal views share the network, its weights, the inputs and every pass."""

    init: str = "default"
    """A key of harness.view.INITIALISATIONS; `harness.score` keeps the given weights where this is "default"."""
    inputs: str = "minibatch"
    """"minibatch" (the run's), "gaussian" noise of the same shape, or "ones" (one image)."""
    batchnorm: str = "train"
    """"train" (statistics of the minibatch), "one" (of each sample by itself, as in batches of one), "eval" (running
    statistics) or "off" (BatchNorm is the identity)."""
    precision: str = "float32"
    """Or "float64"; "tf32" and "bfloat16" are modes of a run (harness.precision)."""
    batch_size: int | None = None
    """Samples of noise or ones, or the first so many of the minibatch; None is the run's minibatch size."""
    minibatches: int = field(default=1, compare=False)
    """How many minibatches the proxy needs; does not make another view, the others just do not look at the rest."""
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


def _default(flat: Tensor, generator: torch.Generator) -> None:
    flat.uniform_(-1.0, 1.0, generator=generator)


def _normal(flat: Tensor, generator: torch.Generator) -> None:
    flat.normal_(generator=generator)


INITIALISATIONS: dict[str, tuple[Callable[[Tensor, torch.Generator], None], Callable[[int, int], float], bool]] = {
    # name: (fill a flat tensor, scale from (fan_in, fan_out), whether biases are drawn too)
    "default": (_default, lambda fan_in, fan_out: 1 / math.sqrt(fan_in), True),
    "normal": (_normal, lambda fan_in, fan_out: 1.0, False),
    "kaiming_fan_in": (_normal, lambda fan_in, fan_out: math.sqrt(2 / fan_in), False),
    "kaiming_fan_out": (_normal, lambda fan_in, fan_out: math.sqrt(2 / fan_out), False),
}
"""`default` is PyTorch's own: U(-b, b), b = 1 / sqrt(fan_in), for weights and biases of Conv2d and Linear.
`normal` is N(0, 1); `kaiming_*` is N(0, 2 / fan); all three set biases to zero. BatchNorm is always weight 1, bias
0."""


def weighted_layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers of a network, in module order, each once."""
    from torch import nn

    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def owners_of(module: nn.Module) -> tuple[int, ...]:
    """Return the positions in the stack a layer belongs to; an ordinary layer belongs to the only architecture."""
    return getattr(module, "owners", (0,))


@lru_cache(maxsize=1024)
def places(owners: tuple[int, ...], device: torch.device) -> Tensor:
    """Return positions in the stack as an index on the device, made once: a GPU waits for each tensor it is sent."""
    import torch

    return torch.tensor(owners, device=device)


def initialise(network: nn.Module, generators: Sequence[torch.Generator], scheme: str = "default") -> None:
    """Draw the weights of every architecture of a stack from its own generator; BatchNorm returns to its defaults.

    `generators` has one for each position in the stack. An architecture gets the same weights in any stack.
    """
    import torch
    from torch import nn

    fill, scale, biases = INITIALISATIONS[scheme]
    layers = weighted_layers(network)
    slices: list[list[tuple[Tensor, float]]] = [[] for _ in generators]
    for layer in layers:
        owners = owners_of(layer)
        weight = layer.weight.detach().unflatten(0, (len(owners), -1))  # (owners, out, in, kernel, kernel)
        fan_in, fan_out = weight[0, 0].numel(), weight.shape[1] * weight[0, 0, 0].numel()
        bias = None if layer.bias is None else layer.bias.detach().unflatten(0, (len(owners), -1))
        if bias is not None and not biases:
            bias.zero_()
        for row, owner in enumerate(owners):
            slices[owner].append((weight[row], scale(fan_in, fan_out)))
            if bias is not None and biases:
                slices[owner].append((bias[row], scale(fan_in, fan_out)))
    for parts, generator in zip(slices, generators, strict=True):
        flat = torch.empty(sum(part.numel() for part, _ in parts))
        fill(flat, generator)
        for (part, factor), values in zip(parts, flat.split([part.numel() for part, _ in parts]), strict=True):
            part.copy_(values.view(part.shape).mul_(factor))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.reset_running_stats()
                if module.affine:
                    module.weight.fill_(1)
                    module.bias.zero_()
