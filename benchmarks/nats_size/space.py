"""NATS-Bench's size space: the channels of five parts of a network, each 8, 16, ..., 64; one cell for all.

Source: Dong, Liu, Musial and Gabrys, "NATS-Bench" (TPAMI 2021, arXiv 2009.00437). An architecture is printed as the
benchmark prints it, `8:16:24:32:40`: the stem and first cell, the first residual block, the second cell, the second
residual block, the third cell.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import UserError
from benchmarks.files.sources import Source, on_github
from benchmarks.spaces.space import Choices, Space

if TYPE_CHECKING:
    from torch import nn

CHANNELS = tuple(range(8, 65, 8))
PARTS = 5
PAGE = "https://github.com/D-X-Y/NATS-Bench"


class SpaceSize(Space):
    """All 32,768 architectures in official index order."""

    name = "nats-size"
    title = "NATS-Bench size space"
    network = {"input_channels": 3}
    """Image channels of the networks that were trained; the other widths are the architecture's."""
    datasets = {"cifar10": (10, 32), "cifar10-valid": (10, 32), "cifar100": (100, 32), "imagenet16-120": (120, 16)}
    readers = {"csv": "benchmarks.nats_size.files:read_list", "pickle": "benchmarks.nats_size.files:read_official"}
    network_class = "benchmarks.nats_size.network:NetworkSize"
    together = 1
    """Architectures differ in all of their channels."""
    sources = (
        on_github(
            "nats_cifar10_acc_rank.yml", "cifar10: test accuracy, 90 epochs", 735_434, "changlin31/BossNAS",
            "bb8b26a09e3ae7889dd118950b022be6b3ce99a0", "ranking_nats/nats_cifar10_acc_rank.yml",
            "8e625bd6821c439d0f99cd7fc5c59177d31d4651d333c4d4b2d47a4181273b8a", "size",
        ),
        Source("NATS-sss-v1_0-*.pickle.pbz2", "NATS-Bench size set", page=PAGE),
        Source("NATS-sss-v1_0-*-simple/", "the same, a file each", page=PAGE),
    )  # fmt: skip

    @cached_property
    def channels(self) -> np.ndarray:
        """(archs, 5) int: the channels of every architecture, by official index: the product in order."""
        return np.array(list(itertools.product(CHANNELS, repeat=PARTS)))

    @cached_property
    def archs(self) -> tuple[str, ...]:
        """Official strings by official index."""
        return tuple(":".join(map(str, row)) for row in self.channels.tolist())

    def printed(self, name: str) -> str:
        """Return the official string of five channels in any brackets, with any separators; UserError for others."""
        numbers = re.findall(r"\d+", name)
        if len(numbers) != PARTS or re.search(r"[^\d\s:,;()\[\]\-_]", name):
            raise UserError(f"'{name}' is no architecture of the {self.title}; expected one like 8:16:24:32:40")
        return ":".join(str(int(number)) for number in numbers)

    @property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: 3x3 convolutions of the three cells and two residual blocks, the same for all: size is in their
        channels alone."""
        return np.full(len(self), 19)

    @property
    def _cells(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Channels before and in each of the three cells."""
        c = self.channels.T
        return (c[0], c[0]), (c[1], c[2]), (c[3], c[4])

    def sizes(self, *, input_channels: int, classes: int, resolution: int, reachable_only: bool = False) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        FLOPs are multiply-accumulates of convolutions and the classifier (its bias included) for one image, as the
        benchmark states them. Everything is on the path, so `reachable_only` changes nothing.
        """
        c, areas = self.channels.T.astype(float), [(resolution // 2**stage) ** 2 for stage in range(3)]
        stem, classifier = 9 * input_channels * c[0], (c[4] + 1) * classes
        params, flops = stem + 2 * c[0] + 2 * c[4] + classifier, stem * areas[0] + classifier
        tensors = np.full(len(self), 3.0 + 2 + 2)  # the stem, the last BatchNorm, the classifier
        for (inside, outside), area in zip(self._cells, areas, strict=True):
            skip = np.where(inside != outside, inside * outside, 0)
            weights = 9 * (2 * inside * outside + 3 * outside**2) + skip
            params = params + weights + 2 * outside * (5 + (inside != outside))
            flops = flops + weights * area
            tensors += 3 * (5 + (inside != outside))
        for inside, outside, area in ((c[0], c[1], areas[1]), (c[2], c[3], areas[2])):
            weights = 9 * (inside * outside + outside**2) + inside * outside
            params, flops = params + weights + 4 * outside, flops + weights * area
            tensors += 7
        return np.stack([params, flops, tensors])

    @cached_property
    def choices(self) -> Choices:
        """Five parts, of eight numbers of channels each."""
        edges = ("stem and cell 1", "block 1", "cell 2", "block 2", "cell 3")
        return Choices(edges, tuple(map(str, CHANNELS)), self.channels // CHANNELS[0] - 1)

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack; UserError for different channels."""
        return self.stack([tuple(self.channels[index].tolist()) for index in indices], **network)
