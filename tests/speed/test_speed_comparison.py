"""The speed comparison on tiny networks: both sides agree, the numbers add up. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.errors import UserError
from speed import one_by_one, speed

ROOT = Path(__file__).resolve().parents[2]
TINY = ["--channels", "4", "--cells", "1", "--resolution", "8", "--batch-size", "8", "--archs", "2"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> tuple[dict, str]:
    """The file and the output of one small run."""
    out = tmp_path_factory.mktemp("speed") / "deep" / "speed.json"
    command = [sys.executable, "-m", "speed.speed", *TINY, "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return json.loads(out.read_text()), run.stdout


def test_both_sides_give_the_same_scores(measured):
    result, printed = measured
    assert [one["disagree"] for one in result["measured"]] == [[], []]
    assert "both sides give the same scores" in printed


def test_the_ratio_is_that_of_the_sums(measured):
    result, printed = measured
    for name, proxies in speed.SETS.items():
        for clock in ("cpu", "wall"):
            times = [one[clock] for one in result["measured"]]
            alone = sum(one["building"] + sum(one["alone"][proxy] for proxy in proxies) for one in times)
            shared = sum(one["shared"][name] for one in times)
            assert result["sets"][name][clock]["reached"] == pytest.approx(alone / shared)
        assert f"{name}: {result['sets'][name]['cpu']['reached']:.2f} times" in printed
    assert {"cpu", "cores", "threads", "torch", "load"} <= result["machine"].keys()


def test_allowed_ratio_by_hand():
    """Every pass takes 1 s, grasp's double backward 3 s: counted by hand."""
    names = ("forward", "loss backward", "jacobian", "full backward", "graph backward", "synflow")
    passes = {**dict.fromkeys(names, 1.0), "double backward": 3.0, "ours with curvature": 4.0}
    passes |= {f"{name}, channels last": 0.5 for name in names}
    nine, ten = speed.SETS["nine"], speed.SETS["ten"]
    assert speed.one_at_a_time(passes, nine) == 4 * 2 + 1 + 2 * 2 + 3
    assert speed.distinct(passes, nine, "plain") == 4
    assert speed.distinct(passes, nine, "ours") == 1 + 3 * 0.5
    assert speed.one_at_a_time(passes, ten) == 16 + 2 + 1 + 1 + 3
    assert speed.distinct(passes, ten, "plain") == 1 + 1 + 1 + 1 + 3
    assert speed.distinct(passes, ten, "ours") == 1 + 0.5 + 4
    assert speed.distinct(passes, ("l2_norm", "synflow"), "plain") == 1


def test_a_wrong_score_is_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(one_by_one.ALONE, "l2_norm", lambda *_: (1.0, 1.0))
    options = ["--archs", "1", "--proxies", "l2_norm,plain", "--out", str(tmp_path / "s.json")]
    assert speed.main([*TINY, *options]) == 1
    assert "THE SIDES DISAGREE" in capsys.readouterr().out


def test_options_are_checked(capsys):
    assert speed.main(["--proxies", "nine,snap"]) == 2
    assert "'snap'" in capsys.readouterr().err
    assert speed.main(["--archs", "0"]) == 2
    assert "--archs 0" in capsys.readouterr().err
    with pytest.raises(UserError):
        speed.chosen_sets("")
    assert speed.chosen_sets("ten,plain,grasp") == {"ten": speed.SETS["ten"], "own": ("plain", "grasp")}
