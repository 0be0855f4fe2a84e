"""A finished run as statistics and reports read it, and its HDF5 file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from benchmarks.errors import UserError
from benchmarks.readers.foreign import open_hdf5, read_json, refusing

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StoredRun:
    """Everything statistics and report may see of a run."""

    path: Path
    manifest: dict[str, Any]
    archs: tuple[str, ...]
    """(archs,) printed strings."""
    index: np.ndarray
    """(archs,) int, index in the space."""
    accuracy: np.ndarray
    """(archs,) float64, percent: the target."""
    seed_accuracy: np.ndarray
    """(archs, accuracy_seeds) float64, percent: single trials of the target, NaN where there was none."""
    class_id: np.ndarray
    """(archs,) int: equal for equivalent architectures."""
    connected: np.ndarray
    """(archs,) bool: some path leads from input to output."""
    params: np.ndarray
    """(archs,) float64."""
    conv_count: np.ndarray
    """(archs,) int: reachable convolutions."""
    scores: dict[str, np.ndarray]
    """proxy -> (seeds, archs) float64, larger is better; NaN or infinite where it failed."""
    seconds: dict[str, np.ndarray]
    """proxy -> (seeds, archs) float64 per scored network; NaN where the score is shared from an equivalent one."""
    failures: pd.DataFrame
    """proxy, seed, arch, reason."""
    space_best: float
    """Best accuracy of the whole table, percent."""
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    """target -> (archs,) float64, its value in its unit, NaN for a gap; `manifest["targets"]` has unit and source."""

    def of(self, proxies: Iterable[str]) -> StoredRun:
        """Return the same run with some of its proxies alone."""
        names = set(proxies)
        about = {name: facts for name, facts in self.manifest.get("proxies", {}).items() if name in names}
        return replace(
            self, manifest=self.manifest | {"proxies": about},
            scores={name: values for name, values in self.scores.items() if name in names},
            seconds={name: values for name, values in self.seconds.items() if name in names},
            failures=self.failures[self.failures["proxy"].isin(names)].reset_index(drop=True),
        )  # fmt: skip

    def at(self, rows: np.ndarray) -> StoredRun:
        """Return the same run with some of its architectures alone, by place, in that order."""
        archs = tuple(self.archs[row] for row in rows)
        arrays = {name: getattr(self, name)[rows] for name in ARRAYS}
        return replace(
            self, archs=archs, **arrays, failures=self.failures[self.failures["arch"].isin(archs)],
            scores={name: values[:, rows] for name, values in self.scores.items()},
            seconds={name: values[:, rows] for name, values in self.seconds.items()},
            targets={name: values[rows] for name, values in self.targets.items()},
        )  # fmt: skip


def representatives(run: StoredRun) -> np.ndarray:
    """Return (archs,) the index in the space of the architecture whose network was scored for each string."""
    return run.class_id if run.manifest["settings"].get("share", True) else run.index


def read_manifest(path: Path) -> dict:
    """Return a manifest; UserError where it is not one."""
    advice = "give another --out, or delete the folder if it was a run"
    manifest = read_json(path, "the manifest of a run", advice)
    with refusing(path, "the manifest of a run", advice):
        _check_manifest(manifest)
    return manifest


TARGET = ("dataset", "split", "epochs", "reduction")
"""Entries of a manifest's target: the accuracy that the scores are compared with."""


def target_in(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the target of a run by its manifest; in those of earlier versions it is among the settings."""
    held = manifest.get("target") or manifest.get("settings", {})
    return {name: held.get(name) for name in TARGET}


KINDS: dict[str, Any] = {
    "settings": dict, "target": dict, "proxies": dict, "targets": dict, "earlier": list, "seconds": (int, float),
    "space_size": int, "space_networks": int, "unit": str, "dataset": str, "benchmark": str, "table_source": str,
    "versions": dict,
}  # fmt: skip
"""Entry of a manifest -> what it has to be where it is there."""


def _check_manifest(manifest: Any) -> None:
    """Raise ValueError where a manifest lacks what is read of one, or has it of another kind."""
    if not isinstance(manifest, dict) or "settings" not in manifest:
        raise ValueError("no settings of a run in it")
    wrong = [name for name, kind in KINDS.items() if name in manifest and not isinstance(manifest[name], kind)]
    settings = {} if wrong else manifest["settings"]
    if not isinstance(settings.get("bench"), str) or not isinstance(settings.get("own_proxies", {}), dict):
        raise ValueError(f"{', '.join(wrong) or 'settings'} not as in a run")
    if not all(isinstance(about, dict) for about in manifest.get("proxies", {}).values()):
        raise ValueError("proxies not as in a run")
    if not all(manifest.get(name, 1) > 0 for name in ("space_size", "space_networks")):
        raise ValueError("a space of no architectures")


def write_run(file: Any, run: StoredRun) -> None:
    """Write a run into an open HDF5 file."""
    text = h5py.string_dtype()
    file.attrs["schema_version"] = SCHEMA_VERSION
    file.attrs["manifest"] = json.dumps(run.manifest, sort_keys=True, default=str)
    file.attrs["space_best"] = run.space_best
    file.create_dataset("arch", data=np.array(run.archs, dtype=object), dtype=text, compression="gzip")
    for name in ("index", "accuracy", "seed_accuracy", "class_id", "connected", "params", "conv_count"):
        file.create_dataset(name, data=getattr(run, name))
    for kind in ("scores", "seconds"):
        for proxy, values in getattr(run, kind).items():
            file.create_dataset(f"{kind}/{proxy}", data=values, compression="gzip")
    if run.targets:
        file.create_dataset("target", data=np.array(list(run.targets), dtype=object), dtype=text)
        file.create_dataset("targets", data=np.array(list(run.targets.values())), compression="gzip")
    rows = [list(map(str, row)) for row in run.failures.itertuples(index=False)]
    file.create_dataset("failures", data=np.array(rows, dtype=object).reshape(-1, 4), dtype=text)


def load_run(folder: str | Path) -> StoredRun:
    """Open a finished run; UserError where there is none or it cannot be read."""
    folder = Path(folder)
    path = folder / "scores.h5"
    if not path.is_file():
        begun = (folder / "manifest.json").is_file()
        hint = "it was not finished: repeat the command that made it" if begun else "give the folder of a run"
        raise UserError(f"no finished run in {folder} (no scores.h5): {hint}")
    with open_hdf5(path, "the scores of a run", "delete it and repeat the command that made it") as file:
        manifest = json.loads(file.attrs["manifest"])
        _check_manifest(manifest)
        rows = [[cell.decode() for cell in row] for row in file["failures"][:]]
        failures = pd.DataFrame(rows, columns=["proxy", "seed", "arch", "reason"]).astype({"seed": int})
        archs = tuple(arch.decode() for arch in file["arch"][:])
        arrays = {name: _values(file, name, kind, len(archs)) for name, kind in ARRAYS.items()}
        scores, seconds = ({name: _values(file[kind], name, "f", len(archs), 1) for name in file[kind]}
                           for kind in ("scores", "seconds"))  # fmt: skip
        if scores.keys() != seconds.keys() or any(scores[name].shape != seconds[name].shape for name in scores):
            raise ValueError("scores and seconds of different proxies")
        names = [name.decode() for name in file["target"][:]] if "target" in file else []
        targets = _values(file, "targets", "f", len(archs), 1) if names else ()
        if not set(names) <= manifest.get("targets", {}).keys():
            raise ValueError("targets that its manifest does not know")
        return StoredRun(
            path=folder, manifest=manifest, archs=archs, **arrays, scores=scores, seconds=seconds,
            failures=failures, space_best=float(file.attrs["space_best"]),
            targets=dict(zip(names, targets, strict=True)),
        )  # fmt: skip


ARRAYS = {
    "index": "iu", "accuracy": "f", "seed_accuracy": "f", "class_id": "iu", "connected": "b", "params": "f",
    "conv_count": "iu",
}  # fmt: skip
"""Array of a run -> its kinds of numbers."""


def _values(group: Any, name: str, kinds: str, archs: int, axis: int = 0) -> np.ndarray:
    """Return an array; ValueError where it has other numbers, or `axis` another length than there are architectures."""
    values = group[name][:]
    dimensions = 2 if axis or name == "seed_accuracy" else 1
    if values.dtype.kind not in kinds or values.ndim != dimensions or values.shape[axis] != archs:
        raise ValueError(f"{name} is {values.dtype} of shape {values.shape}, for {archs} architectures")
    return values
