"""Convolutional networks as the model zoos write them, at tiny widths: name -> a function that builds one."""

from __future__ import annotations

from collections import namedtuple

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 6


def conv_bn(inside, outside, kernel=3, stride=1, groups=1, act=nn.ReLU):
    layers = [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False)]
    layers += [nn.BatchNorm2d(outside)] + ([act(inplace=True)] if act else [])
    return nn.Sequential(*layers)


class Head(nn.Sequential):
    def __init__(self, width, classes=CLASSES):
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class VGG(nn.Module):
    def __init__(self, bn):
        super().__init__()
        layers, before = [], 3
        for width in (8, 8, "M", 12, 12, "M"):
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(before, width, 3, padding=1), *([nn.BatchNorm2d(width)] * bn), nn.ReLU(inplace=True)]
            before = width
        self.features, self.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(48, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 16), nn.ReLU(True), nn.Dropout(),
            nn.Linear(16, CLASSES),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(),
        nn.Linear(48, 16), nn.ReLU(inplace=True), nn.Linear(16, CLASSES),
    )  # fmt: skip


class SE(nn.Module):
    def __init__(self, width, act=nn.ReLU, gate=nn.Sigmoid):
        super().__init__()
        self.fc1, self.fc2, self.act, self.gate = nn.Conv2d(width, 4, 1), nn.Conv2d(4, width, 1), act(), gate()

    def forward(self, x):
        return x * self.gate(self.fc2(self.act(self.fc1(F.adaptive_avg_pool2d(x, 1)))))


class Bottleneck(nn.Module):
    """ResNet's, with the variations of its family."""

    def __init__(self, inside, outside, stride=1, groups=1, se=False, scales=1):
        super().__init__()
        self.conv1, self.scales = conv_bn(inside, outside, 1), scales
        if scales > 1:
            self.convs = nn.ModuleList(conv_bn(outside // scales, outside // scales) for _ in range(scales - 1))
        else:
            self.conv2 = conv_bn(outside, outside, 3, stride, groups)
        self.conv3 = conv_bn(outside, outside, 1, act=None)
        self.se = SE(outside) if se else nn.Identity()
        same = stride == 1 and inside == outside
        self.downsample = None if same else conv_bn(inside, outside, 1, stride, act=None)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        identity, out = x, self.conv1(x)
        if self.scales > 1:
            parts, last = [], 0
            for part, conv in zip(out.chunk(self.scales, 1), [*self.convs, None], strict=True):
                last = part if conv is None else conv(part + last)
                parts.append(last)
            out = torch.cat(parts, 1)
        else:
            out = self.conv2(out)
        out = self.se(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


def resnet(width=8, **kind):
    strides = (1, 1) if kind.get("scales", 1) > 1 else (1, 2)
    return nn.Sequential(
        conv_bn(3, width, 3), nn.MaxPool2d(3, 2, 1), Bottleneck(width, width, strides[0], **kind),
        Bottleneck(width, 2 * width, strides[1], **kind), Head(2 * width),
    )  # fmt: skip


class PreAct(nn.Module):
    """ResNet v2: the shortcut is what the first activation wrote in place."""

    def __init__(self, width):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(width), nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.relu(self.bn1(x))
        return self.conv2(self.relu(self.bn2(self.conv1(x)))) + x


class StdConv(nn.Conv2d):
    def forward(self, x):
        w = self.weight
        var, mean = torch.var_mean(w, dim=[1, 2, 3], keepdim=True, unbiased=False)
        return F.conv2d(x, (w - mean) / torch.sqrt(var + 1e-10), self.bias, self.stride, self.padding)


class BiTBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(4, width), StdConv(width, width, 3, padding=1, bias=False)

    def forward(self, x):
        return x + self.conv(F.relu(self.norm(x), inplace=True))


class NFBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv, self.gain = StdConv(width, width, 3, padding=1), nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        return x + 0.2 * self.gain * self.conv(F.gelu(x) * 1.7)


class DenseLayer(nn.Module):
    def __init__(self, inside, growth=4):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, 8, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(8), nn.Conv2d(8, growth, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, *features):
        out = self.conv1(self.relu(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu(self.norm2(out)))


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = conv_bn(3, 8)
        self.layers = nn.ModuleList(DenseLayer(8 + 4 * i) for i in range(3))
        self.norm, self.classifier = nn.BatchNorm2d(20), nn.Linear(20, CLASSES)

    def forward(self, x):
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(*features))
        out = F.relu(self.norm(torch.cat(features, 1)), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(out, (1, 1)), 1))


class Inception(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.branch1 = conv_bn(inside, 4, 1)
        self.branch2 = nn.Sequential(conv_bn(inside, 4, 1), conv_bn(4, 6, 3))
        self.branch3 = nn.Sequential(conv_bn(inside, 2, 1), conv_bn(2, 4, 5))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv_bn(inside, 4, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


Outputs = namedtuple("Outputs", ["logits", "aux"])


class GoogLeNet(nn.Module):
    """Auxiliary logits in training mode."""

    def __init__(self):
        super().__init__()
        self.stem, self.a, self.b = conv_bn(3, 8, 3, 2), Inception(8), Inception(18)
        self.aux, self.fc = Head(18), Head(18)

    def forward(self, x):
        x = self.a(self.stem(x))
        return Outputs(self.fc(self.b(x)), self.aux(x)) if self.training else self.fc(self.b(x))


class Fire(nn.Module):
    def __init__(self, inside, squeeze, expand):
        super().__init__()
        self.squeeze, self.relu = nn.Conv2d(inside, squeeze, 1), nn.ReLU(inplace=True)
        self.left, self.right = nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x):
        x = self.relu(self.squeeze(x))
        return torch.cat([self.relu(self.left(x)), self.relu(self.right(x))], 1)


def squeezenet():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(inplace=True), Fire(8, 4, 6), Fire(12, 4, 6), nn.Dropout(),
        nn.Conv2d(12, CLASSES, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def separable(inside, outside, stride=1):
    return nn.Sequential(
        nn.ReLU(inplace=False), nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
        nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside),
    )  # fmt: skip


class SplitAttentionConv(nn.Module):
    """ResNeSt's."""

    def __init__(self, width, radix=2):
        super().__init__()
        self.radix, self.conv = radix, conv_bn(width, width * radix, groups=radix)
        self.fc1, self.bn, self.fc2 = nn.Conv2d(width, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, width * radix, 1)

    def forward(self, x):
        batch = x.shape[0]
        parts = torch.split(self.conv(x), x.shape[1], dim=1)
        gap = F.adaptive_avg_pool2d(sum(parts), 1)
        atten = self.fc2(F.relu(self.bn(self.fc1(gap)), inplace=True)).view(batch, self.radix, -1)
        atten = F.softmax(atten, dim=1).reshape(batch, -1, 1, 1)
        return sum(a * p for a, p in zip(torch.split(atten, x.shape[1], dim=1), parts, strict=True))


class RepVGGBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dense, self.point = conv_bn(width, width, 3, act=None), conv_bn(width, width, 1, act=None)
        self.identity, self.act = nn.BatchNorm2d(width), nn.ReLU()

    def forward(self, x):
        return self.act(self.dense(x) + self.point(x) + self.identity(x))


class CSPStage(nn.Module):
    def __init__(self, width):
        super().__init__()
        leaky = lambda inplace: nn.LeakyReLU(0.1, inplace)  # noqa: E731
        self.split = conv_bn(width, width, 1, act=leaky)
        self.blocks = nn.Sequential(conv_bn(width // 2, width // 2, act=leaky))
        self.merge = conv_bn(width, width, 1, act=leaky)

    def forward(self, x):
        left, right = self.split(x).chunk(2, 1)
        return self.merge(torch.cat([left, self.blocks(right).contiguous()], 1))


class DLATree(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.left, self.right = Bottleneck(width, width), Bottleneck(width, width)
        self.root = conv_bn(2 * width, width, 1)

    def forward(self, x):
        a = self.left(x)
        return self.root(torch.cat([self.right(a), a], 1))


class HRNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.high, self.down = conv_bn(3, 8), conv_bn(8, 8), conv_bn(8, 12, 3, 2)
        self.low, self.up = conv_bn(12, 12), conv_bn(12, 8, 1, act=None)
        self.relu, self.head = nn.ReLU(inplace=False), Head(8)

    def forward(self, x):
        high = self.stem(x)
        low = self.low(self.down(high))
        up = F.interpolate(self.up(low), size=high.shape[-2:], mode="bilinear", align_corners=False)
        return self.head(self.relu(self.high(high) + up))


class UNet(nn.Module):
    """Encoder and decoder with transposed convolutions, and a classifier behind."""

    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.pool = conv_bn(3, 8), conv_bn(8, 12), nn.MaxPool2d(2)
        self.up, self.merge, self.head = nn.ConvTranspose2d(12, 8, 2, stride=2), conv_bn(16, 8), Head(8)

    def forward(self, x):
        a = self.down1(x)
        return self.head(self.merge(torch.cat([a, self.up(self.down2(self.pool(a)))], 1)))


def chain(*layers, width=8):
    return nn.Sequential(conv_bn(3, 8), *layers, Head(width))


NETWORKS = {
    "alexnet": alexnet, "vgg": lambda: VGG(False), "vgg_bn": lambda: VGG(True), "resnet": resnet,
    "wide_resnet": lambda: resnet(16), "resnext": lambda: resnet(groups=4), "senet": lambda: resnet(se=True),
    "regnet_y": lambda: resnet(groups=2, se=True), "res2net": lambda: resnet(scales=4),
    "preact_resnet": lambda: chain(PreAct(8), PreAct(8)),
    "bit": lambda: nn.Sequential(StdConv(3, 8, 3), BiTBlock(8), BiTBlock(8), nn.GroupNorm(4, 8), nn.ReLU(), Head(8)),
    "nfnet": lambda: nn.Sequential(StdConv(3, 8, 3), NFBlock(8), NFBlock(8), nn.GELU(), Head(8)),
    "densenet": DenseNet, "googlenet": GoogLeNet, "inception": lambda: chain(Inception(8), Inception(18), width=18),
    "squeezenet": squeezenet, "xception": lambda: chain(separable(8, 12, 2), separable(12, 12), width=12),
    "resnest": lambda: chain(SplitAttentionConv(8)), "repvgg": lambda: chain(RepVGGBlock(8), RepVGGBlock(8)),
    "cspnet": lambda: chain(CSPStage(8)), "dla": lambda: chain(DLATree(8)), "hrnet": HRNet, "unet": UNet,
    "group_norm": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU(True), nn.Conv2d(8, 8, 3), nn.InstanceNorm2d(8, affine=True),
        nn.ReLU(True), Head(8),
    ),
}  # fmt: skip
