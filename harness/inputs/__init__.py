"""The minibatch every architecture is scored on: real images, Gaussian noise or ones; normalised, seeded, chosen once.

`minibatches` is what the engine calls; the parts it is made of can be used alone.
"""

from harness.inputs.augmentation import augment
from harness.inputs.draw import Minibatch, choose, draw_minibatches, gaussian_minibatches, minibatches, ones
from harness.inputs.images import Images
from harness.inputs.load import load_images, source_of, title_of

__all__ = [
    "Images",
    "Minibatch",
    "augment",
    "choose",
    "draw_minibatches",
    "gaussian_minibatches",
    "load_images",
    "minibatches",
    "ones",
    "source_of",
    "title_of",
]
