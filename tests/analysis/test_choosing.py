"""Choosing: the expected accuracy of a pick by enumeration, and that no task chooses for itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from benchmarks.errors import UserError
from harness.analysis.choosing import choose, expected_accuracy, means, task_of
from harness.cli.choose import main
from harness.store.stored_run import StoredRun


@pytest.mark.parametrize("m", range(1, 7))
def test_expected_accuracy_is_the_mean_over_all_draws(m: int) -> None:
    score, accuracy = np.array([3.0, 1, 1, 2, 3, -np.inf]), np.array([90.0, 94, 92, 95, 91, 10])
    picks = []
    for drawn in combinations(range(6), m):
        highest = max(score[list(drawn)])
        picks.append(np.mean([accuracy[at] for at in drawn if score[at] == highest]))
    # a tie of the highest shares the mean of those drawn, over all draws the mean of all that tie
    assert expected_accuracy(score, accuracy, [m])[0] == pytest.approx(np.mean(picks))


def of_family(run: StoredRun, family: str, **scores: np.ndarray) -> StoredRun:
    """The same architectures as if they were another family's, with their counts and other scores alone."""
    kept = {name: run.scores[name] for name in ("flops", "random")}
    whole = kept | {name: values[None] for name, values in scores.items()}
    cost = dict.fromkeys(scores, 1.0)
    return replace(run, scores=whole, manifest=run.manifest | {"family": family, "cost": cost})


def test_the_family_that_is_judged_has_no_say(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    order, noise = run.accuracy, np.random.default_rng(0).normal(size=(2, len(run.accuracy)))
    near, far = order + 0.2 * noise[1], order + 2 * noise[1]
    runs = {
        "one": of_family(run, "one", good=near, trap=far), "two": of_family(run, "two", good=near, trap=far),
        "three": of_family(run, "three", good=noise[0], trap=order),
    }  # fmt: skip
    found = choose(runs, [100.0]).set_index(["task", "choice"])
    assert found.loc[("three", "single"), "score"] == "good"  # as one and two have it
    assert found.loc[("three", "single"), "regret"] > 1 and found.loc[("three", "single"), "best_here"] == "trap"
    assert found.loc[("one", "count"), "score"] == "flops" and found.loc[("one", "random"), "relative"] == 1
    assert found.loc[("three", "single"), "scored"] == 100  # a second each
    assert found.loc[("one", "count"), "scored"] == len(order) // 2
    table = means(found.reset_index()).set_index("choice")["relative"]
    of = found["relative"].unstack()
    assert table["single"] == pytest.approx(of["single"].mean())
    assert table["single - count"] == pytest.approx((of["single"] - of["count"]).mean()) != 0


def test_a_task_that_lacks_a_score_of_all_families_is_left_out(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    whole, part = (of_family(run, "one", good=run.accuracy), of_family(run, "one"))
    runs = {"one": whole, "one again": part, "two": of_family(run, "two", good=run.accuracy)}
    assert set(choose(runs, [60.0])["task"]) == {"one", "two"}
    assert set(choose({"one": part, "two": runs["two"]}, [60.0])["task"]) == {"one", "two"}  # flops is what all have


def test_scores_without_a_cost_and_failures(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    task = task_of("one", replace(run, scores=run.scores | {"own": run.scores["snip"] * np.nan}))
    assert "own" not in task.scores and "az_complexity" not in task.scores and "random" not in task.scores
    assert task.seconds["flops"] < 1e-4 < task.seconds["synflow"]
    assert np.isneginf(task.scores["jacob_cov"]).sum() == np.isnan(run.scores["jacob_cov"]).sum() > 0


def test_one_family_leaves_nothing_to_judge_on(digits_tasks: dict, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(UserError, match="201 digits: architectures of one family"):
        choose({"201 digits": digits_tasks["201 digits"][0]})
    for budgets in ("", "0", "60,ten", "-1"):
        assert main(["--budgets", budgets]) == 2
        assert f"--budgets '{budgets}': expected seconds above 0" in capsys.readouterr().err


def test_the_command_writes_what_was_chosen(
    digits_tasks: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = digits_tasks["201 digits"]
    tasks = {f"{name} digits": [of_family(run, name, good=run.accuracy)] for name in ("one", "two", "three")}
    monkeypatch.setattr("harness.runs.kept_runs.kept_tasks", lambda *arguments, **settings: tasks)
    assert main(["--budgets", "60,600", "--out", str(tmp_path / "choice")]) == 0
    page = (tmp_path / "choice" / "choice.md").read_text()
    assert "## one digits" in page and "| 600 s | single | good | 600 of 1,498 |" in page
