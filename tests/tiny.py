"""A tiny ground truth: real NAS-Bench-201 strings, accuracies by arithmetic, networks that run in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.benchmark import space_of
from benchmarks.table import Table, save_tables

SIZES = {"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10, "resolution": 8}


def tiny_table(count: int = 30, **changes) -> Table:
    """Return a table of the first strings of the seeded sample; row i, seed s: 40 + i + s / 10, valid 5 less."""
    space = space_of("201")
    names = tuple(space.archs[i] for i in space.sample(len(space), 0)[:count])
    accuracy = 40.0 + np.arange(count)[:, None, None, None] + np.zeros((count, 2, 2, 3)) + np.arange(3) / 10
    accuracy[:, 0] -= 5
    accuracy[:, :, 0] -= 10  # the smaller budget
    facts = {
        "benchmark": "201", "dataset": "digits", "archs": names, "splits": ("valid", "test"), "epochs": (2, 12),
        "seeds": ("0", "1", "2"), "accuracy": accuracy, "source": "tiny, by arithmetic", "checksum": "0" * 64,
        "attributes": SIZES,
    }  # fmt: skip
    return Table(**facts | changes)


def embed(folder: Path, table: Table | None = None) -> Path:
    """Write a table where `benchmarks.benchmark.EMBEDDED` can point to; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    save_tables(folder / "digits201.h5", [table or tiny_table()])
    return folder
