"""The cells of NAS-Bench-101: printed form, pruning, the official hash.

A cell is a directed acyclic graph from an input to an output vertex; each vertex between them is a 3x3 convolution, a
1x1 convolution or a 3x3 max pooling. Vertices that lie on no path from input to output are pruned; two cells are the
same if their graphs, labels included, are isomorphic, which the benchmark (arXiv 1902.09635) decides by an MD5 of the
graph.

Printed form: the operations of the inner vertices, a bar, the edges: `conv3x3,maxpool3x3|01,02,12,23`. Vertex 0 is the
input, the last the output, and edges lead from lower to higher numbers. The identity cell is `|01`.
"""

import hashlib
import re
from typing import NamedTuple

from benchmarks.errors import UserError, suggest

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
"""In the official order, by which the graph hash numbers them."""
OFFICIAL = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The same as the official files call them."""
KERNEL = {"conv3x3": 3, "conv1x1": 1}
VERTICES, EDGES = 7, 9
"""Limits of the space, input and output vertex counted."""
CELLS = 423_624
"""Different cells of the whole space."""
FORM = re.compile(r"((?:\w+(?:,\w+)*)?)\|(\d\d(?:,\d\d)*)")


class Cell(NamedTuple):
    """A labelled graph; edges ascend, as (source, target)."""

    operations: tuple[str, ...]
    """Of the inner vertices 1 .. V-2."""
    edges: tuple[tuple[int, int], ...]

    @property
    def vertices(self) -> int:
        """Number of vertices, input and output among them."""
        return len(self.operations) + 2


def print_cell(cell: Cell) -> str:
    """Return the printed form."""
    return ",".join(cell.operations) + "|" + ",".join(f"{a}{b}" for a, b in cell.edges)


def parse_cell(text: str) -> Cell:
    """Return the cell of a printed form; UserError where it is none of this space, or not in its pruned form."""
    found = FORM.fullmatch(text)
    if not found:
        raise UserError(f"'{text}' is not a NAS-Bench-101 cell; expected a form like conv3x3,maxpool3x3|01,02,12,23")
    operations = tuple(filter(None, found[1].split(",")))
    if unknown := sorted(set(operations) - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "NAS-Bench-101 operation")
    cell = Cell(operations, tuple((int(edge[0]), int(edge[1])) for edge in found[2].split(",")))
    if problem := problem_of(cell):
        raise UserError(f"'{text}' is not a NAS-Bench-101 cell: {problem}")
    if (kept := pruned(cell)) != cell:
        short = kept and print_cell(kept)
        raise UserError(f"'{text}' has vertices on no path from input to output; without them it is '{short}'")
    return cell


NASLIB = ("input", "output", "maxpool3x3", "conv1x1", "conv3x3")
"""Labels of vertices by NASLib's numbers."""
MD5 = re.compile(r"[0-9a-f]{32}")


def printed(text: str) -> str:
    """Return the printed form, pruned, of a cell in any of these spellings; UserError says what is wrong with it.

    The printed one, with our names of the operations or the official ones (conv3x3-bn-relu); the numbers of NASLib and
    NAS-Bench-Suite-Zero, those of the matrix row by row and then those of the vertices: (0, 1, 0, ..., 0, 4, 2, 1).
    """
    text = text.strip().replace("-bn-relu", "").replace(" ", "")
    numbers = text.strip("()[]").split(",")
    if not all(re.fullmatch("[0-9]", number) for number in numbers):
        found = FORM.fullmatch(text)
        if not found:
            return print_cell(parse_cell(text))
        operations = tuple(filter(None, found[1].split(",")))
        return _print_pruned(text, operations, tuple((int(edge[0]), int(edge[1])) for edge in found[2].split(",")))
    side = next((n for n in range(2, VERTICES + 1) if n * n + n == len(numbers)), 0)
    labels = [NASLIB[int(n)] if int(n) < len(NASLIB) else "?" for n in numbers[side * side :]]
    if not side or labels[0] != "input" or labels[-1] != "output" or not set(numbers[: side * side]) <= {"0", "1"}:
        raise UserError(f"'{text[:80]}' is not a NAS-Bench-101 cell: expected a matrix, row by row, and its labels")
    edges = tuple(divmod(i, side) for i in range(side * side) if numbers[i] == "1")
    return _print_pruned(text, tuple(labels[1:-1]), edges)


def _print_pruned(text: str, operations: tuple[str, ...], edges: tuple[tuple[int, int], ...]) -> str:
    if unknown := sorted(set(operations) - set(OPERATIONS)):
        raise suggest(unknown, OPERATIONS, "NAS-Bench-101 operation")
    cell = Cell(operations, tuple(sorted(edges)))
    if problem := problem_of(cell):
        raise UserError(f"'{text[:80]}' is not a NAS-Bench-101 cell: {problem}")
    kept = pruned(cell)
    assert kept is not None
    return print_cell(kept)


def problem_of(cell: Cell) -> str:
    """Return why a cell is not one of the space, or nothing. The limits hold for what is left after pruning."""
    if any(not a < b < cell.vertices for a, b in cell.edges):
        return f"edges lead from a lower to a higher vertex, 0 to {cell.vertices - 1}"
    if list(cell.edges) != sorted(set(cell.edges)):
        return "edges are named once each, in ascending order"
    kept = pruned(cell)
    if kept is None:
        return "no path leads from the input to the output"
    if kept.vertices > VERTICES or len(kept.edges) > EDGES:
        has = f"{kept.vertices} vertices and {len(kept.edges)} edges"
        return f"it has {has}; at most {VERTICES} and {EDGES} are allowed"
    return ""


def pruned(cell: Cell) -> Cell | None:
    """Return the cell without vertices on no path from input to output; None where there is no such path."""
    last = cell.vertices - 1
    from_input, to_output = {0}, {last}
    for a, b in sorted(cell.edges):
        if a in from_input:
            from_input.add(b)
    for a, b in sorted(cell.edges, key=lambda edge: -edge[1]):
        if b in to_output:
            to_output.add(a)
    kept = sorted(from_input & to_output)
    if kept[:1] != [0] or kept[-1:] != [last]:
        return None
    number = {vertex: i for i, vertex in enumerate(kept)}
    edges = tuple(sorted((number[a], number[b]) for a, b in cell.edges if a in number and b in number))
    return Cell(tuple(cell.operations[vertex - 1] for vertex in kept[1:-1]), edges)


def graph_hash(cell: Cell) -> str:
    """Return the official MD5 of a pruned cell: equal for isomorphic cells, different for all others of the space."""
    labels = [-1, *(OPERATIONS.index(operation) for operation in cell.operations), -2]
    sources: list[list[int]] = [[] for _ in labels]
    targets: list[list[int]] = [[] for _ in labels]
    for a, b in cell.edges:
        sources[b].append(a)
        targets[a].append(b)
    hashes = [_md5(str((len(targets[v]), len(sources[v]), label))) for v, label in enumerate(labels)]
    for _ in labels:
        received = ["".join(sorted([hashes[a] for a in before])) for before in sources]
        sent = ["".join(sorted([hashes[b] for b in after])) for after in targets]
        hashes = [_md5(f"{a}|{b}|{own}") for a, b, own in zip(received, sent, hashes, strict=True)]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
