"""DARTS: cells of four nodes with two inputs and one of seven operations each, known here as far as a table holds them.

Source: Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019, arXiv 1806.09055).
`benchmarks.darts.genotypes` says what a genotype is, how it is printed and when two are the same network. There are
1.08e18 in the standard space (S5); tables hold others too: `none`, and nodes that take one input twice.

The networks scored have 16 channels and 8 cells, as those of searches; parameters and FLOPs are those of the networks
that were trained, 36 channels and 20 cells. `with_network` has the other networks of the field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.darts.edges import EDGES, SETS, allowed, chosen, genotype_of_edges, random_of
from benchmarks.darts.genotypes import (
    INPUTS,
    NODES,
    SPACE,
    Genotype,
    canonical,
    edits,
    ordered,
    parse_genotype,
    random_genotype,
    reachable,
)
from benchmarks.darts.sizes import plan, sizes, weighted_operations
from benchmarks.errors import UserError, suggest
from benchmarks.files.sources import Source, on_github
from benchmarks.spaces.open_space import ListedSpace, OpenSpace
from benchmarks.spaces.space import Choices, Space

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.table import Table

NETWORKS = {
    "search": ("cifar", 16, 8),
    "cifar": ("cifar", 36, 20),
    "imagenet": ("imagenet", 48, 14),
    "swap": ("none", 3, 1),
}
"""Kind of network -> (stem, channels, cells); the first is the one scored by default."""
TRAINED = {"channels": 36, "cells": 20}
DRAWN = 4_096
"""Genotypes that stand for the whole space where one is to be drawn from."""
GENOTYPES = (len(SPACE) ** (2 * NODES) * int(np.prod([n * (n - 1) // 2 for n in range(INPUTS, INPUTS + NODES)]))) ** 2


class SpaceDarts(ListedSpace):
    """The genotypes of a table, in its order. A sample is drawn from those; neighbours are among them."""

    name = "darts"
    kind = "DARTS genotype"
    network = {"channels": 16, "cells": 8, "input_channels": 3}
    """Channels (C), cells and image channels of the networks that are scored."""
    counted = TRAINED
    reduced = {"channels": 4, "cells": 5}
    datasets = {"cifar10": (10, 32), "cifar10-545": (10, 32), "imagenet-nds": (1000, 224), "cifar10-nds": (10, 32)}
    readers = {"csv": "benchmarks.darts.files:read_csv", "json": "benchmarks.darts.files:read_nds"}
    network_class = "benchmarks.darts.network:NetworkDarts"
    stem = "cifar"
    sources = (
        on_github(
            "DARTS_archs_CIFAR10.csv", "cifar10: 1,000 cells, 200 epochs", 423_509, "pym1024/SWAP",
            "f6049f7c979b0cfc9ac5a13666fedb79dfe3cce8", "datasets/DARTS_archs_CIFAR10.csv",
            "d28d263aa7dd4103b6a1da1775b1b03ae16ffd2516409ca3bd493c8784abe6b0", "darts",
        ),
        on_github(
            "data-545.csv", "cifar10-545: 10 and 50 epochs", 285_105, "OnceNAS-Bench/OnceNAS-Bench",
            "8df26aa3d72a042c45b65cfc6fe0ae95ce41e042", "data-545.csv",
            "6ba0d143ae5c361324f74d4f58b074dcdb78bc0f2089c64f8da0222eb843302d", "darts",
        ),
        *(
            Source(name, f"{dataset}, from the archive of NDS", page="https://github.com/facebookresearch/nds",
                   direct=True)
            for name, dataset in (("*DARTS_in.json", "imagenet-nds"), ("*DARTS.json", "cifar10-nds"))
        ),
    )  # fmt: skip

    supernet_class = "benchmarks.darts.supernet:SupernetDarts"

    def __init__(self, archs: Sequence[str] = (), part: str = "s5") -> None:
        """`part`: the operations that searches choose from (`benchmarks.darts.edges`)."""
        super().__init__(archs)
        self.part = part
        if part != "s5":
            self.name, self.view_of, self.sources = f"darts-{part}", "darts", ()

    @property
    def title(self) -> str:
        """Name for people; says how many genotypes the table holds."""
        held = f" ({len(self):,} genotypes)" * bool(len(self)) + f", {self.form} network" * bool(self.form)
        return "DARTS" + f" {self.part.upper()}" * (self.part != "s5") + held

    def whole(self) -> SpaceDarts:
        """Return a space of 4,096 genotypes of S5 or the part, drawn uniformly; a part of fewer gives some again."""
        generator = np.random.default_rng([0, NODES])
        draw = random_genotype if self.part == "s5" else partial(random_of, self.part)
        return self.over([str(draw(generator)) for _ in range(DRAWN)])

    def over(self, archs: Sequence[str]) -> SpaceDarts:
        """Return the space of the genotypes of a table, with the same kind of network; UserError for what is none."""
        other = SpaceDarts(archs, self.part).with_network(self.form)
        _ = other.genotypes
        return other

    def view(self, table: Table) -> Table:
        """Return a table of DARTS as that of a part of it."""
        return replace(table, benchmark=self.name)

    @property
    def choices(self) -> Choices:
        """The 14 edges of each cell, and the operations of the part; -1 for edges that a genotype does not keep."""
        operations = SETS[self.part]
        return Choices(EDGES, operations, chosen(self.genotypes, operations), allowed(self.part))

    def every(self) -> Space:
        """Return the space that searches add to, of no genotypes yet."""
        return OpenDarts((), self.part).with_network(self.form)

    def supernet(self, **network: int) -> nn.Module:
        """Return the supernet of the part, with the stem of the networks."""
        return super().supernet(part=self.part, stem=self.stem, **network)

    def with_network(self, name: str | None) -> SpaceDarts:
        """Return the space with the networks called "search" (as None), "cifar", "imagenet" or "swap".

        UserError for any other name. Parameters and FLOPs are of C = 48, 14 cells for "imagenet", else of C = 36, 20.
        """
        if name is not None and name not in NETWORKS:
            raise suggest([name], NETWORKS, "network of DARTS")
        other = copy(self)
        other.form = None if name == "search" else name
        other.stem, channels, cells = NETWORKS[name or "search"]
        other.network = {**self.network, "channels": channels, "cells": cells}
        other.counted = {"channels": channels, "cells": cells} if name == "imagenet" else TRAINED
        return other

    @property
    def full_size(self) -> int:
        """Number of genotypes of S5; of the table's where that has more."""
        return max(GENOTYPES, len(self))

    @cached_property
    def genotypes(self) -> tuple[Genotype, ...]:
        """Parsed, by index; UserError for what is none."""
        return tuple(map(parse_genotype, self.archs))

    def key(self, arch: str) -> Genotype:
        """Return the genotype with sorted pairs; UserError for what is none."""
        return ordered(parse_genotype(arch))

    def near(self, index: int) -> Iterator[Genotype]:
        """Yield the genotypes that differ in one operation or one input."""
        return map(ordered, edits(self.genotypes[index]))

    @cached_property
    def _canonical(self) -> tuple[Genotype, ...]:
        return tuple(map(canonical, self.genotypes))

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of the first genotype that is the same network."""
        first: dict[Genotype, int] = {}
        return np.array([first.setdefault(each, index) for index, each in enumerate(self._canonical)], dtype=int)

    def canonical(self, index: int) -> str:
        """Return the genotype that stands for all that are the same network, whatever the table holds of them."""
        return str(canonical(self.genotypes[index]))

    @cached_property
    def connected(self) -> np.ndarray:
        """(archs,) bool: whether any path leads from the images to the output."""
        cells = self.network["cells"]
        return np.array([_connected(each, each.network[2] if each.network else cells) for each in self.genotypes], bool)

    @cached_property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: separable and dilated convolutions of both cells on a path, 0 to 16."""
        return weighted_operations(self.genotypes)

    def sizes(self, *, reachable_only: bool = False, **network: int) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every genotype's network, (3, archs) float64.

        FLOPs are multiply-accumulates of convolutions and the classifier for one image. Genotypes with a network of
        their own (NDS) have its channels and cells.
        """
        total = np.zeros((3, len(self)))
        for own in dict.fromkeys(genotype.network for genotype in self.genotypes):
            rows = [index for index, genotype in enumerate(self.genotypes) if genotype.network == own]
            members, shared = [self.genotypes[index] for index in rows], {"stem": "cifar"} | network
            if self.form == "imagenet":
                shared["stem"] = "imagenet"
            settings = shared | self._own(own)
            total[:, rows] = sizes(members, reachable_only=reachable_only, **settings)  # type: ignore[arg-type]
        return total

    def _own(self, network: tuple[str, int, int] | None) -> dict[str, str | int]:
        """Return the settings of a genotype's own network; {} where it has none or another kind is requested."""
        if network is None or self.form:
            return {}
        return dict(zip(("stem", "channels", "cells"), network, strict=True))

    @property
    def together(self) -> int | None:  # type: ignore[override]
        """1 where the table's networks differ in size; otherwise there is no limit."""
        return 1 if self.form is None and any(genotype.network for genotype in self.genotypes) else None

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these genotypes as one stack, its weights not initialised.

        UserError where their channels or cells differ.
        """
        source = self.genotypes if keep_unreachable else self._canonical
        members = [source[index] for index in indices]
        own = {genotype.network for genotype in members}
        if len(own) > 1 and self.form is None:
            raise UserError("networks of different channels and cells are no stack: leave --stack out, or give 1")
        settings = {"stem": self.stem} | network | self._own(own.pop())
        return self.stack(members, everything=keep_unreachable, **settings)


class OpenDarts(OpenSpace, SpaceDarts):
    """The genotypes that searches found."""

    def place(self, operations: Sequence[int], inputs: Sequence[Sequence[int]] = ()) -> int:
        """Return the index of the genotype with these operations on the 28 edges, `inputs` kept by each node."""
        return self.add(str(genotype_of_edges([SETS[self.part][at] for at in operations], inputs)))


space_s1, space_s2, space_s3, space_s4 = (partial(SpaceDarts, (), part) for part in ("s1", "s2", "s3", "s4"))


def _connected(genotype: Genotype, cells: int) -> bool:
    """Return whether the images reach the output."""
    older = last = True
    for _, reduction in plan(1, cells):
        nodes = reachable(genotype.reduce if reduction else genotype.normal)
        live = [older, last]
        for pairs in nodes:
            live.append(any(live[source] for name, source in pairs if name != "noise"))
        older, last = last, any(live[INPUTS:])
    return last
