"""Pareto fronts and regret on a budget, by hand and by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats import budget_regret, budgets, front


def test_the_front_is_what_nothing_dominates():
    generator = np.random.default_rng(0)
    value, cost = generator.integers(0, 8, 60).astype(float), generator.integers(0, 8, 60).astype(float)
    value[3], cost[7] = np.nan, np.inf
    expected = [
        bool(np.isfinite(v) and np.isfinite(c))
        and not any(
            np.isfinite(w) and np.isfinite(d) and w >= v and d <= c and (w > v or d < c)
            for w, d in zip(value, cost, strict=True)
        )
        for v, c in zip(value, cost, strict=True)
    ]
    assert front(value, cost).tolist() == expected and sum(expected) > 3
    assert not front(np.array([np.nan]), np.array([1.0])).any()


def test_regret_on_a_budget_by_hand():
    accuracy, cost = np.array([70.0, 80, 90, 60]), np.array([1.0, 2, 3, 1])
    score = np.array([2.0, 3, 1, 4])
    # within 1: 60 is taken and 70 is there; within 2: 60 of 80; within 3: 60 of 90
    assert budget_regret(score, accuracy, cost, [1, 2, 3]).tolist() == [10, 20, 30]
    assert budget_regret(score, accuracy, cost, [1, 2, 3], k=2).tolist() == [0, 0, 10]
    tied = budget_regret(np.zeros(4), accuracy, cost, [3])  # the mean of all four
    assert tied[0] == pytest.approx(90 - 75)
    assert np.isnan(budget_regret(np.full(4, np.nan), accuracy, cost, [3])[0])


def test_budgets_are_costs_of_architectures_that_keep_a_tenth_each():
    cost = np.arange(20.0, 0, -1)
    assert budgets(cost).tolist() == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert budgets(np.r_[cost, np.nan], 2).tolist() == [10, 20]
