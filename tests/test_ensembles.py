"""Ensembles: worked by hand, against a loop over pairs, and what depends on the cohort."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.errors import UserError
from harness.ensembles import ENSEMBLES, available, combined, concordance, failed_last, log_rank, rank_sum, vote
from harness.proxies import registry


def test_ranks_by_hand():
    """Ranks 1 2 3 and 1.5 1.5 3 of three."""
    scores = np.array([[0.1, 0.2, 0.3], [5.0, 5.0, 7.0]])
    assert rank_sum(scores) == pytest.approx([2.5 / 3, 3.5 / 3, 2.0])
    expected = [math.log(1 / 3 * 1.5 / 3), math.log(2 / 3 * 1.5 / 3), 0.0]
    assert log_rank(scores) == pytest.approx(expected)


def test_failed_architectures_are_outside_the_cohort():
    scores = np.array([[1.0, np.nan, 3.0, 2.0], [1.0, 9.0, -np.inf, np.inf]])
    inside = scores[:, [0, 2, 3]]
    for combine in (rank_sum, log_rank):
        given = combine(scores)
        assert np.isnan(given[1])
        assert given[[0, 2, 3]] == pytest.approx(combine(inside))
        assert np.isfinite(combine(failed_last(scores))).all()
    assert rank_sum(failed_last(scores))[1] == pytest.approx(1 / 4 + 3 / 4)


def test_ranks_do_not_change_with_the_scale_but_with_the_cohort():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 40))
    assert log_rank(np.exp(scores)) == pytest.approx(log_rank(scores))
    before, after = log_rank(scores)[:20], log_rank(scores[:, :20])
    assert not np.allclose(before, after)
    assert (np.argsort(rank_sum(scores)[:20]) != np.argsort(rank_sum(scores[:, :20]))).any()
    assert "over 40 architectures" in ENSEMBLES["az_nas"].label(40)


def test_concordance_is_the_loop_over_pairs():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, size=(3, 600)).astype(float)  # more than one block of rows, many ties
    scores[0, 5], scores[1, 7] = np.nan, np.inf
    accuracy = np.round(rng.normal(90, 3, 600), 0)
    kept = [i for i in range(600) if i != 5]
    pairs = [(i, j) for i, j in itertools.combinations(kept[:80], 2) if accuracy[i] != accuracy[j]]
    votes = [vote(scores, i, j) for i, j in pairs]
    agree = sum(v == np.sign(accuracy[i] - accuracy[j]) for v, (i, j) in zip(votes, pairs, strict=True))
    small = concordance(scores[:, kept[:80]], accuracy[kept[:80]])
    assert (small.pairs, small.undecided) == (len(pairs), votes.count(0))
    assert small.fraction == pytest.approx((agree + votes.count(0) / 2) / len(pairs))
    whole = concordance(scores, accuracy)
    a = accuracy[kept]
    assert whole.pairs == sum(int((a[i] != a[i + 1 :]).sum()) for i in range(len(a)))


def test_one_proxy_votes_like_kendall():
    rng = np.random.default_rng(2)
    scores, accuracy = rng.normal(size=(1, 300)), rng.normal(size=300)
    assert concordance(scores, accuracy).fraction == pytest.approx((kendalltau(scores[0], accuracy).statistic + 1) / 2)
    assert math.isnan(concordance(scores[:, :1], accuracy[:1]).fraction)


def test_votes_need_not_be_transitive():
    scores = np.array([[3.0, 2, 1], [1, 3, 2], [2, 1, 3]])
    assert [vote(scores, 0, 1), vote(scores, 1, 2), vote(scores, 2, 0)] == [1, 1, 1]
    assert vote(scores[:2], 0, 1) == 0


def test_stored_scores():
    """One row stands for all seeds; members that were not scored are named, all at once."""
    scores = {"a": np.array([[1.0, 2, 3]]), "b": np.array([[3.0, 2, 1], [1, 2, 3]])}
    assert combined(scores, ("a", "b")) == pytest.approx(np.array([[4 / 3] * 3, [2 / 3, 4 / 3, 2]]))
    with pytest.raises(UserError, match=r"'?x'?.*'?y'?"):
        combined(scores, ("a", "x", "y"))
    with pytest.raises(UserError, match="seeds"):
        combined({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))}, ("a", "b"))
    members = dict.fromkeys(ENSEMBLES["az_nas"].members, np.array([[1.0, 2.0]]))
    assert set(available(members)) == {"az_nas"}
    assert available(members)["az_nas"] == pytest.approx(np.array([[4 * math.log(0.5), 0.0]]))


def test_members_are_proxies():
    known = registry()
    for each in ENSEMBLES.values():
        assert set(each.members) <= known.keys(), each.name
        assert not any(known[name].fitted for name in each.members)
