"""Kept scores as runs: judged by every column at hand, with what the scorecard has to know of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmarks
import harness
from benchmarks.errors import UserError
from harness.cached import kept
from harness.cached.pack import TABLES
from harness.runs.kept_runs import _of_dataset, _preference, kept_run_in, kept_tasks, run_in
from harness.store.stored_run import load_run


def test_kept_scores_are_judged_by_the_embedded_table_where_there_is_no_other(digits_tasks: dict) -> None:
    assert list(digits_tasks) == ["201 digits"]
    (run,) = digits_tasks["201 digits"]
    held, table = harness.scores("201", "digits").set_index("arch"), benchmarks.load("201", "digits").table
    assert list(run.archs) == list(held.index)
    np.testing.assert_array_equal(run.scores["synflow"][0], held["synflow"])
    known = dict(zip(table.archs, table.target("test"), strict=True))
    np.testing.assert_array_equal(run.accuracy, [known[arch] for arch in run.archs])
    assert {"params", "flops_reachable", "az_complexity", "random"} <= run.scores.keys()
    facts = run.manifest
    assert (facts["family"], facts["kept"], facts["protocol"]) == ("201", "201-digits", "default")
    assert 0 < facts["cost"]["synflow"] < facts["cost"]["snip"]
    assert facts["scored"]["revision"] == harness.scores("201", "digits").attrs["revision"]


def test_sets_under_the_default_protocol_come_first_then_the_larger(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    part, other = run.at(np.arange(60)), replace(run, manifest=run.manifest | {"protocol": "az-nas"})
    assert sorted([part, other, run], key=_preference) == [run, part, other]


def test_a_benchmark_without_ground_truth_is_named(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(UserError, match="no ground truth for the kept scores of mobilenet: name its folder in --data"):
        kept_tasks(tmp_path, "mobilenet", say=said.append)
    assert said == ["mobilenet: no ground truth in the data folder, left out"]
    with pytest.raises(UserError, match="unknown benchmark with kept scores: '202'"):
        kept_tasks(tmp_path, "202")


def test_other_accuracies_of_the_same_architectures_are_a_further_task(digits_tasks: dict) -> None:
    digits = benchmarks.load("201", "digits")
    table = replace(digits.table, dataset="turned", accuracy=100 - digits.table.accuracy)
    turned = replace(digits, table=table)
    (run,) = digits_tasks["201 digits"]
    other = _of_dataset(run, turned)
    np.testing.assert_allclose(other.accuracy, 100 - run.accuracy)
    assert other.manifest["target"]["dataset"] == "turned"


def test_statistics_without_their_scores_become_the_run_again(tmp_path: Path):
    """The scores come from the package (seven digits), accuracies from the ground truth, the rest from the manifest."""
    stored = TABLES / "201-digits"
    folder = tmp_path / "201-digits"
    folder.mkdir()
    shutil.copyfile(stored / "manifest.json", folder / "manifest.json")
    made, whole = run_in(folder), load_run(stored)
    assert made.archs == whole.archs and {"naswot", "synflow"} <= set(made.scores)
    np.testing.assert_allclose(made.scores["naswot"], whole.scores["naswot"], rtol=1e-6)
    np.testing.assert_array_equal(made.accuracy, whole.accuracy)
    assert made.manifest["command"] == whole.manifest["command"]
    assert np.unique(made.seconds["naswot"]) == pytest.approx(kept.facts()["201-digits"]["cost"]["naswot"])
    record = json.loads((folder / "manifest.json").read_text()) | {"started": "another day"}
    (folder / "manifest.json").write_text(json.dumps(record))
    assert kept_run_in(folder) is None  # another run under that name
