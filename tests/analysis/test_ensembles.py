"""Ensembles: worked by hand, against a loop over pairs, and what depends on the reference set."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from benchmarks.errors import UserError
from harness.analysis.ensembles import (
    available,
    combined,
    concordance,
    failed_last,
    judged_votes,
    log_rank,
    rank_sum,
    vote,
    with_ensembles,
)
from harness.analysis.summary import summarise
from harness.proxies.choose import choose
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.registry import registry
from harness.report import html, style, tables, variants
from harness.report.text import legend, mark_lines, vote_lines
from harness.store.stored_run import StoredRun


def test_ranks_by_hand():
    """Ranks 1 2 3 and 1.5 1.5 3 of three."""
    scores = np.array([[0.1, 0.2, 0.3], [5.0, 5.0, 7.0]])
    assert rank_sum(scores) == pytest.approx([2.5 / 3, 3.5 / 3, 2.0])
    expected = [math.log(1 / 3 * 1.5 / 3), math.log(2 / 3 * 1.5 / 3), 0.0]
    assert log_rank(scores) == pytest.approx(expected)


def test_failed_architectures_are_outside_the_reference_set():
    scores = np.array([[1.0, np.nan, 3.0, 2.0], [1.0, 9.0, -np.inf, np.inf]])
    inside = scores[:, [0, 2, 3]]
    for combine in (rank_sum, log_rank):
        given = combine(scores)
        assert np.isnan(given[1])
        assert given[[0, 2, 3]] == pytest.approx(combine(inside))
        assert np.isfinite(combine(failed_last(scores))).all()
    assert rank_sum(failed_last(scores))[1] == pytest.approx(1 / 4 + 3 / 4)


def test_ranks_do_not_change_with_the_scale_but_with_the_reference_set():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(3, 40))
    assert log_rank(np.exp(scores)) == pytest.approx(log_rank(scores))
    before, after = log_rank(scores)[:20], log_rank(scores[:, :20])
    assert not np.allclose(before, after)
    assert (np.argsort(rank_sum(scores)[:20]) != np.argsort(rank_sum(scores[:, :20]))).any()


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


def toy(tmp_path: Path, **scores: np.ndarray) -> StoredRun:
    """A run of four architectures with the accuracies 1 2 3 4 and the scores given, (seeds, archs) each."""
    return StoredRun(
        path=tmp_path, manifest={"space_size": 4, "proxies": {name: {"fitted": name == "mine"} for name in scores}},
        archs=("a", "b", "c", "d"), index=np.arange(4), accuracy=np.arange(1.0, 5.0),
        seed_accuracy=np.arange(1.0, 5.0)[:, None], class_id=np.arange(4), connected=np.ones(4, bool),
        params=np.ones(4), conv_count=np.ones(4, int), scores=scores,
        seconds={name: np.full_like(values, 0.25) for name, values in scores.items()},
        failures=pd.DataFrame(columns=["proxy", "seed", "arch", "reason"]), space_best=4.0,
    )  # fmt: skip


COND, REGIONS = ENSEMBLES["te_nas"].members
TE = {COND: np.array([[1.0, 2.0, 3.0, 4.0]]), REGIONS: np.array([[4.0, 3.0, np.nan, 9.0]])}


def test_a_run_gets_the_ensembles_of_its_proxies(tmp_path: Path):
    """Among a, b and d: ranks 1 2 3 and 2 1 3."""
    run = with_ensembles(toy(tmp_path, **TE))
    assert run.scores["te_nas"] == pytest.approx(np.array([[1.0, 1.0, np.nan, 2.0]]), nan_ok=True)
    facts = run.manifest["proxies"]["te_nas"]
    assert facts["reference_set"] == 3 and facts["ensemble"] == list(TE) and not facts["fitted"]
    assert run.seconds["te_nas"][0].tolist() == [0.5] * 4
    assert run.failures.to_numpy().tolist() == [["te_nas", 0, "c", "a member has no score"]]
    own = toy(tmp_path, **TE, te_nas=np.zeros((1, 4)))
    assert with_ensembles(own) is own  # a name that is taken, as in scores computed elsewhere
    few = toy(tmp_path, **{COND: TE[COND]})
    assert with_ensembles(few) is few


def test_the_table_names_the_reference_set_and_sets_fitted_scores_apart(tmp_path: Path):
    run = with_ensembles(toy(tmp_path, **TE, mine=np.array([[1.0, 2.0, 3.0, 4.0]])))
    summary = summarise(run, resamples=10)
    table = summary.table[summary.table.population == "all"].set_index("proxy")
    assert table.reference_set["te_nas"] == 3 and np.isnan(table.reference_set["mine"])
    assert table.fitted.to_dict() == {**dict.fromkeys(TE, False), "te_nas": False, "mine": True}
    assert table.rho["mine"] == 1 and style.ordered(summary)[-1] == "mine"
    fitted, ensemble = mark_lines(run, summary)
    assert "†" in fitted and "‡ te_nas" in ensemble and "the 3 architectures" in ensemble
    assert style.marks(run, "te_nas") == "‡" and "te\\_nas‡" in tables.markdown(run, summary)
    assert "mine† (fitted)" in tables.markdown(run, summary)
    assert style.label(summary, "te_nas") == "te_nas‡" and style.label(summary, "mine") == "mine†"


def test_votes_are_judged_on_pairs_beside_their_members(tmp_path: Path):
    """Of the six pairs synflow orders 6, jacob_cov 0, snip 3 (one tie): most say right but where snip errs or ties."""
    scores = {
        "synflow": np.array([[1.0, 2.0, 3.0, 4.0]]),
        "jacob_cov": np.array([[4.0, 3.0, 2.0, 1.0]]),
        "snip": np.array([[1.0, 1.0, 3.0, 0.0]]),  # a = b, a < c, b < c right; a > d, b > d, c > d wrong
    }
    rows = {row["voter"]: row for row in judged_votes(scores, np.arange(1.0, 5.0))}
    found = {voter: row["concordance"] for voter, row in rows.items()}
    assert found == pytest.approx({"vote": 2.5 / 6, "synflow": 1.0, "jacob_cov": 0.0, "snip": 2.5 / 6})
    assert {(row["n"], row["pairs"]) for row in rows.values()} == {(4, 6)}
    run = with_ensembles(toy(tmp_path, **scores))
    summary = summarise(run, resamples=10)
    assert "vote" not in run.scores and set(summary.votes.population) == {"all", "connected", "distinct"}
    (line,) = vote_lines(summary, "all")
    assert "41.7 % of 6 pairs" in line and "chance is 50" in line and "synflow 100.0" in line
    assert line in legend(run, summary, "all")
    assert pd.read_csv(tables.write_tables(run, summary, tmp_path)["votes.csv"]).equals(summary.votes)
    tied = {name: values[:, [0, 0, 1, 1]] for name, values in scores.items()}
    again = {row["voter"]: row for row in judged_votes(tied, np.array([1.0, 1.0, 2.0, np.nan]))}
    assert again["synflow"]["pairs"] == 2 and again["synflow"]["concordance"] == 1.0


def test_variants_stand_side_by_side(tmp_path: Path):
    up = np.array([[1.0, 2.0, 3.0, 4.0]])
    run = toy(tmp_path, **{"naswot": up, "naswot@<b>": -up, "snip": up})
    summary = summarise(run, resamples=10, intervals="never")
    assert variants.families(summary, "all") == {"naswot": ["naswot", "naswot@<b>"]}
    (table,) = variants.tables(run, summary, "all")
    draw = html.environment().get_template("tables.html").module.draw
    assert "<b>" not in draw(table) and "snip" not in draw(table)
    assert 'title="naswot with naswot@&lt;b&gt;: -1.000"' in draw(table)
    assert "| naswot@&lt;b&gt; | -1.000 | -1.000 | 4 | -1.00 | 1.00 |" in variants.markdown(run, summary, "all")
    alone = summarise(toy(tmp_path, snip=up), resamples=10)
    assert variants.markdown(run, alone, "all") == []


def test_an_ensemble_stands_for_its_members_among_proxies():
    names = [proxy.name for proxy in choose("snip,te_nas")]
    assert names[-3:] == ["snip", COND, REGIONS]
    with pytest.raises(UserError, match="did you mean az_nas"):
        choose("aznas")
