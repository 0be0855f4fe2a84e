"""The images of a training: train, valid and test, and the random warps that keep small images from being easy."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.errors import UserError
from harness.inputs.draw import resize
from harness.inputs.images import Images
from harness.probe.initialise import stream
from harness.training.recipe import Recipe


@dataclass(frozen=True)
class Split:
    """Images in [0, 1] (images, channels, height, width) and their labels (images,)."""

    images: Tensor
    labels: Tensor


def load_splits(images: Images, recipe: Recipe) -> dict[str, Split]:
    """Return the train, valid and test parts of a set of images, a fixed shuffle; pixels in 0..1.

    Float images of a user's file are taken as they are.
    """
    held_out = recipe.train_images + recipe.valid_images
    if (left := len(images.labels) - held_out) < max(recipe.test_images, 1):
        uses = f"the recipe trains on {recipe.train_images} and validates on {recipe.valid_images}"
        lower = f"lower --train-images and --valid-images so that {recipe.test_images or 'some'} are left for the test"
        raise UserError(f"{images.source}: {len(images.labels)} images, but {uses}: {lower}")
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
        pixels = resize(torch.from_numpy(images.pixels[chosen]).float() / scale, recipe.resolution or None)
        parts[name] = Split(pixels, torch.from_numpy(images.labels[chosen]))
    return parts


def distort(images: Tensor, recipe: Recipe, seed: int, round_: int) -> Tensor:
    """Return the images under random affine warps and Gaussian noise; the same for the same seed and round."""
    generator = stream(seed, f"round {round_}", "distortion")
    n = len(images)
    drawn = torch.rand(n, 4, generator=generator) * 2 - 1
    angle, factor, shift = (
        drawn[:, 0] * recipe.rotation,
        1 + drawn[:, 1] * recipe.scale,
        2 * recipe.shift * drawn[:, 2:],
    )
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2)
    rotation = rotation * factor.view(n, 1, 1)
    grid = functional.affine_grid(torch.cat([rotation, shift.unsqueeze(2)], 2), list(images.shape), align_corners=False)
    warped = functional.grid_sample(images, grid, align_corners=False)
    return warped + recipe.noise * torch.randn(warped.shape, generator=generator)
