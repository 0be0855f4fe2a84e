"""Reads the official JSON file of NAS-Bench-Macro."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import Progress, UserError, listed, repeated
from benchmarks.files.write import digest
from benchmarks.nasbench_macro.space import SpaceMacro
from benchmarks.readers.foreign import read_json
from benchmarks.table import MEAN, Table, arch_problems

EPOCHS = 50
"""Training budget of the benchmark's networks by its authors' account; the file itself names none."""
LARGEST = 2**53
"""Number in a file that is not read as one of the benchmark's."""
KEYS = {"test_acc", "mean_acc", "std", "params", "flops"}


def read_official(
    path: str | Path, expected: Sequence[str], complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read nas-bench-macro_cifar10.json: {string: {test_acc (three trials), mean_acc, std, params, flops}}, percent.

    The table has the order of `expected`, the three trials as seeds "1" to "3" and the published mean. With `complete`
    every expected architecture must be there. Raises UserError that says what is missing or cannot be right, the counts
    of parameters and FLOPs among it: they must be those of the networks that are built here.
    """
    path = Path(path)
    entries = _entries(path)
    if problems := arch_problems(list(entries), expected, complete):
        raise UserError(f"{path}: {'; '.join(problems)}")
    archs = tuple(arch for arch in expected if arch in entries)
    if wrong := [f"{arch} {problem}" for arch in archs if (problem := _problem(entries[arch]))]:
        raise UserError(f"{path}: {len(wrong)} entries cannot be right: {listed(wrong)}")
    _check_sizes(path, entries, archs)
    accuracy = np.array([[entries[arch]["mean_acc"], *entries[arch]["test_acc"]] for arch in archs], dtype=np.float64)
    if on_progress is not None:
        on_progress(path.stat().st_size, path.stat().st_size)
    return [
        Table(
            benchmark=SpaceMacro.name, dataset="cifar10", archs=archs, splits=("test",), epochs=(EPOCHS,),
            seeds=(MEAN, "1", "2", "3"), accuracy=accuracy[:, None, None, :], source=f"official file {path.name}",
            checksum=digest(path),
        )
    ]  # fmt: skip


def _entries(path: Path) -> dict[str, dict]:
    """Return the document, an object of objects, where no key occurs twice."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if twice := repeated(key for key, _ in pairs):
            raise UserError(f"{path}: keys that occur more than once: {listed(twice)}")
        return dict(pairs)

    found = read_json(path, "nas-bench-macro_cifar10.json", object_pairs_hook=once)
    if not isinstance(found, dict) or not found or not all(isinstance(entry, dict) for entry in found.values()):
        raise UserError(f"{path}: a JSON file, but not an object of architectures like nas-bench-macro_cifar10.json")
    return found


def _problem(entry: dict) -> str:
    """Return what is wrong with one entry, or nothing."""
    if missing := KEYS - entry.keys():
        return f"lacks {', '.join(sorted(missing))}"
    trials = entry["test_acc"]
    if not isinstance(trials, list) or len(trials) != 3:
        return "has not three test accuracies"
    numbers = [*trials, *(entry[key] for key in ("mean_acc", "std", "params", "flops"))]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and abs(n) < LARGEST for n in numbers):
        return "holds what is no number"
    if not all(0 <= accuracy <= 100 for accuracy in numbers[:4]):
        return "has an accuracy outside 0..100 percent"
    if abs(np.mean(trials) - entry["mean_acc"]) > 1e-3 or abs(np.std(trials) - entry["std"]) > 1e-3:
        return "has a mean or standard deviation that is not that of its three accuracies"
    return ""


def _check_sizes(path: Path, entries: dict[str, dict], archs: Sequence[str]) -> None:
    space = SpaceMacro()
    classes, resolution = space.datasets["cifar10"]
    params, flops, _ = space.sizes(classes=classes, resolution=resolution, **space.network)
    built = {arch: (params[i], flops[i]) for i, arch in enumerate(space.archs)}
    wrong = [arch for arch in archs if (entries[arch]["params"], entries[arch]["flops"]) != built[arch]]
    if wrong:
        what = f"parameters or FLOPs of {len(wrong)} entries"
        raise UserError(f"{path}: {what} are not those of the networks of {space.title}: {listed(wrong)}")
