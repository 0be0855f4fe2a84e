"""Further targets on the command line: scored, judged, compared, and of kept scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_table

import harness
from benchmarks import UserError, space_of
from harness.cli.main import main
from harness.store.stored_run import load_run

TABLE = tiny_table()


@pytest.fixture
def own(embedded: Path, tmp_path: Path) -> str:
    """A CSV with an energy and a robustness of the architectures of the tiny table."""
    path = tmp_path / "own.csv"
    accuracy = TABLE.target()
    frame = pd.DataFrame({"arch": TABLE.archs, "robust": accuracy / 2, "mj": 100 - accuracy})
    frame.to_csv(path, index=False)
    return str(path)


def test_evaluate_writes_tables_and_keeps_the_targets(own, tmp_path, no_figures, capsys):
    pd.DataFrame({"arch": TABLE.archs, "mine": TABLE.target()}).to_csv(tmp_path / "s.csv", index=False)
    out = tmp_path / "out"
    words = ["evaluate", str(tmp_path / "s.csv"), "--bench", "201", "--out", str(out)]
    assert main([*words, "--target", f"{own}:robust", "--given", f"{own}:mj:smaller"]) == 0
    printed = capsys.readouterr().out
    assert "On a budget of own.csv:mj" in printed and "own.csv:robust" in printed
    frame = pd.read_csv(out / "targets.csv").set_index(["target", "proxy"])["rho"]
    assert frame["own.csv:robust", "mine"] == 1 and frame["own.csv:mj", "mine"] == -1
    assert {"budgets.csv", "picks.csv", "targets.md"} <= {path.name for path in out.iterdir()}
    assert (out / "figures" / "targets.png").stat().st_size > 1000
    assert list(load_run(out).targets) == ["own.csv:robust", "own.csv:mj"]
    page = (out / "report.html").read_text("utf-8")
    assert '<section id="targets">' in page and "On a budget of own.csv:mj" in page
    (out / "targets.csv").unlink()
    assert main(["report", str(out), "--given", "own.csv:mj"]) == 0 and (out / "targets.csv").is_file()


def test_a_run_and_a_comparison(own, tmp_path):
    found = harness.correlate("201", proxies="l2_norm", target=f"{own}:robust", out=str(tmp_path / "r"), verbose=False)
    frame = found.targets().set_index(["target", "proxy"])
    assert frame.loc[("own.csv:robust", "l2_norm"), "rho"] == frame.loc[("accuracy", "l2_norm"), "rho"]
    compared = harness.compare(
        str(tmp_path / "r"), "params", bench="201", target=f"{own}:robust,{own}:mj:smaller", verbose=False
    )
    assert compared.found.benchmarks == ["201 own.csv:robust", "201 own.csv:mj"]
    with pytest.raises(UserError, match="unknown target"):
        harness.correlate("201", proxies="params", target="nonsense", out=str(tmp_path / "x"), verbose=False)
    assert not (tmp_path / "x").exists()


def test_all_kept_scores_without_scoring(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    space = space_of("201")
    path = tmp_path / "own.csv"
    pd.DataFrame({"index": range(len(space)), "convs": np.maximum(space.conv_count, 0)}).to_csv(path, index=False)
    assert main(["targets", "--dataset", "digits", "--target", str(path), "--out", str(tmp_path / "t")]) == 0
    frame = pd.read_csv(tmp_path / "t" / "targets.csv")
    assert set(frame["target"]) == {"accuracy", "own.csv:convs"} and frame["proxy"].nunique() >= 12
    assert not frame.duplicated(["target", "proxy"]).any() and frame["n"].max() == 1498
    again = ["targets", "--dataset", "digits", "--target", f"{path}:convs", "--out", str(tmp_path / "t")]
    assert main(again) == 2 and "holds an earlier result of other settings" in capsys.readouterr().err
    assert main(["targets", "--list"]) == 0 and "no file of targets" in capsys.readouterr().out
    assert main(["targets", "--dataset", "digits", "--target", "all", "--out", str(tmp_path / "u")]) == 2
    assert "nas-harness data get" in capsys.readouterr().err
