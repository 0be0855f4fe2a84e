"""Proxies head to head: differences, intervals and p by SciPy and by what the report gives, verdicts in words."""

from __future__ import annotations

import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats as scipy_stats
from toy_runs import toy_run

from benchmarks.errors import UserError
from harness import stats
from harness.analysis.head_to_head import HeadToHead, head_to_head
from harness.analysis.summary import summarise
from harness.report.compare import (
    draw_head_to_head,
    head_to_head_latex,
    head_to_head_markdown,
    head_to_head_size,
    print_head_to_head,
    write_head_to_head,
)
from harness.report.figures import COLUMN, drawing
from harness.runs.sources import joined
from harness.store.stored_run import StoredRun

NAMES = ["synflow", "zen", "params"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    return toy_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def found(run: StoredRun) -> HeadToHead:
    worse = replace(run, scores=run.scores | {"synflow": -run.scores["synflow"]})
    return head_to_head({"201": run, "macro": worse}, NAMES, resamples=200)


def test_differences_are_those_of_the_two_correlations(run: StoredRun, found: HeadToHead) -> None:
    row = found.pairs.iloc[0]
    assert (row["benchmark"], row["proxy"], row["other"], row["n"]) == ("201", "synflow", "zen", 90)
    for column, of in (("rho", scipy_stats.spearmanr), ("tau_b", scipy_stats.kendalltau)):
        gaps = [
            of(run.scores["synflow"][s], run.accuracy)[0] - of(run.scores["zen"][s], run.accuracy)[0] for s in (0, 1)
        ]
        assert row[f"{column}_difference"] == pytest.approx(np.mean(gaps), abs=1e-12)
        assert row[f"{column}_low"] < row[f"{column}_difference"] < row[f"{column}_high"]


def test_rho_has_the_interval_and_p_of_the_report(run: StoredRun, found: HeadToHead) -> None:
    same = summarise(run.of(NAMES), resamples=200, baseline="zen").differences
    same = same[(same["population"] == "all") & (same["proxy"] == "synflow")].iloc[0]
    row = found.pairs.iloc[0]
    values = [row[name] for name in ("rho_difference", "rho_low", "rho_high", "rho_p")]
    assert values == [same[name] for name in ("rho_difference", "low", "high", "p_value")]


def test_the_interval_of_tau_holds_the_truth_in_95_percent_of_samples() -> None:
    """Two noisy scores of a space of 20,000; their difference in tau-b in samples of 150."""
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=20_000)
    one, other = accuracy + rng.normal(size=20_000), accuracy + 1.5 * rng.normal(size=20_000)
    truth = scipy_stats.kendalltau(one, accuracy)[0] - scipy_stats.kendalltau(other, accuracy)[0]
    inside = 0
    for _ in range(200):
        at = rng.choice(20_000, 150, replace=False)
        of = (stats.kendall_tau_b, stats.tau_b_influence, one[None, at], other[None, at], accuracy[at], np.arange(150))
        low, high, _p = stats.difference_interval(*of)
        inside += low <= truth <= high
    assert 0.91 <= inside / 200 <= 0.985


def test_p_is_corrected_for_all_pairs_on_all_benchmarks(found: HeadToHead) -> None:
    raw = found.pairs["rho_p"].to_numpy()
    assert len(raw) == 6
    order = np.argsort(raw)
    expected = np.minimum(1, np.maximum.accumulate(raw[order] * np.arange(6, 0, -1)))
    np.testing.assert_allclose(found.pairs["rho_p_adjusted"].to_numpy()[order], expected)


def test_verdicts_wins_and_ranks(found: HeadToHead) -> None:
    verdicts = {(row.benchmark, row.proxy, row.other): row.verdict for row in found.pairs.itertuples()}
    assert verdicts["201", "synflow", "zen"] == "ahead" and verdicts["macro", "synflow", "zen"] == "behind"
    assert verdicts["201", "zen", "params"] == "behind"
    standing = found.standing.set_index("proxy")
    assert found.standing["proxy"].iloc[0] == "params" and standing.loc["params", "mean_rank"] == 1
    wins = sum(word == "ahead" for word in verdicts.values()) + sum(word == "behind" for word in verdicts.values())
    assert standing["wins"].sum() == standing["losses"].sum() == wins
    said = " ".join(found.verdicts())
    assert "synflow against zen: ahead on 201; behind on macro; which is better depends on the benchmark" in said
    assert "zen is behind params on 201 and macro" in said


def test_the_mean_over_benchmarks_has_student_s_interval_and_counts_a_benchmark_once(run: StoredRun) -> None:
    flipped = replace(run, scores=run.scores | {"synflow": -run.scores["synflow"]})
    runs = {"201": run, "macro": flipped, "101": run.at(np.arange(60)), "1shot1-1": run, "1shot1-3": flipped}
    found = head_to_head(runs, ["synflow", "zen"], resamples=20)
    gaps = found.pairs.set_index("benchmark")["rho_difference"]
    of = [gaps["201"], gaps["macro"], gaps["101"], (gaps["1shot1-1"] + gaps["1shot1-3"]) / 2]
    (row,) = found.means.itertuples()
    known = scipy_stats.ttest_1samp(of, 0).confidence_interval()
    np.testing.assert_allclose([row.rho_low, row.rho_high], known)
    assert row.benchmarks == 4 and row.rho_difference == pytest.approx(np.mean(of))
    assert "| mean of 4 | synflow | zen |" in head_to_head_markdown(found)
    two = head_to_head({"201": run, "macro": flipped}, ["synflow", "zen"], resamples=20)
    assert np.isnan(two.means["rho_low"][0]) and head_to_head({"201": run}, ["synflow", "zen"]).means.empty


def test_on_a_whole_space_the_sign_decides_and_there_is_no_interval(run: StoredRun) -> None:
    whole = replace(run, manifest=run.manifest | {"space_size": len(run.archs)})
    found = head_to_head({"201": whole}, ["synflow", "zen"])
    row = found.pairs.iloc[0]
    assert row["verdict"] == "ahead" and np.isnan(row["rho_p"]) and np.isnan(row["tau_b_low"])
    assert "no sampling error, the sign decides" in head_to_head_markdown(found)


def test_scores_of_several_sources_are_joined_by_architecture(run: StoredRun) -> None:
    part = run.at(np.arange(80)[::-1]).of(["zen", "params"])
    both = joined([run.of(["synflow", "params"]), part])
    assert both.archs == run.archs[:80] and set(both.scores) == {"synflow", "params", "zen"}
    np.testing.assert_array_equal(both.scores["zen"], run.scores["zen"][:, :80])
    with pytest.raises(UserError, match="two sources have scores of 'zen'"):
        joined([run, part])
    with pytest.raises(UserError, match="only 5 architectures are in all of 2 sources"):
        joined([run.of(["synflow"]), part.at(np.arange(5))])


def test_one_proxy_is_no_comparison(run: StoredRun) -> None:
    with pytest.raises(UserError, match="needs two proxies; got zen"):
        head_to_head({"201": run}, ["zen"])
    with pytest.raises(UserError, match="201: no scores of snip"):
        head_to_head({"201": run}, ["zen", "snip"])


def test_the_figure_draws_the_differences_at_the_width_of_a_column(found: HeadToHead, tmp_path: Path) -> None:
    with drawing(*head_to_head_size(found)) as figure:
        panel = figure.subplots()
        draw_head_to_head(panel, found)
        figure.canvas.draw()
        texts = [text for text in figure.findobj(lambda each: hasattr(each, "get_fontsize")) if text.get_text()]
        assert min(text.get_fontsize() for text in texts) >= 7
        box = figure.get_window_extent()
        assert all(box.x0 - 1 <= text.get_window_extent().x0 <= text.get_window_extent().x1 <= box.x1 + 1
                   for text in (panel.xaxis.label, *panel.get_yticklabels()))  # fmt: skip
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert len([line for line in panel.lines if line.get_marker() == "D"]) == 3, "the mean of each pair"
    np.testing.assert_allclose([line.get_xdata()[0] for line in dots], found.pairs["rho_difference"])
    filled = [line.get_markerfacecolor() == "black" for line in dots]
    assert filled == [verdict != "undecided" for verdict in found.pairs["verdict"]]
    assert head_to_head_size(found)[0] == COLUMN


@pytest.mark.parametrize("width", range(80, 200, 7))
def test_no_number_is_cut_off_at_any_width(found: HeadToHead, width: int) -> None:
    """Defect: at 130 columns n 200 was printed as 2…"""
    console = Console(width=width, file=StringIO(), force_terminal=True)
    print_head_to_head(found, console)
    assert "…" not in console.file.getvalue()


def test_the_table_is_latex(found: HeadToHead) -> None:
    text = head_to_head_latex(found)
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 6 + 3 and all(row.count("&") == 7 for row in rows)
    assert text.count("{tabular}") == 2 and r"\begin{tabular}{@{}llllrrrr@{}}" in text
    assert all(sign.isascii() for sign in text) and "tau-b" in text and "$-$." in body
    assert not re.search(r"\b0\.", body)


def test_a_column_of_one_value_is_left_to_the_caption(found: HeadToHead) -> None:
    few = replace(found, pairs=found.pairs.iloc[:1], means=found.means.iloc[:0])
    text = head_to_head_latex(few)
    assert r"\begin{tabular}{@{}lrrrr@{}}" in text and "\nverdict & rho difference & p & tau-b diff" in text
    assert all(sentence.split(" ")[0] in text[: text.index("tabular")] for sentence in few.verdicts())


def test_the_folder_holds_tables_figure_and_how_it_was_made(found: HeadToHead, tmp_path: Path) -> None:
    write_head_to_head(found, tmp_path / "out", "nas-harness compare")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    figures = {f"figures/comparison.{kind}" for kind in ("png", "svg", "pdf")}
    assert names == figures | {
        "pairs.csv", "scores.csv", "standing.csv", "means.csv", "comparison.md", "comparison.tex", "manifest.json",
    }  # fmt: skip
