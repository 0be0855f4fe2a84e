"""What every space of architectures has in common: its size, and how a sample of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from benchmarks.errors import UserError

if TYPE_CHECKING:
    from torch import nn

    from benchmarks.files.sources import Source
    from benchmarks.spaces.choices import Choices
    from benchmarks.table import Table


class Space:
    """A space whose architectures are the strings `archs`, by index; docs/adding-a-benchmark.md says what it offers."""

    name: str
    """Key on the command line."""
    network: dict[str, Any]
    """Settings of the networks that were trained; `build` and `sizes` take them by name."""
    reduced: dict[str, int] = {}
    """Those of them that make networks small enough to train by `harness.train`; the others as in `network`."""
    datasets: dict[str, tuple[int, int]]
    """dataset: (classes, resolution in pixels); the first is the default."""
    readers: dict[str, str] = {}
    """Kind of official file (`benchmarks.readers.recognise.recognise`) -> `module:function` that reads it."""
    sources: tuple[Source, ...] = ()
    """The official files, where to get them."""

    form: str | None = None
    """Which networks stand for the architectures, where there are several ways; None is those that were trained."""
    searched: str | None = None
    """`with_network` of this gives the networks that the space's supernet shares, where they are not those trained."""
    view_of: str | None = None
    """Key of the benchmark whose ground truth is also this one's, by `view`, where there is one."""
    together: int | None = None
    """Architectures in a stack beyond which nothing is gained, where there is such a number."""

    @property
    def title(self) -> str:
        """Name for people."""
        raise NotImplementedError

    @property
    def archs(self) -> tuple[str, ...]:
        """Canonical strings by index."""
        raise NotImplementedError

    @property
    def class_id(self) -> np.ndarray:
        """(archs,) int: equal for architectures that are the same network; the index of one of them.

        Here every one is a network of its own."""
        return np.arange(len(self))

    @property
    def connected(self) -> np.ndarray:
        """(archs,) bool: whether any path leads from the input to the output. Here one always does."""
        return np.ones(len(self), dtype=bool)

    @property
    def conv_count(self) -> np.ndarray:
        """(archs,) int: convolutions on such a path."""
        raise NotImplementedError

    def index(self, arch: str) -> int:
        """Return the index of an architecture string; UserError where it is none."""
        if arch not in self._places:
            raise UserError(f"'{arch}' is not an architecture of {self.title}; expected one like '{self.archs[0]}'")
        return self._places[arch]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Architecture -> index."""
        return {arch: index for index, arch in enumerate(self.archs)}

    def canonical(self, index: int) -> str:
        """Return the string that names the network of an architecture, the same for all of its class."""
        return self.archs[self.class_id[index]]

    def sizes(self, *args: Any, **network: Any) -> np.ndarray:
        """Return params, FLOPs and number of parameter tensors of every architecture, (3, archs) float64.

        By name: the settings of the networks, `resolution`, and `reachable_only` (default False), which leaves out
        what lies on no path.
        """
        raise NotImplementedError

    @property
    def choices(self) -> Choices:
        """What operation each architecture has on each edge; UserError where the space is not operations on edges."""
        raise UserError(f"{self.title} is no space of operations on fixed edges: operations cannot be scored")

    def supernet(self, **network: int) -> nn.Module:
        """Return the network with every operation on every edge, its weights not initialised.

        See `benchmarks.spaces.supernet`. UserError where the space has none.
        """
        raise UserError(f"{self.title} has no supernet here: only scores from its table can be had")

    def place(self, operations: Sequence[int], sources: Sequence[Sequence[int]] = ()) -> int:
        """Return the index of the architecture with these operations on all edges (`choices`).

        `sources` by vertex, where the space leaves open what feeds it; of `every` space.
        """
        return int(self.choices.find(operations)[0])

    def every(self) -> Space:
        """Return the space of all architectures that choices can lead to, where this is a part of it: this one."""
        return self

    def neighbours(self, index: int) -> list[int]:
        """Return the architectures that differ from one in a single choice."""
        raise NotImplementedError

    def neighbour_table(self, indices: np.ndarray) -> np.ndarray:
        """Return the neighbours of several architectures, (indices, most neighbours) int32, filled up with -1."""
        rows = [self.neighbours(int(index)) for index in indices]
        table = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int32)
        for row, near in zip(table, rows, strict=True):
            row[: len(near)] = near
        return table

    def build(self, indices: Sequence[int], *, keep_unreachable: bool = False, **network: int) -> nn.Module:
        """Return the networks of these architectures as one stack, its weights not initialised."""
        raise NotImplementedError

    @property
    def expected(self) -> tuple[str, ...] | None:
        """The architectures a table has to hold, in order; None where the table says what the space is."""
        return self.archs

    def whole(self) -> Self:
        """Return the space with every architecture there is, where a table has to say what it holds: this one."""
        return self

    def over(self, archs: Sequence[str]) -> Self:
        """Return the space of a table with these architectures: this one, where the space is known without a table."""
        return self

    def with_network(self, name: str | None) -> Space:
        """Return the space whose architectures are the networks called `name`; None is those that were trained."""
        if name is None:
            return self
        raise UserError(f"--network {name}: {self.title} has one kind of network; leave --network out")

    def view(self, table: Table) -> Table:
        """Return the ground truth of this space out of a table of the benchmark `view_of`."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.archs)

    def sample(self, n: int, seed: int) -> np.ndarray:
        """Return n indices drawn uniformly without replacement; a larger n extends the sample of a smaller one."""
        if not 1 <= n <= len(self):
            has = f"{self.title} has {len(self):,}: give 1 to {len(self)}"
            raise UserError(f"a sample of {n} architectures was asked for; {has}")
        return np.random.default_rng([seed, len(self)]).permutation(len(self))[:n]
