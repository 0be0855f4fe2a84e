"""A set of labelled images in memory, with the constants that normalise it."""

import hashlib
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import UserError

MOST_CLASSES = 1_000_000
"""Classes that a set of images may have."""
TABLES = ("-valid", "-halfway", "-545", "-nds")
"""Endings by which benchmarks distinguish tables of one image set."""


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images of one size.

    pixels: (images, channels, height, width), uint8 0..255; float32 where a user's file was normalised already
    labels: (images,) int64, each 0 <= label < classes
    mean, std: one per channel, in units of 0..1 (pixel / 255); 0 and 1 for float32 pixels
    source: one line for people: which files, how many images, whether partial or a substitute
    checksum: sha256 (hex) of the pixels followed by the labels
    """

    pixels: np.ndarray
    labels: np.ndarray
    classes: int
    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    checksum: str

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of one image."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width


def make_images(
    pixels: np.ndarray, labels: np.ndarray, *, name: str, source: str, classes: int | None = None,
    constants: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
) -> Images:  # fmt: skip
    """Check pixels (images, channels, height, width) and labels (images,) and put them together.

    classes None: the largest label plus one. constants: (mean, std) per channel in 0..255, as the benchmarks print
    them; None: those of the set itself, and none at all (0 and 1) for float32 pixels.
    """
    if pixels.ndim != 4 or 0 in pixels.shape:
        raise UserError(f"{name}: expected (images, channels, height, width), none of them 0, got {pixels.shape}")
    labels = check_labels(labels, name)
    if len(labels) != len(pixels):
        raise UserError(f"{name}: {len(pixels)} images but {len(labels)} labels; expected one label for each image")
    classes = int(labels.max()) + 1 if classes is None else classes
    if labels.max() >= classes:
        raise UserError(f"{name}: label {labels.max()} is out of range; expected 0 to {classes - 1}")
    pixels = np.ascontiguousarray(pixels).ravel().reshape(pixels.shape)  # one channel: the strides that a worker gets
    mean, std = _normalisation(pixels, constants)
    checksum = hashlib.sha256(pixels.data)
    checksum.update(labels.data)
    return Images(pixels, labels, classes, name, mean, std, source, checksum.hexdigest())


def check_labels(labels: object, name: str) -> np.ndarray:
    """Return labels as int64 (images,); anything but a flat list of whole numbers >= 0 is a UserError."""
    try:
        found = np.asarray(labels)
    except ValueError:  # a ragged list
        found = np.empty(0, dtype=object)
    if found.ndim != 1 or found.dtype.kind not in "iu" or found.size == 0:
        raise UserError(f"{name}: expected labels as a list of whole numbers, got {found.dtype} of shape {found.shape}")
    for label in (found.min(), found.max()):
        if not 0 <= label < MOST_CLASSES:
            raise UserError(f"{name}: label {label} is out of range; expected labels from 0 to {MOST_CLASSES - 1:,}")
    return found.astype(np.int64)


def _normalisation(
    pixels: np.ndarray, constants: tuple[tuple[float, ...], tuple[float, ...]] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel in units of 0..1; a constant channel gets deviation 1."""
    channels = pixels.shape[1]
    if pixels.dtype != np.uint8:
        return (0.0,) * channels, (1.0,) * channels
    if constants is not None:
        return tuple(value / 255 for value in constants[0]), tuple(value / 255 for value in constants[1])
    mean, std = [], []
    for channel in range(channels):  # by counts: exact, and no float copy of the set
        numbers = np.sum([np.bincount(image.ravel(), minlength=256) for image in pixels[:, channel]], axis=0)
        counts = numbers / pixels[:, channel].size
        values = np.arange(256) / 255
        mean.append(float(counts @ values))
        std.append(float(np.sqrt(counts @ (values - mean[-1]) ** 2)) or 1.0)
    return tuple(mean), tuple(std)


def key_of(name: str) -> str:
    """Return the dataset key of a name as people and benchmarks write it: ImageNet16_120, CIFAR10, cifar10-valid."""
    key = name.lower().replace("_", "-")
    return next((key.removesuffix(ending) for ending in TABLES if key.endswith(ending)), key)
