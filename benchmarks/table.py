"""Ground truth of one dataset of one benchmark, with named axes (architecture, split, epochs, seed).

Accuracies are percent, 0 to 100; larger is better. A gap (a run that was never made or not published) is NaN and stays
NaN. The seed axis may hold the label "mean" for means over seeds as published; all other labels are single trials.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError, listed, repeated, suggest
from benchmarks.files.write import write_hdf5
from benchmarks.readers.foreign import open_hdf5

MEAN = "mean"


@dataclass(frozen=True, eq=False)
class Table:
    """Accuracies in percent of the architectures of one benchmark on one dataset.

    Raises UserError at construction where lengths, labels or values cannot be right. The arrays are read-only.
    """

    benchmark: str
    """Key of the benchmark, such as "201"."""
    dataset: str
    """Key of the dataset, such as "cifar10"."""
    archs: tuple[str, ...]
    """Canonical strings in table order."""
    splits: tuple[str, ...]
    """Such as ("valid", "test")."""
    epochs: tuple[int, ...]
    """Training budgets, such as (12, 200)."""
    seeds: tuple[str, ...]
    """Labels of the trials; "mean" is a published mean over seeds."""
    accuracy: np.ndarray
    """(archs, splits, epochs, seeds), float64, percent; NaN is a gap."""
    source: str
    """One line for people: which file or release this is."""
    checksum: str
    """sha256 of the source file, hexadecimal."""
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    """Free facts, such as the widths of the networks that were trained."""
    seconds_per_run: np.ndarray | None = None
    """(archs, epochs, seeds), seconds one training took where the source says so; NaN is a gap."""

    def __post_init__(self) -> None:
        for name in ("archs", "splits", "seeds"):
            object.__setattr__(self, name, tuple(str(label) for label in getattr(self, name)))
        object.__setattr__(self, "epochs", tuple(int(label) for label in self.epochs))
        shape = tuple(len(labels) for labels in (self.archs, self.splits, self.epochs, self.seeds))
        object.__setattr__(self, "accuracy", _read_only(self.accuracy, shape, f"accuracy of '{self.dataset}'"))
        if self.seconds_per_run is not None:
            shape = (shape[0], *shape[2:])
            seconds = _read_only(self.seconds_per_run, shape, f"seconds_per_run of '{self.dataset}'")
            object.__setattr__(self, "seconds_per_run", seconds)
        problems = self._problems()
        if problems:
            raise UserError(f"table of dataset '{self.dataset}' ({self.source}): {'; '.join(problems)}")

    def _problems(self) -> list[str]:
        found = []
        for name in ("archs", "splits", "epochs", "seeds"):
            labels = getattr(self, name)
            twice = repeated(labels)
            if not labels:
                found.append(f"no {name}")
            if twice:
                found.append(f"{len(twice)} {name} occur more than once: {listed(twice)}")
        wrong = np.isinf(self.accuracy) | (self.accuracy < 0) | (self.accuracy > 100)
        if wrong.any():
            rows = [self._describe(at) for at in np.argwhere(wrong)[:3]]
            found.append(f"{int(wrong.sum())} accuracies outside 0..100 percent: {listed(rows, int(wrong.sum()))}")
        if self.seconds_per_run is not None and (self.seconds_per_run < 0).any():
            found.append("negative training times")
        return found

    def _describe(self, at: Sequence[int]) -> str:
        arch, split, epochs, seed = at
        label = f"{self.splits[split]} {self.epochs[epochs]} epochs seed {self.seeds[seed]}"
        return f"{self.archs[arch]} {label} = {self.accuracy[tuple(at)]:g}"

    def __len__(self) -> int:
        return len(self.archs)

    def per_seed(self, split: str = "test", epochs: int | None = None) -> np.ndarray:
        """Return the accuracy of every single trial, (archs, trials), percent, NaN where there was none.

        The trials are `trials`, without the label "mean"; a table of means alone gives (archs, 0).
        `epochs` None is the largest budget.
        """
        return self._plane(split, epochs)[:, [self.seeds.index(seed) for seed in self.trials]]

    @property
    def trials(self) -> tuple[str, ...]:
        """The seed labels that are single trials."""
        return tuple(seed for seed in self.seeds if seed != MEAN)

    def target(
        self, split: str = "test", epochs: int | None = None, reduction: str = MEAN, seeds: Sequence[str] | None = None
    ) -> np.ndarray:
        """Return one accuracy per architecture, (archs,), percent, NaN where the table has none.

        `epochs` None is the largest budget. `reduction`: "mean" is the published mean where the table has one and
        otherwise the mean over the trials that exist; "max" the best single trial; a seed label that trial alone.
        `seeds` restricts "mean" (then never the published one) and "max" to these trials.
        Raises UserError for a split, budget, reduction or seed the table does not have.
        """
        trials = self.per_seed(split, epochs)
        if seeds is not None:
            unknown = [str(seed) for seed in seeds if str(seed) not in self.trials]
            if unknown or not seeds:
                raise suggest(unknown or ["(none)"], self.trials, "seed")
            trials = trials[:, [self.trials.index(str(seed)) for seed in seeds]]
        if reduction in self.trials:
            return self.per_seed(split, epochs)[:, self.trials.index(reduction)]
        if reduction not in (MEAN, "max"):
            raise suggest([str(reduction)], (MEAN, "max", *self.trials), "reduction over seeds")
        if reduction == "max":
            if not self.trials:
                raise UserError(f"no single trials of '{self.dataset}' in {self.source}: 'max' needs them; use 'mean'")
            return np.fmax.reduce(trials, axis=1)
        count = np.isfinite(trials).sum(1)
        mean = np.nansum(trials, axis=1) / np.where(count, count, np.nan)
        if seeds is None and MEAN in self.seeds:
            published = self._plane(split, epochs)[:, self.seeds.index(MEAN)]
            mean = np.where(np.isnan(published), mean, published)
        return mean

    def _plane(self, split: str, epochs: int | None) -> np.ndarray:
        """Return (archs, seeds) of one split and budget."""
        if split not in self.splits:
            raise suggest([split], self.splits, f"split of '{self.dataset}'")
        epochs = max(self.epochs) if epochs is None else int(epochs)
        if epochs not in self.epochs:
            budgets = ", ".join(str(e) for e in self.epochs)
            raise UserError(f"no accuracies of '{self.dataset}' after {epochs} epochs; the table has: {budgets}")
        return self.accuracy[:, self.splits.index(split), self.epochs.index(epochs), :]


def _read_only(values: np.ndarray, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape:
        raise UserError(f"{what} has the shape {array.shape}; its labels say {shape}")
    array.setflags(write=False)
    return array


def arch_problems(archs: Sequence[str], expected: Sequence[str] | None, complete: bool) -> list[str]:
    """Return what is wrong with the architectures of a file: repeated, not in the space, missing (if `complete`).

    `expected` are the strings of the space; None where the file says what the space is.
    """
    problems = []
    if twice := repeated(archs):
        problems.append(f"{len(twice)} architectures occur more than once: {listed(twice)}")
    if expected is None:
        return problems
    known, present = set(expected), set(archs)
    if unknown := [f"'{arch}' (entry {row})" for row, arch in enumerate(archs, start=1) if arch not in known]:
        problems.append(f"{len(unknown)} architectures are not in the space: {listed(unknown)}")
    if complete and (missing := [arch for arch in expected if arch not in present]):
        problems.append(f"{len(missing)} of {len(expected)} architectures are missing: {listed(missing)}")
    return problems


SCHEMA = "nas-accuracy-table"


SCHEMA_VERSION = 1


MOST = 10**7
"""Architectures that a table may have."""


LABELS = ("splits", "epochs", "seeds")
"""Attributes with the labels of an axis."""


def save_tables(path: str | Path, tables: Sequence[Table]) -> None:
    """Write tables of one benchmark, one per dataset, to one file; it appears complete or not at all."""
    if not tables or len({table.benchmark for table in tables}) > 1 or repeated([t.dataset for t in tables]):
        raise ValueError("save_tables needs one or more tables of one benchmark, each of another dataset")

    def fill(file: Any) -> None:
        file.attrs.update(schema=SCHEMA, schema_version=SCHEMA_VERSION, benchmark=tables[0].benchmark)
        for table in tables:
            group = file.create_group(f"datasets/{table.dataset}", track_order=True)
            archs = np.array([arch.encode() for arch in table.archs])
            group.create_dataset("arch", data=archs, compression="gzip")
            group.create_dataset("accuracy", data=table.accuracy, compression="gzip", shuffle=True)
            if table.seconds_per_run is not None:
                group.create_dataset("seconds_per_run", data=table.seconds_per_run, compression="gzip", shuffle=True)
            group.attrs.update(source=table.source, checksum=table.checksum)
            labels = {name: getattr(table, name) for name in LABELS} | {"attributes": dict(table.attributes)}
            group.attrs.update({name: json.dumps(value) for name, value in labels.items()})

    write_hdf5(path, fill)


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator:
    """Open a table file for reading; one UserError for a file that is absent, broken or of another kind."""
    with open_hdf5(path, "an accuracy table of `python -m benchmarks.convert`", "convert the source again") as file:
        ours = isinstance(file.attrs.get("schema"), str) and file.attrs["schema"] == SCHEMA
        if not ours or not hasattr(file.get("datasets"), "keys"):
            raise UserError(f"{path}: an HDF5 file, but not an accuracy table of `python -m benchmarks.convert`")
        version = int(file.attrs["schema_version"])
        if version > SCHEMA_VERSION:
            raise UserError(f"{path}: table form {version}; this version reads up to {SCHEMA_VERSION}; update it")
        yield file


def _labels(group: Any) -> dict[str, Any]:
    """Return the attributes that are JSON; TypeError where one is not of the right kind."""
    labels = {name: json.loads(group.attrs[name]) for name in (*LABELS, "attributes")}
    for name, kind in zip(LABELS, (str, int, str), strict=True):
        if not isinstance(labels[name], list) or not all(type(label) is kind for label in labels[name]):
            raise TypeError(f"{name} are {labels[name]}")
    facts = labels["attributes"]
    if not isinstance(facts, dict) or not all(isinstance(value, (str, int, float)) for value in facts.values()):
        raise TypeError(f"attributes are {facts}")
    return labels


def list_datasets(path: str | Path) -> tuple[str, ...]:
    """Return the datasets of a table file, sorted."""
    with _opened(path) as file:
        return tuple(sorted(file["datasets"]))


def load_table(path: str | Path, dataset: str) -> Table:
    """Read one dataset of a table file. Raises UserError for an unreadable file or an unknown dataset."""
    with _opened(path) as file:
        if dataset not in file["datasets"]:
            raise suggest([dataset], file["datasets"], f"dataset of {path}")
        group = file["datasets"][dataset]
        labels = _labels(group)
        splits, epochs, seeds = (len(labels[name]) for name in LABELS)
        (archs,) = group["arch"].shape
        shapes = {"arch": (archs,), "accuracy": (archs, splits, epochs, seeds)}
        if "seconds_per_run" in group:
            shapes["seconds_per_run"] = (archs, epochs, seeds)
        for name, shape in shapes.items():  # before anything is read: a small file can claim any size
            if group[name].shape != shape or archs > MOST:
                raise ValueError(f"{name} has the shape {group[name].shape}")
        return Table(
            benchmark=str(file.attrs["benchmark"]), dataset=dataset, source=str(group.attrs["source"]),
            checksum=str(group.attrs["checksum"]), archs=tuple(arch.decode() for arch in group["arch"][:]),
            accuracy=group["accuracy"][:],
            seconds_per_run=group["seconds_per_run"][:] if "seconds_per_run" in group else None, **labels,
        )  # fmt: skip
