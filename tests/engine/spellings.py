"""The same function with the same weights, written two ways: name -> a module, what makes the other of it, inputs."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SEQUENCES = torch.randn(8, 3, 16, generator=torch.Generator().manual_seed(0))


class Packed(nn.Module):
    """Attention by `nn.MultiheadAttention`."""

    def __init__(self, d=8):
        super().__init__()
        self.patch = nn.Conv2d(3, d, 2, 2)
        self.attention, self.norm = nn.MultiheadAttention(d, 2, batch_first=True), nn.LayerNorm(d)
        self.hidden, self.fc = nn.Linear(d, 12), nn.Linear(12, 5)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.fc(F.relu(self.hidden(x)).mean(1))


class Split(nn.Module):
    """The same with a linear layer for each projection."""

    def __init__(self, packed, fused):
        super().__init__()
        d = packed.fc.in_features - 4
        self.patch, self.fused = packed.patch, fused
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        self.norm, self.hidden, self.fc = packed.norm, packed.hidden, packed.fc
        weights, biases = packed.attention.in_proj_weight.chunk(3), packed.attention.in_proj_bias.chunk(3)
        for layer, weight, bias in zip((self.q, self.k, self.v), weights, biases, strict=True):
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)
        self.o.load_state_dict(packed.attention.out_proj.state_dict())

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        y = self.norm(x)
        q, k, v = (layer(y).unflatten(2, (2, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        if self.fused:
            out = F.scaled_dot_product_attention(q, k, v)
        else:
            out = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, -1) @ v
        x = x + self.o(out.transpose(1, 2).flatten(2))
        return self.fc(self.hidden(x).relu().mean(1))


def network():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.BatchNorm2d(8),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


class Functional(nn.Module):
    """`network` as forward code, its ReLUs as functions, methods, clamps, or in place."""

    def __init__(self, layers, relu):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2, self.fc = (layers[i] for i in (0, 1, 3, 4, 8))
        self.relu = relu

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.fc(x.mean((2, 3)))


RELUS = {
    "F.relu": F.relu, "torch.relu": torch.relu, "method": lambda x: x.relu(), "method in place": lambda x: x.relu_(),
    "F.relu in place": lambda x: F.relu(x, inplace=True), "clamp": lambda x: x.clamp(min=0),
    "maximum": lambda x: torch.maximum(x, torch.zeros(())), "module in place": nn.ReLU(inplace=True),
}  # fmt: skip


def gelu_network():
    return nn.Sequential(nn.Conv2d(3, 6, 3), nn.GELU(), nn.Flatten(), nn.Linear(216, 12), nn.SiLU(), nn.Linear(12, 5))


class GELUs(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.a, self.b, self.c = layers[0], layers[3], layers[5]

    def forward(self, x):
        return self.c(F.silu(self.b(F.gelu(self.a(x)).flatten(1)), inplace=True))


class ByPosition(nn.Module):
    """1 x 1 convolutions on a column of positions."""

    def __init__(self, linear=None):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, (8, 1)) if linear is None else linear.stem
        if linear is None:
            self.a, self.b = nn.Conv2d(8, 12, 1), nn.Conv2d(12, 8, 1)
        else:
            self.a, self.b = nn.Linear(8, 12), nn.Linear(12, 8)
            for ours, theirs in ((self.a, linear.a), (self.b, linear.b)):
                ours.weight.data.copy_(theirs.weight.flatten(1))
                ours.bias.data.copy_(theirs.bias)
        self.fc = nn.Linear(8, 5) if linear is None else linear.fc

    def forward(self, x):
        x = self.stem(x)
        if isinstance(self.a, nn.Conv2d):
            return self.fc(self.b(F.relu(self.a(x))).mean((2, 3)))
        return self.fc(self.b(F.relu(self.a(x.permute(0, 2, 3, 1)))).mean((1, 2)))


def conv_head():
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(6, 8, 1), nn.ReLU(), nn.Conv2d(8, 5, 1),
        nn.Flatten(),
    )  # fmt: skip


def linear_head(model):
    a, b = nn.Linear(6, 8), nn.Linear(8, 5)
    for ours, theirs in ((a, model[3]), (b, model[5])):
        ours.weight.data.copy_(theirs.weight.flatten(1))
        ours.bias.data.copy_(theirs.bias)
    return nn.Sequential(model[0], nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), a, nn.ReLU(), b)


def conv1d():
    return nn.Sequential(
        nn.Conv1d(3, 6, 5, padding=2, stride=2), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 8, 3, dilation=2),
        nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def of_height_one(model):
    a, b = nn.Conv2d(3, 6, (1, 5), padding=(0, 2), stride=(1, 2)), nn.Conv2d(6, 8, (1, 3), dilation=(1, 2))
    for ours, theirs in ((a, model[0]), (b, model[3])):
        ours.weight.data.copy_(theirs.weight.unsqueeze(2))
        ours.bias.data.copy_(theirs.bias)
    norm = nn.BatchNorm2d(6)
    norm.load_state_dict(model[1].state_dict())
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), model[7]]
    return nn.Sequential(nn.Unflatten(2, (1, -1)), a, norm, nn.ReLU(), b, nn.ReLU(), *head)


def normed(make):
    layer = make(nn.Conv2d(3, 6, 3))
    return nn.Sequential(layer, nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5))


def by_value(model):
    model.eval()
    layer = nn.Conv2d(3, 6, 3)
    model(IMAGES)
    layer.weight.data.copy_(model[0].weight)
    layer.bias.data.copy_(model[0].bias)
    return nn.Sequential(layer, *model[1:])


class Rolled(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.rnn, self.fc = kind(16, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


class Cells(nn.Module):
    """The LSTM written by hand."""

    def __init__(self, rolled):
        super().__init__()
        rnn = rolled.rnn
        self.x, self.h, self.fc = nn.Linear(16, 24), nn.Linear(6, 24), rolled.fc
        for layer, word in ((self.x, "ih"), (self.h, "hh")):
            layer.weight.data.copy_(getattr(rnn, f"weight_{word}_l0"))
            layer.bias.data.copy_(getattr(rnn, f"bias_{word}_l0"))

    def forward(self, sequence):
        h = c = sequence.new_zeros(len(sequence), 6)
        through = self.x(sequence)
        for t in range(sequence.shape[1]):
            i, f, g, o = (through[:, t] + self.h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.fc(h)


class Called(nn.Module):
    """Layers by their weights, as torchvision's Swin calls them."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, x):
        flat, a, relu, b = self.layers
        return F.linear(relu(F.linear(flat(x), a.weight, a.bias)), b.weight, b.bias)


PAIRS = {
    "packed and split attention": (Packed, lambda model: Split(copy.deepcopy(model), False), IMAGES),
    "packed and fused attention": (Packed, lambda model: Split(copy.deepcopy(model), True), IMAGES),
    **{
        f"modules and {name}": (network, lambda model, relu=relu: Functional(copy.deepcopy(model), relu), IMAGES)
        for name, relu in RELUS.items()
    },
    "GELU and SiLU": (gelu_network, lambda model: GELUs(copy.deepcopy(model)), IMAGES),
    "1 x 1 convolutions and linear layers": (ByPosition, ByPosition, IMAGES),
    "1 x 1 convolutions and a linear head": (conv_head, lambda model: linear_head(copy.deepcopy(model)), IMAGES),
    "Conv1d and Conv2d of height 1": (conv1d, lambda model: of_height_one(copy.deepcopy(model)), SEQUENCES),
    "weight norm": (lambda: normed(nn.utils.parametrizations.weight_norm), by_value, IMAGES),
    "old weight norm": (lambda: normed(nn.utils.weight_norm), by_value, IMAGES),
    "spectral norm": (lambda: normed(nn.utils.parametrizations.spectral_norm), by_value, IMAGES),
    "LSTM and its cells": (Rolled, lambda model: Cells(copy.deepcopy(model)), SEQUENCES),
    "layers by their weights": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 5)),
        lambda model: Called(copy.deepcopy(model)), IMAGES,
    ),
}  # fmt: skip
