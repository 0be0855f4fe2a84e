"""NAS-Bench-Macro: chains of eight layers, each an identity or one of two mobile blocks.

Source: Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search" (CVPR 2021, arXiv 2103.11922).
An architecture is a string of eight digits, one a layer, such as `22212220`: 0 identity, 1 mobile block with kernel 3
and expansion 3, 2 mobile block with kernel 5 and expansion 6. The layers form stages of 2, 3 and 3; the first of a
stage halves the resolution and changes the width, so that an identity there is a strided 1x1 convolution.

Everywhere else an identity is nothing at all: strings that differ only in where it stands are one network. Of 6,561
strings 3,969 are different networks; the file gives the members of a class the same accuracies.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.files.sources import on_github
from benchmarks.nasbench_macro.layers import BLOCK, LAYERS, OPERATIONS, canonical, layer_size, widths
from benchmarks.spaces.space import Choices, Space

if TYPE_CHECKING:
    from torch import nn


class SpaceMacro(Space):
    """All 6,561 strings in the order of their digits: the index is the string read as a number in base 3."""

    name = "macro"
    title = "NAS-Bench-Macro"
    network = {"channels": 32, "head_channels": 1280, "input_channels": 3}
    """Widths of the stem and of the head, and image channels, of the networks the benchmark trained."""
    reduced = {"channels": 4, "head_channels": 64}
    datasets = {"cifar10": (10, 32)}
    readers = {"json": "benchmarks.nasbench_macro.files:read_official"}
    network_class = "benchmarks.nasbench_macro.network:NetworkMacro"
    supernet_class = "benchmarks.nasbench_macro.supernet:SupernetMacro"
    sources = (
        on_github(
            "nas-bench-macro_cifar10.json", "official file", 1_178_821, "xiusu/NAS-Bench-Macro",
            "61a2bfc2ca0dce04d0997e6cf498047c27d6acf2", "data/nas-bench-macro_cifar10.json",
            "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297", "macro", "Apache-2.0",
        ),
    )  # fmt: skip

    @cached_property
    def archs(self) -> tuple[str, ...]:
        """Strings by index."""
        return tuple(map("".join, itertools.product(OPERATIONS, repeat=LAYERS)))

    def printed(self, name: str) -> str:
        """Return the string of eight digits, also where it was written as a number, 1220, or as [0, 0, 0, 1, ...]."""
        digits = "".join(digit for digit in name if digit not in " ,[]()")
        return digits.zfill(LAYERS) if digits.isdecimal() and digits.isascii() else name

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the member whose identities come last in each stage; 3,969 different values."""
        return np.array([self.index(canonical(arch)) for arch in self.archs])

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: layers that are mobile blocks, 0 to 8; three convolutions each."""
        return np.array([sum(operation in BLOCK for operation in arch) for arch in self.archs])

    def sizes(
        self, *, channels: int, head_channels: int, input_channels: int, classes: int, resolution: int,
        reachable_only: bool = False,
    ) -> np.ndarray:  # fmt: skip
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        They equal the official file's. Every layer is on the path, so `reachable_only` changes nothing.
        """
        last = widths(channels)[-1][1]
        total = np.zeros((3, len(self)))
        digits = np.array([[int(digit) for digit in arch] for arch in self.archs])  # (archs, layers)
        side = resolution
        for position, (inside, outside, stride) in enumerate(widths(channels)):
            rows = [layer_size(operation, inside, outside, stride, side) for operation in OPERATIONS]
            total += np.array(rows, dtype=np.float64)[digits[:, position]].T
            side = math.ceil(side / stride)
        stem, head = 9 * input_channels * channels, last * head_channels
        params = stem + 2 * channels + head + 2 * head_channels + (head_channels + 1) * classes
        flops = stem * resolution**2 + head * side**2 + head_channels * classes
        return total + np.array([[params], [flops], [3 + 3 + 2]])

    @cached_property
    def choices(self) -> Choices:
        """Eight layers of three operations."""
        chosen = np.array([[OPERATIONS.index(operation) for operation in arch] for arch in self.archs])
        return Choices(tuple(f"layer {at + 1}" for at in range(LAYERS)), ("identity", "mb3_e3", "mb5_e6"), chosen)

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack; nothing is unreachable in a chain."""
        return self.stack([self.canonical(index) for index in indices], **network)
