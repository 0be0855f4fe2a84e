"""Scores against several targets: each number by its plain function, budgets by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats
from toy_runs import toy_run

import harness.stats as stats
from benchmarks import UserError
from harness.analysis.head_to_head import head_to_head
from harness.analysis.targets import by_budgets, by_target, by_targets, each_target, picks
from harness.store.stored_run import StoredRun, load_run, write_run

FACTS = {"source": "x.csv", "checksum": "00"}


@pytest.fixture(scope="module")
def run() -> StoredRun:
    """A toy run with a robust accuracy that lacks a value, and a latency."""
    toy = toy_run(Path("."), seeds=1)
    rng = np.random.default_rng(5)
    robust = toy.accuracy / 2 + rng.normal(size=len(toy.archs))
    robust[7] = np.nan
    latency = np.round(toy.accuracy / 10 + rng.normal(size=len(toy.archs)), 1)
    facts = {
        "robust:x": {"unit": "%", "better": "larger"} | FACTS,
        "latency:y": {"unit": "ms", "better": "smaller"} | FACTS,
    }
    return replace(toy, targets={"robust:x": robust, "latency:y": latency}, manifest=toy.manifest | {"targets": facts})


def test_every_statistic_is_that_of_its_own_target(run):
    frame = by_targets(run, given="latency:y").set_index(["target", "proxy"])
    score, robust, latency = run.scores["naswot"][0], run.targets["robust:x"], run.targets["latency:y"]
    known = np.isfinite(robust) & np.isfinite(score)
    row = frame.loc[("robust:x", "naswot")]
    assert row["rho"] == pytest.approx(scipy_stats.spearmanr(score[known], robust[known]).statistic)
    assert row["n"] == 88 and row["failed"] == 1  # of 89 with a value
    ranks = [scipy_stats.rankdata(values[known]) for values in (score, robust, latency)]
    residual = [ranks[side] - np.polyval(np.polyfit(ranks[2], ranks[side], 1), ranks[2]) for side in (0, 1)]
    assert row["rho_given"] == pytest.approx(np.corrcoef(*residual)[0, 1])
    assert row["rho_given_low"] < row["rho_given"] < row["rho_given_high"]
    of_params = stats.partial_spearman(score, robust, run.params)
    assert row["rho_partial_params"] == pytest.approx(of_params)
    there = np.isfinite(robust)
    assert row["regret_10"] == pytest.approx(stats.top_k_regret(score[there], robust[there], 10))
    assert frame.loc[("accuracy", "naswot"), "rho"] == pytest.approx(stats.spearman(score, run.accuracy))
    cost = frame.loc[("latency:y", "naswot")]
    assert np.isnan(cost["regret_10"]) and np.isnan(cost["rho_given"]) and np.isfinite(cost["rho"])
    assert frame.loc[("robust:x", "synflow"), "baseline"] == "params"  # made of the accuracy in this run
    assert frame.loc[("robust:x", "synflow"), "beats"] is False


def test_budgets_and_picks(run):
    frame = by_budgets(run, "latency:y", ks=(1,), steps=2).set_index(["proxy", "share"])
    limit = np.sort(run.targets["latency:y"])[44]  # half of 90 within
    inside = run.targets["latency:y"] <= limit
    first = frame.loc["synflow"].iloc[0]
    top = int(np.argmax(np.where(inside, run.scores["synflow"][0], -np.inf)))
    assert first["limit"] == limit and first["best"] == run.accuracy[inside].max()
    assert first["regret"] == pytest.approx(first["best"] - run.accuracy[top])
    whole = frame.loc["random picks"].iloc[1]
    assert whole["archs"] == 90 and whole["regret"] == pytest.approx(run.accuracy.max() - run.accuracy.mean())
    chosen = picks(run, "latency:y", "synflow")
    assert chosen["cost"].is_monotonic_increasing and chosen["score"].is_monotonic_increasing
    assert set(run.archs) >= set(chosen["arch"]) and len(chosen) > 1
    for name, target in (("robust:x", "accuracy"), ("latency:y", "latency:y")):
        with pytest.raises(UserError, match="values are better"):
            by_budgets(run, name, target)


def test_one_target_in_the_place_of_the_accuracy(run):
    other = by_target(run, "latency:y")
    assert other.accuracy is run.targets["latency:y"] and other.space_best == other.accuracy.min()
    assert by_target(run, "accuracy") is run
    with pytest.raises(UserError, match=r"unknown target of this run: 'robust:y' \(did you mean robust:x"):
        by_target(run, "robust:y")
    found = head_to_head(each_target({"201": run}), ["synflow", "naswot"], resamples=20)
    assert found.benchmarks == ["201 robust:x", "201 latency:y"]
    regret = found.pairs.set_index("benchmark")["regret_10_difference"]
    assert np.isfinite(regret["201 robust:x"]) and np.isnan(regret["201 latency:y"])


def test_targets_are_kept_with_the_run(run, tmp_path):
    import h5py

    with h5py.File(tmp_path / "scores.h5", "w") as file:
        write_run(file, run.of(["synflow"]))
    back = load_run(tmp_path)
    assert list(back.targets) == ["robust:x", "latency:y"]
    assert all(np.array_equal(back.targets[name], run.targets[name], equal_nan=True) for name in run.targets)
    part = back.at(np.array([3, 1]))
    assert part.targets["latency:y"].tolist() == run.targets["latency:y"][[3, 1]].tolist()
