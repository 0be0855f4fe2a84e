"""The benchmarks' image sets in their official Python layout, or a small .npz in its place.

CIFAR-10 and CIFAR-100: Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html. ImageNet16-120: Chrabaszcz,
Loshchilov and Hutter 2017 (arXiv 1707.08819), the first 120 classes as Dong and Yang 2020 (arXiv 2001.00326) take
them; the normalising constants are those of their loaders.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError
from harness.inputs.cifar_files import read_file
from harness.inputs.images import Images, make_images
from harness.inputs.own import read_npz


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
        files=tuple(f"data_batch_{number}" for number in range(1, 6)), labels_key="labels", first_label=0,
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
        files=tuple(f"train_data_batch_{number}" for number in range(1, 11)), labels_key="labels", first_label=1,
        constants=((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)), archive="Imagenet16_train.zip",
        where="https://image-net.org/download-images, downsampled 16x16, about 1 GB",
    ),
}  # fmt: skip


def key_of(name: str) -> str:
    """Return the dataset key of a name as people and benchmarks write it: ImageNet16_120, CIFAR10, cifar10-valid."""
    return name.lower().replace("_", "-").removesuffix("-valid")


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
    return UserError(f"no {dataset.title} images: {looked}; {get}")
