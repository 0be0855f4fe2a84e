"""Transformers and recurrent networks as the model zoos write them, at tiny widths, and networks of other inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.convolutional import CLASSES, Head, conv_bn
from zoo.mobile import InvertedResidual


class Attention(nn.Module):
    """timm's: packed projection, fused attention."""

    def __init__(self, width, heads=2):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    def __init__(self, width=12, scale=None, attention=Attention):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(width), attention(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 24), nn.GELU(), nn.Dropout(0.1), nn.Linear(24, width))
        self.ls1 = nn.Parameter(scale * torch.ones(width)) if scale else 1.0
        self.ls2 = nn.Parameter(scale * torch.ones(width)) if scale else 1.0

    def forward(self, x):
        x = x + self.ls1 * self.attn(self.norm1(x))
        return x + self.ls2 * self.mlp(self.norm2(x))


class ViT(nn.Module):
    def __init__(self, distilled=False, **block):
        super().__init__()
        extra = 1 + distilled
        self.patch_embed = nn.Conv2d(3, 12, 4, 4)
        self.cls_token = nn.Parameter(torch.zeros(1, extra, 12))
        self.pos_embed = nn.Parameter(torch.randn(1, 16 + extra, 12) * 0.02)
        self.blocks, self.norm = nn.Sequential(Block(**block), Block(**block)), nn.LayerNorm(12)
        self.head, self.dist = nn.Linear(12, CLASSES), nn.Linear(12, CLASSES) if distilled else None

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        x = self.norm(self.blocks(x))
        return self.head(x[:, 0]) if self.dist is None else (self.head(x[:, 0]) + self.dist(x[:, 1])) / 2


class Encoder(nn.Module):
    """torchvision's ViT: `nn.MultiheadAttention`."""

    def __init__(self):
        super().__init__()
        self.conv_proj, self.ln = nn.Conv2d(3, 12, 4, 4), nn.LayerNorm(12)
        self.attention, self.head = nn.MultiheadAttention(12, 2, dropout=0.1, batch_first=True), nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.conv_proj(x).flatten(2).permute(0, 2, 1)
        y = self.ln(x)
        y, _ = self.attention(y, y, y, need_weights=False)
        return self.head((x + y).mean(1))


class WindowAttention(nn.Module):
    """torchvision's Swin: windows on the batch axis, projections called by their weights, a table of biases."""

    def __init__(self, width, shift, window=2, heads=2):
        super().__init__()
        self.window, self.shift, self.heads = window, shift, heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.02)
        self.register_buffer("index", torch.arange(window**4) % (2 * window - 1) ** 2)

    def forward(self, x):
        batch, height, width, channels = x.shape
        w = self.window
        x = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        x = (
            x.view(batch, height // w, w, width // w, w, channels)
            .permute(0, 1, 3, 2, 4, 5)
            .reshape(-1, w * w, channels)
        )
        qkv = F.linear(x, self.qkv.weight, self.qkv.bias).reshape(x.size(0), w * w, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attn = (q * (channels // self.heads) ** -0.5).matmul(k.transpose(-2, -1))
        attn = F.softmax(attn + self.table[self.index].view(w * w, w * w, -1).permute(2, 0, 1).unsqueeze(0), dim=-1)
        x = F.linear(
            attn.matmul(v).transpose(1, 2).reshape(x.size(0), w * w, channels), self.proj.weight, self.proj.bias
        )
        x = x.view(batch, height // w, width // w, w, w, channels).permute(0, 1, 3, 2, 4, 5)
        return torch.roll(x.reshape(batch, height, width, channels), (self.shift, self.shift), (1, 2))


class SwinBlock(nn.Module):
    def __init__(self, width, shift):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), WindowAttention(width, shift)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x):
        parts = [x[..., a::2, b::2, :] for b in (0, 1) for a in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Swin(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 4, 4)
        self.features = nn.Sequential(SwinBlock(8, 0), SwinBlock(8, 1), PatchMerging(8), SwinBlock(16, 0))
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.norm(self.features(self.embed(x).permute(0, 2, 3, 1)))
        return self.head(x.permute(0, 3, 1, 2).mean((2, 3)))


class CoAtNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 12, 3, 2, act=nn.SiLU), InvertedResidual(12, 12, 2, nn.SiLU))
        self.attention, self.norm, self.head = Block(), nn.LayerNorm(12), nn.Linear(12, CLASSES)

    def forward(self, x):
        x = self.attention(self.stem(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.rnn, self.head = kind(12, 8, num_layers=2, batch_first=True, bidirectional=True), nn.Linear(16, CLASSES)

    def forward(self, x):
        out, _ = self.rnn(x.flatten(2).transpose(1, 2).reshape(len(x), -1, 12)[:, :8])
        return self.head(out[:, -1])


class TextTransformer(nn.Module):
    """Tokens; the layers take (time, samples, width)."""

    def __init__(self):
        super().__init__()
        self.embedding, self.position = nn.Embedding(20, 12, padding_idx=0), nn.Embedding(10, 12)
        layer = nn.TransformerEncoderLayer(12, 2, 24)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(12, CLASSES)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        return self.head(self.encoder(x.transpose(0, 1)).mean(0))


@dataclass
class ModelOutput:
    """As transformers returns it."""

    logits: Tensor
    hidden_states: tuple[Tensor, ...]


class RMSBlock(nn.Module):
    """LLaMA's: RMSNorm, gated SiLU."""

    def __init__(self, width=12):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.RMSNorm(width), Attention(width), nn.RMSNorm(width)
        self.gate, self.up = nn.Linear(width, 16, bias=False), nn.Linear(width, 16, bias=False)
        self.down = nn.Linear(16, width, bias=False)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Bert(nn.Module):
    """Keywords in, an object out."""

    def __init__(self):
        super().__init__()
        self.embeddings, self.layer, self.classifier = nn.Embedding(20, 12), RMSBlock(), nn.Linear(12, CLASSES)

    def forward(self, input_ids=None, attention_mask=None):
        x = self.embeddings(input_ids) * attention_mask.unsqueeze(-1)
        y = self.layer(x)
        return ModelOutput(self.classifier(y.mean(1)), (x, y))


def conv1d():
    return nn.Sequential(
        nn.Flatten(2), nn.Conv1d(3, 8, 5, stride=2), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Conv1d(8, 12, 3),
        nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, CLASSES),
    )  # fmt: skip


def conv3d():
    return nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 2, 2)), nn.Conv3d(8, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
        nn.Linear(8, CLASSES),
    )  # fmt: skip


NETWORKS = {
    "vit": ViT, "deit": lambda: ViT(distilled=True), "cait": lambda: ViT(scale=0.1), "vit_mha": Encoder,
    "rms_vit": lambda: nn.Sequential(nn.Conv2d(3, 12, 4, 4), nn.Flatten(2), Turn(), RMSBlock(), Turn(), Pool()),
    "swin": Swin, "coatnet": CoAtNet, "lstm": lambda: Recurrent(nn.LSTM), "gru": lambda: Recurrent(nn.GRU),
    "text_transformer": TextTransformer, "bert": Bert, "conv1d": conv1d, "conv3d": conv3d,
    "mlp": lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(768, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, CLASSES)
    ),
    "weight_norm": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), nn.ReLU(),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, 3)), nn.ReLU(), Head(8),
    ),
}  # fmt: skip


class Turn(nn.Module):
    def forward(self, x):
        return x.transpose(1, 2)


class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, x):
        return self.fc(x.mean(2))
