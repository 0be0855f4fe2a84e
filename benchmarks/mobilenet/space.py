"""MobileNet-like networks for ImageNet: two spaces of chains of mobile blocks, known here as far as a table holds them.

`benchmarks.mobilenet.chains` says what their strings are and where they come from. Searches are of `proxyless`; the
published table, Accel-NASBench (Ahmad et al. 2024, arXiv 2404.08005), is of `mnasnet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.files.sources import Source, on_github
from benchmarks.mobilenet.chains import (
    IDENTITY,
    IDS,
    MNASNET,
    MNASNET_LAYERS,
    OPERATIONS,
    PROXYLESS,
    Chain,
    canonical,
    chain_size,
    edits,
    may_idle,
    parse_chain,
    random_proxyless,
)
from benchmarks.spaces.open_space import ListedSpace, OpenSpace
from benchmarks.spaces.space import Choices, Space

if TYPE_CHECKING:
    from torch import nn

DRAWN = 4_096
"""Architectures that stand for the whole of `proxyless` where one is to be drawn from."""
SIZES = {
    PROXYLESS.kind: int(np.prod([float(len(IDS) - (not may_idle(PROXYLESS, at))) for at in range(21)])),
    MNASNET.kind: int(np.prod([float(3 * 2 * 2 * layers) for layers in MNASNET_LAYERS])),
}
"""Kind -> strings of its space."""


class SpaceMobile(ListedSpace):
    """The architectures of a table, of either space, in its order. A sample is drawn from those."""

    name = "mobilenet"
    kind = "MobileNet-like architecture"
    network = {"input_channels": 3}
    datasets = {"imagenet": (1000, 224)}
    readers = {"csv": "benchmarks.mobilenet.files:read_csv", "pickle": "benchmarks.mobilenet.files:read_archive"}
    network_class = "benchmarks.mobilenet.network:NetworkMobile"
    supernet_class = "benchmarks.mobilenet.supernet:SupernetMobile"
    sources = (
        on_github(
            "anb_dataset_jsons.tar.gz", "Accel-NASBench: 5,138 of mnasnet", 1_173_570, "afzalxo/Accel-NASBench",
            "42603572d530310e6bac7191d00cf45625a6b197", "anb_dataset/anb_dataset_jsons.tar.gz",
            "3520992d42e368b7c08c99fc3f6612855b5b366bf98668a7f19d49f3131aa4ae", "mobilenet", "Apache-2.0",
        ),
        Source("accel_nasbench.csv", "the same as a table", page="https://github.com/afzalxo/Accel-NASBench",
               direct=True),
    )  # fmt: skip

    @property
    def title(self) -> str:
        """Name for people; says how many architectures the table holds, and of which space."""
        kinds = sorted({chain.frame.kind for chain in self.chains})
        return "MobileNet-like" + (f" ({len(self):,} of {' and '.join(kinds)})" if kinds else "")

    def whole(self) -> SpaceMobile:
        """Return a space of 4,096 architectures of `proxyless`, drawn uniformly."""
        generator = np.random.default_rng([0, 21])
        return self.over(list(dict.fromkeys(random_proxyless(generator) for _ in range(DRAWN))))

    def over(self, archs: Sequence[str]) -> SpaceMobile:
        """Return the space of the architectures of a table; UserError for what is none."""
        other = SpaceMobile(archs)
        _ = other.chains
        return other

    @property
    def full_size(self) -> int:
        """Number of strings of the spaces that the table holds some of."""
        return max(len(self), sum(SIZES[kind] for kind in {chain.frame.kind for chain in self.chains}))

    @cached_property
    def chains(self) -> tuple[Chain, ...]:
        """Parsed, by index."""
        return tuple(map(parse_chain, self.archs))

    @cached_property
    def _canonical(self) -> tuple[str, ...]:
        return tuple(map(canonical, self.archs))

    def key(self, arch: str) -> str:
        """Return the string that names the network; UserError for what is none."""
        return canonical(arch)

    def near(self, index: int) -> Iterator[str]:
        """Yield the networks that differ in one layer's id, or in one choice of one block."""
        return map(canonical, edits(self.archs[index]))

    @property
    def choices(self) -> Choices:
        """The 21 layers of `proxyless`, of six blocks or an identity; -1 for architectures of the other space."""
        edges, layers = tuple(f"layer {at + 1}" for at in range(21)), range(21)
        rows = [
            [int(word) % len(OPERATIONS) for word in arch.split()] if chain.frame is PROXYLESS else [-1] * 21
            for arch, chain in zip(self.archs, self.chains, strict=True)
        ]
        allowed = np.array([[name != "identity" or may_idle(PROXYLESS, at) for name in OPERATIONS] for at in layers])
        return Choices(edges, OPERATIONS, np.array(rows, dtype=int).reshape(-1, 21), allowed)

    def every(self) -> Space:
        """Return the space that searches add to, of no architectures yet."""
        return OpenMobile()

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the first string that is the same network."""
        return np.array([self._of_key[name] for name in self._canonical], dtype=int)

    def canonical(self, index: int) -> str:
        """Return the string that names the network, whatever the table holds of its class."""
        return self._canonical[index]

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: mobile blocks."""
        return np.array([sum(block is not None for block in chain.blocks) for chain in self.chains])

    def sizes(self, *, input_channels: int, classes: int, resolution: int, reachable_only: bool = False) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every network, (3, archs) float64.

        FLOPs are multiply-accumulates; every block is on the path, so `reachable_only` changes nothing.
        """
        found = [chain_size(chain, classes, input_channels, resolution)[:3] for chain in self.chains]
        return np.array(found, dtype=float).reshape(-1, 3).T

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks as one stack, its weights not initialised; UserError for networks of both spaces."""
        return self.stack([parse_chain(self._canonical[index]) for index in indices], **network)


class OpenMobile(OpenSpace, SpaceMobile):
    """The architectures of `proxyless` that searches found."""

    def place(self, operations: Sequence[int], inputs: Sequence[Sequence[int]] = ()) -> int:
        """Return the index of the architecture with these operations in the 21 layers."""
        ids = (IDENTITY if OPERATIONS[at] == "identity" else at for at in operations)
        return self.add(" ".join(map(str, ids)))
