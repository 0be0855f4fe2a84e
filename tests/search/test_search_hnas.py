"""HNAS: the inner problem by hand, the outer one against plain computations, and its searches on a table."""

import re

import numpy as np
import pandas as pd
import pytest
import search_tasks
from tiny import SIZES, embed, tiny_table

from benchmarks.table import save_tables
from harness.cli.search import main
from harness.search import hnas, outcomes
from harness.search.config import SearchConfig
from harness.search.draws import Draws
from harness.search.methods import METHODS, OPTIONS
from harness.search.simulate import search, simulate

OWN = METHODS["hnas"].defaults


def planted(metric, kappa, value, seconds=(2.0, 0.5)):
    """A task on a line whose guides are a metric and kappa, stored negated."""
    scores = {"grad_norm": metric, "kappa@hnas": -np.asarray(kappa, float)}
    return search_tasks.make(search_tasks.LineSpace(len(metric)), value, scores=scores, score_seconds=seconds)


@pytest.fixture
def task():
    rng = np.random.default_rng(3)
    return planted(rng.lognormal(3, 1, 81), rng.uniform(5, 130, 81), rng.normal(80, 5, 81))


# The inner problem


def test_the_criterion_by_hand():
    metric, kappa = np.array([1.0, 2.0, 3.0]), np.array([4.0, 2.0, 30.0])
    assert hnas.criterion(metric, kappa, 2.0, 0.1) == pytest.approx([0.1 * 3 + 4, 0 + 1, 0.1 * 5 + 10], rel=1e-5)
    assert hnas.criterion(np.zeros(1), np.array([3.0]), 2.0, 1.0) == pytest.approx([4 + 3e6])


def test_the_first_queries_are_the_minima_by_hand():
    """Probes t = 0 and 20 with mu = 0.01, over eight architectures, four of them with kappa / M = 9,000."""
    metric, kappa = [1.0, 2.0, 10.0, np.sqrt(401)] + [1e-3] * 4, [2.0, 1.92, 2.0, 1e-4] + [9.0] * 4
    assert hnas.first_points(8).tolist() == [[0, -2], [1, -2]]
    trace = hnas.hnas(planted(metric, kappa, range(8)), Draws(0, [0]), queries=8, scale=20.0)
    assert trace.queried[0, 0] == 1  # .01 M^2 + kappa / M: 2.01, 1.0, 1.2, 4.01
    assert trace.queried[0, 1] == 3  # .01 |M^2 - 400| + kappa / M: 5.99, gone, 3.2, 0.01
    assert sorted(trace.queried[0]) == list(range(8))  # never twice


def test_the_published_probes():
    assert hnas.first_points(20).tolist() == [[0, -2], [0.25, -2], [0.5, -2], [0.75, -2], [1, -2]]
    assert hnas.first_points(3).tolist() == [[0, -2]]


def test_each_choice_is_the_least_of_the_pool_so_far(task, monkeypatch):
    """The pool grows by `fresh` draws with replacement; queried ones leave; the points are those the optimiser gave."""
    given = iter([[0.3, -1.0], [0.01, -3.0], [0.9, 0.0], [0.2, -4.0]])
    monkeypatch.setattr(hnas, "propose", lambda *rest: np.array(next(given)))
    trace = hnas.hnas(task, Draws(5, [2]), queries=5, scale=100.0, fresh=9)
    generator = np.random.default_rng([5, 2, 0])
    generator.integers(2**31)
    pool, queried = [], []
    metric, kappa = task.scores[0], -task.scores[1]
    for share, exponent in [(0.0, -2.0), (0.3, -1.0), (0.01, -3.0), (0.9, 0.0), (0.2, -4.0)]:
        pool += generator.integers(81, size=9).tolist()
        cost = {
            row: 10**exponent * abs(metric[row] ** 2 - (100 * share) ** 2) + kappa[row] / (metric[row] + 1e-6)
            for row in pool
            if row not in queried
        }
        queried.append(min(cost, key=cost.__getitem__))
        assert trace.spent[0, len(queried) - 1] == pytest.approx(len(set(pool)) * 2.5)
    assert trace.queried[0].tolist() == queried and trace.scored[0] == len(set(pool))


def test_equal_values_go_to_the_one_drawn_first():
    same = planted(np.full(40, 7.0), np.full(40, 3.0), range(40))
    first = hnas.hnas(same, Draws(0, range(30)), queries=1).queried[:, 0]
    assert len(set(first)) > 10


def test_what_failed_is_never_chosen(task):
    task.scores[0, :30], task.scores[1, 20:45] = np.nan, np.nan
    trace = hnas.hnas(task, Draws(0, range(2)), queries=6, fresh=3)
    assert trace.queried.min() >= 45


def test_a_signed_metric_counts_as_its_absolute_value(task):
    turned = planted(-task.scores[0], -task.scores[1], task.value)
    one, other = (hnas.hnas(each, Draws(0, [1]), queries=5, scale=50.0) for each in (task, turned))
    assert np.array_equal(one.queried, other.queried)


# The outer problem


def test_expected_improvement_is_the_integral():
    mean, sd, best = np.array([0.3, -1.0, 2.0]), np.array([0.5, 2.0, 0.1]), 0.6
    y = np.linspace(-20, 20, 400_001)
    density = np.exp(-(((y - mean[:, None]) / sd[:, None]) ** 2) / 2) / (sd[:, None] * np.sqrt(2 * np.pi))
    integral = (np.maximum(0, y - best) * density).sum(1) * (y[1] - y[0])
    assert hnas.expected_improvement(mean, sd, best) == pytest.approx(integral, rel=1e-4)
    assert hnas.expected_improvement(np.array([1.0, 0.0]), np.zeros(2), 0.6).tolist() == [0.4, 0.0]


def plain_process(points, answers, at):
    """Mean and sd of a Gaussian process: Matern 5/2, the length scale with the greatest likelihood on a fine grid."""

    def kernel(left, right, length):
        r = np.sqrt(5 * ((left[:, None] - right[None]) ** 2).sum(2)) / length
        return (1 + r + r**2 / 3) * np.exp(-r)

    y = (answers - answers.mean()) / answers.std()
    fits = []
    for length in np.geomspace(1e-2, 1e2, 400):
        covariance = kernel(points, points, length) + 1e-6 * np.eye(len(y))
        weights = np.linalg.solve(covariance, y)
        fits.append((-y @ weights / 2 - np.linalg.slogdet(covariance)[1] / 2, length, weights, covariance))
    _, length, weights, covariance = max(fits, key=lambda fit: fit[0])
    cross = kernel(at, points, length)
    variance = 1 - np.einsum("ij,ji->i", cross, np.linalg.solve(covariance, cross.T))
    return answers.mean() + answers.std() * (cross @ weights), answers.std() * np.sqrt(np.maximum(variance, 0))


@pytest.mark.parametrize("acquisition", hnas.ACQUISITIONS)
def test_the_next_point_is_the_most_promising_one(acquisition):
    rng = np.random.default_rng(4)
    points = np.concatenate([hnas.first_points(20), hnas.LOW + (hnas.HIGH - hnas.LOW) * rng.random((5, 2))])
    answers = 90 - 20 * (points[:, 0] - 0.35) ** 2 - (points[:, 1] + 1.2) ** 2
    found = hnas.propose(points, answers, acquisition, np.random.default_rng(0), np.random.RandomState(0))
    assert (found >= hnas.LOW).all() and (found <= hnas.HIGH).all()
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 101), np.linspace(-4, 0, 101)), axis=-1).reshape(-1, 2)
    mean, sd = plain_process(points, answers, np.concatenate([found[None], grid]))
    if acquisition == "ucb":
        promise = mean + 2.576 * sd
    else:
        promise = hnas.expected_improvement(mean, sd, answers.max())
    assert promise[0] >= promise.max() - 0.02 * (promise.max() - np.median(promise))


def test_a_planted_optimum_is_found():
    """What is good has a metric of about 1,500, 30 % of the scale; 20 random queries of 3,000 find rank 100 or so."""
    rng = np.random.default_rng(0)
    metric = rng.uniform(0, 5000, 3000)
    toy = planted(metric, np.full(3000, 10.0), 95 - (metric / 1000 - 1.5) ** 2)
    rows = outcomes.outcomes(toy, simulate(toy, METHODS["hnas"], 20, 3, 0, OWN))
    random = outcomes.outcomes(toy, simulate(toy, METHODS["random"], 20, 200, 0, {}))
    assert rows["rank"].max() <= 15 and random["rank"].median() > 60


# In the company of the others


def test_a_run_is_the_same_in_any_company(task, monkeypatch):
    whole = simulate(task, METHODS["hnas"], 6, 5, 1, OWN | {"fresh": 20})
    monkeypatch.setattr("harness.search.simulate.CHUNK", 2)
    part = simulate(task, METHODS["hnas"], 6, 3, 1, OWN | {"fresh": 20})
    for name in ("queried", "spent", "scored"):
        assert np.array_equal(getattr(whole, name)[:3], getattr(part, name))
    assert not np.array_equal(whole.queried[:1], simulate(task, METHODS["hnas"], 6, 1, 2, OWN | {"fresh": 20}).queried)
    assert set(OWN) <= set(OPTIONS)


def scored(path, count=30, **changes):
    rng = np.random.default_rng(1)
    columns = {"grad_norm": rng.lognormal(3, 1, count), "snip": rng.lognormal(4, 1, count),
               "kappa@hnas": -rng.uniform(5, 99, count)} | changes  # fmt: skip
    frame = pd.DataFrame({"arch": list(tiny_table().archs)[:count], **columns})
    frame.to_csv(path, index=False)
    return str(path)


@pytest.fixture
def three(tmp_path):
    """A data folder with three datasets of which one has no test accuracy; row i of cifar100 has 20 + i."""
    sizes = {"attributes": {name: SIZES[name] for name in ("channels", "cells_per_stage")}}
    base, count = tiny_table(dataset="cifar10", **sizes), 30
    other = tiny_table(dataset="cifar100", accuracy=base.accuracy - 20, **sizes)
    third = tiny_table(dataset="imagenet16-120", splits=("valid",), accuracy=base.accuracy[:, :1], **sizes)
    assert len(base) == count
    (tmp_path / "data").mkdir()
    save_tables(tmp_path / "data" / "nasbench201.h5", [base, other, third])
    return str(tmp_path / "data")


def test_every_method_tells_the_accuracy_on_other_datasets(three, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--bench", "201", "--data", three, "--scores", scored(tmp_path / "s.csv"), "--queries", "4"]
    assert (
        main([*options, "--method", "hnas,random", "--metric", "grad_norm,snip", "--runs", "2", "--out", str(out)]) == 0
    )
    runs = pd.read_csv(out / "runs.csv")
    assert runs.groupby("method").size().to_dict() == {"hnas": 4, "random": 2}
    assert runs["accuracy_cifar100"].to_numpy() == pytest.approx(runs["accuracy"].to_numpy() - 20)
    assert "accuracy_imagenet16-120" not in runs  # no test accuracies there
    printed = (out / "summary.md").read_text()
    assert "cifar100, %" in printed and re.search(r"\| hnas \| grad\\_norm \|.*±.*±", printed)
    table = pd.read_csv(out / "summary.csv")
    assert table["accuracy_cifar100_sd"].notna().all()


@pytest.mark.parametrize(
    "options, changes, said",
    [
        (["--metric", "gradnorm"], {}, r"unknown metric of hnas: 'gradnorm' \(did you mean grad_norm"),
        (["--metric", ","], {}, "no metric of hnas in ','"),
        (["--metric", "grasp"], {}, "hnas needs scores of grasp: score them .*--proxies grasp,kappa@hnas"),
        (["--acquisition", "eI"], {}, r"unknown value of --acquisition: 'eI' \(did you mean ei"),
        (["--scale", "0"], {}, "--scale 0: expected a number above 0"),
        (["--fresh", "0"], {}, "--fresh 0: expected 1 or more"),
        (["--method", "random", "--metric", "snip"], {}, "--metric is for hnas, not for random"),
        (["--method", "random", "--scale", "3"], {}, "--scale is for hnas, not for random"),
        ([], {"kappa@hnas": np.arange(30)}, "kappa@hnas has positive scores: it is minus the condition number"),
        ([], {"grad_norm": [1.0, 2.0] + [np.nan] * 28}, "only 2 architectures have finite grad_norm and kappa@hnas"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(options, changes, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", embed(tmp_path / "embedded"))
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    scores = scored(tmp_path / "s.csv", **changes)
    words = ["--bench", "201", "--scores", scores, "--queries", "4", "--runs", "1", "--method", "hnas"]
    assert main([*words, *options, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert printed.startswith("nas-harness search: ") and re.search(said, printed), printed


def test_all_leaves_out_what_is_slow(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", embed(tmp_path / "embedded"))
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    found = search(SearchConfig(queries=3, runs=2, scores=scored(tmp_path / "s.csv"), settings={"pool": 5}))
    assert "hnas" in METHODS and "hnas" not in set(found.runs["method"])
