"""Images by name: the benchmarks' datasets, the embedded digits, or a user's folder or .npz file."""

import os
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.table import Table
from harness.inputs.cifar_files import batches_of, load_batches
from harness.inputs.images import Images, make_images
from harness.inputs.official import DATASETS, key_of, load
from harness.inputs.own import load_folder, load_npz

DIGITS_SHAPE = (1, 8, 8)
NAMES = (*DATASETS, "digits")


def load_images(name: str | Path, folder: Path | None) -> Images:
    """Load the training images called `name`: cifar10, cifar100, imagenet16-120, digits, or a path.

    folder: the data folder, searched for the official files and then for images/<name>*.npz; not used by digits and
    paths. A path is a folder with one subfolder of images for each class, an .npz file (see `own.read_npz`), or a
    folder of files in CIFAR's Python layout (official or own: see `cifar_files`).
    Raises UserError where nothing is found (saying where it looked and what to get) or a file cannot be used.
    """
    name = str(name)
    key = key_of(name)
    if key == "digits":
        return _digits()
    if key in DATASETS:
        return load(key, folder)
    path = Path(os.path.expanduser(name))
    if path.is_dir():
        if not batches_of(path):
            return load_folder(path)
        known = {dataset.subfolder: key for key, dataset in DATASETS.items()}
        return load(known[path.name], path) if path.name in known else load_batches(path)
    if path.is_file() and path.suffix.lower() == ".npz":
        return load_npz(path)
    if path.exists():
        raise UserError(f"cannot read images from {path}: expected a folder of images or an .npz file")
    if len(path.parts) > 1 or path.suffix:
        raise UserError(f"no images at {path}: there is no such folder or .npz file")
    raise suggest([name], NAMES, "image set (no folder or .npz file is called so)")


def title_of(name: str) -> tuple[str, str | None]:
    """Return what tables call an image set: its key, or the name of its file or folder with where that is."""
    key = key_of(name)
    if key in NAMES:
        return key, None
    path = Path(os.path.expanduser(name)).resolve()
    return path.name.removesuffix(".npz"), str(path)


def source_of(table: Table) -> str:
    """Return the name or path of the images a table was trained on; UserError where they are no longer there."""
    place = str(table.attributes.get("images", ""))
    if place and not Path(place).exists():
        name = "name them with --inputs PATH, or give --inputs gaussian"
        raise UserError(f"the images of '{table.dataset}' are no longer at {place}: {name}")
    return place or table.dataset


def native_shape(dataset: str) -> tuple[int, int, int]:
    """(channels, height, width) of the images of a named dataset, without reading them."""
    key = key_of(dataset)
    if key == "digits":
        return DIGITS_SHAPE
    if key not in DATASETS:
        raise suggest([dataset], NAMES, "image set")
    return (3, DATASETS[key].side, DATASETS[key].side)


def _digits() -> Images:
    """The 1,797 UCI digits (8x8) that scikit-learn ships; their 0..16 becomes 0..255, rounded."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError("the embedded digits need scikit-learn: python -m pip install scikit-learn") from None
    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    source = f"UCI digits as scikit-learn ships them: {len(pixels):,} images 8x8, values 0..16 scaled to 0..255"
    return make_images(pixels, bunch.target, name="digits", source=source, classes=10)
