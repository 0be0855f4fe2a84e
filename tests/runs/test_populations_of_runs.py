"""What a run says of its sample: gaps in the accuracies, parts of a benchmark, the unit that was drawn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import benchmarks
from benchmarks.benchmark import space_of
from benchmarks.errors import UserError
from benchmarks.table import save_tables
from harness import correlate, judge
from harness.report.text import best_line, legend
from harness.runs.assemble import sample_facts

GAPS = 40


@pytest.fixture(scope="module")
def gaps(tmp_path_factory):
    """A folder with the embedded accuracies of NAS-Bench-201, 40 of 200 architectures without."""
    table = benchmarks.load("201", "digits").table
    accuracy = table.accuracy[:200].copy()
    accuracy[:GAPS] = np.nan
    folder = tmp_path_factory.mktemp("data")
    part = replace(table, dataset="cifar10", archs=table.archs[:200], accuracy=accuracy, seconds_per_run=None)
    save_tables(folder / "nasbench201.h5", [part])
    return folder


def test_architectures_without_accuracy_are_not_scored_but_counted(gaps, tmp_path, capsys):
    found = correlate("201", dataset="cifar10", data=str(gaps), proxies="params", inputs="gaussian", sample="all",
                      out=str(tmp_path / "run"))  # fmt: skip
    assert len(found.run.archs) == 160 and np.isfinite(found.run.accuracy).all()
    assert "40 of 200 architectures of the table lack this accuracy and are not scored, as |" in capsys.readouterr().err
    capsys.readouterr()
    with pytest.raises(UserError, match="--sample 161: only 160 architectures have this accuracy"):
        correlate("201", dataset="cifar10", data=str(gaps), proxies="params", inputs="gaussian", sample="161",
                  out=str(tmp_path / "more"))  # fmt: skip


def test_given_scores_without_accuracy_are_counted_and_named(gaps, tmp_path):
    archs = benchmarks.load("201", "cifar10", gaps).table.archs
    scores = pd.DataFrame({"arch": archs, "mine": np.arange(200.0)})
    found = judge(scores, "201", dataset="cifar10", data=str(gaps), out=tmp_path / "run")
    assert f"; 40 of them lack this accuracy, in no statistic, as {archs[0]}" in best_line(found.run)
    assert (found.full[found.full.population == "all"].n == 160).all()
    assert found.summary.settings["share"] == 160 / 15_625
    with pytest.raises(UserError, match="none of the 40 architectures of the scores has a test accuracy of 'cifar10'"):
        judge(scores[:GAPS], "201", dataset="cifar10", data=str(gaps), out=tmp_path / "none")


def test_a_part_of_a_benchmark_is_a_sample(tmp_path):
    found = correlate("101", proxies="params", inputs="gaussian", out=str(tmp_path / "run"))
    assert "320 architectures scored of 423,624" in best_line(found.run)
    params = found.full[found.full.proxy == "params"]
    assert (params.rho_low < params.rho).all() and (params.rho < params.rho_high).all()
    assert "the whole space was scored" not in " ".join(legend(found.run, found.summary, "all"))


def test_the_unit_is_found_in_the_rows():
    table = benchmarks.load("201", "digits")
    every = replace(table, indices=np.arange(15_625))
    classes = space_of("201").class_id
    named = np.flatnonzero(classes == np.arange(15_625))[:300]
    closed = np.flatnonzero(np.isin(classes, classes[np.random.default_rng(0).permutation(15_625)[:50]]))
    drawn = np.random.default_rng(0).permutation(15_625)[:300]
    units = [sample_facts(every, rows)["unit"] for rows in (named, closed, drawn, np.arange(15_625))]
    assert units == ["networks", "networks", "strings", "strings"]
    assert sample_facts(table, np.arange(1000))["unit"] == "strings"  # the embedded table was drawn by strings
    facts = sample_facts(every, drawn)
    assert (facts["space_size"], facts["space_networks"]) == (15_625, 9_445)
    assert space_of("201").class_sizes(np.arange(15_625)).max() == 341
