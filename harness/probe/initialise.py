"""Random numbers, and how the weights of a stack are drawn: one scheme a key of `INITIALISATIONS`.

Every random number of an architecture comes from its own generator, seeded by a hash of (seed, the canonical string of
its equivalence class, purpose). So a score depends on the architecture, the settings and the seed alone, not on the
stack it was in, the order of work or the global generator.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from harness.probe.layer_rules import layers_of, reset

INITIALISATIONS: dict[str, Callable[[int, int], float]] = {
    # name: scale from (fan_in, fan_out)
    "default": lambda fan_in, fan_out: 1 / math.sqrt(fan_in),
    "normal": lambda fan_in, fan_out: 1.0,
    "kaiming_fan_in": lambda fan_in, fan_out: math.sqrt(2 / fan_in),
    "kaiming_fan_out": lambda fan_in, fan_out: math.sqrt(2 / fan_out),
}
"""`default` is PyTorch's own: U(-b, b), b = 1 / sqrt(fan_in), for weights and biases of Conv2d and Linear.
`normal` is N(0, 1); `kaiming_*` is N(0, 2 / fan); all three set biases to zero. BatchNorm is always weight 1, bias
0."""


THREADS = 8
"""Threads that draw for a GPU."""


def stream(seed: int, name: str, purpose: str) -> torch.Generator:
    """Return the CPU generator of an architecture (`name`: canonical string of its class) for one purpose."""
    digest = hashlib.sha256(f"{seed}\x1f{name}\x1f{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def fixed_draw(count: int, what: str) -> torch.Generator:
    """Return a generator that depends on the seed at work and on a width alone, so the same for all architectures."""
    return stream(torch.initial_seed(), str(count), what)


def initialise(
    network: nn.Module, generators: Sequence[torch.Generator], scheme: str = "default", drawn: Tensor | None = None
) -> Tensor:
    """Draw the weights of every architecture of a stack from its own generator; BatchNorm returns to its defaults.

    `generators` has one for each position in the stack. An architecture gets the same weights in any stack. Returns the
    numbers, one architecture after the other: another network of these architectures gets the same weights from
    `drawn`, without drawing.
    """
    slices = _slices(network, len(generators), scheme)
    sizes = [[part.numel() for part, _ in parts] for parts in slices]
    if drawn is None:
        drawn = _draw([sum(each) for each in sizes], generators, scheme, next(network.parameters()).device)
        pieces = drawn.split([size for each in sizes for size in each])
        torch._foreach_mul_(pieces, [factor for parts in slices for _, factor in parts])
    pieces = drawn.split([size for each in sizes for size in each])
    targets = [part for parts in slices for part, _ in parts]
    torch._foreach_copy_(targets, [piece.view_as(part) for piece, part in zip(pieces, targets, strict=True)])
    reset(network)
    return drawn


def _slices(network: nn.Module, archs: int, scheme: str) -> list[list[tuple[Tensor, float]]]:
    """Return for each architecture its part of every tensor that is drawn, in the order of layers, and its scale."""
    scale, uniform = INITIALISATIONS[scheme], scheme == "default"
    slices: list[list[tuple[Tensor, float]]] = [[] for _ in range(archs)]
    for layer in layers_of(network):
        weight = layer.weight.unflatten(0, (len(layer.owners), -1))  # (owners, out, in, kernel, kernel)
        fan_in, fan_out = weight[0, 0].numel(), weight.shape[1] * weight[0, 0, 0].numel()
        tensors = [weight]
        if layer.bias is not None and uniform:
            tensors.append(layer.bias.detach().unflatten(0, (len(layer.owners), -1)))
        elif layer.bias is not None:
            layer.bias.detach().zero_()
        for owner, *parts in zip(layer.owners, *(tensor.unbind(0) for tensor in tensors), strict=True):
            slices[owner] += [(part, scale(fan_in, fan_out)) for part in parts]
    return slices


def _draw(
    counts: Sequence[int], generators: Sequence[torch.Generator], scheme: str, device: torch.device
) -> Tensor:  # fmt: skip
    """Return so many numbers of each generator, one after the other, on the device.

    A GPU would wait for the CPU, which draws them: threads share that, and all of it is sent at once.
    """
    cuda = device.type == "cuda"
    numbers = torch.empty(sum(counts), pin_memory=cuda)

    def fill(part: Tensor, generator: torch.Generator) -> None:
        if scheme == "default":
            part.uniform_(-1.0, 1.0, generator=generator)
        else:
            part.normal_(generator=generator)

    with ThreadPoolExecutor(THREADS if cuda else 1) as threads:
        list(threads.map(fill, numbers.split(list(counts)), generators))
    return numbers.to(device, non_blocking=True)
