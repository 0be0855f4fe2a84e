"""Networks and minibatches the tests score: plain PyTorch, written out, independent of the code under test."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def minibatch(
    samples: int = 12, *, side: int = 8, channels: int = 3, classes: int = 5, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Inputs N(0, 1) (samples, channels, side, side); every class at least twice where samples allow."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, channels, side, side, generator=generator)
    return inputs, torch.arange(samples) % classes


class Body(nn.Module):
    """One in-place ReLU used four times, one whose result is thrown away, a grouped convolution, one used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.grouped = nn.Conv2d(6, 6, 3, padding=1, groups=3, bias=False)
        self.second_norm = nn.BatchNorm2d(6)
        self.twice = nn.Conv2d(6, 6, 1)
        self.loose = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.first(x)))
        self.loose(x - 0.1)
        y = self.relu(self.second_norm(self.grouped(x)))
        return self.relu(x + self.twice(self.relu(self.twice(y))))


class Small(nn.Module):
    """An ordinary network for 3 x 8 x 8 inputs and five classes; a linear layer on the flattened map."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.body = Body()
        self.hidden = nn.Linear(6 * 4 * 4, 12)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Linear(12, 5)
        draw(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        pooled = functional.avg_pool2d(self.body(x), 2).flatten(1)
        return self.classifier(self.relu(self.hidden(pooled)))


SMALL_PARAMS = (3 * 6 * 9 + 6) + 12 + 6 * 2 * 9 + 12 + (36 + 6) + (96 * 12 + 12) + (12 * 5 + 5)
SMALL_FLOPS = 64 * 6 * (3 * 9 + 1) + 64 * (6 * 2 * 9) + 2 * 64 * 6 * (6 + 1) + 96 * 12 + 12 + 12 * 5 + 5
SMALL_TENSORS = 2 + 2 + 1 + 2 + 2 + 2 + 2


class Bare(nn.Module):
    """Without BatchNorm; ReLU in place right behind convolutions with bias."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 8, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Linear(8, 5)
        draw(self, seed)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean((2, 3)))


def everything_of(model: nn.Module) -> dict:
    """All state a caller could notice: tensors, gradients, modes, hooks, flags, attributes."""
    state = {f"state {k}": v.clone() for k, v in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        state[f"grad {name}"] = None if parameter.grad is None else parameter.grad.clone()
        state[f"requires_grad {name}"] = parameter.requires_grad
        state[f"hooks {name}"] = len(parameter._backward_hooks or ())
        state[f"identity {name}"] = id(parameter)
    for name, module in model.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        state[f"module {name}"] = (
            type(module),
            module.training,
            *(len(h) for h in hooks),
            getattr(module, "inplace", None),
        )
        state[f"attributes {name}"] = sorted(vars(module))
    return state


@torch.no_grad()
def draw(model: nn.Module, seed: int) -> nn.Module:
    """Weights of no special size: normal, BatchNorm away from its defaults so that its weight and bias matter."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.copy_(1 + 0.3 * noise if "norm.weight" in name else 0.3 * noise)
    return model


# NAS-Bench-201 as its authors describe it, one architecture at a time


def operations(arch: str) -> list[str]:
    """Six operation names in the order of EDGES."""
    return [token.split("~")[0] for node in arch.split("+") for token in node.strip("|").split("|")]


class ReluConvBn(nn.Sequential):
    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1) -> None:
        padding = {1: 0, 3: 1}[kernel]
        super().__init__(
            nn.ReLU(), nn.Conv2d(inside, outside, kernel, stride, padding, bias=False), nn.BatchNorm2d(outside)
        )


class Zero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


class ReferenceCell(nn.Module):
    """Every node is the sum of its incoming edges, literally: zeros are computed too."""

    def __init__(self, arch: str, width: int) -> None:
        super().__init__()
        make = {
            "none": Zero,
            "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: ReluConvBn(width, width, 1),
            "nor_conv_3x3": lambda: ReluConvBn(width, width, 3),
            "avg_pool_3x3": lambda: nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
        }
        self.edges = nn.ModuleDict(
            {f"{a}>{b}": make[name]() for (a, b), name in zip(EDGES, operations(arch), strict=True)}
        )

    def forward(self, x: Tensor) -> Tensor:
        node = [x]
        for target in (1, 2, 3):
            node.append(sum(self.edges[f"{source}>{target}"](node[source]) for source in range(target)))
        return node[3]


class ReferenceReduction(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv_a = ReluConvBn(inside, outside, 3, stride=2)
        self.conv_b = ReluConvBn(outside, outside, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(inside, outside, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv_b(self.conv_a(x))


class Reference201(nn.Module):
    def __init__(
        self, arch: str, *, channels: int = 16, cells: int = 5, classes: int = 10, input_channels: int = 3
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(input_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        body: list[nn.Module] = []
        for width, before in ((channels, None), (2 * channels, channels), (4 * channels, 2 * channels)):
            if before:
                body.append(ReferenceReduction(before, width))
            body += [ReferenceCell(arch, width) for _ in range(cells)]
        self.body = nn.Sequential(*body)
        self.last = nn.Sequential(nn.BatchNorm2d(4 * channels), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(4 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.last(self.body(self.stem(x)))).flatten(1))


@torch.no_grad()
def copy_from_stack(stack: nn.Module, position: int, reference: Reference201) -> Reference201:
    """Give a reference network the weights that architecture `position` has in a `Network201` stack."""

    def take(layer: nn.Module, to: nn.Module) -> None:
        row, k = layer.owners.index(position), len(layer.owners)
        for name, tensor in to.state_dict().items():
            source = layer.state_dict()[name]
            tensor.copy_(source if source.dim() == 0 else source.unflatten(0, (k, -1))[row])

    def take_all(ours: Sequence[nn.Module], theirs: Sequence[nn.Module]) -> None:
        for layer, to in zip(ours, theirs, strict=True):
            if list(to.parameters(recurse=False)):
                take(layer, to)

    take_all(list(stack.stem), list(reference.stem))
    for ours, theirs in zip(stack.body, reference.body, strict=True):
        if isinstance(theirs, ReferenceReduction):
            for name, other in (("conv_a", "conv_a"), ("conv_b", "conv_b"), ("downsample", "shortcut")):
                take_all(list(getattr(ours, name)), list(getattr(theirs, other)))
            continue
        for edge, (source, target) in zip(ours.edges, ours.ends, strict=True):
            to = theirs.edges[f"{source}>{target}"]
            ours_is_one = isinstance(edge.operation, nn.Sequential) and position in edge.operation[1].owners
            if ours_is_one and isinstance(to, ReluConvBn) and edge.operation[1].kernel_size == to[1].kernel_size:
                take_all(list(edge.operation), list(to))
    take(stack.last[0], reference.last[0])
    take(stack.classifier, reference.classifier)
    return reference
