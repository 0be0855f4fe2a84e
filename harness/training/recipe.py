"""The recipe of a training: what fixes it but the architecture and the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.errors import UserError
from benchmarks.options import option, problems
from benchmarks.spaces.settings import changed
from benchmarks.spaces.space import Space


@dataclass(frozen=True)
class Recipe:
    """What fixes a training but the architecture and the seed. Angles in radians, shifts as parts of the side."""

    bench: str = option("201", help="benchmark")
    dataset: str = option("digits", help="images to train on: a name, an .npz file or a folder of images")
    network: Mapping[str, int] = field(default_factory=dict)
    """Settings of the networks; those left out are the space's reduced ones (`Space.reduced`)."""
    resolution: int = option(0, help="side in pixels that images are resized to; 0 (default): as they are", least=0)
    train_images: int = option(700, help="images to train on", least=1)
    valid_images: int = option(400, help="images of the accuracy valid", least=1)
    test_images: int = option(0, help="images of the accuracy test; 0 (default): all that are left", least=0)
    epochs: int = option(12, help="epochs of training", least=1)
    batch_size: int = option(50, help="images in a minibatch", least=1)
    learning_rate: float = option(0.1, help="highest learning rate", above=0)
    momentum: float = option(0.9, help="Nesterov momentum of SGD", least=0)
    weight_decay: float = option(5e-4, help="weight decay of SGD", least=0)
    rotation: float = option(0.8, help="images are rotated by at most so many radians", least=0)
    scale: float = option(0.2, help="images are scaled by 1 plus or minus so much", least=0)
    shift: float = option(0.125, help="images are shifted by at most this part of the side", least=0)
    noise: float = option(0.15, help="standard deviation of the noise on pixels in 0..1", least=0)
    evaluation_copies: int = option(4, help="distortions of each image that accuracies are the mean of", least=1)
    split_seed: int = option(0, help="seed of the split into train, valid and test")


def network_of(space: Space, changes: Mapping[str, int]) -> dict[str, Any]:
    """Return all settings of the networks to train; UserError where one is not the space's.

    The images say how many channels and classes there are.
    """
    default = {name: value for name, value in (space.network | space.reduced).items() if name != "input_channels"}
    return changed(default, changes, space.title)


def check(recipe: Recipe, counts: Mapping[str, int]) -> None:
    """Raise one UserError that says everything that is wrong with the numbers; `counts` have to be 1 or more."""
    few = [f"--{name} {count}: expected 1 or more" for name, count in counts.items() if count < 1]
    if wrong := [*problems(recipe), *few]:
        raise UserError("; ".join(wrong))
