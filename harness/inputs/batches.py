"""A user's own images in the layout of CIFAR's Python files: pickled dictionaries of flat images and labels.

A folder of `data_batch_*`, `train_data_batch_*` or `train`; each a dictionary with `data`, uint8 (images, 3 * side *
side), red before green before blue, and `labels` or `fine_labels`. No pickle is executed (`benchmarks.readers.safe_pickle`).
"""

from __future__ import annotations

import math
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
    parts = [_read(path) for path in batches_of(folder)]
    sides = sorted({pixels.shape[2] for pixels, _ in parts})
    if len(sides) > 1:
        raise UserError(f"{folder}: images of {len(sides)} sizes ({', '.join(map(str, sides))} pixels); expected one")
    pixels = np.concatenate([pixels for pixels, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    files = f"{len(parts)} file{'s' * (len(parts) > 1)} in CIFAR's layout"
    source = f"{folder.name}/: {len(pixels):,} images 3 x {sides[0]} x {sides[0]} from {files}"
    return make_images(pixels, labels, name=str(folder), source=source)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels uint8 (images, 3, side, side) and labels (images,) of one file."""
    content = load_pickle(path, encoding="latin1")
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a dictionary with data and labels, got {type(content).__name__}")
    fields = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    label = next((name for name in LABELS if name in fields), None)
    if label is None or "data" not in fields:
        raise UserError(f"{path}: expected data and {' or '.join(LABELS)} in it, got {', '.join(map(str, fields))}")
    data = fields["data"]
    flat = isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2
    side = math.isqrt(data.shape[1] // 3) if flat else 0
    if not flat or side == 0 or data.shape[1] != 3 * side**2:
        got = f"{data.dtype} of shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise UserError(f"{path}: expected data as uint8 (images, 3 * side * side), got {got}")
    labels = check_labels(fields[label], str(path))
    if len(labels) != len(data):
        raise UserError(f"{path}: {len(data)} images but {len(labels)} labels; expected one label for each image")
    return data.reshape(-1, 3, side, side), labels
