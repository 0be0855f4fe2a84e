"""Minibatches: images by name, which of them are drawn, how they become tensors, and what replaces them (noise, ones).

Everything random depends on the seed alone, not on the global generators; minibatch i is the same for every count.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.errors import UserError, suggest
from benchmarks.table import Table
from harness.inputs.images import Images, key_of, make_images
from harness.inputs.official import DATASETS, batches_of, load, load_batches
from harness.inputs.own import load_folder, load_npz

DIGITS_SHAPE = (1, 8, 8)
NAMES = (*DATASETS, "digits")
CHOICE, NOISE, CROP = range(3)  # one random stream for each purpose


@dataclass(frozen=True, eq=False)
class Minibatch:
    """inputs: float32 (samples, channels, height, width), normalised; targets: int64 (samples,)."""

    inputs: torch.Tensor
    targets: torch.Tensor


def minibatches(
    inputs: str | Path | Images, *, dataset: str, folder: Path | None, batch_size: int, count: int, seed: int,
    channels: int, resolution: int | None, classes: int, balanced: bool = False, augment: bool = False,
) -> tuple[list[Minibatch], str]:  # fmt: skip
    """Return `count` minibatches that fit a network of `channels` and `classes`, and one line that says what they are.

    inputs: "images" (those of `dataset`, looked for in `folder`), "gaussian" (noise with random labels), the path of a
    folder of images or an .npz file, or Images that `load_images` returned (to read them once for several seeds).
    resolution None: the images as they are, noise at the dataset's own size.
    Raises UserError where the images are missing, unreadable, too few, or do not fit the network.
    """
    if inputs == "gaussian":
        height, width = native_shape(dataset)[1:] if resolution is None else (resolution, resolution)
        shape = (channels, height, width)
        batches = gaussian_minibatches(shape, classes, batch_size, count, seed)
        size = " x ".join(str(side) for side in shape)
        return batches, f"Gaussian noise N(0, 1), {size}, labels uniform over {classes} classes"
    images = inputs if isinstance(inputs, Images) else _load(str(inputs), dataset, folder)
    if images.shape[0] != channels:
        have = f"the images have {images.shape[0]} channels and the network takes {channels} ({images.source})"
        raise UserError(f"{have}; give images of {channels} channels, or --inputs gaussian")
    if images.labels.max() >= classes:
        wrong = f"label {images.labels.max()} is out of range for a network of {classes} classes"
        raise UserError(f"{wrong} ({images.source}); expected labels 0 to {classes - 1}")
    batches = draw_minibatches(
        images, batch_size=batch_size, count=count, seed=seed, balanced=balanced, resolution=resolution, augment=augment
    )
    drawn = np.unique(choose(images, batch_size, count, seed, balanced)).size
    said = [images.source]
    said += [f"balanced over {len(np.unique(images.labels))} of {images.classes} classes"] if balanced else []
    said += ["random flip and crop"] if augment else []
    said += [f"resized to {resolution} x {resolution}"] if resolution and images.shape[1:] != (resolution,) * 2 else []
    said += [f"some images come in several of the {count} minibatches"] if drawn < count * batch_size else []
    return batches, "; ".join([*said, f"sha256 {images.checksum[:16]}"])


def _load(inputs: str, dataset: str, folder: Path | None) -> Images:
    """The images that `inputs` means; a mistyped word is not taken for a path."""
    if inputs == "images":
        return load_images(dataset, folder)
    if Path(inputs).name == inputs and not Path(inputs).suffix and not Path(inputs).exists():
        if key_of(inputs) not in NAMES:
            raise suggest([inputs], ["images", "gaussian", *NAMES], "inputs (no folder or .npz file is called so)")
    return load_images(inputs, folder)


def draw_minibatches(
    images: Images, *, batch_size: int, count: int, seed: int, balanced: bool = False, resolution: int | None = None,
    augment: bool = False,
) -> list[Minibatch]:  # fmt: skip
    """Choose (see `choose`), augment on request (see `flip_and_crop`), normalise, and resize to `resolution` squared.

    Resizing: area averages where no side grows, otherwise bilinear (half-pixel centres). None: the size as it is.
    """
    drawn = []
    for number, chosen in enumerate(choose(images, batch_size, count, seed, balanced)):
        pixels = images.pixels[chosen]
        if augment:
            pixels = flip_and_crop(pixels, seed, (CROP, number))
        inputs = resize(_normalise(pixels, images), resolution)
        drawn.append(Minibatch(inputs, torch.from_numpy(images.labels[chosen])))
    return drawn


def choose(images: Images, batch_size: int, count: int, seed: int, balanced: bool = False) -> np.ndarray:
    """Return the indices (count, samples) of the images of each minibatch.

    Without replacement over all minibatches; where fewer than `batch_size` images are left, all are shuffled again, so
    that an image may come again in a later minibatch but never twice in one. The first k minibatches are the same for
    every count >= k. balanced: classes that have images get the same number each, up to one; which get the one more is
    drawn again for each minibatch, and each class is shuffled again when it runs out.
    """
    if batch_size > len(images):
        raise UserError(f"batch size {batch_size} is larger than the set: {images.source}; use at most {len(images)}")
    generator = frozen_generator(seed, CHOICE)
    if not balanced:
        deck = _Deck(np.arange(len(images)), generator)
        return np.stack([deck.deal(batch_size) for _ in range(count)])
    decks = [_Deck(np.flatnonzero(images.labels == label), generator) for label in np.unique(images.labels)]
    sizes, (base, more) = np.array([len(deck.members) for deck in decks]), divmod(batch_size, len(decks))
    if sizes.min() < base or (sizes > base).sum() < more:
        largest = int(sizes.min()) * len(decks) + int((sizes > sizes.min()).sum())
        needs = f"needs {base} to {base + 1} images of each of {len(decks)} classes, but the smallest class has"
        at_most = f"({images.source}); use a batch size of at most {largest}"
        raise UserError(f"a balanced minibatch of {batch_size} {needs} {sizes.min()} {at_most}")
    rows = []
    for _ in range(count):
        gets_more = generator.permutation(np.flatnonzero(sizes > base).tolist())[:more].tolist() if more else []
        taken = [deck.deal(base + (number in gets_more)) for number, deck in enumerate(decks)]
        rows.append(generator.permutation(np.concatenate(taken)))
    return np.stack(rows)


@dataclass
class _Deck:
    """Image indices (members,) and those of the present shuffle not yet dealt (left,)."""

    members: np.ndarray
    generator: np.random.RandomState
    left: np.ndarray | None = None

    def deal(self, wanted: int) -> np.ndarray:
        """Return so many indices, shuffled again where fewer are left."""
        if self.left is None or len(self.left) < wanted:
            self.left = self.generator.permutation(self.members)
        taken, self.left = self.left[:wanted], self.left[wanted:]
        return taken


def gaussian_minibatches(
    shape: tuple[int, ...], classes: int, batch_size: int, count: int, seed: int
) -> list[Minibatch]:
    """Inputs N(0, 1) of shape (channels, height, width); targets uniform over the classes; both seeded."""
    drawn = []
    for number in range(count):
        generator = frozen_generator(seed, NOISE, number)
        inputs = torch.from_numpy(generator.standard_normal((batch_size, *shape)).astype(np.float32))
        drawn.append(Minibatch(inputs, torch.from_numpy(generator.randint(0, classes, batch_size, dtype=np.int64))))
    return drawn


def ones(shape: tuple[int, ...], batch_size: int = 1) -> Minibatch:
    """Inputs of ones, shape (channels, height, width) each, for proxies without data; targets are 0."""
    return Minibatch(torch.ones(batch_size, *shape), torch.zeros(batch_size, dtype=torch.int64))


def _normalise(pixels: np.ndarray, images: Images) -> torch.Tensor:
    """Pixels (samples, channels, height, width) -> float32 (value / 255 - mean) / std; float32 pixels as they are."""
    if pixels.dtype != np.uint8:
        return torch.from_numpy(pixels)
    mean, std = (torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in (images.mean, images.std))
    return (torch.from_numpy(pixels).float() / 255 - mean) / std


def resize(inputs: torch.Tensor, resolution: int | None) -> torch.Tensor:
    """Return (samples, channels, resolution, resolution); None leaves the size as it is."""
    if resolution is None or inputs.shape[2:] == (resolution, resolution):
        return inputs
    smooth = {"mode": "bilinear", "align_corners": False, "antialias": True}
    how: dict[str, Any] = {"mode": "area"} if resolution <= min(inputs.shape[2:]) else smooth
    return torch.nn.functional.interpolate(inputs, size=(resolution, resolution), **how)


def flip_and_crop(pixels: np.ndarray, seed: int, stream: tuple[int, ...] = ()) -> np.ndarray:
    """Flip each image left-right with probability 1/2, then crop it at random from itself padded with zeros.

    pixels: (samples, channels, height, width), uint8 and not yet normalised, so that the padding is black (float images
    that came normalised: their mean). The padding is an eighth of each side (4 at 32x32, 2 at 16x16, at least 1), as
    NAS-Bench-201 trains and as zero-cost-nas and NASLib score. `stream` tells draws of one seed apart.
    Returns the same shape and dtype; the argument is left as it is.
    """
    samples, _, height, width = pixels.shape
    pad_y, pad_x = max(1, height // 8), max(1, width // 8)
    generator = frozen_generator(seed, *stream)
    flips = generator.randint(0, 2, size=(samples,)).astype(bool)
    tops = generator.randint(0, 2 * pad_y + 1, size=(samples,))
    lefts = generator.randint(0, 2 * pad_x + 1, size=(samples,))
    padded = np.pad(pixels, ((0, 0), (0, 0), (pad_y, pad_y), (pad_x, pad_x)))
    padded[flips] = padded[flips, :, :, ::-1]
    crops = [image[:, y : y + height, x : x + width] for image, y, x in zip(padded, tops, lefts, strict=True)]
    return np.stack(crops)


def frozen_generator(seed: int, *stream: int) -> np.random.RandomState:
    """Return a generator that depends on these whole numbers >= 0 and on nothing else.

    RandomState, because NumPy promises that its streams never change between versions; default_rng's may.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed, spawn_key=stream)))


def load_images(name: str | Path, folder: Path | None) -> Images:
    """Load the training images called `name`: cifar10, cifar100, imagenet16-120, digits, or a path.

    folder: the data folder, searched for the official files and then for images/<name>*.npz; not used by digits and
    paths. A path is a folder with one subfolder of images for each class, an .npz file (see `own.read_npz`), or a
    folder of files in CIFAR's Python layout (official or own: see `official.read_file`).
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
    """Return the name or path of the images a table was trained on; UserError where they are no longer there, or are
    of a set that is not read here."""
    place = str(table.attributes.get("images", ""))
    if place and not Path(place).exists():
        name = "name them with --inputs PATH, or give --inputs gaussian"
        raise UserError(f"the images of '{table.dataset}' are no longer at {place}: {name}")
    if not place and key_of(table.dataset) not in NAMES and not Path(table.dataset).exists():
        raise UserError(
            f"images of '{table.dataset}' are not read here: name yours with --inputs PATH (an .npz file or a folder),"
            " or give --inputs gaussian"
        )
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
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    source = f"UCI digits as scikit-learn ships them: {len(pixels):,} images 8x8, values 0..16 scaled to 0..255"
    return make_images(pixels, bunch.target, name="digits", source=source, classes=10)
