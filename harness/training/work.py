"""The folder of a training: its recipe, the stacks that are finished, the table made of them."""

import hashlib
import json
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.errors import UserError, say
from benchmarks.files.write import write_atomically, write_text
from benchmarks.readers.foreign import read_arrays, read_json, refusing
from benchmarks.table import Table, load_table, save_tables
from harness.inputs.draw import title_of
from harness.inputs.images import Images
from harness.training.recipe import Recipe


class Job(NamedTuple):
    """One stack to train with one seed."""

    path: Path
    archs: tuple[str, ...]
    names: tuple[str, ...]
    """Canonical strings of the same."""
    recipe: Recipe
    seed: int
    folder: Path | None
    images: str
    """Checksum of the images."""
    device: str


def claim(out: Path, settings: dict) -> None:
    """Make the folder of the work or see that it is one, made with the same settings.

    A setting that did not exist yet when the folder was made had its default.
    """
    record = out / "recipe.json"
    try:
        if record.exists():
            advice = "give another --out, or delete the folder"
            old = read_json(record, "the recipe of a training", advice)
            with refusing(record, "the recipe of a training", advice):
                old = asdict(Recipe()) | old
            if old != settings:
                said = [f"{key} {old.get(key)} -> {settings.get(key)}" for key in sorted(old.keys() | settings)
                        if old.get(key) != settings.get(key)]  # fmt: skip
                raise UserError(f"{out} holds a training with another recipe ({', '.join(said)}): give another --out")
        elif out.is_dir() and (others := [p.name for p in sorted(out.iterdir()) if not _ours(p.name)]):
            raise UserError(f"{out} is no training (it holds {others[0]} and no recipe.json): give another --out")
        (out / "parts").mkdir(parents=True, exist_ok=True)
        write_text(record, json.dumps(settings, indent=1, sort_keys=True))
    except OSError as error:
        raise UserError(f"cannot write the folder {out}: {error.strerror}; give another --out") from error


def _ours(name: str) -> bool:
    """Return whether a file or folder is what an interrupted start of a training leaves."""
    return name == "parts" or name.endswith(".part")


def missing(out: Path, networks: dict[str, str], seeds: int, stack: int) -> Iterator[tuple[Path, list[str], int]]:
    """Yield (path, canonical strings, seed) of every stack that is not trained yet.

    `networks`: canonical string -> architecture. All seeds of the first stack come first.
    """
    names = list(networks)
    done = [trained(out, seed) for seed in range(seeds)]
    for start in range(0, len(names), stack):
        chunk = names[start : start + stack]
        for seed in range(seeds):
            todo = [name for name in chunk if name not in done[seed]]
            if todo:
                yield out / "parts" / f"seed{seed}_{start + chunk.index(todo[0]):06d}.npz", todo, seed


def trained(out: Path, seed: int) -> dict[str, np.ndarray]:
    """Return {canonical string: accuracy (splits,)} of what is trained with a seed; UserError for a broken file."""
    found: dict[str, np.ndarray] = {}
    for path in sorted((out / "parts").glob(f"seed{seed}_*.npz")):
        again = "delete it, its networks will be trained again"
        part = read_arrays(path, ("names", "accuracy"), "trained networks", again)
        with refusing(path, "trained networks", again):
            if part["accuracy"].shape != (len(part["names"]), 2) or part["accuracy"].dtype.kind != "f":
                raise ValueError(f"accuracies of shape {part['accuracy'].shape}")
            found |= dict(zip(map(str, part["names"]), part["accuracy"], strict=True))
    return found


def keep(path: Path, names: Sequence[str], accuracy: np.ndarray) -> None:
    """Write a finished stack."""
    with _kept(path):
        write_atomically(path, lambda file: np.savez_compressed(file, accuracy=accuracy, names=np.array(names)))


@contextmanager
def _kept(path: Path) -> Iterator[None]:
    """Turn a failed write into a UserError of one line."""
    try:
        yield
    except OSError as error:
        why = f"{error.strerror or error}; finished stacks are kept: make room and repeat"
        raise UserError(f"cannot write {path}: {why}") from error


def finish(out: Path, recipe: Recipe, strings: dict[str, str], seeds: int, settings: dict, images: Images) -> Path:
    """Gather the finished stacks into one table file, which `benchmarks.load` opens; return its path.

    `strings`: architecture -> canonical string of its network; several may share one.
    """
    done = [trained(out, seed) for seed in range(seeds)]
    accuracy = np.array([[each[name] for each in done] for name in strings.values()]).round(4)  # (archs, seeds, splits)
    accuracy = accuracy.transpose(0, 2, 1)[:, :, None]
    channels, side, _ = images.shape
    dataset, place = title_of(recipe.dataset)
    table = Table(
        benchmark=recipe.bench, dataset=dataset, archs=tuple(strings), splits=("valid", "test"),
        epochs=(recipe.epochs,), seeds=tuple(map(str, range(seeds))), accuracy=accuracy,
        source=f"{dataset}: {len(set(strings.values()))} distinct networks x {seeds} seeds"
        " trained by this project (harness.train)",
        checksum=hashlib.sha256(accuracy.tobytes()).hexdigest(),
        attributes={
            **recipe.network, "input_channels": channels, "classes": images.classes,
            "resolution": recipe.resolution or side,
            **({"images": place} if place else {}),
            "recipe": json.dumps(settings, sort_keys=True),
            "torch": torch.__version__, "machine": platform.machine(),
        },
    )  # fmt: skip
    path = out / "table.h5"
    with _kept(path):
        if path.exists() and len(old := load_table(path, dataset)) * len(old.seeds) > len(table) * seeds:
            say(f"{path} held {len(old)} architectures x {len(old.seeds)} seeds before; their trainings are kept")
        save_tables(path, [table])
    return path
