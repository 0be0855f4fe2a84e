"""The different networks from a sample of strings: weights, bias, warnings of scores that stand for failures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_runs import toy_run

from benchmarks.benchmark import space_of
from harness import stats
from harness.analysis.populations import population_of, rows_of, share_of_space
from harness.analysis.summary import summarise

SPACE = space_of("201")
SIZE = len(SPACE)
TOY = toy_run(Path())


@pytest.fixture(autouse=True)
def one_space(monkeypatch):
    """The classes are found once."""
    monkeypatch.setattr("harness.analysis.populations.space_of", lambda bench: SPACE)


def run_of(rows, accuracy, **scores):
    """A run of some strings of NAS-Bench-201."""
    return replace(
        TOY,
        archs=tuple(SPACE.archs[i] for i in rows), index=rows, accuracy=accuracy[rows],
        seed_accuracy=accuracy[rows][:, None], class_id=SPACE.class_id[rows], connected=SPACE.connected[rows],
        params=np.ones(len(rows)), conv_count=np.ones(len(rows), int), seconds={},
        scores={name: score[None, rows] for name, score in scores.items()},
        manifest={"space_size": SIZE, "space_networks": 9_445, "unit": "strings", "settings": {"bench": "201"}},
    )  # fmt: skip


def bias(accuracy, score, n=300, samples=150):
    """Mean estimates of rho and tau-b minus those of the different networks, by weights and with each network met."""
    named = np.flatnonzero(SPACE.class_id == np.arange(SIZE))
    truth = stats.spearman(score[named], accuracy[named]), stats.kendall_tau_b(score[named], accuracy[named])
    found = []
    for seed in range(samples):
        run = run_of(np.random.default_rng(seed).permutation(SIZE)[:n], accuracy, mine=score)
        part = population_of(run, "distinct", share_of_space(run))
        ours = part.scores["mine"][0], part.accuracy, part.weight
        met = stats.spearman(part.met.scores["mine"][0], part.met.accuracy)
        found.append((stats.spearman(*ours) - truth[0], stats.kendall_tau_b(*ours) - truth[1], met - truth[0]))
    return np.mean(found, axis=0)


def test_bias_with_the_class_sizes_of_201():
    rng = np.random.default_rng(0)
    sizes = np.bincount(SPACE.class_id, minlength=SIZE)[SPACE.class_id]
    shared = (rng.normal(size=SIZE) - np.log(sizes))[SPACE.class_id]
    accuracy, score = shared + 0.1 * rng.normal(size=SIZE), (shared + 2 * rng.normal(size=SIZE))[SPACE.class_id]
    rho, tau, met = bias(accuracy, score)
    assert abs(rho) < 0.01 and abs(tau) < 0.01
    assert abs(met) > 0.02  # one string of each network met


def test_bias_of_a_kept_score(real_data):
    accuracy = pd.read_csv(real_data / "nasbench201.csv")["cifar10_test_200"].to_numpy()
    for score in (SPACE.sizes(**SPACE.network, classes=10, resolution=32)[0], SPACE.conv_count.astype(float)):
        assert (np.abs(bias(accuracy, score)[:2]) < 0.01).all()


def test_only_a_sample_of_strings_has_weights():
    accuracy = np.random.default_rng(0).normal(size=SIZE)
    drawn = run_of(np.random.default_rng(1).permutation(SIZE)[:500], accuracy, mine=accuracy)
    part = population_of(drawn, "distinct", share_of_space(drawn))
    np.testing.assert_array_equal(part.met.accuracy, drawn.accuracy[rows_of(drawn, "distinct")])
    assert len(part.accuracy) == 500 > len(part.met.accuracy) and part.weight.max() == 1
    for run in (run_of(np.arange(SIZE), accuracy, mine=accuracy),
                replace(drawn, manifest={**drawn.manifest, "unit": "networks"})):  # fmt: skip
        each = population_of(run, "distinct", share_of_space(run))
        assert each.weight is None and len(each.accuracy) == len(rows_of(run, "distinct"))


def test_a_sample_of_strings_summarised():
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=SIZE)[SPACE.class_id]
    run = run_of(rng.permutation(SIZE)[:600], accuracy, mine=accuracy + rng.normal(size=SIZE)[SPACE.class_id])
    table = summarise(run, resamples=100).table.set_index("population")
    met = len(np.unique(run.class_id))
    assert (table.n["all"], table.n["distinct"]) == (600, met)
    assert table.rho_low["distinct"] < table.rho["distinct"] < table.rho_high["distinct"]
    assert table.tau_b_low["distinct"] < table.tau_b["distinct"] < table.tau_b_high["distinct"]


@pytest.mark.parametrize(
    ("count", "said"), [(10, "networks share the score -1e+08"), (1, "1 of 400 networks have, far from"), (0, "")]
)
def test_scores_that_may_stand_for_a_failure_are_named(count, said):
    rows = np.flatnonzero(SPACE.class_id == np.arange(SIZE))[:400]
    accuracy = np.random.default_rng(0).normal(size=SIZE)
    mine = np.exp(accuracy)
    mine[rows[:count]] = -1e8
    run = run_of(rows, accuracy, mine=mine, params=np.round(accuracy))
    notes = [note for note in summarise(run, resamples=5).notes if note.startswith("mine: ")]
    assert (said in notes[0]) if said else not notes
