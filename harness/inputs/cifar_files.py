"""Files in CIFAR's Python layout: pickled dictionaries of flat images and labels, official or a user's own.

Each has `data`, uint8 (images, 3 * side * side), red before green before blue, and `labels` or `fine_labels`. A user's
folder has `data_batch_*`, `train_data_batch_*` or `train`. No pickle is executed (`benchmarks.readers.safe_pickle`).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError
from benchmarks.readers.safe_pickle import load_pickle
from harness.inputs.images import Images, check_labels, make_images

PATTERNS = ("data_batch_*", "train_data_batch_*", "train")
LABELS = ("labels", "fine_labels")


def batches_of(folder: Path) -> list[Path]:
    """Return the training files of a folder in this layout, by name and number; empty where there is none."""
    found = [path for pattern in PATTERNS for path in folder.glob(pattern) if path.is_file()]
    return sorted(found, key=lambda path: (len(path.name), path.name))


def load_batches(folder: Path) -> Images:
    """Load all training files of a folder; normalised by the set's own mean and std."""
    parts = [read_file(path) for path in batches_of(folder)]
    sides = sorted({pixels.shape[2] for pixels, _ in parts})
    if len(sides) > 1:
        raise UserError(f"{folder}: images of {len(sides)} sizes ({', '.join(map(str, sides))} pixels); expected one")
    pixels, labels = map(np.concatenate, zip(*parts, strict=True))
    files = f"{len(parts)} file{'s' * (len(parts) > 1)} in CIFAR's layout"
    source = f"{folder.name}/: {len(pixels):,} images 3 x {sides[0]} x {sides[0]} from {files}"
    return make_images(pixels, labels, name=str(folder), source=source)


def read_file(path: Path, names: Sequence[str] = LABELS, side: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels, uint8 (images, 3, side, side), and labels, int64 (images,), of one file.

    `names` are the keys that labels may have, the first that is there; `side` 0 takes images of any size. UserError
    where the file is damaged or something else.
    """
    content = load_pickle(path, encoding="latin1")
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a dictionary of data and labels, got {type(content).__name__}")
    fields = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    label = next((name for name in names if name in fields), None)
    if label is None or "data" not in fields:
        raise UserError(f"{path}: expected data and {' or '.join(names)} in it, got {', '.join(map(str, fields))}")
    data = fields["data"]
    flat = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2
    found = math.isqrt(data.shape[1] // 3) if flat else 0
    if found == 0 or data.shape[1] != 3 * found**2 or side not in (0, found):
        got = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        expected = 3 * side**2 if side else "3 * side * side"
        raise UserError(f"{path}: expected data as uint8 (images, {expected}), got {got}")
    labels = check_labels(fields[label], str(path))
    if len(labels) != len(data):
        raise UserError(f"{path}: {len(data)} images but {len(labels)} labels; expected one label for each image")
    return np.asarray(data).reshape(-1, 3, found, found), labels
