"""The coverage benchmark: its intervals are those of the statistics, its table says what it should."""

import numpy as np
import pandas as pd
import pytest

from harness import stats
from speed import coverage
from speed.coverage import Known, measure

N, SIZE = 60, 600


def known(weight=None):
    rng = np.random.default_rng(0)
    accuracy = np.round(rng.normal(size=SIZE), 1)
    score = accuracy + rng.normal(size=SIZE)
    good = np.where(np.arange(SIZE) < 5, np.nan, accuracy + 0.3 * rng.normal(size=SIZE))
    return Known(accuracy, {"params": score, "twice": 2 * score, "good": good}, ("params", "twice"), weight)


@pytest.mark.parametrize("weight", [None, 1 / np.random.default_rng(1).integers(1, 9, N)])
def test_tau_b_and_its_deviation_are_those_of_the_statistics(weight):
    scores, accuracy = np.stack(list(known().scores.values()))[:2, :N], known().accuracy[:N]
    tau, deviation = coverage._tau_b(scores, accuracy, np.ones(N) if weight is None else weight)
    for score, value, error in zip(scores, tau, deviation, strict=True):
        assert value == pytest.approx(stats.kendall_tau_b(score, accuracy, weight), abs=1e-12)
        terms = stats.tau_b_influence(score, accuracy, weight)
        assert error == pytest.approx(np.sqrt((terms**2).sum() * N / (N - 1)))


def test_the_table_of_a_small_space(tmp_path):
    frame = measure(known(), N, 80, 39).assign(table="toy")
    assert list(frame["statistic"]) == ["rho"] * 3 + ["tau_b"] * 3 + ["difference"]  # none of what ranks as params does
    assert frame["coverage"].between(0.85, 1).all() and frame["width"].between(0.75, 1.25).all()
    assert frame["bias"].abs().max() < 0.03
    last = frame.iloc[-1]
    assert (last["score"], last["worse"]) == ("good", 0) and last["beats"] > 0.8
    coverage.write(frame, tmp_path)
    text = coverage.write(frame.assign(n=30), tmp_path)  # another n is added, the same n replaced
    coverage.write(frame.assign(n=30), tmp_path)
    assert len(pd.read_csv(tmp_path / "coverage.csv")) == 14
    assert "14 cells (table, n, score, statistic)" in text and "| toy | good | +" in text


def test_what_it_needs_is_one_line(capsys, tmp_path):
    assert coverage.main(["--tables", "201", "--data", str(tmp_path)]) == 2
    assert "--run: expected the folder of a run of all 15,625 strings" in capsys.readouterr().err
    assert coverage.main(["--tables", "202", "--data", str(tmp_path)]) == 2
    assert "--tables: unknown 202; there are 201, 201-distinct" in capsys.readouterr().err
