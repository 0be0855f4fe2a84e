"""What Python users hold: short tables, figures into their own axes, LaTeX, notebooks, and the signatures."""

from __future__ import annotations

import inspect
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import rankdata
from toy_runs import HOSTILE, toy_run

import harness
from benchmarks.errors import UserError, reporting, say
from harness.analysis.head_to_head import head_to_head
from harness.analysis.summary import summarise
from harness.report.outcome import PLOTS, Comparison, Correlation


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Correlation:
    run = toy_run(tmp_path_factory.mktemp("runs"), hostile=HOSTILE)
    return Correlation(run, summarise(run, resamples=20))


@pytest.fixture(scope="module")
def comparison(result: Correlation) -> Comparison:
    return Comparison(head_to_head({"201": result.run}, ["synflow", "zen"], resamples=20))


def test_the_short_table_is_sorted_and_has_the_verdict_first(result: Correlation) -> None:
    table, full = result.table, result.full
    rho = table["rho"].dropna().to_numpy()
    assert (np.diff(rho) <= 0).all() and table.columns[0] == "verdict" and len(table.columns) < 12
    assert len(full) == 3 * len(table)
    there = full[full["population"] == "all"].set_index("proxy")["rho"]
    assert table["rho"].dropna().to_dict() == there.dropna().to_dict()
    assert result.of("connected")["n"].max() < table["n"].max()
    with pytest.raises(UserError, match="did you mean connected"):
        result.of("conected")


def test_a_notebook_shows_little_and_escapes_names(result: Correlation, comparison: Comparison) -> None:
    for each in (result, comparison):
        assert len(repr(each)) < 5000 and repr(each).count("\n") < 20
        assert "<script>" not in each._repr_html_() and "<table" in each._repr_html_()
    assert "synflow is ahead of zen" in repr(comparison)


def test_figures_go_into_given_axes_and_files(result: Correlation, comparison: Comparison, tmp_path: Path) -> None:
    figure = Figure()
    panel = figure.add_subplot()
    assert result.plot("regret", ax=panel) is figure and len(panel.lines) > 3
    assert comparison.plot("tau_b", ax=figure.add_subplot()) is figure
    for kind in PLOTS:
        made = result.plot(kind, width=3.0)
        assert made.get_figwidth() >= 3.0 and made.axes
    for kind in ("pdf", "svg", "png"):
        result.plot("forest", path=tmp_path / f"forest.{kind}", width=3.35)
        assert (tmp_path / f"forest.{kind}").stat().st_size > 1000
    with pytest.raises(UserError, match="did you mean forest"):
        result.plot("forrest")
    with pytest.raises(UserError, match="kind of file"):
        result.plot("forest", path=tmp_path / "forest.bmp")


def test_latex_and_markdown_have_a_row_for_each_proxy(result: Correlation) -> None:
    count = len(result.table)
    assert len(result.to_markdown().splitlines()) == count + 2
    text = result.to_latex()
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == count and all(row.count(" & ") == 5 for row in rows)
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}") and text.isascii()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex")
def test_latex_compiles_and_usual_names_fit_a_page(result: Correlation, tmp_path: Path) -> None:
    kept = harness.scores("201", "digits")[["arch", "epe_nas", "synflow", "naswot"]]
    usual = (
        harness.judge(kept, "201", out=tmp_path / "run"),
        harness.compare("naswot", "synflow", bench="201", kept=True),
    )
    for name, tables in (("odd", [result]), ("usual", usual)):
        text = "".join(table.to_latex() for table in tables)
        page = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{text}\\end{{document}}"
        (tmp_path / f"{name}.tex").write_text(page)
        words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0 and ("Overfull" not in done.stdout or name == "odd"), done.stdout


def test_the_package_lists_what_it_has_and_says_what_functions_take() -> None:
    assert {"compare", "correlate", "judge", "load", "score", "scores"} <= set(dir(harness)) and "Path" not in dir(
        harness
    )
    for function in (harness.correlate, harness.compare):
        named = inspect.signature(function).parameters
        assert {"dataset", "sample", "seeds", "verbose"} <= set(named) and "settings" not in named
    for package in ("harness", "benchmarks"):
        assert (Path(harness.__file__).parents[1] / package / "py.typed").is_file()


def test_progress_can_be_silenced(capsys: pytest.CaptureFixture) -> None:
    with reporting(False):
        say("nothing")
    say("something")
    assert capsys.readouterr().err == "something\n"


def test_a_run_is_loaded_again(result: Correlation, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run"):
        harness.load(tmp_path)


def test_kept_scores_for_a_learner() -> None:
    frame = harness.scores("201", "digits", accuracy=True, transform="rank")
    raw = harness.scores("201", "digits")
    assert list(frame.columns[:2]) == ["arch", "accuracy"] and frame["accuracy"].between(5, 100).all()
    expected = (rankdata(raw["synflow"]) - 0.5) / len(raw)
    np.testing.assert_allclose(frame["synflow"], expected)
    assert np.isfinite(frame["synflow"].astype("float32")).all()
    logs = harness.scores("201", "digits", transform="log")["synflow"]
    np.testing.assert_allclose(logs, np.log10(1 + raw["synflow"]))
    with pytest.raises(UserError, match="unknown transform"):
        harness.scores("201", "digits", transform="rnk")
