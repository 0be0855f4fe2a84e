"""Reads the official TFRecord files of NAS-Bench-101.

`nasbench_only108.tfrecord` and `nasbench_full.tfrecord` hold one record for each training: a JSON list of module hash,
epochs, adjacency matrix as a string of 0 and 1, operations separated by commas, and base64 of a message ModelMetrics:
evaluation_data = 1 (repeated: current_epoch = 1, training_time = 2, train_accuracy = 3, validation_accuracy = 4,
test_accuracy = 5), trainable_parameters = 2. Its evaluations are at the start, halfway and at the end. Accuracies are
fractions there, percent here. The three trainings of a cell are the seeds "1" to "3" in the order of the file.
"""

import base64
import json
import math
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import Progress, UserError, listed
from benchmarks.files.write import digest
from benchmarks.nasbench101.cells import CELLS, OFFICIAL, OPERATIONS, Cell, graph_hash, print_cell, problem_of, pruned
from benchmarks.nasbench101.space import Space101
from benchmarks.readers.foreign import existing, reason
from benchmarks.readers.tfrecord import message_fields, records
from benchmarks.table import Table

BUDGETS = (4, 12, 36, 108)
"""Epochs a cell was trained for; only the last in the smaller file."""
REPEATS = 3
SPLITS = ("train", "valid", "test")
HALFWAY, FINAL = 1, 2
"""Positions of the evaluations that are read."""
EVALUATION, PARAMETERS = 1, 2
SECONDS, ACCURACIES = 2, (3, 4, 5)
"""Field numbers."""
PIECE = 2 * (1 + len(SPLITS))
"""Numbers kept of each training: seconds and accuracies, halfway and at the end."""


def read_official(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read an official file, streaming; return the table of final accuracies and that of halfway ones.

    Cells are in the order of the file. With `complete` all 423,624 and three trainings of each must be there. Every
    record's checksum, every cell's graph hash and number of parameters are checked. Raises UserError.
    """
    path = existing(path, "a TFRecord file of NAS-Bench-101")
    size = path.stat().st_size
    gathered = _Gathered()
    for number, (record, done) in enumerate(records(path), start=1):
        try:
            gathered.add(record)
        except Exception as error:  # a forged record makes libraries raise anything
            raise UserError(f"{path}: record {number} is none of NAS-Bench-101: {reason(error)}") from None
        if on_progress is not None and (number % 1000 == 0 or done == size):
            on_progress(done, size)
    if not gathered.archs:
        raise UserError(f"{path}: no records; is the file complete?")
    if complete and len(gathered.archs) != CELLS:
        has = f"{len(gathered.archs):,} of {CELLS:,} cells are there"
        raise UserError(f"{path}: {has}; get the whole file, or accept what there is with --partial")
    return gathered.tables(path, complete)


class _Gathered:
    """The contents of the records that were read so far."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.archs: list[str] = []
        self.params: list[int] = []
        self.count: dict[tuple[int, int], int] = {}
        self.keys = array("q")
        self.numbers = array("d")

    def add(self, record: bytes) -> None:
        """Take in one training."""
        fields = json.loads(record)
        if not isinstance(fields, list) or len(fields) != 5:
            raise ValueError("expected a JSON list of hash, epochs, matrix, operations and metrics")
        module_hash, epochs, matrix, operations, metrics = fields
        if epochs not in BUDGETS:
            raise ValueError(f"{epochs!r} epochs; expected {', '.join(map(str, BUDGETS))}")
        params, numbers = _metrics(metrics)
        if module_hash not in self.rows:
            cell = official_cell(matrix, operations)
            if graph_hash(cell) != module_hash:
                raise ValueError(f"the hash {module_hash} is not that of its cell {print_cell(cell)}")
            self.rows[module_hash] = len(self.archs)
            self.archs.append(print_cell(cell))
            self.params.append(params)
        row = self.rows[module_hash]
        if params != self.params[row]:
            raise ValueError(f"{params:,} parameters, and {self.params[row]:,} in another record of the same cell")
        repeat = self.count.get((row, epochs), 0)
        if repeat == REPEATS:
            raise ValueError(f"a fourth training of one cell for {epochs} epochs")
        self.count[row, epochs] = repeat + 1
        self.keys.extend((row, BUDGETS.index(epochs), repeat))
        self.numbers.extend(numbers)

    def tables(self, path: Path, complete: bool) -> list[Table]:
        """Return the tables of all records; UserError for wrong parameters or (if `complete`) missing trainings."""
        space = Space101(self.archs)
        built = space.sizes(classes=10, resolution=32, **space.network)[0]
        if wrong := [self.archs[i] for i in np.flatnonzero(built != np.array(self.params))]:
            what = f"the parameters of {len(wrong)} cells are not those of their networks"
            raise UserError(f"{path}: {what}: {listed(wrong)}")
        keys = np.frombuffer(self.keys, dtype=np.int64).reshape(-1, 3)
        budgets = sorted(set(keys[:, 1].tolist()))
        if complete and (lacking := len(self.archs) * len(budgets) * REPEATS - len(keys)):
            raise UserError(f"{path}: {lacking:,} trainings are missing; accept what there is with --partial")
        values = np.full((len(self.archs), len(budgets), REPEATS, PIECE), np.nan)
        values[keys[:, 0], np.searchsorted(budgets, keys[:, 1]), keys[:, 2]] = np.reshape(self.numbers, (-1, PIECE))
        shared: dict[str, Any] = {
            "benchmark": Space101.name, "archs": tuple(self.archs), "splits": SPLITS,
            "epochs": tuple(BUDGETS[i] for i in budgets), "seeds": tuple(str(i + 1) for i in range(REPEATS)),
            "source": f"official file {path.name}", "checksum": digest(path),
        }  # fmt: skip
        half, final = values[..., : PIECE // 2], values[..., PIECE // 2 :]
        return [
            Table(dataset=name, accuracy=100 * np.moveaxis(part[..., 1:], 3, 1), seconds_per_run=part[..., 0], **shared)
            for name, part in zip(Space101.datasets, (final, half), strict=True)
        ]


def official_cell(matrix: Any, operations: Any) -> Cell:
    """Return the cell that a record's strings describe; ValueError where it is none of the space."""
    if not isinstance(matrix, str) or not isinstance(operations, str):
        raise ValueError("the matrix and the operations are not strings")
    names = operations.split(",")
    side = len(names)
    if len(matrix) != side**2 or set(matrix) - {"0", "1"} or names[0] != "input" or names[-1] != "output":
        raise ValueError("the matrix and the operations do not belong together")
    if unknown := set(names[1:-1]) - set(OFFICIAL):
        raise ValueError(f"unknown operations {', '.join(sorted(unknown))}")
    edges = tuple(divmod(i, side) for i, bit in enumerate(matrix) if bit == "1")
    cell = Cell(tuple(OPERATIONS[OFFICIAL.index(name)] for name in names[1:-1]), edges)
    if problem := problem_of(cell):
        raise ValueError(f"not a cell of the space: {problem}")
    if pruned(cell) != cell:
        raise ValueError("the cell is not pruned")
    return cell


def _metrics(text: Any) -> tuple[int, list[float]]:
    """Return (parameters, [seconds, train, valid, test] halfway and at the end) of a message ModelMetrics in base64."""
    if not isinstance(text, str):
        raise ValueError("the metrics are not a string")
    evaluations, params = [], None
    for number, value in message_fields(base64.b64decode(text, validate=True)):
        if number == EVALUATION and isinstance(value, bytes):
            evaluations.append(dict(message_fields(value)))
        elif number == PARAMETERS and isinstance(value, int):
            params = value
    if params is None or len(evaluations) <= FINAL:
        raise ValueError("the metrics lack evaluations or the number of parameters")
    numbers = []
    for evaluation in (evaluations[HALFWAY], evaluations[FINAL]):
        for field in (SECONDS, *ACCURACIES):
            found = evaluation.get(field)
            most = math.inf if field == SECONDS else 1.0
            if not isinstance(found, float) or not 0 <= found <= most or math.isinf(found):
                raise ValueError(f"the metrics hold {found!r} where a time or an accuracy from 0 to 1 belongs")
            numbers.append(found)
    return params, numbers
