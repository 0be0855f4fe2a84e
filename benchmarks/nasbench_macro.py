"""NAS-Bench-Macro: chains of eight layers, each an identity or one of two mobile blocks, and its official JSON file.

Source: Su et al., "Prioritized Architecture Sampling with Monto-Carlo Tree Search" (CVPR 2021, arXiv 2103.11922).
An architecture is a string of eight digits, one a layer, such as `22212220`: 0 identity, 1 mobile block with kernel 3
and expansion 3, 2 mobile block with kernel 5 and expansion 6. The layers form stages of 2, 3 and 3; the first of a
stage halves the resolution and changes the width, so that an identity there is a strided 1x1 convolution.

Everywhere else an identity is nothing at all: strings that differ only in where it stands are one network. Of 6,561
strings 3,969 are different networks; the file gives the members of a class the same accuracies.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.choices import Choices
from benchmarks.errors import UserError
from benchmarks.sources import Source
from benchmarks.space import Space
from benchmarks.table import MEAN, Table, named, repeated, sha256

if TYPE_CHECKING:
    from torch import nn

OPERATIONS = "012"
STAGES = (2, 3, 3)
"""Layers in each stage."""
LAYERS = sum(STAGES)
FIRST = tuple(itertools.accumulate((0, *STAGES[:-1])))
"""Positions of the layers that begin a stage."""
BLOCK = {"1": (3, 3), "2": (5, 6)}
"""Digit of a mobile block -> (kernel, expansion)."""
EPOCHS = 50
"""Training budget of the benchmark's networks by its authors' account; the file itself names none."""
MOST, LARGEST = 1 << 26, 2**53
"""Bytes of a file, and number in it, that are not read as one of the benchmark's."""
KEYS = {"test_acc", "mean_acc", "std", "params", "flops"}


def widths(channels: int) -> list[tuple[int, int, int]]:
    """Return (channels in, channels out, stride) of each layer, for a stem of `channels`: twice as many a stage."""
    rows, inside = [], channels
    for position in range(LAYERS):
        first = position in FIRST
        rows.append((inside, 2 * inside if first else inside, 2 if first else 1))
        inside = rows[-1][1]
    return rows


def canonical(arch: str) -> str:
    """Return the string that names the network: in each stage the identities after the first layer moved to its end."""
    stages = []
    for start, length in zip(FIRST, STAGES, strict=True):
        rest = arch[start + 1 : start + length].replace("0", "")
        stages.append(arch[start] + rest + "0" * (length - 1 - len(rest)))
    return "".join(stages)


def layer_size(operation: str, inside: int, outside: int, stride: int, side: int) -> tuple[int, int, int]:
    """Return (parameters, FLOPs, parameter tensors) of one layer; `side` is the resolution before it in pixels.

    FLOPs are multiply-accumulates of the convolutions for one image, as the benchmark states them.
    """
    after = side // stride
    if operation == "0":
        if stride == 1:
            return 0, 0, 0
        return inside * outside + 2 * outside, inside * outside * after**2, 3
    kernel, expansion = BLOCK[operation]
    hidden = inside * expansion
    expand, depthwise, project = inside * hidden, kernel**2 * hidden, hidden * outside
    params = expand + depthwise + project + 4 * hidden + 2 * outside
    return params, expand * side**2 + (depthwise + project) * after**2, 9


class SpaceMacro(Space):
    """All 6,561 strings in the order of their digits: the index is the string read as a number in base 3."""

    name = "macro"
    title = "NAS-Bench-Macro"
    network = {"channels": 32, "head_channels": 1280, "input_channels": 3}
    """Widths of the stem and of the head, and image channels, of the networks the benchmark trained."""
    reduced = {"channels": 4, "head_channels": 64}
    datasets = {"cifar10": (10, 32)}
    """dataset: (classes, resolution in pixels)."""
    readers = {"json": "benchmarks.nasbench_macro:read_official"}
    """Kind of official file (`benchmarks.convert.recognise`) -> what reads it."""
    # The checksum is that of a copy of the official file; the address was written without a network, so not tried out.
    sources = (
        Source(
            "nas-bench-macro_cifar10.json", "official file", 1_178_821, "https://github.com/xiusu/NAS-Bench-Macro",
            "https://raw.githubusercontent.com/xiusu/NAS-Bench-Macro/master/data/nas-bench-macro_cifar10.json",
            "sha256:686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297", direct=True,
        ),
    )  # fmt: skip

    @cached_property
    def archs(self) -> tuple[str, ...]:
        """Strings by index."""
        return tuple(map("".join, itertools.product(OPERATIONS, repeat=LAYERS)))

    def index(self, arch: str) -> int:
        """Return the index of a string; UserError where it is none."""
        if len(arch) != LAYERS or set(arch) - set(OPERATIONS):
            form = f"{LAYERS} digits 0, 1 or 2, like 22212220"
            raise UserError(f"'{arch}' is not a NAS-Bench-Macro architecture; expected {form}")
        return int(arch, len(OPERATIONS))

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the member whose identities come last in each stage; 3,969 different values."""
        return np.array([self.index(canonical(arch)) for arch in self.archs])

    @cached_property
    def connected(self) -> np.ndarray:
        """(archs,) bool: every chain is."""
        return np.ones(len(self), dtype=bool)

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: layers that are mobile blocks, 0 to 8; three convolutions each."""
        return np.array([sum(operation in BLOCK for operation in arch) for arch in self.archs])

    def canonical(self, index: int) -> str:
        """Return the string that names the network of an architecture."""
        return self.archs[self.class_id[index]]

    def sizes(
        self,
        *,
        channels: int,
        head_channels: int,
        input_channels: int,
        classes: int,
        resolution: int,
        reachable_only: bool = False,
    ) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        They equal the official file's. Every layer is on the path, so `reachable_only` changes nothing.
        """  # fmt: skip
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

    def supernet(self, **network: int) -> nn.Module:
        """Return the supernet, its weights not initialised; `network` as for `SupernetMacro`."""
        from benchmarks.nasbench_macro_supernet import SupernetMacro

        return SupernetMacro(**network)

    def neighbours(self, index: int) -> list[int]:
        """Return the 16 architectures that differ in one layer."""
        arch = self.archs[index]
        return [
            self.index(arch[:position] + operation + arch[position + 1 :])
            for position in range(LAYERS)
            for operation in OPERATIONS
            if operation != arch[position]
        ]

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack, its weights not initialised.

        Nothing is unreachable in a chain; the literal string and the one that names it are the same network.
        `network` as for `benchmarks.nasbench_macro_network.NetworkMacro`.
        """
        from benchmarks.nasbench_macro_network import NetworkMacro

        return NetworkMacro([self.canonical(index) for index in indices], **network)


def read_official(
    path: str | Path,
    expected: Sequence[str],
    complete: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Table]:
    """Read nas-bench-macro_cifar10.json: {string: {test_acc (three trials), mean_acc, std, params, flops}}, percent.

    The table has the order of `expected`, the three trials as seeds "1" to "3" and the published mean. With `complete`
    every expected architecture must be there. Raises UserError that says what is missing or cannot be right, the counts
    of parameters and FLOPs among it: they must be those of the networks that are built here.
    """
    path = Path(path)
    entries = _entries(path)
    if unknown := sorted(set(entries) - set(expected)):
        raise UserError(f"{path}: {len(unknown)} keys are no NAS-Bench-Macro architecture: {named(unknown)}")
    archs = tuple(arch for arch in expected if arch in entries)
    if complete and len(archs) < len(expected):
        missing = [arch for arch in expected if arch not in entries]
        raise UserError(f"{path}: {len(missing)} of {len(expected)} architectures are missing: {named(missing)}")
    if wrong := [f"{arch} {problem}" for arch in archs if (problem := _problem(entries[arch]))]:
        raise UserError(f"{path}: {len(wrong)} entries cannot be right: {named(wrong)}")
    _check_sizes(path, entries, archs)
    accuracy = np.array([[entries[arch]["mean_acc"], *entries[arch]["test_acc"]] for arch in archs], dtype=np.float64)
    if on_progress is not None:
        on_progress(path.stat().st_size, path.stat().st_size)
    return [
        Table(
            benchmark=SpaceMacro.name, dataset="cifar10", archs=archs, splits=("test",), epochs=(EPOCHS,),
            seeds=(MEAN, "1", "2", "3"), accuracy=accuracy[:, None, None, :], source=f"official file {path.name}",
            checksum=sha256(path),
        )
    ]  # fmt: skip


def _entries(path: Path) -> dict[str, dict]:
    """Return the document, an object of objects, where no key occurs twice."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if twice := repeated(key for key, _ in pairs):
            raise UserError(f"{path}: keys that occur more than once: {named(twice)}")
        return dict(pairs)

    if path.stat().st_size > MOST:
        raise UserError(
            f"{path}: {path.stat().st_size:,} bytes; expected nas-bench-macro_cifar10.json of about a million"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: truncated or not JSON ({error}); expected nas-bench-macro_cifar10.json") from None
    if not isinstance(found, dict) or not found or not all(isinstance(entry, dict) for entry in found.values()):
        raise UserError(f"{path}: a JSON file, but not an object of architectures like nas-bench-macro_cifar10.json")
    return found


def _problem(entry: dict) -> str:
    """Return what is wrong with one entry, or nothing."""
    if missing := KEYS - entry.keys():
        return f"lacks {', '.join(sorted(missing))}"
    trials = entry["test_acc"]
    if not isinstance(trials, list) or len(trials) != 3:
        return "has not three test accuracies"
    numbers = [*trials, *(entry[key] for key in ("mean_acc", "std", "params", "flops"))]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) < LARGEST for n in numbers):
        return "holds what is no number"
    if not all(0 <= accuracy <= 100 for accuracy in numbers[:4]):
        return "has an accuracy outside 0..100 percent"
    if abs(np.mean(trials) - entry["mean_acc"]) > 1e-3 or abs(np.std(trials) - entry["std"]) > 1e-3:
        return "has a mean or standard deviation that is not that of its three accuracies"
    return ""


def _check_sizes(path: Path, entries: dict[str, dict], archs: Sequence[str]) -> None:
    space = SpaceMacro()
    classes, resolution = space.datasets["cifar10"]
    params, flops, _ = space.sizes(classes=classes, resolution=resolution, **space.network)
    built = {arch: (params[i], flops[i]) for i, arch in enumerate(space.archs)}
    wrong = [arch for arch in archs if (entries[arch]["params"], entries[arch]["flops"]) != built[arch]]
    if wrong:
        what = f"parameters or FLOPs of {len(wrong)} entries"
        raise UserError(f"{path}: {what} are not those of the networks of {space.title}: {named(wrong)}")
