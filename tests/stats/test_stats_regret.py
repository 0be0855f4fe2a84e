"""Top-k figures: hand-worked cases, and brute force over every order of the ties."""

import itertools

import numpy as np
import pytest

from harness import stats


def tie_orders(score):
    """Every order, best first, that ranks the finite scores and breaks their ties in some way (each equally likely)."""
    finite = [i for i in range(len(score)) if np.isfinite(score[i])]
    blocks = [[i for i in finite if score[i] == value] for value in sorted({score[i] for i in finite}, reverse=True)]
    for choice in itertools.product(*(itertools.permutations(block) for block in blocks)):
        yield [i for block in choice for i in block]


def grid():
    rng = np.random.default_rng(0)
    for n, values in itertools.product([2, 5, 7], [1, 3, 100]):
        score, accuracy = rng.integers(0, values, n).astype(float), rng.integers(80, 90, n).astype(float)
        yield score, accuracy
        if n > 2:
            score, accuracy = score.copy(), accuracy.copy()
            score[0], score[1], accuracy[2] = np.nan, np.inf, np.nan
            yield score, accuracy


def evaluated(score, accuracy):
    known = np.isfinite(accuracy)
    return score[known], accuracy[known]


@pytest.mark.parametrize("k", [1, 2, 3, 6, 50])
def test_regret_is_the_mean_over_all_tie_orders(k):
    for score, accuracy in grid():
        s, a = evaluated(score, accuracy)
        best = np.mean([a[order[:k]].max() for order in tie_orders(s)]) if np.isfinite(s).any() else np.nan
        assert stats.top_k_regret(score, accuracy, k) == pytest.approx(a.max() - best, abs=1e-9, nan_ok=True)


def test_regret_by_hand():
    assert stats.top_k_regret([3, 2, 1], [90, 94, 95], 1) == 5
    assert stats.top_k_regret([3, 2, 1], [90, 94, 95], 2) == 1
    assert stats.top_k_regret([3, 2, 1], [90, 94, 95], 3) == 0
    # 90 is picked, and one of three tied: best of (90, 94), (90, 92), (90, 88)
    assert stats.top_k_regret([9, 5, 5, 5, 1], [90, 94, 92, 88, 95], 2) == pytest.approx(95 - (94 + 92 + 90) / 3)


def test_larger_scores_are_picked():
    rising = np.arange(10.0)
    assert stats.top_k_regret(rising, rising, 1) == 0
    assert stats.top_k_regret(-rising, rising, 1) == 9


def test_failed_scores_are_never_picked_but_their_accuracy_counts_as_reachable():
    score, accuracy = [np.inf, np.nan, 1, 0], [95, 96, 90, 91]
    assert stats.top_k_regret(score, accuracy, 1) == 6
    assert stats.top_k_regret(score, accuracy, 4) == 5
    assert [stats.picked(score, accuracy, k) for k in (1, 2, 4)] == [1, 2, 2]
    assert np.isnan(stats.top_k_regret([np.nan, np.inf], [90, 91], 1))


def test_architectures_without_accuracy_are_not_there():
    assert stats.top_k_regret([9, 2, 1], [np.nan, 90, 95], 1) == 5


def test_random_picks_are_the_mean_over_all_subsets():
    accuracy = np.array([80, 85, 85, 90, 93, 70.0])
    for k in (1, 2, 4, 6):
        expected = 93 - np.mean([accuracy[list(subset)].max() for subset in itertools.combinations(range(6), k)])
        assert stats.random_regret(accuracy, k) == pytest.approx(expected)


def test_random_picks_of_a_large_space_stay_exact():
    accuracy = np.arange(15_625.0) / 200
    for k in (1, 10, 100, 5000):  # the maximum of k of n integers has mean k (n + 1) / (k + 1), counted from 1
        assert stats.random_regret(accuracy, k) == pytest.approx((15_625 - k * 15_626 / (k + 1)) / 200, rel=1e-7)


def test_regret_is_never_below_zero_nor_minus_zero():
    rng = np.random.default_rng(0)
    for _ in range(50):
        accuracy = rng.normal(size=30) + 80
        regret = stats.top_k_regret(rng.integers(0, 2, 30), accuracy, 29)
        assert regret >= 0
        assert not np.signbit(stats.top_k_regret(accuracy, accuracy, 1))


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        stats.top_k_regret([1, 2], [1, 2], 0)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_precision_is_the_mean_over_all_tie_orders_of_both(k):
    for score, accuracy in grid():
        s, a = evaluated(score, accuracy)
        size = min(k, len(a))
        truth = [set(order[:size]) for order in tie_orders(a)]
        picks = [set(order[:size]) for order in tie_orders(s)]
        expected = np.mean([[len(one & other) for one in truth] for other in picks]) / size
        assert stats.precision_at_k(score, accuracy, k) == pytest.approx(expected)


def test_precision_of_a_constant_score_is_chance():
    assert stats.precision_at_k(np.ones(50), np.arange(50.0), 5) == pytest.approx(0.1)
    assert np.isnan(stats.precision_at_k([], [], 5))


@pytest.mark.parametrize("k", [1, 2, 4])
def test_best_rank_is_the_mean_over_all_tie_orders(k):
    for score, accuracy in grid():
        s, a = evaluated(score, accuracy)
        rank = np.array([1 + (a > value).sum() for value in a])
        expected = np.mean([rank[order[:k]].min() for order in tie_orders(s)]) if np.isfinite(s).any() else np.nan
        assert stats.best_rank_at_k(score, accuracy, k) == pytest.approx(expected, nan_ok=True)


def test_tied_accuracies_share_the_better_rank():
    assert stats.best_rank_at_k([1, 2, 3], [95, 95, 90], 1) == 3
    assert stats.best_rank_at_k([1, 3, 2], [95, 95, 90], 1) == 1


@pytest.mark.parametrize("k", [1, 2, 4])
def test_ndcg_is_the_mean_over_all_tie_orders(k):
    for score, accuracy in grid():
        s, a = evaluated(score, accuracy)

        def gain(order, a=a):
            return sum((2.0 ** a[i] - 1) / np.log2(2 + place) for place, i in enumerate(order[:k]))

        ideal = gain(np.argsort(-a))
        expected = np.mean([gain(order) for order in tie_orders(s)]) / ideal if np.isfinite(s).any() else np.nan
        assert stats.ndcg_at_k(score, accuracy, k) == pytest.approx(expected, nan_ok=True)


def test_ndcg_gain_halves_with_each_point():
    assert stats.ndcg_at_k([1, 0], [93, 94], 1) == pytest.approx(0.5, abs=1e-12)
    assert stats.ndcg_at_k([0, 1], [93, 94], 2) == 1


def test_curve_points():
    assert stats.curve_points(60) == [1, 2, 5, 10, 20, 50, 60]
    assert stats.curve_points(1) == [1]
    assert stats.curve_points(100)[-2:] == [50, 100]
    assert stats.curve_points(0) == []
