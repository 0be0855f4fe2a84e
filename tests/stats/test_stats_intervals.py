"""Intervals: resampling by class, ranks of weighted samples, the variance of tau-b, corrected comparisons."""

import itertools

import numpy as np
import pytest

from harness import stats
from harness.stats.correlation import pair_sums
from harness.stats.intervals import centred_midranks, rank_plan


def test_resamples_draw_whole_classes_and_repeat_with_the_seed():
    class_id = np.array([7, 7, 3, 9, 3, 7])
    weights = stats.resample_weights(class_id, 500, seed=1)
    assert weights.shape == (500, 6)
    for label in (3, 7, 9):
        members = weights[:, class_id == label]
        assert (members == members[:, :1]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()  # as many classes as there are
    assert weights[:, 3].mean() == pytest.approx(1, abs=0.15)
    np.testing.assert_array_equal(weights, stats.resample_weights(class_id, 500, seed=1))
    assert (weights != stats.resample_weights(class_id, 500, seed=2)).any()
    assert stats.resample_weights([], 5, 0).shape == (5, 0)
    assert stats.resample_weights(class_id, 0, 0).shape == (0, 6)


@pytest.mark.parametrize("values", [1, 4, 10**6])
def test_weighted_midranks_are_those_of_the_sample_written_out(values):
    rng = np.random.default_rng(values)
    column, weights = rng.integers(0, values, 30).astype(float), rng.poisson(1, (10, 30))
    ranks = centred_midranks(rank_plan(column), weights.astype(float))
    for row, times in zip(ranks, weights, strict=True):
        expected = stats.midranks(np.repeat(column, times))
        np.testing.assert_allclose(np.repeat(row, times), expected - expected.mean(), atol=1e-9)


@pytest.mark.parametrize(("n", "values"), [(8, 3), (50, 6), (50, 10**6), (3000, 40)])
def test_bootstrapped_rho_is_that_of_the_sample_written_out(n, values):
    rng = np.random.default_rng(n)
    accuracy = rng.normal(size=n).round(1)
    scores = rng.integers(0, values, (3, n)) + accuracy
    scores[1, :2], scores[2, 2] = np.nan, np.inf
    weights = stats.resample_weights(np.arange(n) // 2, 70, 0)
    result = stats.bootstrap_spearman(scores, accuracy, weights)
    for row, score in enumerate(scores):
        for sample in (0, 33, 69):
            times = np.where(np.isfinite(score), weights[sample], 0)
            expected = stats.spearman(np.repeat(score, times), np.repeat(accuracy, times))
            assert result[row, sample] == pytest.approx(expected, abs=1e-10, nan_ok=True)


def test_bootstrapped_rho_is_nan_where_undefined():
    weights = stats.resample_weights(np.arange(5), 20, 0)
    assert np.isnan(stats.bootstrap_spearman(np.ones(5), np.arange(5.0), weights)).all()
    assert np.isnan(stats.bootstrap_spearman([1, 2, np.nan, np.nan, np.nan], np.arange(5.0), weights)).all()
    assert stats.percentile_interval([np.nan, np.nan]) == pytest.approx((np.nan, np.nan), nan_ok=True)
    assert np.isnan(stats.percentile_interval(np.ones(5))).all()  # perfect order in every resample


def test_percentiles_are_the_middle_95_percent():
    assert stats.percentile_interval(np.r_[np.arange(1001.0), np.nan]) == pytest.approx((25, 975))


@pytest.mark.parametrize(("n", "values"), list(itertools.product([3, 20, 70], [2, 5, 1000])))
def test_pair_sums_are_weighted_counts_over_all_pairs(n, values):
    rng = np.random.default_rng([n, values])
    x, y = rng.integers(0, values, n).astype(float), rng.integers(0, values, n).astype(float)
    sign_x, sign_y = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    for weights in (np.ones(n), rng.uniform(0.1, 1, n)):
        expected = [each @ weights for each in (sign_x * sign_y, sign_x != 0, sign_y != 0)]
        np.testing.assert_allclose(pair_sums(x, y, weights), expected, atol=1e-11)


@pytest.mark.parametrize("values", [4, 10**6])
def test_whole_weights_are_copies(values):
    rng = np.random.default_rng(values)
    score, accuracy, control = rng.integers(0, values, (3, 60)) + 2.0 * rng.integers(0, 9, 60)
    weights = rng.integers(1, 4, 60)
    score[0] = np.nan
    copies = [np.repeat(column, weights) for column in (score, accuracy, control)]
    assert stats.spearman(score, accuracy, weights) == pytest.approx(stats.spearman(*copies[:2]), abs=1e-12)
    assert stats.kendall_tau_b(score, accuracy, weights) == pytest.approx(stats.kendall_tau_b(*copies[:2]), abs=1e-12)
    expected = stats.partial_spearman(*copies)
    assert stats.partial_spearman(score, accuracy, control, weights) == pytest.approx(expected, abs=1e-12)
    draws = stats.resample_weights(np.arange(60), 5, 0)
    base = stats.bootstrap_spearman(score, accuracy, draws * weights)
    np.testing.assert_allclose(stats.bootstrap_spearman(score, accuracy, draws, weights), base, atol=1e-12)


@pytest.mark.parametrize("weights", [None, 5 / np.random.default_rng(1).integers(1, 30, 300)])
def test_influence_of_made_correlations_predicts_what_a_resample_does(weights):
    rng = np.random.default_rng(0)
    size = rng.integers(0, 5, 300).astype(float)
    accuracy = size + rng.normal(size=300)
    score = size + accuracy + 2 * rng.normal(size=300)
    base = np.ones(300) if weights is None else weights
    draws = stats.resample_weights(np.arange(300), 400, 0) * base
    units = np.arange(300)
    for interval, value in (
        (stats.rho_interval(score, accuracy, units, weights), lambda w: stats.spearman(score, accuracy, w)),
        (stats.tau_b_interval(score, accuracy, units, weights), lambda w: stats.kendall_tau_b(score, accuracy, w)),
        (stats.partial_interval(score[None], accuracy, size, units, weights),
         lambda w: stats.partial_spearman(score, accuracy, size, w)),
        (stats.strata_interval(score[None], accuracy, size, units, weights),
         lambda w: stats.strata_mean(stats.stratum_spearman(score, accuracy, size, w), fewest=1)),
    ):  # fmt: skip
        drawn = [w > 0 for w in draws]
        samples = [value(np.where(keep, w, 1e-12)) for keep, w in zip(drawn, draws, strict=True)]
        assert np.ptp(interval) == pytest.approx(3.92 * np.std(samples), rel=0.15)


def test_intervals_shrink_with_the_part_of_the_space_that_was_drawn():
    rng = np.random.default_rng(0)
    score, accuracy = rng.normal(size=(2, 200))
    units = np.arange(200)
    for interval in (stats.rho_interval, stats.tau_b_interval):
        whole, half = (np.ptp(interval(score, accuracy, units, None, shrink)) for shrink in (1.0, 0.5))
        assert half == pytest.approx(whole / 2, rel=0.02)
    of = (stats.spearman, stats.rho_influence)
    low, high, p = stats.difference_interval(*of, score[None], accuracy[None], accuracy, units, None, 0.5)
    wide = stats.difference_interval(*of, score[None], accuracy[None], accuracy, units)
    assert (high - low, p < wide[2]) == (pytest.approx((wide[1] - wide[0]) / 2), True)


@pytest.mark.parametrize("values", [4, 10**6])
def test_influence_predicts_what_leaving_one_out_does(values):
    rng = np.random.default_rng(0)
    score = rng.integers(0, values, 200) / values
    accuracy = (score + rng.normal(size=200)).round(1)
    tau, terms = stats.kendall_tau_b(score, accuracy), stats.tau_b_influence(score, accuracy)
    left_out = [stats.kendall_tau_b(np.delete(score, i), np.delete(accuracy, i)) for i in range(200)]
    assert terms.sum() == pytest.approx(0, abs=1e-12)
    assert np.corrcoef(terms, tau - np.array(left_out))[0, 1] > 0.999
    jackknife = np.sqrt(199 / 200 * ((left_out - np.mean(left_out)) ** 2).sum())
    assert np.sqrt((terms**2).sum()) == pytest.approx(jackknife, rel=0.03)


def test_tau_interval_counts_classes_not_copies():
    rng = np.random.default_rng(0)
    score, accuracy = rng.normal(size=(2, 60))
    once = stats.tau_b_interval(score, accuracy, np.arange(60))
    copies = [np.tile(column, 4) for column in (score, accuracy, np.arange(60))]
    by_class, as_if_new = stats.tau_b_interval(*copies), stats.tau_b_interval(*copies[:2], np.arange(240))
    assert once[0] < stats.kendall_tau_b(score, accuracy) < once[1]
    assert np.ptp(by_class) == pytest.approx(np.ptp(once), rel=0.05)
    assert np.ptp(as_if_new) == pytest.approx(np.ptp(once) / 2, rel=0.05)


def test_tau_interval_edges():
    rising = np.arange(20.0)
    assert np.isnan(stats.tau_b_interval(np.ones(20), rising, rising)).all()
    assert np.isnan(stats.tau_b_interval(rising, rising, rising % 2)).all()
    assert np.isnan(stats.tau_b_interval(rising, rising, rising)).all()
    assert np.isnan(stats.tau_b_interval(np.sin(rising[:9]), rising[:9], rising[:9])).all()
    holed = np.where(rising < 3, np.nan, np.sin(rising))
    expected = stats.tau_b_interval(holed[3:], rising[3:], rising[3:])
    assert stats.tau_b_interval(holed, np.r_[rising], rising) == pytest.approx(expected, rel=0.02)


def test_tau_interval_of_a_mean_over_seeds_is_narrower():
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=300)
    seeds = accuracy + 3 * rng.normal(size=(5, 300))
    one, mean = (np.ptp(stats.tau_b_interval(rows, accuracy, np.arange(300))) for rows in (seeds[0], seeds))
    assert mean < 0.8 * one


def test_holm_by_hand():
    np.testing.assert_allclose(stats.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(stats.holm([0.01, np.nan, 0.8, 0.7]), [0.03, np.nan, 1, 1])
    assert len(stats.holm([])) == 0


def test_difference_p():
    samples = np.random.default_rng(0).normal(0.3, 0.1, 4000)
    assert stats.difference_p(0.196, samples) == pytest.approx(0.05, abs=0.005)
    assert stats.difference_p(-0.196, samples) == stats.difference_p(0.196, samples)
    assert stats.difference_p(0.0, np.zeros(10)) == 1
    assert np.isnan(stats.difference_p(np.nan, samples))
    assert np.isnan(stats.difference_p(0.1, []))


def paired(ours, theirs, accuracy, weights):
    bootstraps = [stats.bootstrap_spearman(scores, accuracy, weights) for scores in (ours, theirs)]
    return stats.paired_difference(stats.Paired(ours, theirs, *bootstraps), accuracy, weights)


def test_paired_differences_use_the_same_resamples_and_the_common_architectures():
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=150)
    theirs = (accuracy + rng.normal(size=150))[None]
    ours = theirs + 0.1 * rng.normal(size=(3, 150))
    weights = stats.resample_weights(np.arange(150), 200, 0)
    difference, samples = paired(ours, theirs, accuracy, weights)
    each = [stats.spearman(row, accuracy) - stats.spearman(theirs[0], accuracy) for row in ours]
    assert difference == pytest.approx(np.mean(each))
    assert samples.std() < 0.2 * stats.bootstrap_spearman(theirs, accuracy, weights).std()
    ours[1, :50] = np.nan
    difference, samples = paired(ours[1:2], theirs, accuracy, weights)
    expected = paired(ours[1:2, 50:], theirs[:, 50:], accuracy[50:], weights[:, 50:])
    assert difference == pytest.approx(expected[0])
    np.testing.assert_allclose(samples, expected[1], atol=1e-12)


def test_bootstrap_agrees_with_the_known_error_of_rho():
    rng = np.random.default_rng(0)
    score, accuracy = rng.multivariate_normal([0, 0], [[1, 0.5], [0.5, 1]], 400).T
    spread = stats.bootstrap_spearman(score, accuracy, stats.resample_weights(np.arange(400), 1000, 0)).std()
    known = (1 - 0.483**2) * np.sqrt((1 + 0.483**2 / 2) / 397)  # Bonett and Wright 2000
    assert spread == pytest.approx(known, rel=0.15)
