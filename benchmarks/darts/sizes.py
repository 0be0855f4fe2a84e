"""Parameters, FLOPs and parameter tensors of DARTS networks, in closed form.

FLOPs are multiply-accumulates of convolutions and the classifier (its bias included) for one image; pooling, BatchNorm
and additions are left out, and so is the auxiliary head.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.darts.genotypes import INPUTS, NODES, NONE, OPERATIONS, SPACE, Genotype, node_pairs, reachable

KINDS = [(name, stride) for name in OPERATIONS for stride in (1, 2)]
"""Operations as counts distinguish them."""


def plan(channels: int, cells: int) -> Iterator[tuple[int, bool]]:
    """Yield the channels of each cell, and whether it is a reduction cell."""
    for number in range(cells):
        reduction = number in (cells // 3, 2 * cells // 3)
        channels *= 2 if reduction else 1
        yield channels, reduction


def halved(side: int, times: int = 1) -> int:
    """Return the side of a map after convolutions of stride 2."""
    for _ in range(times):
        side = -(-side // 2)
    return side


def counted(genotypes: Sequence[Genotype], reachable_only: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return how often each cell has each of KINDS, (2 cell types, archs, kinds), and which inputs it uses, (2, archs,
    2) of 0 and 1; all inputs count as used unless `reachable_only`."""
    kinds = np.zeros((2, len(genotypes), len(KINDS)))
    inputs = np.ones((2, len(genotypes), INPUTS))
    number = {kind: at for at, kind in enumerate(KINDS)}
    for arch, genotype in enumerate(genotypes):
        for reduction, (_, cell) in enumerate(genotype.cells()):
            nodes = reachable(cell) if reachable_only else node_pairs(cell)
            pairs = [(name, source) for node in nodes for name, source in node if name != NONE]
            for name, source in pairs:
                kinds[reduction, arch, number[name, 2 if reduction and source < INPUTS else 1]] += 1
            if reachable_only:
                inputs[reduction, arch] = [any(source == at for _, source in pairs) for at in range(INPUTS)]
    return kinds, inputs


def operation_size(name: str, stride: int, channels: int, side: int) -> tuple[int, int, int]:
    """Return (params, FLOPs, tensors) of an operation; `side` is that of its output."""
    if name == "skip_connect" and stride == 2:
        return channels**2 + 2 * channels, channels**2 * side**2, 4
    if name[:3] not in ("sep", "dil"):
        return 0, 0, 0
    times = 2 if name[:3] == "sep" else 1
    weights = times * (int(name[-1]) ** 2 * channels + channels**2)
    return weights + 2 * channels * times, weights * side**2, 4 * times


def sizes(
    genotypes: Sequence[Genotype], *, stem: str, channels: int, cells: int, input_channels: int, classes: int,
    resolution: int, reachable_only: bool = False,
) -> np.ndarray:  # fmt: skip
    """Return params, FLOPs and number of parameter tensors of every network, (3, archs) float64."""
    kinds, inputs = counted(genotypes, reachable_only)
    total = np.zeros((3, len(genotypes)))

    def add(params: int, weights: int, side: int, tensors: int, of: Any = (1.0,)) -> None:
        total[:] += np.outer([params, weights * side**2, tensors], of)

    def conv_bn(inside: int, outside: int, area: int, side: int) -> None:
        add(inside * outside * area + 2 * outside, inside * outside * area, side, 3)

    inside, side, before = (input_channels, input_channels), resolution, stem == "imagenet"
    if stem == "cifar":
        conv_bn(input_channels, 3 * channels, 9, side)
        inside = (3 * channels,) * 2
    elif stem == "imagenet":
        conv_bn(input_channels, channels // 2, 9, halved(side))
        conv_bn(channels // 2, channels, 9, halved(side, 2))
        conv_bn(channels, channels, 9, side := halved(side, 3))
        inside = (channels, channels)
    for width, reduction in plan(channels, cells):
        for at in range(INPUTS):
            weights = inside[at] * width
            tensors = 4 if before and at == 0 else 3
            add(weights + 2 * width, weights, side, tensors, inputs[int(reduction), :, at])
        side = halved(side) if reduction else side
        each = np.array([operation_size(name, stride, width, side) for name, stride in KINDS], dtype=float)
        total[:] += (kinds[int(reduction)] @ each).T
        inside, before = (inside[1], NODES * width), reduction
    add((inside[1] + 1) * classes, (inside[1] + 1) * classes, 1, 2)
    return total


def weighted_operations(genotypes: Sequence[Genotype]) -> np.ndarray:
    """Return how many operations with weights lie on a path, of both cells together, (archs,) int: 0 to 16."""
    kinds, _ = counted(genotypes, True)
    weighted = [name in SPACE[3:] for name, _ in KINDS]
    return kinds[:, :, weighted].sum((0, 2)).astype(int)
