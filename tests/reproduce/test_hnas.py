"""HNAS's tables: correlations by hand, fitted constants marked, sources and substitute images named."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from tiny import SIZES, tiny_table

from benchmarks.errors import UserError
from benchmarks.table import save_tables
from harness.cli.hnas import main
from harness.reproduce.hnas.collect import HnasConfig, collect
from harness.reproduce.hnas.report import folder_for, markdown
from harness.reproduce.hnas.tables import (
    FITTED,
    HELD_OUT,
    REALIZABLE,
    Sample,
    against_error,
    between_metrics,
    fit,
    transfer,
)

COUNT = 60


@pytest.fixture
def sample():
    return Sample.of(np.arange(COUNT), 200)


@pytest.fixture
def data():
    """M, kappa and an error that is their guarantee with t = a quantile of M and c = -1, and a little more."""
    rng = np.random.default_rng(2)
    metric, kappa = rng.lognormal(2, 1, COUNT), rng.uniform(2, 60, COUNT)
    t = np.quantile(metric, 10 / 19)
    error = kappa / metric + 0.1 * np.abs(metric**2 - t**2)
    return metric, kappa, error, t


def test_metrics_with_each_other_by_hand(sample):
    rng = np.random.default_rng(0)
    one = rng.lognormal(0, 1, COUNT)
    two, three = one**3, rng.random(COUNT)
    three[:4] = np.nan
    frame = between_metrics(sample, {"grad_norm": one, "snip": two, "grasp": three}).set_index(["metric", "other"])
    cube = frame.loc[("grad_norm", "snip")]
    assert cube[["rho", "tau_b", "pearson_log"]].tolist() == pytest.approx([1, 1, 1])
    assert cube["pearson"] == pytest.approx(np.corrcoef(one, two)[0, 1]) and cube["pearson"] < 0.95
    row = frame.loc[("snip", "grasp")]
    assert row["n"] == COUNT - 4
    assert row["rho"] == pytest.approx(scipy_stats.spearmanr(two[4:], three[4:]).statistic)
    assert row["rho_low"] < row["rho"] < row["rho_high"] and row["tau_b_low"] < row["tau_b"] < row["tau_b_high"]
    assert len(frame) == 3


def test_intervals_are_over_what_was_drawn():
    """Every network twice: as strings 2 x 60 units, as networks 60; less three quarters of the space, half as wide."""
    rng, twice = np.random.default_rng(0), np.repeat(np.arange(COUNT), 2)
    one = rng.normal(size=COUNT)[twice]
    two = one + rng.normal(size=COUNT)[twice]

    def widths(**drawn):
        row = Sample.of(twice, 500, **drawn).correlate(one, two)
        return np.array([row["rho_high"] - row["rho_low"], row["tau_b_high"] - row["tau_b_low"]])

    strings = widths()
    np.testing.assert_allclose(widths(by_string=False) / strings, np.sqrt(2), rtol=0.15)
    np.testing.assert_allclose(widths(share=0.75) / strings, 0.5, rtol=0.05)


def test_guarantees_rise_with_the_error(sample, data):
    metric, kappa, error, t = data
    kappa = np.where(np.arange(COUNT) < 5, np.nan, kappa)
    frame = against_error(sample, {"snip": metric}, kappa, error).set_index("quantity")
    assert list(frame.index) == ["M", REALIZABLE, FITTED, HELD_OUT]
    assert frame["n"].tolist()[:3] == [COUNT, COUNT - 5, COUNT - 5] and 20 <= frame["n"][HELD_OUT] <= 35
    assert frame["fitted"].tolist() == [False, False, True, True]
    assert frame["rho"][REALIZABLE] == pytest.approx(-scipy_stats.spearmanr(metric[5:], error[5:]).statistic)
    assert frame["rho"][FITTED] > 0.99 and frame["rho"][HELD_OUT] > 0.9
    assert frame["t"][FITTED] == pytest.approx(t, rel=0.2)
    assert list(against_error(sample, {"snip": metric}, None, error)["quantity"]) == ["M", REALIZABLE]


def test_constants_fitted_to_noise_do_not_hold_elsewhere(sample):
    """On random errors the best of the grid has a positive rho by construction; the held-out ones are about 0."""
    fitted, held = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        columns = rng.lognormal(2, 1, COUNT), rng.uniform(2, 60, COUNT), rng.uniform(5, 50, COUNT)
        frame = against_error(Sample.of(np.arange(COUNT), 0), {"snip": columns[0]}, *columns[1:]).set_index("quantity")
        fitted.append(frame["rho"][FITTED])
        held.append(frame["rho"][HELD_OUT])
        assert np.isnan(frame["rho_low"]).all()  # no resamples, no intervals
    assert np.mean(fitted) > 0.1 and abs(np.mean(held)) < 0.1


def test_the_grid_holds_what_made_the_error(data):
    metric, kappa, error, _ = data
    found, c = fit(metric, kappa, error)
    assert (found, c) == (pytest.approx(np.quantile(metric, 10 / 19)), -1)
    assert np.isnan(fit(metric, np.full(COUNT, np.nan), error)).all()


def test_transfer_is_one_row_for_each_metric_and_dataset(sample):
    rng = np.random.default_rng(1)
    metric, error = rng.random(COUNT), rng.random(COUNT)
    frame = transfer(sample, "cifar10", {"snip": metric}, {"cifar10": -metric, "cifar100": error})
    assert frame["target"].tolist() == ["cifar10", "cifar100"] and frame["rho"][0] == pytest.approx(-1)


# From files


@pytest.fixture
def folder(tmp_path):
    """A data folder with two datasets and scores of its 30 architectures: snip falls with the error."""
    attributes = {name: SIZES[name] for name in ("channels", "cells_per_stage")}
    base = tiny_table(dataset="cifar10", attributes=attributes)
    other = tiny_table(dataset="cifar100", attributes=attributes, accuracy=base.accuracy[::-1] - 20)
    (tmp_path / "data").mkdir()
    save_tables(tmp_path / "data" / "nasbench201.h5", [base, other])
    rng = np.random.default_rng(0)
    scores = {"snip": np.arange(30.0), "grasp": -rng.random(30), "kappa@hnas": -rng.uniform(3, 60, 30)}
    pd.DataFrame({"arch": base.archs, **scores}).to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path


def stored(folder, dataset, images):
    """A run folder of the scores, as if scored on such images."""
    from harness.api import judge

    out = folder / f"run-{dataset}"
    judge(folder / "scores.csv", "201", dataset=dataset, data=str(folder / "data"), out=out)
    import h5py

    with h5py.File(out / "scores.h5", "r+") as file:
        manifest = json.loads(file.attrs["manifest"]) | {"minibatch": images}
        file.attrs["manifest"] = json.dumps(manifest)
    return str(out)


def test_tables_of_a_csv(folder, capsys):
    out = folder / "tables"
    words = ["--bench", "201", "--dataset", "cifar10", "--data", str(folder / "data"), "--resamples", "50"]
    assert main(["--scores", str(folder / "scores.csv"), *words, "--out", str(out)]) == 0
    errors = pd.read_csv(out / "errors.csv").set_index(["metric", "quantity"])
    assert errors["rho"]["snip", "M"] == pytest.approx(-1) and errors["rho"]["snip", "1/M"] == pytest.approx(1)
    moved = pd.read_csv(out / "transfer.csv").set_index(["metric", "target"])
    assert moved["rho"]["snip", "cifar100"] == pytest.approx(1)  # its accuracies run the other way
    text = (out / "hnas.md").read_text()
    assert (
        "not scored: grad\\_norm, ntk\\_trace@hnas" in text
        and "fitted†" in text
        and "| cifar100 | not scored |" in text
    )
    assert "nothing was scored on cifar100: python -m harness.run --bench 201 --dataset cifar100" in text
    assert (out / "figures" / "hnas.png").stat().st_size > 5000 and len(pd.read_csv(out / "metrics.csv")) == 1
    assert folder_for(str(out), "201") == out  # earlier tables give way
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("")
    assert main(["--scores", str(folder / "scores.csv"), *words, "--out", str(folder / "full")]) == 2
    assert "holds something else than an earlier set of tables" in capsys.readouterr().err


def test_substitute_images_are_named(folder, capsys):
    runs = [stored(folder, "cifar10", "CIFAR-10: all"), stored(folder, "cifar100", "CIFAR-100: a STAND-IN, not")]
    found = collect(HnasConfig(tuple(runs), data=str(folder / "data"), resamples=20))
    assert found.manifest["target"]["dataset"] == "cifar10" and found.manifest["substitutes"] == ["cifar100"]
    assert found.missing == {} and len(found.transfer) == 2 * 2 * 2
    assert "| cifar100 (NOT its images) | M\\_SNIP |" in markdown(found)
    assert "CIFAR-100: a STAND-IN, not; NOT the dataset's images" in markdown(found)
    with pytest.raises(UserError, match="none of --scores is of cifar10, but of cifar100: give --dataset"):
        collect(HnasConfig((runs[1],), dataset="cifar10", data=str(folder / "data")))
    with pytest.raises(UserError, match="several --scores are of cifar10"):
        collect(HnasConfig((runs[0], str(folder / "scores.csv")), data=str(folder / "data")))


def test_what_cannot_be_used_is_one_line(folder):
    pd.DataFrame({"arch": tiny_table().archs, "mine": 1.0}).to_csv(folder / "other.csv", index=False)
    with pytest.raises(UserError, match="other.csv has none of grad_norm, snip, grasp, ntk_trace@hnas: score them"):
        collect(HnasConfig((str(folder / "other.csv"),), data=str(folder / "data")))
    with pytest.raises(UserError, match="--resamples 1: expected at least 2"):
        collect(HnasConfig((str(folder / "scores.csv"),), resamples=1))
