"""Genotypes of DARTS: their text, which of them are the same network, random ones, single changes.

A cell has two inputs (0 and 1: the cells before it) and four nodes (2 to 5). A genotype gives each node of the normal
and of the reduction cell two (operation, input) pairs; a node is the sum of the two, the cell's output the
concatenation of all nodes.
"""

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.errors import UserError, suggest

INPUTS, NODES = 2, 4
SPACE = ("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
"""The operations of the standard space (S5), as NASLib's compact form numbers them."""
NONE, NOISE = "none", "noise"
OPERATIONS = (*SPACE, NONE, NOISE)
STEMS = ("cifar", "imagenet")
LONGEST = 4000
"""Characters of a genotype's text, at most."""

Pair = tuple[str, int]
"""Operation and input."""
Cell = tuple[Pair, ...]
"""The pairs of node 2, then those of node 3, 4 and 5, two each."""


@dataclass(frozen=True)
class Genotype:
    """Two cells and, in tables whose networks differ in size, the network: (stem, channels, cells)."""

    normal: Cell
    reduce: Cell
    network: tuple[str, int, int] | None = None

    def __str__(self) -> str:
        """The text as the field prints it; a network of its own follows: ` imagenet C=48 N=14`."""
        cells = (f"{name}={list(cell)}, {name}_concat=range(2, 6)" for name, cell in self.cells())
        own = " {} C={} N={}".format(*self.network) if self.network else ""
        return f"Genotype({', '.join(cells)}){own}"

    def cells(self) -> Iterator[tuple[str, Cell]]:
        """Yield the name and the pairs of both cells."""
        yield "normal", self.normal
        yield "reduce", self.reduce


def compact(genotype: Genotype) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Return NASLib's form: for each cell eight (input, number of the operation). UserError outside S5."""
    if outside := {name for _, cell in genotype.cells() for name, _ in cell} - set(SPACE):
        raise suggest(sorted(outside), SPACE, "operation of NASLib's compact form")
    return tuple(tuple((source, SPACE.index(name)) for name, source in cell) for _, cell in genotype.cells())


def parse_genotype(text: str) -> Genotype:
    """Return the genotype of a text: `Genotype(normal=[...], ...)`, the same as a dictionary, or NASLib's compact form.

    Nothing of the text is executed. UserError that says what is wrong.
    """
    words, own = text.strip(), None
    try:
        if not words or len(words) > LONGEST:
            raise ValueError(f"{len(words)} characters")
        if words[-1].isdigit():
            words, stem, channels, cells = words.rsplit(" ", 3)
            own = _network(stem, channels, cells)
        return replace(genotype_of(_value(ast.parse(words, mode="eval").body)), network=own)
    except UserError as error:
        raise UserError(f"'{_short(text)}': {error}") from None
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        raise UserError(
            f"'{_short(text)}' is no DARTS genotype; expected Genotype(normal=[('sep_conv_3x3', 0), ...],"
            " normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6)) or NASLib's compact form"
        ) from None


def _short(text: str) -> str:
    return text if len(text) < 100 else f"{text[:97]}..."


def _network(stem: str, channels: str, cells: str) -> tuple[str, int, int]:
    """Return the network of ` imagenet C=48 N=14`; ValueError for anything else."""
    if stem not in STEMS or channels[:2] != "C=" or cells[:2] != "N=":
        raise ValueError(stem)
    sizes = int(channels[2:]), int(cells[2:])
    if not all(0 < size < 10_000 for size in sizes):
        raise ValueError(channels)
    return stem, *sizes


def _value(node: ast.expr) -> Any:
    """Return the value of literals, of `range(2, 6)` and of `Genotype(...)`, which becomes a dictionary."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Genotype":
        fields = ("normal", "normal_concat", "reduce", "reduce_concat")
        by_place = dict(zip(fields, map(_value, node.args), strict=False))
        return by_place | {str(word.arg): _value(word.value) for word in node.keywords}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        start, end = map(ast.literal_eval, node.args)
        return list(range(start, min(end, 99)))
    return ast.literal_eval(node)


def genotype_of(value: Any) -> Genotype:
    """Return the genotype of a decoded text, such as {"normal": [["none", 0], ...], ...}; UserError where it is none.

    A list of two cells is NASLib's compact form.
    """
    if isinstance(value, dict):
        for name in ("normal_concat", "reduce_concat"):
            if list(value.get(name, range(2, 6))) != [2, 3, 4, 5]:
                raise UserError(f"{name} {value[name]}: a cell of DARTS concatenates its nodes 2 to 5")
        return Genotype(_cell(value["normal"], "normal"), _cell(value["reduce"], "reduce"))
    named = [[(SPACE[int(at)], source) for source, at in cell if 0 <= at < len(SPACE)] for cell in value]
    normal, reduce = named
    return Genotype(_cell(normal, "normal"), _cell(reduce, "reduce"))


def _cell(pairs: Sequence[Sequence[Any]], name: str) -> Cell:
    """Return the pairs of a cell; UserError for another number, unknown operations, or inputs that come later."""
    cell = tuple((str(operation), int(source)) for operation, source in pairs)
    if len(cell) != 2 * NODES:
        raise UserError(f"the {name} cell has {len(cell)} pairs; a DARTS cell has {2 * NODES}")
    if unknown := sorted({operation for operation, _ in cell} - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "DARTS operation")
    for at, (operation, source) in enumerate(cell):
        if not 0 <= source < INPUTS + at // 2:
            raise UserError(f"{name} cell, node {INPUTS + at // 2}: {operation} from {source}, which is not before it")
    return cell


def node_pairs(cell: Cell) -> list[list[Pair]]:
    """Return the pairs of each node, of node 2 first."""
    return [list(cell[2 * at : 2 * at + 2]) for at in range(NODES)]


def reachable(cell: Cell) -> list[list[Pair]]:
    """Return the pairs of each node without `none` and without those that take a node to which nothing leads."""
    nodes: list[list[Pair]] = []
    for pairs in node_pairs(cell):
        nodes.append([
            (name, source) for name, source in pairs if name != NONE and (source < INPUTS or nodes[source - INPUTS])
        ])  # fmt: skip
    return nodes


def canonical_cell(cell: Cell) -> Cell:
    """Return the first, in sorted order, of all cells that differ in the numbers of nodes and the order of pairs alone.

    What adds nothing is printed as none from 0. Renumbering nodes renumbers channels, so these are one network.
    """
    nodes = reachable(cell)
    return min(filter(None, (_renumbered(nodes, order) for order in itertools.permutations(range(NODES)))))


def _renumbered(nodes: list[list[Pair]], order: Sequence[int]) -> Cell | None:
    """Return the cell whose first node is `nodes[order[0]]`, and so on; None where an input would come later."""
    place = {INPUTS + old: INPUTS + new for new, old in enumerate(order)}
    pairs: list[Pair] = []
    for new, old in enumerate(order):
        taken = sorted((name, place.get(source, source)) for name, source in nodes[old])
        if any(source >= INPUTS + new for _, source in taken):
            return None
        pairs += [*taken, *[(NONE, 0)] * (2 - len(taken))]
    return tuple(pairs)


def canonical(genotype: Genotype) -> Genotype:
    """Return the genotype that stands for all that are the same network."""
    return replace(genotype, normal=canonical_cell(genotype.normal), reduce=canonical_cell(genotype.reduce))


def ordered(genotype: Genotype) -> Genotype:
    """Return the genotype with the pairs of each node sorted: equal for two that differ in nothing else."""

    def cell(pairs: Cell) -> Cell:
        return tuple(itertools.chain.from_iterable(map(sorted, node_pairs(pairs))))

    return replace(genotype, normal=cell(genotype.normal), reduce=cell(genotype.reduce))


def random_genotype(generator: np.random.Generator) -> Genotype:
    """Return one of S5, uniformly: each node takes two different inputs, each by one of seven operations."""

    def cell() -> Cell:
        pairs: list[Pair] = []
        for node in range(INPUTS, INPUTS + NODES):
            sources = sorted(generator.permutation(node)[:2].tolist())
            pairs += [(SPACE[at], source) for at, source in zip(generator.integers(7, size=2), sources, strict=True)]
        return tuple(pairs)

    return Genotype(cell(), cell())


def edits(genotype: Genotype) -> Iterator[Genotype]:
    """Yield the genotypes of S5 that differ in one operation or one input."""
    for name, cell in genotype.cells():
        for at, (operation, source) in enumerate(cell):
            changed = [(other, source) for other in SPACE if other != operation]
            taken = source, cell[at ^ 1][1]
            changed += [(operation, free) for free in range(INPUTS + at // 2) if free not in taken]
            for pair in changed:
                other: dict[str, Any] = {name: (*cell[:at], pair, *cell[at + 1 :])}
                yield replace(genotype, **other)
