"""Reads NumPy archives of NAS-Bench-101 cells and errors, a form for parts of the benchmark."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import Progress, UserError, listed
from benchmarks.files.write import digest
from benchmarks.nasbench101.cells import (
    CELLS,
    EDGES,
    OPERATIONS,
    VERTICES,
    Cell,
    graph_hash,
    print_cell,
    problem_of,
    pruned,
)
from benchmarks.nasbench101.files import BUDGETS
from benchmarks.nasbench101.space import Space101
from benchmarks.readers.foreign import read_arrays
from benchmarks.table import Table


def read_npz(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read a NumPy archive of cells and errors; return one table, its cells in the order of the file.

    `matrix` (cells, 7, 7) 0 or 1, zero-padded; `ops` (cells, 7): -1 input, -2 output, 0 to 2 conv3x3, conv1x1,
    maxpool3x3, zero-padded; `errors` (cells, 2 for valid and test, 4 for 4, 12, 36, 108 epochs, trainings) as
    fractions, NaN is a gap, or `valid_error` (cells, 4) of one training; `hash` (cells,), optional, the official graph
    hashes, which are checked. Cells are pruned as they are read.
    """
    path = Path(path)
    found = read_arrays(path, {"matrix", "ops", "errors", "valid_error", "hash"}, "cells of NAS-Bench-101")
    splits: tuple[str, ...] = ("valid", "test")
    partial = "not a random sample of them, "
    if "errors" not in found and found.get("valid_error", np.zeros(0)).ndim == 2:
        splits, partial = ("valid",), ""
        found["errors"] = found["valid_error"][:, None, :, None]
    if missing := sorted({"matrix", "ops", "errors"} - set(found)):
        raise UserError(f"{path}: lacks {', '.join(missing)}; expected matrix, ops and errors of NAS-Bench-101 cells")
    n = len(found["matrix"]) if found["matrix"].ndim else 0
    forms = {"matrix": (n, VERTICES, VERTICES), "ops": (n, VERTICES), "errors": (n, len(splits), len(BUDGETS), None)}
    for name, form in forms.items():
        kind, shape = found[name].dtype, found[name].shape
        fits = len(shape) == len(form) and all(a in (None, b) and b for a, b in zip(form, shape, strict=True))
        if not fits or kind.kind not in "iufb":
            raise UserError(f"{path}: {name} is {kind} of shape {shape}; see the form in docs/adding-a-benchmark.md")
    if "hash" in found and found["hash"].shape != (n,):
        raise UserError(f"{path}: hash has the shape {found['hash'].shape}; expected ({n},)")
    cells = _npz_cells(path, found["matrix"], found["ops"])
    if "hash" in found and (wrong := [i for i, cell in enumerate(cells) if graph_hash(cell) != str(found["hash"][i])]):
        raise UserError(f"{path}: hash is not that of the cell in {len(wrong)} rows: {listed(wrong)}")
    if complete and n != CELLS:
        raise UserError(f"{path}: {n:,} of {CELLS:,} cells are there; accept what there is with --partial")
    if on_progress is not None:
        on_progress(path.stat().st_size, path.stat().st_size)
    return [
        Table(
            benchmark=Space101.name, dataset="cifar10", archs=tuple(map(print_cell, cells)), splits=splits,
            epochs=BUDGETS, seeds=tuple(str(i + 1) for i in range(found["errors"].shape[3])),
            accuracy=100 * (1 - found["errors"].astype(np.float64)), checksum=digest(path),
            source=f"{n:,} of {CELLS:,} cells, {partial}from {path.name}",
        )
    ]  # fmt: skip


def _npz_cells(path: Path, matrix: np.ndarray, ops: np.ndarray) -> list[Cell]:
    cells, wrong = [], []
    for row, (edges, labels) in enumerate(zip(matrix.tolist(), ops.tolist(), strict=True)):
        size = labels.index(-2) + 1 if -2 in labels else 0
        inner = labels[1 : size - 1]
        bits = {bit for line in edges for bit in line}
        pairs = tuple((a, b) for a, line in enumerate(edges) for b, bit in enumerate(line) if bit)
        cell = None
        if bits <= {0, 1} and size > 1 and labels[0] == -1 and all(label in (0, 1, 2) for label in inner):
            cell = Cell(tuple(OPERATIONS[int(label)] for label in inner), pairs)
            cell = None if problem_of(cell) else pruned(cell)
        if cell is None:
            wrong.append(f"row {row}")
        else:
            cells.append(cell)
    if wrong:
        limits = f"at most {VERTICES} vertices and {EDGES} edges"
        raise UserError(f"{path}: {len(wrong)} rows are no cells of {limits}: {listed(wrong)}")
    return cells
