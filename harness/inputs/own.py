"""A user's own images: an .npz file, or a folder with one subfolder for each class."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from benchmarks.errors import UserError
from benchmarks.readers.foreign import existing, read_arrays, refusing
from benchmarks.readers.hdf5_check import allowance
from harness.inputs.images import Images, make_images

if TYPE_CHECKING:
    from PIL import Image

T = TypeVar("T")
PIXEL_NAMES, LABEL_NAMES = ("images", "x", "pixels"), ("labels", "y")
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
OWN_CONSTANTS = "normalised by the set's own mean and std"
LARGEST_BYTES = 4 * 2**30  # of pixels held in memory
PIXELS = 1 << 25  # of one image


def load_npz(path: Path) -> Images:
    """Images of an .npz file (see `read_npz`), normalised by the mean and deviation of the set unless already float."""
    pixels, labels = read_npz(path)
    how = OWN_CONSTANTS if pixels.dtype == np.uint8 else "floats taken as normalised already"
    source = f"{path.name}: {len(pixels):,} images {_size(pixels)}, {how}"
    return make_images(pixels, labels, name=str(path), source=source)


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read pixels (images, channels, height, width), uint8 or float32, and labels (images,) from an .npz file.

    Arrays: images, x or pixels; labels or y. Of axes 1 and 3 the shorter is taken as the channels (axis 1 where they
    are equal); (images, height, width) is one channel. Float arrays are taken as normalised already. Nothing pickled
    is read.
    """
    arrays = read_arrays(path, {*PIXEL_NAMES, *LABEL_NAMES}, "images and labels")
    pixels, labels = (_pick(arrays, names, path) for names in (PIXEL_NAMES, LABEL_NAMES))
    return _channels_first(pixels, path), labels


def _pick(arrays: dict[str, np.ndarray], names: tuple[str, ...], path: Path) -> np.ndarray:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise UserError(f"{path}: no array called {' or '.join(names)}; it has {', '.join(arrays) or 'none of them'}")


def _channels_first(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.dtype.kind == "f":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float32)
        if not np.isfinite(pixels).all():
            raise UserError(f"{path}: some pixels are not finite numbers")
    if pixels.dtype not in (np.uint8, np.float32) or pixels.ndim not in (3, 4):
        shape = "(images, channels, height, width) or (images, height, width, channels)"
        got = f"got {pixels.dtype} of shape {pixels.shape}"
        raise UserError(f"{path}: expected images as uint8 (or normalised floats) of shape {shape}, {got}")
    if pixels.ndim == 3:
        return pixels[:, None]
    return pixels if pixels.shape[1] <= pixels.shape[3] else pixels.transpose(0, 3, 1, 2)


def load_folder(path: Path) -> Images:
    """Images of a folder: one subfolder for each class, classes numbered in the order of their names.

    One channel where every image is grey, otherwise RGB. Images of different sizes are cropped to their central
    square and resized to the shortest side of the set (Pillow's box filter). Normalised by the mean and std of the set.
    """
    with refusing(path, "a folder that can be listed", "look at its permissions"):
        classes, files, labels = _listed(path)
    facts = _read_each(files, _facts)
    sizes, grey = {size for size, _ in facts}, all(is_grey for _, is_grey in facts)
    side = None if len(sizes) == 1 else min(min(size) for size in sizes)
    width, height = (side, side) if side else facts[0][0]
    most = min(LARGEST_BYTES, allowance(sum(file.stat().st_size for file in files)))
    if len(files) * width * height * (1 if grey else 3) > most:
        more = f"more than the {most >> 20:,} MiB that files of this size may fill; give fewer or smaller ones"
        raise UserError(f"{path}: {len(files):,} images of {width} x {height} are {more}")
    pixels = np.stack(_read_each(files, functools.partial(_pixels, mode="L" if grey else "RGB", side=side)))
    resized = f", central squares resized from {len(sizes)} sizes" if side else ""
    source = f"{path.name}/: {len(files):,} images {_size(pixels)} in {len(classes)} classes{resized}, {OWN_CONSTANTS}"
    return make_images(pixels, labels, name=str(path), source=source)


def _listed(path: Path) -> tuple[list[Path], list[Path], np.ndarray]:
    """The subfolders that are classes, the image files in them (images,) and their labels (images,)."""
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    members = [
        sorted(file for file in entry.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
        for entry in classes
    ]
    if not any(members):
        known = ", ".join(sorted(SUFFIXES))
        raise UserError(f"{path}: no images; expected one subfolder for each class, with files of {known}")
    empty = [entry.name for entry, files in zip(classes, members, strict=True) if not files]
    if empty:
        raise UserError(f"{path}: no images in {', '.join(empty)}; every subfolder is a class, so remove or fill it")
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in members])
    return classes, [file for files in members for file in files], labels


def _read_each(files: list[Path], read: Callable[[Image.Image], T]) -> list[T]:
    """Open the files one after the other and read each; what cannot be read is a UserError that names the file."""
    from PIL import Image

    results = []
    for file in files:
        existing(file, "an image; remove it")
        with refusing(file, "an image", "remove or replace it"), Image.open(file) as image:
            if image.width * image.height > PIXELS:
                raise UserError(f"{image.width} x {image.height} pixels, too many for an image; remove or replace it")
            results.append(read(image))
    return results


def _facts(image: Image.Image) -> tuple[tuple[int, int], bool]:
    """((width, height), whether it is grey); more than 8 bits a channel are refused rather than clipped."""
    if image.mode.startswith(("I", "F")):
        raise ValueError(f"mode {image.mode}; expected 8 bits a channel")
    return image.size, image.mode in ("1", "L", "LA")


def _pixels(image: Image.Image, mode: str, side: int | None) -> np.ndarray:
    """One image -> uint8 (channels, height, width)."""
    from PIL import Image

    image = image.convert(mode)
    if side:
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        image = image.resize((side, side), Image.Resampling.BOX, box=(left, top, left + edge, top + edge))
    values = np.asarray(image)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def _size(pixels: np.ndarray) -> str:
    return " x ".join(str(side) for side in pixels.shape[1:])
