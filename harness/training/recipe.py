"""What is trained and on what: the recipe, the images and the random warps that keep small images from being easy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.errors import UserError

if TYPE_CHECKING:
    pass

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.errors import suggest

if TYPE_CHECKING:
    from torch import Tensor

    from benchmarks.spaces.space import Space
    from harness.inputs.images import Images


@dataclass(frozen=True)
class Recipe:
    """What fixes a training but the architecture and the seed. Angles in radians, shifts as parts of the side."""

    bench: str = "201"
    dataset: str = "digits"
    network: Mapping[str, int] = field(default_factory=dict)
    """Settings of the networks; those left out are the space's reduced ones (`Space.reduced`)."""
    resolution: int = 0
    """Side in pixels the images are resized to; 0 leaves them as they are."""
    train_images: int = 700
    valid_images: int = 400
    test_images: int = 0
    """0: all that are left."""
    epochs: int = 12
    batch_size: int = 50
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    rotation: float = 0.8
    scale: float = 0.2
    shift: float = 0.125
    noise: float = 0.15
    evaluation_copies: int = 4
    split_seed: int = 0


@dataclass(frozen=True)
class Split:
    """Images in [0, 1] (images, channels, height, width) and their labels (images,)."""

    images: Tensor
    labels: Tensor


def network_of(space: Space, given: Mapping[str, int]) -> dict[str, Any]:
    """Return all settings of the networks to train; UserError where one is not the space's.

    The images say how many channels and classes there are.
    """
    default = {name: value for name, value in (space.network | space.reduced).items() if name != "input_channels"}
    if unknown := sorted(given.keys() - default):
        raise suggest(unknown, default, f"network setting of {space.title}")
    return default | dict(given)


def load_splits(images: Images, recipe: Recipe) -> dict[str, Split]:
    """Return the train, valid and test parts of a set of images, a fixed shuffle; pixels in 0..1.

    Float images of a user's file are taken as they are.
    """
    import torch

    from harness.inputs import draw

    held_out = recipe.train_images + recipe.valid_images
    if (left := len(images.labels) - held_out) < max(recipe.test_images, 1):
        raise UserError(
            f"{images.source}: {len(images.labels)} images, but the recipe trains on {recipe.train_images} and"
            f" validates on {recipe.valid_images}: lower --train-images and --valid-images so that"
            f" {recipe.test_images or 'some'} are left for the test"
        )
    order = np.random.default_rng([recipe.split_seed, len(images.labels)]).permutation(len(images.labels))
    bounds = {
        "train": (0, recipe.train_images),
        "valid": (recipe.train_images, held_out),
        "test": (held_out, held_out + (recipe.test_images or left)),
    }
    scale = 255 if images.pixels.dtype == np.uint8 else 1
    parts = {}
    for name, (start, end) in bounds.items():
        chosen = order[start:end]
        pixels = draw.resize(torch.from_numpy(images.pixels[chosen]).float() / scale, recipe.resolution or None)
        parts[name] = Split(pixels, torch.from_numpy(images.labels[chosen]))
    return parts


def distort(images: Tensor, recipe: Recipe, seed: int, round_: int) -> Tensor:
    """Return the images under random affine warps and Gaussian noise; the same for the same seed and round."""
    import torch
    from torch.nn import functional

    from harness.probe.view import stream

    generator = stream(seed, f"round {round_}", "distortion")
    n = len(images)
    draw = torch.rand(n, 4, generator=generator) * 2 - 1
    angle, factor, shift = draw[:, 0] * recipe.rotation, 1 + draw[:, 1] * recipe.scale, 2 * recipe.shift * draw[:, 2:]
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2) * factor.view(
        n, 1, 1
    )
    grid = functional.affine_grid(torch.cat([rotation, shift.unsqueeze(2)], 2), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)
    return warped + recipe.noise * torch.randn(warped.shape, generator=generator)


def check(recipe: Recipe, counts: dict[str, int], device: str) -> None:
    """Raise one UserError that says everything that is wrong with the numbers; `counts` have to be 1 or more."""
    import torch

    least = {"train_images": 1, "valid_images": 1, "epochs": 1, "batch_size": 1, "evaluation_copies": 1,
             "resolution": 0, "test_images": 0, **dict.fromkeys((*counts, *recipe.network), 1)}  # fmt: skip
    given = {**asdict(recipe), **counts, **recipe.network}
    wrong = [f"{name} {given[name]}: expected {low} or more" for name, low in least.items() if given[name] < low]
    if not 0 < recipe.learning_rate < np.inf:
        wrong.append(f"learning_rate {recipe.learning_rate}: expected a number above 0")
    numbers = ("momentum", "weight_decay", "rotation", "scale", "shift", "noise")
    wrong += [f"{name} {given[name]}: expected 0 or more" for name in numbers if not 0 <= given[name] < np.inf]
    if device.startswith("cuda") and not torch.cuda.is_available():
        wrong.append(f"device {device}: this PyTorch sees no CUDA device; use cpu")
    elif device != "cpu" and not device.startswith("cuda"):
        wrong.append(f"device '{device}': expected cpu, cuda or cuda:N")
    if wrong:
        raise UserError("; ".join(wrong))


def settings_from(text: str) -> dict[str, int]:
    """Return {name: number} of `channels=8,modules=1`."""
    try:
        return {name.strip(): int(value) for name, value in (each.split("=") for each in text.split(",") if each)}
    except ValueError:
        raise UserError(f"--network {text}: expected whole numbers by name, like channels=8,modules=1") from None
