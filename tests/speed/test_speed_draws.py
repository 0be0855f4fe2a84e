"""Draws of weights and minibatch: what all architectures share is told from what each has alone."""

import numpy as np
import pytest

from harness import stats
from speed.draws import spread

ARCHS = 1000


@pytest.mark.parametrize(("shared", "own"), [(0.0, 0.5), (0.3, 0.5)])
def test_spread_is_that_of_many_draws(shared, own):
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=ARCHS)

    def draw():
        return accuracy + own * rng.normal(size=ARCHS) + shared * rng.normal() * np.sin(3 * accuracy)

    true = np.std([stats.spearman(draw(), accuracy) for _ in range(300)])
    found = [spread(np.stack([draw() for _ in range(4)]), accuracy, "rho") for _ in range(40)]
    total = np.sqrt(np.mean([a**2 + b**2 / ARCHS for a, b, _ in found]))
    assert total == pytest.approx(true, rel=0.35) and found[0][2] == ARCHS
    if shared:
        assert np.mean([a for a, _, _ in found]) > np.mean([b for _, b, _ in found]) / np.sqrt(ARCHS)
