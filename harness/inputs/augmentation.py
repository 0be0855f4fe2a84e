"""Random flip and crop as the NAS-Bench-201 training loader does them, seeded."""

import numpy as np


def frozen_generator(seed: int, *stream: int) -> np.random.RandomState:
    """Return a generator that depends on these whole numbers >= 0 and on nothing else.

    RandomState, because NumPy promises that its streams never change between versions; default_rng's may.
    """
    return np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed, spawn_key=stream)))


def augment(pixels: np.ndarray, seed: int, stream: tuple[int, ...] = ()) -> np.ndarray:
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
