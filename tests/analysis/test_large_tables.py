"""Large tables: other intervals, drawn pairs and thinned figures from a stated size on, in agreement with the small."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import stats
from harness.analysis import ensembles, statistics
from harness.analysis.summary import summarise
from harness.report import page, scatter
from harness.report.figures import drawing
from harness.runs import score_table
from harness.stats.correlation import weighted_tau_by_counts
from harness.stats.intervals import rho_influence
from speed.large_tables import made_up_run

ARCHS = 3000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made_up_run(tmp_path_factory.mktemp("run"), ARCHS, 14, classes=True)


def summarised(run, large: int):
    """The statistics of one population, with the boundary between the two methods where the test wants it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "LARGE", large)
        return summarise(run, intervals="always", resamples=300, populations=("all",))


@pytest.fixture(scope="module")
def both(run):
    """The same run as a small table, and as a large one."""
    return summarised(run, ARCHS), summarised(run, ARCHS - 1)


@pytest.mark.parametrize("decimals", [3, 0])
def test_influence_is_what_leaving_one_out_does(decimals):
    rng = np.random.default_rng(1)
    accuracy = np.round(rng.normal(size=200), decimals)
    score = np.round(accuracy + rng.normal(size=200), decimals)
    rho = stats.spearman(score, accuracy)
    without = [rho - stats.spearman(np.delete(score, i), np.delete(accuracy, i)) for i in range(200)]
    terms = rho_influence(np.r_[score, np.nan], np.r_[accuracy, 50.0])
    assert terms[-1] == 0 and abs(terms.sum()) < 1e-12
    np.testing.assert_allclose(terms[:-1], without, atol=0.02 * np.abs(without).max())


def test_the_method_switches_at_the_stated_size_and_is_named(both):
    small, large = (summary.settings["method"] for summary in both)
    assert "bootstrap" in small and "analytic" in large
    assert statistics.LARGE == 20_000
    assert statistics.method(20_000, True) == small and statistics.method(20_001, True) == large
    assert statistics.method(20_001, False) == "none"


def test_both_methods_agree_but_for_the_error_of_the_resampling(both):
    small, large = (summary.table.set_index("proxy") for summary in both)
    width = small["rho_high"] - small["rho_low"]
    for end in ("rho_low", "rho_high"):
        assert ((small[end] - large[end]).abs() <= 0.15 * width).all()
    exact = [name for name in small.columns if name not in ("rho_low", "rho_high")]
    pd.testing.assert_frame_equal(small[exact], large[exact], check_exact=True)


def test_differences_agree_too(both):
    small, large = (summary.differences.set_index("proxy") for summary in both)
    assert (small["rho_difference"] == large["rho_difference"]).all()
    width = small["high"] - small["low"]
    for end in ("low", "high"):
        assert ((small[end] - large[end]).abs() <= 0.15 * width).all()
    assert small["better"].tolist() == large["better"].tolist()


def test_scores_that_rank_alike_have_no_interval_of_their_difference():
    rng = np.random.default_rng(2)
    accuracy = rng.normal(size=100)
    score = (accuracy + rng.normal(size=100))[None]
    nearly, order = score.copy(), np.argsort(score[0])
    nearly[0, order[[4, 5]]] = score[0, order[[5, 4]]]
    for other, p in ((3 * score, 1.0), (nearly, np.nan), (np.ones((1, 100)), np.nan)):
        found = stats.difference_interval(stats.spearman, stats.rho_influence, score, other, accuracy, np.arange(100))
        np.testing.assert_array_equal(found, (np.nan, np.nan, p))
    assert stats.same_order(score, nearly) and not stats.same_order(score, accuracy[None])


def test_chances_in_a_huge_tie_block_are_the_same_by_products(monkeypatch):
    accuracy = np.random.default_rng(4).normal(size=500)
    exact = stats.top_k_regret(np.zeros(500), accuracy, 10)
    monkeypatch.setattr("harness.stats.ranks.HUGE_BLOCK", 100)
    assert stats.top_k_regret(np.zeros(500), accuracy, 10) == pytest.approx(exact, rel=1e-9)


def test_votes_on_drawn_pairs(run, monkeypatch):
    exact = pd.DataFrame(ensembles.judged_votes(run.scores, run.accuracy))
    monkeypatch.setattr(ensembles, "EXACT", 100)
    monkeypatch.setattr(ensembles, "DRAWN", 1_000_000)
    drawn = pd.DataFrame(ensembles.judged_votes(run.scores, run.accuracy))
    assert len(drawn) == 4 and (drawn["voter"] == exact["voter"]).all()
    assert ((drawn["concordance"] - exact["concordance"]).abs() < 0.002).all()
    assert (drawn["pairs"] <= 1_000_000).all()


def test_drawn_pairs_are_said(run, monkeypatch):
    monkeypatch.setattr("harness.analysis.summary.EXACT", 100)
    notes = summarise(run, intervals="never", populations=("all",)).notes
    assert any("judged on pairs drawn at random, 10,000,000 of" in note for note in notes)


def test_equal_populations_are_the_same_numbers(tmp_path: Path):
    """As in NAS-Bench-101: no two cells are the same, none is disconnected."""
    summary = summarise(made_up_run(tmp_path, 400, 5), intervals="always", resamples=20)
    table = summary.table.set_index("population")
    for name in ("connected", "distinct"):
        assert table.loc["all"].reset_index(drop=True).equals(table.loc[name].reset_index(drop=True))
    assert set(summary.agreement) == set(summary.settings["baseline"]) == {"all", "connected", "distinct"}
    assert list(summary.differences["population"].unique()) == ["all", "connected", "distinct"]


def test_scatter_draws_a_part_and_says_how_many(run, both, monkeypatch):
    monkeypatch.setattr(scatter, "THINNED_ABOVE", 1000)
    monkeypatch.setattr(scatter, "DRAWN", 300)
    with drawing(7, 7) as figure:
        scatter.draw_scatter(figure, run, both[0])
        panel = figure.axes[0]
        assert sum(len(marks.get_offsets()) for marks in panel.collections) == 300
        assert "300 of 3,000 architectures are drawn" in figure.get_supxlabel()


def test_page_of_thirty_proxies_is_small(tmp_path: Path):
    run = made_up_run(tmp_path, ARCHS, 30)
    html = page.page(run, summarise(run, intervals="never"))
    assert len(html) < 3_000_000
    assert re.search(r'"total":3000\b', html)


def test_a_csv_is_read_in_parts_with_the_same_result(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(score_table, "ROWS", 2)
    path = tmp_path / "scores.csv"
    path.write_text("index,a,b\n1,0.1,\n2,nan,5\n3,inf,x y\n4,1e3,7\n5,2,oops\n")
    sheet = score_table.sheet_of(path, None)
    assert list(sheet.keys["index"]) == ["1", "2", "3", "4", "5"]
    np.testing.assert_array_equal(sheet.cells["a"].numbers, [0.1, np.nan, np.inf, 1000, 2])
    assert sheet.cells["a"].odd == {1: "nan", 2: "inf"}
    assert score_table._wrong(sheet.cells["b"]) == "cells that are no numbers: 'x y' in row 3, 'oops' in row 5"


@pytest.mark.parametrize("decimals", [5, 0])
def test_weighted_tau_by_counts_is_scipy_s(decimals):
    rng = np.random.default_rng(6)
    accuracy = np.round(rng.normal(size=400), decimals)
    score = np.round(accuracy + rng.normal(size=400), decimals)
    assert weighted_tau_by_counts(score, accuracy) == pytest.approx(stats.weighted_tau(score, accuracy), abs=1e-12)
