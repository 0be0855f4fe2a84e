"""Cells of NAS-Bench-201: their strings, and which edges lie on a path."""

import re

from benchmarks.errors import UserError, suggest

NONE, SKIP, CONV1, CONV3, POOL = OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source node, target node) of each of the six edges, in the order the string lists them."""
KERNEL = {CONV1: 1, CONV3: 3}

Cell = tuple[str, ...]


def print_cell(cell: Cell) -> str:
    """Return the official string of six operations."""
    a, b, c, d, e, f = cell
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


def parse_cell(text: str) -> Cell:
    """Return the six operations of an official string; UserError says what is wrong with it."""
    cell = tuple(re.findall(r"([^|+~]+)~", text))
    if len(cell) != len(EDGES) or print_cell(cell) != text:
        raise UserError(f"'{text}' is not a NAS-Bench-201 cell; expected the form {print_cell((NONE,) * 6)}")
    if unknown := sorted(set(cell) - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "NAS-Bench-201 operation")
    return cell


def reachable(cell: Cell) -> Cell:
    """Return the cell with every edge that lies on no path from node 0 to node 3 set to `none`.

    Cells with the same result compute the same function: this is the equivalence rule of the harness.
    """
    edges = [edge for edge, operation in zip(EDGES, cell, strict=True) if operation != NONE]
    from_input, to_output = {0}, {3}
    for source, target in edges:  # targets ascend, so one pass is enough
        if source in from_input:
            from_input.add(target)
    for source, target in reversed(edges):
        if target in to_output:
            to_output.add(source)
    return tuple(
        operation if source in from_input and target in to_output else NONE
        for (source, target), operation in zip(EDGES, cell, strict=True)
    )
