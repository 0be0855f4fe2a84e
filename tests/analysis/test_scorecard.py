"""The scorecard: cells as a run's report has them, verdicts, ranks among the panel, means over families."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t
from toy_runs import toy_run

from harness.analysis.scorecard import BEATS, UNDECIDED, WORSE, group_of, ranks, scorecard, standing
from harness.analysis.summary import summarise
from harness.cli.scorecard import main
from harness.store.stored_run import StoredRun


def kept_run(folder: Path, family: str = "201", **scores: np.ndarray) -> StoredRun:
    """A run as `kept_tasks` makes them, with further scores."""
    run = toy_run(folder)
    about = {"family": family, "kept": "toy", "cost": {"naswot": 2.0}, "protocol": "default", "batch_size": 64,
             "scored": {"revision": "abc"}}  # fmt: skip
    whole = run.scores | {name: np.tile(values, (2, 1)) for name, values in scores.items()}
    return replace(run, scores=whole, manifest=run.manifest | about)


def test_cells_are_the_numbers_of_the_report(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    cells = scorecard(digits_tasks).cells.set_index("score")
    summary = summarise(run, populations=("all",), resamples=200)
    table = summary.table.set_index("proxy")
    for name in ("synflow", "naswot", "flops", "jacob_cov"):
        assert cells.loc[name, "rho"] == pytest.approx(table.loc[name, "rho"], abs=1e-12)
        assert cells.loc[name, "regret_10"] == pytest.approx(table.loc[name, "regret_10"], abs=1e-12)
        assert cells.loc[name, "n"] == table.loc[name, "n"]
        assert cells.loc[name, "rho_low"] == pytest.approx(table.loc[name, "rho_low"], abs=0.02)  # its bootstrap
        assert cells.loc[name, "rho_high"] == pytest.approx(table.loc[name, "rho_high"], abs=0.02)
    assert "az_complexity" not in cells.index  # FLOPs again, a member of ensembles alone
    assert cells["rho_low"].notna().all() and not cells["whole"].any()


def test_a_score_beats_the_best_count_beyond_sampling_and_draws(tmp_path: Path) -> None:
    accuracy = toy_run(tmp_path).accuracy
    near = np.round(accuracy / 10)  # as params, but for two architectures
    near[[50, 51]] += 1, -1
    run = kept_run(tmp_path, exact=accuracy, wrong=-accuracy, near=near)
    verdicts = scorecard({"201 toy": [run]}).cells.set_index("score")["verdict"]
    assert (verdicts["exact"], verdicts["wrong"], verdicts["near"], verdicts["params"]) == (BEATS, WORSE, UNDECIDED, "")
    doubted = scorecard({"201 toy": [run]}, lambda scores, archs: 1.1).cells.set_index("score")["verdict"]
    assert (doubted["exact"], doubted["wrong"]) == (UNDECIDED, UNDECIDED)


def test_on_a_whole_space_only_the_draws_are_chance(tmp_path: Path) -> None:
    run = kept_run(tmp_path)
    whole = replace(run, manifest=run.manifest | {"space_size": len(run.archs)})
    cells = scorecard({"201 toy": [whole]}).cells.set_index("score")
    assert cells["whole"].all() and (cells["rho_low"] == cells["rho"])[cells["rho"].notna()].all()
    assert set(cells.loc[["synflow", "zen"], "verdict"]) <= {BEATS, WORSE}
    assert cells.loc["random", "verdict"] == WORSE


def test_a_score_is_taken_from_the_first_run_that_has_it(tmp_path: Path) -> None:
    run = kept_run(tmp_path)
    part = replace(run.at(np.arange(60)), manifest=run.manifest | {"kept": "part"})
    more = replace(part, scores=part.scores | {"extra": part.scores["zen"]})
    cells = scorecard({"201 toy": [run, more]}).cells.set_index("score")
    assert (cells.loc["zen", "kept"], cells.loc["extra", "kept"]) == ("toy", "part")
    assert (cells.loc["naswot", "seconds"], cells.loc["extra", "n"]) == (2.0, 60)
    assert np.isnan(cells.loc["zen", "seconds"])


def test_further_targets_are_tasks_behind_those_of_their_benchmark(tmp_path: Path) -> None:
    run = kept_run(tmp_path)
    facts = {"robust:x": {"unit": "%", "better": "larger"}, "latency:y": {"unit": "ms", "better": "smaller"}}
    values = {"robust:x": -run.accuracy, "latency:y": run.accuracy}
    more = replace(run, targets=values, manifest=run.manifest | {"targets": facts})
    found = scorecard({"201 toy": [more], "201 other": [run], "101 toy": [run]})
    assert found.tasks == ["201 toy", "201 other", "201 robust:x", "101 toy"]
    rho = found.cells.set_index(["task", "score"])["rho"]
    assert rho["201 robust:x", "synflow"] == pytest.approx(-rho["201 toy", "synflow"])


def test_ranks_are_among_the_scores_of_the_panel_without_the_score_itself() -> None:
    cells = pd.DataFrame({"task": "a", "score": ["x", "y", "z", "own"], "rho": [0.9, 0.5, 0.5, 0.5]})
    # own: x is better, y and z equal; y: x better, z equal
    assert ranks(cells, ("x", "y", "z")).tolist() == [1.0, 2.5, 2.5, 3.0]
    # with a fourth that this task lacks: the share that is better, of three others for x, y, z and of four for own
    assert ranks(cells, ("x", "y", "z", "w")).tolist() == [1.0, 1 + 0.75 * 3, 1 + 0.75 * 3, 1 + 2 / 3 * 4]


def test_tasks_of_one_family_count_once_and_its_groups_alike() -> None:
    rows = [("201 cifar10", "201", 0.8), ("201 cifar100", "201", 0.6), ("201 robust:pgd@1", "201", 0.1),
            ("101 cifar10", "101", 0.3), ("macro cifar10", "macro", 0.5)]  # fmt: skip
    cells = pd.DataFrame([
        {"task": task, "family": family, "score": "x", "kind": "proxy", "rho": rho, "verdict": "", "seconds": 1.0}
        for task, family, rho in rows
    ])  # fmt: skip
    (row,) = standing(cells, ("x",)).to_dict("records")
    means = np.array([((0.8 + 0.6) / 2 + 0.1) / 2, 0.3, 0.5])  # 201, 101, macro
    assert row["rho"] == pytest.approx(means.mean())
    reach = t.ppf(0.975, 2) * means.std(ddof=1) / np.sqrt(3)
    assert (row["rho_low"], row["rho_high"]) == pytest.approx((means.mean() - reach, means.mean() + reach))
    assert (row["families"], row["tasks"]) == (3, 5)
    assert group_of("201 robust:pgd@1") == "robust" and group_of("201 cifar10") == "accuracy"


def test_the_command_writes_tables_and_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "card"
    assert main(["--bench", "201", "--data", str(tmp_path), "--out", str(out)]) == 0
    page = (out / "scorecard.md").read_text()
    assert "nas-harness scorecard --bench 201 --data DIR --out DIR" in page and str(tmp_path) not in page
    cells = pd.read_csv(out / "cells.csv")
    assert len(cells) == 9 + 6 and cells["n"].min() > 1000 and (out / "figures" / "scorecard.png").is_file()
    assert "mean rank" in capsys.readouterr().out
    assert main(["--bench", "nothing"]) == 2
    assert "unknown benchmark with kept scores" in capsys.readouterr().err
