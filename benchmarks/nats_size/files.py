"""Reads the accuracies of NATS-Bench's size space: the official set, whole or a folder, and a small published list."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import Progress, UserError, listed
from benchmarks.files.write import digest
from benchmarks.nasbench201.files import read_set
from benchmarks.readers.foreign import existing, refusing
from benchmarks.table import MEAN, Table, arch_problems

KIND = "a list of lines like '8:16:24:32:40': 90.5"
LINE = re.compile(r"""\s*(['"]?)(\d+(?::\d+){4})\1\s*:\s*([0-9.]+)\s*""")
MOST = 1 << 24
"""Bytes of the list."""


def read_official(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read the official set or a folder of it, as `benchmarks.nasbench201.files.read_official` reads the topology set:
    budgets of 1, 12 and 90 epochs."""
    return read_set(path, "nats-size", {}, expected, complete, on_progress)


def read_list(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read BossNAS's list: test accuracy on CIFAR-10 after 90 epochs, a line each. UserError for another file."""
    path = existing(path, KIND)
    with refusing(path, KIND):
        if (size := path.stat().st_size) > MOST:
            raise UserError(f"{size:,} bytes, too many for {KIND}")
        lines = [line for line in path.read_text("utf-8").splitlines() if line.strip()]
        found = [LINE.fullmatch(line) for line in lines]
        if wrong := [line[:60] for line, match in zip(lines, found, strict=True) if match is None]:
            raise UserError(f"{len(wrong)} lines are none of {KIND}: {listed(wrong)}")
        values = {match[2]: float(match[3]) for match in found if match}
        archs = [match[2] for match in found if match]
        if problems := arch_problems(archs, expected, complete):
            raise UserError("; ".join(problems))
    order = tuple(arch for arch in expected or archs if arch in values)
    return [Table(
        benchmark="nats-size", dataset="cifar10", archs=order, splits=("test",), epochs=(90,), seeds=(MEAN,),
        accuracy=np.array([values[arch] for arch in order]).reshape(-1, 1, 1, 1),
        source=f"test accuracies as BossNAS released them, {path.name}", checksum=digest(path),
    )]  # fmt: skip
