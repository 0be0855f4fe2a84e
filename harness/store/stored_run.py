"""A finished run as statistics and reports read it, and its HDF5 file."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from benchmarks.errors import UserError


@dataclass(frozen=True)
class Part:
    """Scores of some architectures (by class representative) under one seed: (proxies, archs)."""

    seed: int
    proxies: tuple[str, ...]
    index: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray
    reasons: tuple[dict[int, str], ...]
    """By proxy: position -> reason."""


def read_part(path: Path) -> Part:
    """Return one committed part; UserError where the file is broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            reasons = tuple({int(k): str(v) for k, v in pairs} for pairs in json.loads(str(file["reasons"])))
            proxies = tuple(str(name) for name in file["proxies"])
            return Part(int(file["seed"]), proxies, file["index"], file["scores"], file["seconds"], reasons)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it, its scores will be computed again") from error


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


def representatives(run: StoredRun) -> np.ndarray:
    """Return (archs,) the index in the space of the architecture whose network was scored for each string."""
    return run.class_id if run.manifest["settings"].get("share", True) else run.index


def read_manifest(path: Path) -> dict:
    """Return a manifest; UserError where it is not one."""
    try:
        manifest = json.loads(path.read_text())
        if not isinstance(manifest["settings"], dict) or "bench" not in manifest["settings"]:
            raise TypeError("no settings of a run in it")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not the manifest of a run, or is damaged ({type(error).__name__}: {error}): give another --out,"
            " or delete the folder if it was a run"
        ) from error
    return manifest


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
    try:
        with h5py.File(path, "r") as file:
            rows = [[cell.decode() for cell in row] for row in file["failures"][:]]
            failures = pd.DataFrame(rows, columns=["proxy", "seed", "arch", "reason"]).astype({"seed": int})
            arrays = {
                name: file[name][:]
                for name in ("index", "accuracy", "seed_accuracy", "class_id", "connected", "params", "conv_count")
            }
            return StoredRun(
                path=folder, manifest=json.loads(file.attrs["manifest"]),
                archs=tuple(arch.decode() for arch in file["arch"][:]), **arrays,
                scores={name: values[:] for name, values in file["scores"].items()},
                seconds={name: values[:] for name, values in file["seconds"].items()},
                failures=failures, space_best=float(file.attrs["space_best"]),
            )  # fmt: skip
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is not the scores of a run or is damaged ({error}): delete it and repeat the command that made it"
        ) from error
