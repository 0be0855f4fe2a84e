"""The benchmarks' image sets in CIFAR's Python layout, or a small .npz in its place; a user's files in that layout.

CIFAR-10 and CIFAR-100: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. ImageNet16-120: Chrabaszcz,
Loshchilov and Hutter 2017 (arXiv 1707.08819), the first 120 classes as Dong and Yang 2020 (arXiv 2001.00326) take
them; the normalising constants are those of their loaders.

A file is a pickled dictionary: `data`, uint8 (images, 3 * side * side), red before green before blue, and `labels` or
`fine_labels`. A user's folder has `data_batch_*`, `train_data_batch_*` or `train`. No pickle is executed
(`benchmarks.readers.safe_pickle`).
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError
from benchmarks.readers.foreign import refusing
from benchmarks.readers.safe_pickle import load_pickle
from harness.inputs.images import Images, check_labels, make_images
from harness.inputs.own import read_npz

PATTERNS = ("data_batch_*", "train_data_batch_*", "train")
LABELS = ("labels", "fine_labels")


@dataclass(frozen=True)
class Dataset:
    """What is known of an official image set. constants: (mean, std) per channel, in 0..255, of NAS-Bench-201."""

    title: str
    classes: int
    side: int  # height = width, pixels
    images: int  # of the whole training set
    subfolder: str
    files: tuple[str, ...]
    labels_key: str
    first_label: int  # as stored in the files; labels of classes beyond `classes` are left out
    constants: tuple[tuple[float, ...], tuple[float, ...]]
    archive: str
    where: str  # to get the archive, and its size


DATASETS = {
    "cifar10": Dataset(
        title="CIFAR-10", classes=10, side=32, images=50_000, subfolder="cifar-10-batches-py",
        files=tuple(map("data_batch_{}".format, range(1, 6))), labels_key="labels", first_label=0,
        constants=((125.3, 123.0, 113.9), (63.0, 62.1, 66.7)), archive="cifar-10-python.tar.gz",
        where="https://www.cs.toronto.edu/~kriz/cifar.html, 170 MB",
    ),
    "cifar100": Dataset(
        title="CIFAR-100", classes=100, side=32, images=50_000, subfolder="cifar-100-python", files=("train",),
        labels_key="fine_labels", first_label=0, constants=((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
        archive="cifar-100-python.tar.gz", where="https://www.cs.toronto.edu/~kriz/cifar.html, 170 MB",
    ),
    "imagenet16-120": Dataset(
        title="ImageNet16-120", classes=120, side=16, images=151_700, subfolder="ImageNet16",
        files=tuple(map("train_data_batch_{}".format, range(1, 11))), labels_key="labels", first_label=1,
        constants=((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)), archive="Imagenet16_train.zip",
        where="https://image-net.org/download-images, downsampled 16x16, about 1 GB",
    ),
}  # fmt: skip


def load(key: str, folder: Path | None) -> Images:
    """Load the training images of an official set from `folder`: the official files, otherwise images/<key>*.npz."""
    if folder is not None:
        dataset = DATASETS[key]
        for place in [folder / dataset.subfolder, *([folder] if folder.name == dataset.subfolder else [])]:
            found = [place / file for file in dataset.files if (place / file).is_file()]
            if found:
                return _load_files(key, found)
        if small := small_files(key, folder):
            return _load_small(key, small[0])
    raise _not_found(key, folder)


def is_there(key: str, folder: Path | None) -> bool:
    """Return whether `load` would find images of an official set."""
    if folder is None:
        return False
    dataset = DATASETS[key]
    places = [folder / dataset.subfolder, *([folder] if folder.name == dataset.subfolder else [])]
    return any((place / file).is_file() for place in places for file in dataset.files) or bool(small_files(key, folder))


def small_files(key: str, folder: Path) -> list[Path]:
    """Return the .npz files for `key` in folder/images, best first: real before substitute, train before test.

    A name fits when the key (its - may be _) is followed by no further letter or digit: cifar10 is not cifar100.
    """
    pattern = re.compile(re.escape(key).replace(r"\-", "[-_]") + r"(?![0-9a-z]).*\.npz", re.IGNORECASE)
    fits = [path for path in (folder / "images").glob("*.npz") if pattern.fullmatch(path.name)]
    return sorted(fits, key=lambda path: ("standin" in path.name.lower(), "test" in path.name.lower(), path.name))


def _load_files(key: str, paths: list[Path]) -> Images:
    dataset = DATASETS[key]
    pixels, labels = map(np.concatenate, zip(*(_read_file(path, dataset) for path in paths), strict=True))
    if len(pixels) == 0:
        raise UserError(f"{paths[0].parent}: no image of the classes of {dataset.title} in {len(paths)} files")
    files = paths[0].name if len(paths) == 1 else f"{len(paths)} files of {len(dataset.files)}"
    source = f"{dataset.title}: {_amount(len(pixels), dataset)}, from {dataset.subfolder}/{files}"
    return make_images(pixels, labels, name=key, source=source, classes=dataset.classes, constants=dataset.constants)


def _read_file(path: Path, dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and labels of the classes of a set from one official file; labels (images,) from 0."""
    pixels, labels = read_file(path, (dataset.labels_key,), dataset.side)
    labels = labels - dataset.first_label
    if labels.min() < 0 or (dataset.first_label == 0 and labels.max() >= dataset.classes):
        wrong = (labels.min() if labels.min() < 0 else labels.max()) + dataset.first_label
        raise UserError(f"{path}: label {wrong} is out of range for {dataset.title} ({dataset.classes} classes)")
    kept = labels < dataset.classes
    return pixels[kept], labels[kept]


def _load_small(key: str, path: Path) -> Images:
    dataset = DATASETS[key]
    pixels, labels = read_npz(path)
    if pixels.shape[1:] != (3, dataset.side, dataset.side):
        got = " x ".join(str(side) for side in pixels.shape[1:])
        raise UserError(f"{path}: expected {dataset.title} images of 3 x {dataset.side} x {dataset.side}, got {got}")
    standin = "a SUBSTITUTE, not the benchmark's images, " if "standin" in path.name.lower() else ""
    source = f"{dataset.title}: {standin}{_amount(len(pixels), dataset)}, from images/{path.name}"
    return make_images(pixels, labels, name=key, source=source, classes=dataset.classes, constants=dataset.constants)


def _amount(images: int, dataset: Dataset) -> str:
    return f"{images:,} images" + (f", PARTIAL (all: {dataset.images:,})" if images < dataset.images else "")


def _not_found(key: str, folder: Path | None) -> UserError:
    dataset = DATASETS[key]
    wanted = f"{folder or 'DIR'}/{dataset.subfolder}/{dataset.files[0]}"
    if folder is None:
        looked = "no data folder was given (--data DIR)"
    else:
        looked = f"looked for {wanted} and {folder}/images/{key}*.npz"
        looked += f" ({dataset.archive} is there, but packed)" if (folder / dataset.archive).exists() else ""
    get = f"get {dataset.archive} ({dataset.where}) and unpack it so that {wanted} exists, or use --inputs gaussian"
    get = f"nas-harness data get images, or {get}" if key == "cifar10" else get
    return UserError(f"no {dataset.title} images: {looked}; {get}")


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
    with refusing(path, "images in CIFAR's layout"):
        return _batch(path, load_pickle(path, encoding="latin1"), names, side)


def _batch(path: Path, content: object, names: Sequence[str], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and labels of the content of a file, as `read_file`."""
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
