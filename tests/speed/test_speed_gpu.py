"""`python -m speed.gpu` on tiny networks on a CPU; cut off and repeated. No time is asserted."""

from __future__ import annotations

import json
import signal
import time

import numpy as np
import pytest

from speed import gpu, gpu_full, gpu_stages
from speed.gpu import TimeUp
from speed.gpu_job import STAGES, Job, setting_of
from speed.speed import SETS


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of one small run of all stages, and its summary."""
    out = tmp_path_factory.mktemp("gpu") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.report.page.write_figures", lambda *_: {})  # as the fixture `no_figures`
        patch.setattr("harness.report.page.svg", lambda *_: b"")
        assert gpu.main(["--device", "cpu", "--small", "--minutes", "30", "--out", str(out)]) == 0
    return out, (out / "summary.md").read_text()


def result(out, stage: str) -> dict:
    return json.loads((out / f"{stage}.json").read_text())["result"]


def test_every_stage_is_done(measured):
    out, text = measured
    for stage in STAGES:
        state = json.loads((out / f"{stage}.json").read_text())
        assert state["done"], (stage, state["why"])
        assert f"## {stage}," in text


def test_rates_and_the_ratio(measured):
    out, text = measured
    stacks, alone = result(out, "stacks"), result(out, "alone")
    assert {"1", "2", "4", "auto", str(stacks["auto"]["stack"])} == stacks.keys()
    assert alone["ms"].keys() == {"building", *SETS["ten"]} and alone["archs"] == 4
    assert 1e3 / alone["rate"] == pytest.approx(sum(alone["ms"].values()))
    best = max(row["rate"] for row in stacks.values() if "rate" in row)
    assert f"is {best / alone['rate']:.1f} times as fast" in text


def test_scores_agree_across_stacks(measured):
    out, text = measured
    for what, by_proxy in result(out, "agreement").items():
        assert by_proxy.keys() == set(SETS["ten"])
        assert all(value < 1e-4 for value in by_proxy.values()), what
    assert "| cpu against cpu, K = 1 |" in text


def test_the_full_run_has_its_table(measured):
    out, text = measured
    full = result(out, "full")
    assert full["archs"] == 12 and full["wall_seconds"] >= full["scoring_seconds"] > 0
    assert {row["proxy"] for row in full["table"]} >= set(SETS["ten"])
    assert (out / "full" / "report.html").exists() and "| all | naswot | 12 | 0 |" in text


def test_precision_modes_of_other_devices_are_skipped_with_the_reason(measured):
    found = result(measured[0], "precision")
    assert found["float32"]["rho"]["naswot"] == 1
    assert "CUDA" in found["tf32"]["skipped"] and found["bfloat16"]["rate"] > 0


def test_finished_stages_are_not_repeated(measured, monkeypatch, capsys):
    out, _ = measured
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.json") if path.stem in STAGES}
    assert gpu.main(["--device", "cpu", "--small", "--out", str(out)]) == 0
    assert capsys.readouterr().err.count("done before") == len(STAGES)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert gpu.main(["--device", "cpu", "--out", str(out)]) == 2  # full size is another job
    assert "give another --out" in capsys.readouterr().err


def job(out) -> Job:
    """Tiny networks, but the stages have their time limits."""
    out.mkdir(parents=True, exist_ok=True)
    return Job(setting_of("cpu", True), False, None, out)


def test_a_stage_that_was_cut_off_continues(tmp_path, monkeypatch, capsys):
    """The first call reaches 1 before its time is over; the second starts from there."""

    def slow(job, result, keep, stop) -> None:
        result["steps"] = result.get("steps", 0) + 1
        while result["steps"] < 2:
            time.sleep(0.01)

    monkeypatch.setitem(gpu_stages.RUN, "ceilings", slow)
    monkeypatch.setitem(STAGES, "ceilings", 1.2)
    for steps, done in ((1, False), (2, True)):
        assert gpu._stage("ceilings", "it", job(tmp_path), time.monotonic() + 60)
        state = json.loads((tmp_path / "ceilings.json").read_text())
        assert (state["result"], state["done"]) == ({"steps": steps}, done)
    assert "are over" in capsys.readouterr().err
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_stage_that_fails_is_reported_and_the_clock_of_the_whole_counts(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(gpu_stages.RUN, "ceilings", lambda *_: 1 / 0)
    assert not gpu._stage("ceilings", "it", job(tmp_path), time.monotonic() + 60)
    assert "ZeroDivisionError" in json.loads((tmp_path / "ceilings.json").read_text())["why"]
    assert gpu._stage("ceilings", "it", job(tmp_path), time.monotonic() + 0.5)
    assert "skipped, the time is over" in capsys.readouterr().err


def test_scores_without_accuracies_continue_where_they_stopped(tmp_path, monkeypatch):
    whole: dict = {}
    networks = [int(i) for i in gpu_stages._networks()[:5]]
    gpu_full.scores_only(job(tmp_path / "whole"), whole, lambda _: None, 2, networks)
    assert whole["archs"] == 5 and whole["stack"] == 2

    real = gpu_full.execute

    def stopped(*given):
        yield next(iter(real(*given)))
        raise TimeUp

    parts: dict = {}
    monkeypatch.setattr(gpu_full, "execute", stopped)
    with pytest.raises(TimeUp):
        gpu_full.scores_only(job(tmp_path / "parts"), parts, lambda _: None, 2, networks)
    assert parts["archs"] == 2
    monkeypatch.setattr(gpu_full, "execute", real)
    gpu_full.scores_only(job(tmp_path / "parts"), parts, lambda _: None, 2, networks)
    with np.load(tmp_path / "whole/full-scores.npz") as one, np.load(tmp_path / "parts/full-scores.npz") as other:
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])  # the same stacks, so the same bits


def test_options_are_checked(capsys):
    assert gpu.main(["--stages", "stacks,flor"]) == 2
    assert "'flor' (did you mean floor or full?)" in capsys.readouterr().err
    assert gpu.main(["--minutes", "0"]) == 2
    assert "--minutes 0" in capsys.readouterr().err


def test_differences():
    assert gpu_stages._difference([1.0, -2.0, 0.0], [1.0, -2.5, 0.0]) == pytest.approx(0.2)
    assert gpu_stages._difference([1.0, float("nan")], [1.0, float("nan")]) == 0
    assert gpu_stages._difference([1.0, float("nan")], [1.0, 2.0]) is None
