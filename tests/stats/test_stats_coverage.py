"""How often the intervals hold the truth: 400 samples from a made-up space whose exact tau-b and rho are known.

The classes of that space have 1 to 4 members with one shared score, accuracies have one decimal; whole classes are
sampled, which is where intervals that ignore classes fail.
"""

import numpy as np
import pytest

from harness import stats

SAMPLES = 400
CLASSES = 50


@pytest.fixture(scope="module")
def covered():
    """{interval: share of the samples in which it holds the true value}."""
    rng = np.random.default_rng(20)
    members = rng.integers(1, 5, 20_000)
    class_id = np.repeat(np.arange(len(members)), members)
    quality = rng.normal(size=len(members))
    score = np.round(quality + rng.normal(size=len(members)), 2)[class_id]
    accuracy = np.round(quality[class_id] + 0.2 * rng.normal(size=len(class_id)), 1)
    tau, rho = stats.kendall_tau_b(score, accuracy), stats.spearman(score, accuracy)
    starts = np.cumsum(members) - members
    held = {"tau_b": 0, "tau_b without classes": 0, "rho": 0, "rho analytic": 0}
    for seed in range(SAMPLES):
        drawn = rng.choice(len(members), CLASSES, replace=False)
        rows = np.concatenate([np.arange(starts[i], starts[i] + members[i]) for i in drawn])
        x, y, c = score[rows], accuracy[rows], class_id[rows]
        bootstrap = stats.bootstrap_spearman(x, y, stats.resample_weights(c, 200, seed))[0]
        for name, interval, true in (
            ("tau_b", stats.tau_b_interval(x, y, c), tau),
            ("tau_b without classes", stats.tau_b_interval(x, y, np.arange(len(x))), tau),
            ("rho", stats.percentile_interval(bootstrap), rho),
            ("rho analytic", stats.rho_interval(x, y, c), rho),
        ):
            held[name] += interval[0] <= true <= interval[1]
    return {name: count / SAMPLES for name, count in held.items()}


def test_tau_b_interval_is_calibrated(covered):
    assert 0.92 <= covered["tau_b"] <= 0.98


def test_rho_interval_is_calibrated(covered):
    assert 0.92 <= covered["rho"] <= 0.98


def test_the_analytic_rho_interval_is_calibrated_even_in_a_small_sample(covered):
    assert 0.92 <= covered["rho analytic"] <= 0.98


def test_ignoring_classes_would_not_be(covered):
    assert covered["tau_b without classes"] < 0.85
