"""Correlations: SciPy as the referee over a grid of ties, gaps and constants; properties; hand-worked cases."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from harness import stats

RANK = {
    "tau_a": stats.kendall_tau_a,
    "tau_b": stats.kendall_tau_b,
    "tau_weighted": stats.weighted_tau,
    "rho": stats.spearman,
}
ALL = {**RANK, "pearson": stats.pearson}
REFEREE = {
    "tau_b": lambda x, y: scipy_stats.kendalltau(x, y).statistic,
    "tau_weighted": lambda x, y: scipy_stats.weightedtau(x, y).statistic,
    "rho": lambda x, y: scipy_stats.spearmanr(x, y).statistic,
    "pearson": lambda x, y: scipy_stats.pearsonr(x, y).statistic,
}


def columns(n: int, values: int, seed: int = 0):
    """A score and an accuracy of `n` architectures; few `values` make many ties."""
    rng = np.random.default_rng([n, values, seed])
    score = rng.integers(0, values, n).astype(float)
    return score, np.round(score / values * 20 + 60 + 10 * rng.normal(size=n), 0 if values < 20 else 6)


def gaps(score, accuracy):
    """The same with each kind of value that is not finite, and what is left without them."""
    holed, short = score.copy(), accuracy.copy()
    holed[[0, 1, 2]], short[3] = [np.nan, np.inf, -np.inf], np.nan
    return holed, short, score[4:], accuracy[4:]


@pytest.mark.parametrize("name", REFEREE)
@pytest.mark.parametrize(("n", "values"), list(itertools.product([8, 40, 300], [2, 7, 10**6])))
def test_equals_scipy(name, n, values):
    score, accuracy = columns(n, values)
    assert ALL[name](score, accuracy) == pytest.approx(REFEREE[name](score, accuracy), abs=1e-12)
    holed, short, left, right = gaps(score, accuracy)
    assert ALL[name](holed, short) == pytest.approx(REFEREE[name](left, right), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("values", [2, 7, 10**6])
def test_tau_a_counts_pairs(values):
    score, accuracy = columns(40, values)
    pairs = list(itertools.combinations(range(40), 2))
    signs = [np.sign(score[i] - score[j]) * np.sign(accuracy[i] - accuracy[j]) for i, j in pairs]
    assert stats.kendall_tau_a(score, accuracy) == pytest.approx(sum(signs) / len(pairs), abs=1e-12)


@pytest.mark.parametrize("name", ALL)
def test_undefined_is_nan_never_zero(name):
    rising, flat = np.arange(5.0), np.ones(5)
    for score, accuracy in ((flat, rising), (rising, flat), (flat, flat), (rising[:2], rising[:2]), ([], [])):
        assert np.isnan(ALL[name](score, accuracy))
    assert np.isnan(ALL[name]([1, np.nan, np.inf, 2], [1, 2, 3, 4]))
    assert not np.isnan(ALL[name]([1, 2, 3], [1, 3, 2]))


@pytest.mark.parametrize("name", ALL)
def test_direction_and_range(name):
    rising = np.arange(6.0) ** 3
    assert ALL[name](np.arange(6), np.arange(6)) == pytest.approx(1)
    if name != "tau_weighted":  # its weights follow the larger values, so a flipped score weighs other pairs
        score, accuracy = columns(50, 9)
        assert ALL[name](-score, accuracy) == pytest.approx(-ALL[name](score, accuracy))
    assert ALL[name](-rising, np.arange(6)) < -0.8


@pytest.mark.parametrize("name", RANK)
@pytest.mark.parametrize("values", [5, 10**6])
def test_only_the_order_matters(name, values):
    score, accuracy = columns(60, values)
    assert RANK[name](np.exp(score / values) - 7, accuracy**3) == pytest.approx(RANK[name](score, accuracy), abs=1e-12)


def test_spearman_uses_midranks_not_the_squared_difference_formula():
    score, accuracy = np.array([1, 2, 2, 2, 5.0]), np.array([1, 2, 3, 4, 5.0])
    difference = stats.midranks(score) - stats.midranks(accuracy)
    assert stats.midranks(score).tolist() == [1, 3, 3, 3, 5]
    assert stats.spearman(score, accuracy) == pytest.approx(8 / np.sqrt(80))
    assert stats.spearman(score, accuracy) != pytest.approx(1 - 6 * (difference**2).sum() / (5**3 - 5))


def test_huge_scores_do_not_overflow():
    score, accuracy = columns(30, 10**6)
    assert stats.pearson(score * 1e300, accuracy) == pytest.approx(stats.pearson(score, accuracy))
    assert stats.spearman(score * 1e300, accuracy) == pytest.approx(stats.spearman(score, accuracy))


def test_lengths_that_differ_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match=r"one score and accuracy per architecture, got \(3,\) and \(4,\)"):
        stats.spearman([1, 2, 3], [1, 2, 3, 4])


def test_ties_are_counted():
    assert stats.tied([1, 1, 2, 3, 3, 3, np.nan, np.nan, np.inf, np.inf]) == 5
    assert stats.tied([1, 2, 3]) == 0


def test_failures_ranked_last_and_first():
    score, accuracy = np.array([1, 2, 3, np.nan, np.inf]), np.array([1, 2, 3, 4, 5.0])
    last = scipy_stats.spearmanr([1, 2, 3, 0, 0], accuracy).statistic
    first = scipy_stats.spearmanr([1, 2, 3, 9, 9], accuracy).statistic
    assert last < first
    assert stats.worst_case_spearman(score, accuracy) == pytest.approx((last, first))
    assert stats.worst_case_spearman(score, -accuracy) == pytest.approx((-first, -last))
    assert stats.worst_case_spearman(score * 1e300, accuracy) == pytest.approx((last, first))
    whole = columns(20, 5)
    assert stats.worst_case_spearman(*whole) == pytest.approx((stats.spearman(*whole),) * 2)


def test_partial_correlation_is_that_of_the_residual_ranks():
    rng = np.random.default_rng(0)
    size = rng.integers(0, 6, 200).astype(float)
    score, accuracy = size + rng.normal(size=200), size + rng.normal(size=200)
    given = np.c_[np.ones(200), stats.midranks(size)]
    residual = [rank - given @ np.linalg.lstsq(given, rank)[0] for rank in map(stats.midranks, (score, accuracy))]
    expected = scipy_stats.pearsonr(*residual).statistic
    assert stats.partial_spearman(score, accuracy, size) == pytest.approx(expected)
    assert abs(expected) < stats.spearman(score, accuracy) / 2
    assert np.isnan(stats.partial_spearman(size, accuracy, size * 3))
    score[0], size[1] = np.nan, np.inf
    assert stats.partial_spearman(score, accuracy, size) == stats.partial_spearman(score[2:], accuracy[2:], size[2:])


def test_top_share_keeps_what_is_tied_at_the_cut():
    assert [stats.share(n, 10) for n in (1, 10, 11, 30, 9445)] == [1, 1, 2, 3, 945]
    accuracy = np.array([9, 8, 7, 7, 7, 1, 1, 1, 1, 1.0])
    score = np.array([1, 2, 5, 4, 3, 9, 9, 9, 9, 9.0])
    assert stats.top_spearman(score, accuracy, 30) == stats.spearman(score[:5], accuracy[:5])
    score[0] = np.nan  # the cut stays where it was
    assert stats.top_spearman(score, accuracy, 30) == stats.spearman(score[1:5], accuracy[1:5])
    assert np.isnan(stats.top_spearman([], []))


def test_strata_are_params_where_these_take_few_values():
    params, convs = np.repeat([0.1, 0.2, 0.3], 20), np.arange(60) % 6
    assert stats.size_strata(params, convs) is params
    np.testing.assert_array_equal(stats.size_strata(np.linspace(0, 1, 60), convs), convs)
    many = np.repeat(np.arange(41.0), 20)  # too many values, so the number of convolutions counts
    np.testing.assert_array_equal(stats.size_strata(many, many > 20), many > 20)
    assert (stats.size_strata(np.r_[params, 0.4], np.r_[convs, 0]) <= 0.4).all()


def test_no_strata_where_only_the_number_of_convolutions_is_constant():
    """Defect: all architectures were one stratum then, and the mean within strata was plain rho."""
    params = np.linspace(0, 1, 60)
    strata = stats.size_strata(params, np.full(60, 3))
    assert np.isnan(strata).all()
    assert stats.stratum_spearman(params, params**2, strata) == {}
    assert np.isnan(stats.strata_mean(stats.stratum_spearman(params, params**2, strata)))
    assert (stats.size_strata(np.ones(5), np.full(5, 3)) == 3).all()  # one size: all are in its stratum


def test_strata_undo_a_correlation_that_is_size_alone():
    size = np.repeat([0, 1, 2], [20, 30, 50])
    rng = np.random.default_rng(1)
    within = rng.normal(size=100)
    score, accuracy = size * 10 + within, size * 10 - within
    by_stratum = stats.stratum_spearman(score, accuracy, size)
    assert stats.spearman(score, accuracy) > 0.6
    assert {label: n for label, (n, _) in by_stratum.items()} == {0: 20, 1: 30, 2: 50}
    assert stats.strata_mean(by_stratum) == pytest.approx(-1)


def test_strata_mean_weighs_by_size_and_leaves_out_the_small_and_the_undefined():
    by_stratum = {0: (30, 0.5), 1: (10, -0.5), 2: (9, 1.0), 3: (100, float("nan"))}
    assert stats.strata_mean(by_stratum) == pytest.approx((30 * 0.5 - 10 * 0.5) / 40)
    assert np.isnan(stats.strata_mean({0: (9, 1.0)}))


def test_matrix_is_every_pair():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 8, (5, 50)).astype(float)
    scores[1, :3], scores[2, 5], scores[3] = np.nan, np.inf, 4.0
    matrix = stats.spearman_matrix(scores)
    expected = [[stats.spearman(one, other) for other in scores] for one in scores]
    np.testing.assert_allclose(matrix, expected, atol=1e-12)
    assert np.isnan(matrix[3]).all()
    assert matrix[1, 1] == pytest.approx(1)


def test_several_seeds():
    same, different = np.array([[1, 2.0], [1, 2]]), np.array([[1, 2.0], [2, 1]])
    assert len(stats.different_seeds(same)) == 1
    assert len(stats.different_seeds(different)) == 2
    np.testing.assert_array_equal(stats.seed_mean([[1, np.nan], [3, np.nan]]), [2, np.nan])
    assert stats.seed_spread([0.1, 0.3], 2) == pytest.approx(np.std([0.1, 0.3], ddof=1))
    assert np.isnan(stats.seed_spread([0.1], 1))
    assert stats.seed_spread([0.1], 3) == 0


def test_noise_ceiling_of_known_reliability():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=(4000, 1))
    accuracy = 80 + quality + rng.normal(size=(4000, 3)) * 0.5
    ceiling = stats.seed_agreement(accuracy)
    assert (ceiling["seeds"], ceiling["n"]) == (3, 4000)
    assert ceiling["rho_single"] == pytest.approx(0.79, abs=0.02)  # Pearson 1 / 1.25, a little less in ranks
    measured = stats.spearman(accuracy.mean(axis=1), (quality + rng.normal(size=(4000, 3)) * 0.5).mean(axis=1))
    assert ceiling["rho_mean"] == pytest.approx(measured, abs=0.02)
    assert ceiling["rho_ceiling"] == pytest.approx(stats.spearman(quality[:, 0], accuracy.mean(axis=1)), abs=0.02)
    assert ceiling["rho_top10pct"] < ceiling["rho_single"] - 0.2


def test_noise_ceiling_with_missing_seeds():
    accuracy = np.array([[1, 1, np.nan], [2, 3, np.nan], [3, 2, np.nan], [4, 4, np.nan], [5, np.nan, np.nan]])
    ceiling = stats.seed_agreement(accuracy)
    assert ceiling["n"] == 4
    assert ceiling["seeds"] == pytest.approx(9 / 5)
    assert ceiling["rho_single"] == pytest.approx(0.8)
    for nothing in (np.empty((5, 0)), accuracy[:, :1]):
        assert np.isnan(stats.seed_agreement(nothing)["rho_single"])
