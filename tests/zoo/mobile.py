"""Small networks for small devices, mixers, and networks of other inputs, at tiny widths."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from zoo.convolutional import CLASSES, SE, Head, conv_bn


class InvertedResidual(nn.Module):
    def __init__(self, inside, outside, stride, act, se=None):
        super().__init__()
        hidden = 2 * inside
        self.conv = nn.Sequential(
            conv_bn(inside, hidden, 1, act=act), conv_bn(hidden, hidden, 3, stride, hidden, act=act),
            *([se(hidden)] if se else []), conv_bn(hidden, outside, 1, act=None),
        )  # fmt: skip
        self.shortcut = stride == 1 and inside == outside

    def forward(self, x):
        return x + self.conv(x) if self.shortcut else self.conv(x)


class StochasticDepth(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        return x * torch.empty(x.shape[0], 1, 1, 1).bernoulli_(0.8).div_(0.8)


def mobile(act, se=None, last=nn.Identity):
    return nn.Sequential(
        conv_bn(3, 8, 3, 2, act=act), InvertedResidual(8, 8, 1, act, se), InvertedResidual(8, 12, 2, act, se),
        conv_bn(12, 16, 1, act=act), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last(), nn.Dropout(0.2),
        nn.Linear(16, CLASSES),
    )  # fmt: skip


def efficientnet():
    network = mobile(nn.SiLU, lambda width: SE(width, nn.SiLU))
    network.insert(2, StochasticDepth())
    return network


class ShuffleUnit(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            conv_bn(half, half, 1), conv_bn(half, half, 3, 1, half, act=None), conv_bn(half, half, 1)
        )

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        out = torch.cat((left, self.branch(right)), dim=1)
        batch, channels, height, width = out.size()
        out = out.view(batch, 2, channels // 2, height, width)
        return torch.transpose(out, 1, 2).contiguous().view(batch, -1, height, width)


class Ghost(nn.Module):
    def __init__(self, inside, outside):
        super().__init__()
        self.primary, self.cheap = conv_bn(inside, outside // 2, 1), conv_bn(outside // 2, outside // 2, 3, 1, 4)

    def forward(self, x):
        x = self.primary(x)
        return torch.cat([x, self.cheap(x)], dim=1)


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) + x


def convmixer():
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), nn.GELU(), nn.BatchNorm2d(8),
        Residual(nn.Sequential(nn.Conv2d(8, 8, 3, groups=8, padding="same"), nn.GELU(), nn.BatchNorm2d(8))),
        nn.Conv2d(8, 8, 1), nn.GELU(), nn.BatchNorm2d(8), Head(8),
    )  # fmt: skip


class MixerBlock(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x):
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Affine(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.alpha, self.beta = nn.Parameter(torch.ones(1, 1, width)), nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x):
        return torch.addcmul(self.beta, self.alpha, x)


class ResMLPBlock(nn.Module):
    def __init__(self, tokens, width):
        super().__init__()
        self.norm1, self.norm2, self.linear = Affine(width), Affine(width), nn.Linear(tokens, tokens)
        self.fc1, self.fc2 = nn.Linear(width, 16), nn.Linear(16, width)
        self.gamma = nn.Parameter(0.1 * torch.ones(width))

    def forward(self, x):
        x = x + self.gamma * self.linear(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.gamma * self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Patched(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.embed, self.blocks = nn.Conv2d(3, 12, 4, 4), nn.Sequential(block(16, 12), block(16, 12))
        self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.blocks(self.embed(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(dim=1))


class PoolFormerBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2, self.pool = nn.GroupNorm(1, width), nn.GroupNorm(1, width), nn.AvgPool2d(3, 1, 1)
        self.fc1, self.act, self.fc2 = nn.Conv2d(width, 16, 1), nn.GELU(), nn.Conv2d(16, width, 1)
        self.scale = nn.Parameter(1e-1 * torch.ones(width))

    def forward(self, x):
        scale = self.scale.unsqueeze(-1).unsqueeze(-1)
        y = self.norm1(x)
        x = x + scale * (self.pool(y) - y)
        return x + scale * self.fc2(self.act(self.fc1(self.norm2(x))))


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dwconv, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width, eps=1e-6)
        self.pwconv1, self.act, self.pwconv2 = nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width)
        self.gamma = nn.Parameter(1e-1 * torch.ones(width))

    def forward(self, x):
        y = self.dwconv(x).permute(0, 2, 3, 1)
        y = self.gamma * self.pwconv2(self.act(self.pwconv1(self.norm(y))))
        return x + y.permute(0, 3, 1, 2)


def convnext():
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8), ConvNeXtBlock(8), LayerNorm2d(8), nn.Conv2d(8, 12, 2, 2),
        ConvNeXtBlock(12), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.LayerNorm(12), nn.Linear(12, CLASSES),
    )  # fmt: skip


NETWORKS = {
    "mobilenet_v1": lambda: nn.Sequential(conv_bn(3, 8), conv_bn(8, 8, 3, 2, 8), conv_bn(8, 12, 1), Head(12)),
    "mobilenet_v2": lambda: mobile(nn.ReLU6),
    "mobilenet_v3": lambda: mobile(nn.Hardswish, lambda width: SE(width, gate=nn.Hardsigmoid), nn.Hardswish),
    "mnasnet": lambda: mobile(nn.ReLU), "efficientnet": efficientnet,
    "shufflenet_v2": lambda: nn.Sequential(conv_bn(3, 8), ShuffleUnit(8), ShuffleUnit(8), Head(8)),
    "ghostnet": lambda: nn.Sequential(conv_bn(3, 8), Ghost(8, 16), Ghost(16, 16), Head(16)),
    "convmixer": convmixer, "mlp_mixer": lambda: Patched(MixerBlock), "resmlp": lambda: Patched(ResMLPBlock),
    "poolformer": lambda: nn.Sequential(nn.Conv2d(3, 8, 4, 4), PoolFormerBlock(8), PoolFormerBlock(8), Head(8)),
    "convnext": convnext,
}  # fmt: skip
