"""How the weights of a stack are drawn: one scheme a key of `INITIALISATIONS`, one generator an architecture."""

import math
from collections.abc import Callable, Sequence

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


def initialise(network: nn.Module, generators: Sequence[torch.Generator], scheme: str = "default") -> None:
    """Draw the weights of every architecture of a stack from its own generator; BatchNorm returns to its defaults.

    `generators` has one for each position in the stack. An architecture gets the same weights in any stack.
    """
    scale, uniform = INITIALISATIONS[scheme], scheme == "default"
    slices: list[list[tuple[Tensor, float]]] = [[] for _ in generators]
    for layer in layers_of(network):
        weight = layer.weight.unflatten(0, (len(layer.owners), -1))  # (owners, out, in, kernel, kernel)
        fan_in, fan_out = weight[0, 0].numel(), weight.shape[1] * weight[0, 0, 0].numel()
        bias = None if layer.bias is None else layer.bias.detach().unflatten(0, (len(layer.owners), -1))
        if bias is not None and not uniform:
            bias.zero_()
        for row, owner in enumerate(layer.owners):
            slices[owner].append((weight[row], scale(fan_in, fan_out)))
            if bias is not None and uniform:
                slices[owner].append((bias[row], scale(fan_in, fan_out)))
    for parts, generator in zip(slices, generators, strict=True):
        flat = torch.empty(sum(part.numel() for part, _ in parts))
        flat = flat.uniform_(-1.0, 1.0, generator=generator) if uniform else flat.normal_(generator=generator)
        for (part, factor), values in zip(parts, flat.split([part.numel() for part, _ in parts]), strict=True):
            part.copy_(values.view(part.shape).mul_(factor))
    reset(network)
