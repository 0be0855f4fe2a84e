"""What a space of architectures offers, and the defaults that fit many spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from benchmarks.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.files.sources import Source, TargetFile
    from benchmarks.table import Table


@dataclass(frozen=True, eq=False)
class Choices:
    """The edges of a space (in 1Shot1 its choice blocks, in Macro its layers) and the operations each may have."""

    edges: tuple[str, ...]
    """Names, in the order from input to output."""
    operations: tuple[str, ...]
    """Names; every edge chooses among all of them."""
    chosen: np.ndarray
    """(archs, edges) int: position of each architecture's operation in `operations`; -1 where the edge is not used."""
    allowed: np.ndarray | None = None
    """(edges, operations) bool: which operations an edge may have; None is all."""

    def of(self, rows: np.ndarray) -> Choices:
        """Return the choices of some architectures, by index."""
        return Choices(self.edges, self.operations, self.chosen[rows], self.allowed)

    def find(self, operations: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the architectures that have these operations on all edges; several where more than edges differ."""
        return np.flatnonzero((self.chosen == np.asarray(operations)).all(1))

    def said(self, operations: Sequence[int] | np.ndarray) -> str:
        """Return the names of the operations on all edges, for people."""
        return ", ".join(self.operations[at] for at in operations)


def short(operations: str) -> str:
    """Return names of operations without what all of NAS-Bench-201's share."""
    for long, brief in (("nor_conv_", ""), ("_connect", ""), ("avg_pool_3x3", "pool"), (", ", " ")):
        operations = operations.replace(long, brief)
    return operations


class Space:
    """A space whose architectures are the strings `archs`, by index; docs/adding-a-benchmark.md lists its members."""

    name: str
    """Key on the command line."""
    network: dict[str, Any]
    """Settings of the networks that are scored, as trained where `counted` is empty; `build` and `sizes` take them by
    name."""
    counted: dict[str, int] = {}
    """Those of them that differ in the networks that were trained, whose parameters and FLOPs are counted."""
    reduced: dict[str, int] = {}
    """Those of them that differ in networks small enough to train by `harness.train`."""
    datasets: dict[str, tuple[int, int]]
    """dataset: (classes, resolution in pixels); the first is the default."""
    readers: dict[str, str] = {}
    """Kind of official file (`benchmarks.readers.recognise.recognise`) -> `module:function` that reads it."""
    sources: tuple[Source, ...] = ()
    """The official files, where to get them."""
    samples: tuple[str, ...] = ()
    """Files with a uniform sample of its architectures: read before a table of others, unless for a view of it."""
    targets: tuple[TargetFile, ...] = ()
    """Files with further columns of its architectures (`benchmarks.spaces.targets`)."""
    network_class: str
    """`module:class` of the networks as a stack (`benchmarks.spaces.layers`), imported when `stack` builds one."""
    supernet_class: str | None = None
    """`module:class` of the supernet (`benchmarks.spaces.supernet`), imported when `supernet` builds it, if any."""

    form: str | None = None
    """Kind of networks of the architectures, where there are several; None is the networks that were trained."""
    searched: str | None = None
    """Kind of networks that the space's supernet shares, where it is not the one that was trained."""
    open: bool = False
    """Whether choices lead to architectures that no list holds: `place` of `every()` adds them to it."""
    view_of: str | None = None
    """Key of the benchmark whose ground truth `view` turns into this one's, where there is one."""
    together: int | None = None
    """Size of a stack beyond which nothing is gained, where there is such a size."""

    @property
    def title(self) -> str:
        """Name for people."""
        raise NotImplementedError

    @property
    def archs(self) -> tuple[str, ...]:
        """Canonical strings by index."""
        raise NotImplementedError

    @cached_property
    def class_id(self) -> np.ndarray:
        """(archs,) int: the index of one architecture with the same network; by default each its own."""
        return np.arange(len(self))

    @cached_property
    def connected(self) -> np.ndarray:
        """(archs,) bool: whether any path leads from the input to the output; by default one always does."""
        return np.ones(len(self), dtype=bool)

    @property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: convolutions on such a path."""
        raise NotImplementedError

    def index(self, arch: str) -> int:
        """Return the index of an architecture string; UserError where it is none."""
        if arch not in self._position:
            raise UserError(f"'{arch}' is not an architecture of {self.title}; expected one like '{self.archs[0]}'")
        return self._position[arch]

    def printed(self, name: str) -> str:
        """Return the string of an architecture that a paper or package spells in another way; UserError for none.

        By default there is no other way.
        """
        return name

    def locate(self, name: str) -> int:
        """Return the index of an architecture by any spelling; UserError where it is none."""
        return self.index(self.printed(name))

    @cached_property
    def _position(self) -> dict[str, int]:
        """Architecture -> index."""
        return {arch: index for index, arch in enumerate(self.archs)}

    def class_sizes(self, index: np.ndarray) -> np.ndarray:
        """Return how many architectures of the space are the same network as each of these, (archs,) int."""
        return np.bincount(self.class_id)[self.class_id[index]]

    def canonical(self, index: int) -> str:
        """Return the string that names the network of an architecture, the same for all of its class."""
        return self.archs[self.class_id[index]]

    def sizes(self, *args: Any, **network: Any) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        By name: the settings of the networks, `resolution`, and `reachable_only` (default False), which leaves out
        operations on no path.
        """
        raise NotImplementedError

    @property
    def choices(self) -> Choices:
        """What operation each architecture has on each edge; UserError where the space is not operations on edges."""
        raise UserError(f"{self.title} is no space of operations on fixed edges: operations cannot be scored")

    def supernet(self, **network: Any) -> nn.Module:
        """Return the network with every operation on every edge, its weights not initialised.

        `network` are settings of `supernet_class`. UserError where the space has none.
        """
        if self.supernet_class is None:
            raise UserError(f"{self.title} has no supernet here: only scores from its table can be had")
        return resolve_name(self.supernet_class)(**network)

    def place(self, operations: Sequence[int], inputs: Sequence[Sequence[int]] = ()) -> int:
        """Return the index of the architecture with these operations on all edges (`choices`).

        `inputs` are those of each vertex, where the space leaves them open.
        """
        return int(self.choices.find(operations)[0])

    def every(self) -> Space:
        """Return the space of all architectures that choices can lead to; by default this one."""
        return self

    @cached_property
    def _of_choices(self) -> dict[tuple[int, ...], int]:
        return {tuple(row): index for index, row in enumerate(self.choices.chosen.tolist())}

    def neighbours(self, index: int) -> list[int]:
        """Return the architectures that differ from one in a single choice; by default in the operation of one edge."""
        chosen = self.choices.chosen[index].tolist()
        return [
            self._of_choices[*chosen[:edge], other, *chosen[edge + 1 :]]
            for edge, own in enumerate(chosen)
            for other in range(len(self.choices.operations))
            if other != own
        ]

    def neighbour_table(self, indices: np.ndarray) -> np.ndarray:
        """Return the neighbours of several architectures, (indices, most neighbours) int32, padded with -1."""
        rows = [self.neighbours(int(index)) for index in indices]
        table = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int32)
        for row, near in zip(table, rows, strict=True):
            row[: len(near)] = near
        return table

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack, its weights not initialised.

        `network` are settings of `network_class`.
        """
        raise NotImplementedError

    def stack(self, members: Sequence[Any], **network: Any) -> nn.Module:
        """Return a network of `network_class` made of these members; what `build` ends with."""
        return resolve_name(self.network_class)(members, **network)

    @property
    def expected(self) -> tuple[str, ...] | None:
        """The architectures a table has to hold, in order; None where the table says what the space is."""
        return self.archs

    def whole(self) -> Self:
        """Return the space of all architectures, where a table defines the space; by default this one."""
        return self

    def over(self, archs: Sequence[str]) -> Self:
        """Return the space of a table with these architectures; by default this one."""
        return self

    def with_network(self, name: str | None) -> Space:
        """Return the space with the kind of networks called `name`; None is those that were trained."""
        if name is None:
            return self
        raise UserError(f"--network {name}: {self.title} has one kind of network; leave --network out")

    def view(self, table: Table) -> Table:
        """Return the ground truth of this space out of a table of the benchmark `view_of`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.archs)

    @property
    def full_size(self) -> int:
        """Number of architectures of the benchmark; more than `len` where a table defines the space."""
        return len(self)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n indices drawn uniformly without replacement; a larger n extends the sample of a smaller one."""
        if not 1 <= n <= len(self):
            has = f"{self.title} has {len(self):,}: give 1 to {len(self)}"
            raise UserError(f"a sample of {n} architectures is not possible; {has}")
        return np.random.default_rng([seed, len(self)]).permutation(len(self))[:n]
