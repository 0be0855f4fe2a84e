"""The HDF5 form of tables.

One file holds several datasets of one benchmark: `datasets/<name>` each with `arch` (archs,), `accuracy`
(archs, splits, epochs, seeds) and optionally `seconds_per_run` (archs, epochs, seeds), gzip-compressed, the axis
labels, source and checksum as attributes. The root carries `schema` and `schema_version`.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError, repeated, suggest
from benchmarks.files.write import atomic_path
from benchmarks.table import Table

SCHEMA = "nas-accuracy-table"
SCHEMA_VERSION = 1
MOST = 10**7
"""Architectures that a table may have."""
LABELS = ("splits", "epochs", "seeds")
"""Attributes with the labels of an axis."""


def save_tables(path: str | Path, tables: Sequence[Table]) -> None:
    """Write tables of one benchmark, one per dataset, to one file; it appears complete or not at all."""
    import h5py

    if not tables or len({table.benchmark for table in tables}) > 1 or repeated([t.dataset for t in tables]):
        raise ValueError("save_tables needs one or more tables of one benchmark, each of another dataset")
    with atomic_path(path) as part, h5py.File(part, "w") as file:
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


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator:
    """Open a table file for reading; one UserError for a file that is absent, broken or of another kind."""
    import h5py

    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; expected a table written by `python -m benchmarks.convert`")
    try:
        with h5py.File(path, "r") as file:
            ours = isinstance(file.attrs.get("schema"), str) and file.attrs["schema"] == SCHEMA
            if not ours or not isinstance(file.get("datasets"), h5py.Group):
                raise UserError(f"{path}: an HDF5 file, but not an accuracy table of `python -m benchmarks.convert`")
            version = int(file.attrs["schema_version"])
            if version > SCHEMA_VERSION:
                raise UserError(f"{path}: table form {version}; this version reads up to {SCHEMA_VERSION}; update it")
            yield file
    except UserError:
        raise
    except (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        raise UserError(f"{path}: truncated or not an accuracy table ({error}); convert the source again") from None


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
