"""The edges of DARTS's two cells and the operations that each may have, in the standard space and its parts.

    s5   the seven operations of the standard space
    s1   two of them on each edge, as listed here      s2   skip_connect, sep_conv_3x3
    s3   none, skip_connect, sep_conv_3x3              s4   noise, sep_conv_3x3

Source: Zela et al., "Understanding and Robustifying Differentiable Architecture Search" (ICLR 2020, arXiv 1909.09656).
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.darts.genotypes import INPUTS, NODES, NOISE, NONE, SPACE, Genotype, Pair

ENDS = tuple((source, target) for target in range(INPUTS, INPUTS + NODES) for source in range(target))
"""(source, target) of the 14 edges of a cell."""
CELLS = ("normal", "reduce")
EDGES = tuple(f"{cell} {target}<-{source}" for cell in CELLS for source, target in ENDS)
SETS = {
    "s5": SPACE,
    "s1": SPACE,
    "s2": ("skip_connect", "sep_conv_3x3"),
    "s3": (NONE, "skip_connect", "sep_conv_3x3"),
    "s4": (NOISE, "sep_conv_3x3"),
}
_BRIEF = dict(zip(("mp", "ap", "sk", "s3", "s5", "d3", "d5"), SPACE, strict=True))
S1 = (
    "sk/d3 sk/d5 sk/d5 sk/s3 sk/d3 mp/sk sk/s3 sk/s3 sk/d3 sk/s3 mp/sk sk/d3 d3/d5 d3/d5"
    " mp/ap mp/d3 mp/ap mp/ap sk/d5 mp/ap mp/s3 sk/d3 sk/d5 mp/ap mp/ap sk/d5 sk/d5 sk/d5"
)
"""The two operations of each edge of s1."""


def allowed(name: str) -> np.ndarray | None:
    """Return which operations each edge of a space may have, (edges, operations) bool; None where it may have all."""
    if name != "s1":
        return None
    pairs = [{_BRIEF[each] for each in word.split("/")} for word in S1.split()]
    return np.array([[operation in pair for operation in SPACE] for pair in pairs])


def chosen(genotypes: Sequence[Genotype], operations: Sequence[str]) -> np.ndarray:
    """Return the operation of each genotype on each edge, (genotypes, edges) int; -1 where it keeps none of these."""
    place = {
        (cell, *ends): number * len(ENDS) + at for number, cell in enumerate(CELLS) for at, ends in enumerate(ENDS)
    }
    table = np.full((len(genotypes), len(EDGES)), -1)
    for row, genotype in zip(table, genotypes, strict=True):
        for name, cell in genotype.cells():
            for at, (operation, source) in enumerate(cell):
                if operation in operations:
                    row[place[name, source, INPUTS + at // 2]] = list(operations).index(operation)
    return table


def genotype_of_edges(operations: Sequence[str], kept: Sequence[Sequence[int]]) -> Genotype:
    """Return the genotype with these operations on the edges, (28,), of which each of the eight nodes keeps two."""
    cells: list[tuple[Pair, ...]] = []
    for number in range(len(CELLS)):
        pairs: list[Pair] = []
        for node in range(NODES):
            first = number * len(ENDS) + ENDS.index((0, INPUTS + node))
            pairs += [(operations[first + source], int(source)) for source in kept[number * NODES + node]]
        cells.append(tuple(pairs))
    return Genotype(cells[0], cells[1])


def random_of(name: str, generator: np.random.Generator) -> Genotype:
    """Return a genotype of a space, uniformly: each node takes two different inputs, each by an operation it may
    have."""
    options = allowed(name)
    options = np.ones((len(EDGES), len(SETS[name])), bool) if options is None else options
    operations = [SETS[name][generator.choice(np.flatnonzero(row))] for row in options]
    sources = [sorted(generator.permutation(INPUTS + at % NODES)[:2].tolist()) for at in range(len(CELLS) * NODES)]
    return genotype_of_edges(operations, sources)
