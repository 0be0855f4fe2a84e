"""Many NAS-Bench-101 cells at once: which are isomorphic, channels of their vertices, sizes of their networks.

Everywhere: `matrix` (cells, 7, 7) uint8, edges from row to column; `labels` (cells, 7) int, -1 input, -2 output, 0 to 2
the operation, ABSENT. The input is vertex 0 and the output vertex 6 whatever the number of vertices between them.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from benchmarks.nasbench101.cells import EDGES, OPERATIONS, VERTICES, Cell

LAST = VERTICES - 1
ABSENT = len(OPERATIONS)
CODE = {operation: label for label, operation in enumerate(OPERATIONS)}


def as_arrays(cells: Sequence[Cell]) -> tuple[np.ndarray, np.ndarray]:
    """Return (matrix, labels) of pruned cells."""
    matrix = np.zeros((len(cells), LAST + 1, LAST + 1), dtype=np.uint8)
    labels = np.full((len(cells), LAST + 1), ABSENT)
    labels[:, 0], labels[:, LAST] = -1, -2
    where, codes, edges = [], [], []
    for row, (operations, pairs) in enumerate(cells):
        last = len(operations) + 1
        where += [row * (LAST + 1) + vertex for vertex in range(1, last)]
        codes += [CODE[operation] for operation in operations]
        edges += [(row * (LAST + 1) + a) * (LAST + 1) + (LAST if b == last else b) for a, b in pairs]
    labels.flat[where] = codes
    matrix.flat[edges] = 1
    return matrix, labels


def _mixed(x: np.ndarray, salt: int) -> np.ndarray:
    """Scramble uint64 numbers (the finaliser of splitmix64), another way for each salt."""
    x = x + np.uint64(0x9E3779B97F4A7C15 * salt % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def fingerprints(matrix: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (cells,) uint64 that are equal exactly where the official graph hash is: the same refinement, in 64 bits.

    Each round a vertex takes in the unordered hashes of its sources and of its targets; the sum of scrambled hashes
    stands for the official sorted list. Chance collisions among all 423,624 cells: one in a hundred million.
    """
    edges = matrix.astype(np.uint64)
    start = edges.sum(2) * np.uint64(64) + edges.sum(1) * np.uint64(8) + (labels + 2).astype(np.uint64)
    own = _mixed(start, 1)
    for _ in range(LAST + 1):
        sources = (edges * _mixed(own, 2)[:, :, None]).sum(1)
        targets = (edges * _mixed(own, 3)[:, None, :]).sum(2)
        own = _mixed(_mixed(sources, 4) + _mixed(targets, 5) * np.uint64(3) + own * np.uint64(5), 6)
    return _mixed(_mixed(own, 7).sum(1), 8)


def vertex_channels(matrix: np.ndarray, inside: int | np.ndarray, outside: int) -> np.ndarray:
    """Return the channels of every vertex, (cells, 7) int; 0 where there is none.

    The official rule: the output's channels are split evenly among the vertices that feed it, the first ones getting
    the remainder; any other vertex has as many as the largest it feeds. The input has `inside`, the output `outside`.
    """
    channels = np.zeros(matrix.shape[:2], dtype=np.int64)
    direct = matrix[:, 1:LAST, LAST].astype(bool)  # (cells, inner vertices)
    fan_in = np.maximum(direct.sum(1, keepdims=True), 1)
    share = outside // fan_in + (direct.cumsum(1) <= outside % fan_in)
    channels[:, 1:LAST] = np.where(direct, share, 0)
    for vertex in range(LAST - 1, 0, -1):
        largest = (matrix[:, vertex, 1:LAST] * channels[:, 1:LAST]).max(1)
        channels[:, vertex] = np.where(direct[:, vertex - 1], channels[:, vertex], largest)
    channels[:, 0], channels[:, LAST] = inside, outside
    return channels


def oneshot_channels(matrix: np.ndarray, inside: int | np.ndarray, outside: int) -> np.ndarray:
    """Return the channels of the one-shot networks of NAS-Bench-1Shot1: every inner vertex has `outside`.

    The output has those of all vertices that feed it.
    """
    channels = np.full(matrix.shape[:2], outside, dtype=np.int64) * (matrix.any(1) | matrix.any(2))
    channels[:, 0], channels[:, LAST] = inside, outside * matrix[:, 1:LAST, LAST].sum(1, dtype=np.int64)
    return channels


def sizes(
    matrix: np.ndarray, labels: np.ndarray, *, oneshot: bool = False, channels: int, stacks: int, modules: int,
    input_channels: int, classes: int, resolution: int,
) -> np.ndarray:  # fmt: skip
    """Return params, FLOPs and number of parameter tensors of the cells' networks, (3, cells) float64.

    `oneshot`: of the one-shot networks, see `benchmarks.nasbench1shot1.network`.
    """
    channels_of = oneshot_channels if oneshot else vertex_channels
    stem = 9 * input_channels * channels
    total = np.zeros((3, len(matrix)))
    total += np.array([[stem + 2 * channels], [stem * resolution**2], [3]])
    inside: int | np.ndarray = channels
    outside, side = channels, resolution
    kernel_area = np.array([9, 1, 0, 0, 0, 0])[labels]  # by label; -1 and -2 count from the end
    for stack in range(stacks):
        if stack:
            outside, side = 2 * outside, side // 2
        for _ in range(modules):
            width = channels_of(matrix, inside, outside)
            projected = matrix[:, 0] * width  # (cells, vertices): channels of each projection of the input
            weights = (kernel_area * width**2).sum(1) + inside * projected.sum(1)
            norms = ((kernel_area > 0) * width).sum(1) + projected.sum(1)
            layers = (kernel_area > 0).sum(1) + matrix[:, 0].sum(1, dtype=np.int64)
            total += np.stack([weights + 2 * norms, weights * side**2, 3 * layers])
            inside = width[:, LAST]
    if oneshot:
        total += np.stack([(inside + 2) * outside, inside * outside * side**2, np.full(len(matrix), 3)])
    return total + np.array([[(outside + 1) * classes], [outside * classes], [2]])


def edited(matrix: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (cells,) fingerprints, uint64, of all cells after the same edit, pruned; 0 where that is no cell of 101.

    The edits are those of the benchmark's own definition of distance: an edge added or removed, an operation changed.
    Vertices stay where they are when others are pruned, which the fingerprint does not see.
    """
    there = labels != ABSENT
    for a, b in combinations(range(LAST + 1), 2):
        changed = matrix.copy()
        changed[:, a, b] ^= 1
        yield np.where(there[:, a] & there[:, b], _pruned_prints(changed, labels), np.uint64(0))
    for vertex in range(1, LAST):
        for other in range(1, ABSENT):
            changed = labels.copy()
            changed[:, vertex] = np.where(there[:, vertex], (labels[:, vertex] + other) % ABSENT, ABSENT)
            yield np.where(there[:, vertex], fingerprints(matrix, changed), np.uint64(0))


def _pruned_prints(matrix: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (cells,) fingerprints of graphs without the vertices on no path from input to output.

    0 where there is no such path, or more than `EDGES` edges are left.
    """
    from_input = np.zeros(labels.shape, dtype=bool)
    to_output = np.zeros(labels.shape, dtype=bool)
    from_input[:, 0] = to_output[:, LAST] = True
    edges = matrix.astype(bool)
    for vertex in range(1, LAST + 1):  # edges ascend, so one pass is enough
        from_input[:, vertex] = (edges[:, :, vertex] & from_input).any(1)
        to_output[:, LAST - vertex] = (edges[:, LAST - vertex] & to_output).any(1)
    kept = from_input & to_output
    left = matrix * (kept[:, :, None] & kept[:, None, :])
    valid = kept[:, 0] & (left.sum((1, 2)) <= EDGES)
    return np.where(valid, fingerprints(left, np.where(kept, labels, ABSENT)), np.uint64(0))
