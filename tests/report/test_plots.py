"""The figures draw the summary's numbers, the same bytes each time, and axes on which the points are seen."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from toy_runs import HOSTILE, toy_run

from harness.analysis.summary import RANDOM_PICKS, summarise
from harness.report import compare, run_figures, style
from harness.report.axes import accuracy_scale, nice_ticks, rank_scale, score_scale
from harness.report.figures import drawing
from harness.report.scatter import draw_scatter
from harness.report.style import number


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return toy_run(tmp_path_factory.mktemp("runs"), archs=60, hostile=HOSTILE)


@pytest.fixture(scope="module")
def summary(run):
    return summarise(run, resamples=10)


@pytest.fixture
def figure():
    drawn = Figure(figsize=(6, 4))
    FigureCanvasAgg(drawn)
    return drawn


def test_files_are_pictures_and_the_same_each_time(run, summary, tmp_path):
    one = run_figures.write_figures(run, summary, tmp_path / "one")
    two = run_figures.write_figures(run, summarise(run, resamples=10), tmp_path / "two")
    assert sorted(one) == sorted(
        f"figures/{name}.{kind}"
        for name in ("scatter", "correlation", "agreement", "regret")
        for kind in ("png", "svg")
    )
    for name, path in one.items():
        content = path.read_bytes()
        assert content == two[name].read_bytes(), name
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
        else:
            ElementTree.fromstring(content)
            assert b"<dc:date>" not in content and b"<script" not in content


def test_without_any_correlation_there_are_figures(run, summary, tmp_path):
    none = {f"{statistic}{end}": np.nan for statistic in ("rho", "tau_b") for end in ("", "_low", "_high")}
    empty = replace(summary, table=summary.table.assign(**none))  # as from two architectures
    for path in run_figures.write_figures(run, empty, tmp_path).values():
        assert path.stat().st_size < 10**6, path


def test_bars_have_the_summary_s_lengths_and_intervals(figure, summary):
    run_figures.draw_correlation(figure, summary)
    names = style.ordered(summary, "all")[::-1]
    rows = style.rows(summary, "all")
    for panel, statistic in zip(figure.axes, ("rho", "tau_b"), strict=True):
        widths = [bar.get_width() for bar in panel.patches]
        np.testing.assert_allclose(widths, np.nan_to_num([rows[name][statistic] for name in names]))
        segments = [segment[:, 0] for segment in panel.collections[0].get_segments() if len(segment)]
        ends = [(rows[name][f"{statistic}_low"], rows[name][f"{statistic}_high"]) for name in names]
        np.testing.assert_allclose(
            [each for each in segments if np.isfinite(each).all()], [e for e in ends if e[0] == e[0]]
        )
    assert "undefined" in [text.get_text() for text in figure.axes[0].texts]
    distinct = next(line for line in figure.axes[0].lines if line.get_label() == "ρ, distinct")
    there = style.rows(summary, "distinct")
    np.testing.assert_allclose(distinct.get_xdata(), [there[name]["rho"] for name in names])


def test_regret_lines_are_the_curves(figure, summary):
    run_figures.draw_regret(figure, summary)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    for name in ("naswot", RANDOM_PICKS):
        curve = summary.regret.query("population == 'all' and proxy == @name").sort_values("k")
        np.testing.assert_allclose(lines[name].get_xdata(), curve["k"])
        np.testing.assert_allclose(lines[name].get_ydata(), curve["regret"])
    assert figure.axes[0].get_xscale() == "log"


def test_heat_map_prints_the_values_in_clustered_order(figure, summary):
    run_figures.draw_agreement(figure, summary, "connected")
    square = run_figures.clustered(summary.agreement["connected"])
    assert sorted(square.columns) == sorted(summary.agreement["connected"].columns)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert said == [number(value, 2).replace("0.", ".", 1) for value in square.to_numpy().ravel()]


def test_clustering_puts_alike_rows_together():
    names = ["a", "x", "b", "y"]
    square = pd.DataFrame(np.eye(4), index=names, columns=names)
    square.loc["a", "b"] = square.loc["b", "a"] = 0.9
    square.loc["x", "y"] = square.loc["y", "x"] = 0.8
    order = "".join(run_figures.clustered(square).columns)
    assert "ab" in order or "ba" in order
    assert "xy" in order or "yx" in order


def test_scatter_has_a_panel_per_proxy_and_says_what_failed(figure, run, summary):
    draw_scatter(figure, run, summary)
    titles = [panel.get_title(loc="left") for panel in figure.axes if panel.get_title(loc="left")]
    assert len(titles) == len(run.scores)
    assert any(title.startswith("naswot\n") and title.endswith("1 failed") for title in titles)


def test_one_look_per_proxy_everywhere(summary):
    looks = style.looks(summary)
    own = [look for name, look in looks.items() if name not in summary.baselines]
    assert len({(look.colour, look.dashes) for look in own}) == len(own)
    assert looks["params"].colour == style.BASELINE_COLOUR


def test_many_lines_leave_the_best_and_the_baselines_in_colour():
    names = [f"p{i:02d}" for i in range(36)] + ["params", "flops"]
    shown, rest = run_figures.lines_shown(names, ("params", "flops"))
    assert {"p00", "params", "flops"} <= set(shown) and len(shown) == run_figures.LINES_SHOWN
    assert sorted(shown + rest) == sorted(names)


def test_labels_of_forty_proxies_do_not_overlap(tmp_path):
    run = toy_run(tmp_path, archs=30, seeds=1)
    base = run.scores["naswot"]
    rng = np.random.default_rng(0)
    for i in range(32):
        run.scores[f"a_long_name_of_a_variant@codebase_{i:02d}"] = base + rng.normal(size=base.shape)
        run.seconds[f"a_long_name_of_a_variant@codebase_{i:02d}"] = np.ones(base.shape)
    summary = summarise(run, resamples=2, populations=("all",))
    sizes = {run_figures.draw_correlation: (5.4, 0.9 + 0.19 * 40), run_figures.draw_agreement: (12.7, 12.5)}
    for draw, size in sizes.items():
        with drawing(*size) as figure:
            draw(figure, summary)
            figure.canvas.draw()
            boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
            tops = sorted((box.y0, box.y1) for box in boxes)
            assert all(upper[0] >= lower[1] - 1 for lower, upper in pairwise(tops))
            assert min(box.x0 for box in boxes) >= 0


def test_comparison_figure(tmp_path):
    columns = pd.MultiIndex.from_product([["one", "two"], ["rho", "rho_low", "rho_high"]])
    table = pd.DataFrame([[0.5, 0.4, 0.6, 0.3, 0.2, 0.4], [0.1, 0.0, 0.2, np.nan, np.nan, np.nan]], ["a", "b"], columns)
    written = compare.write_comparison_figure(table, ["one", "two"], tmp_path)
    assert all(Path(path).is_file() for path in written.values()) and len(written) == 2


# Axes

SCORES = {
    "linear": np.linspace(-3, 5, 200),
    "log": np.exp(np.linspace(1, 80, 200)),
    "symlog": np.concatenate([-np.exp(np.linspace(0, 9, 100)), np.exp(np.linspace(0, 9, 100))]),
    "rank": np.concatenate([np.linspace(100, 101, 190), np.full(10, -1e8)]),
}


@pytest.mark.parametrize("kind", SCORES)
def test_scale_suits_the_scores(kind):
    values = SCORES[kind]
    scale = score_scale(values)
    assert scale.kind == kind
    assert bool(scale.note) == (kind != "linear")  # every other axis says what it is
    placed = scale.positions(values)
    assert (np.diff(placed[np.argsort(values)]) >= 0).all() and placed.min() >= 0 and placed.max() <= 1
    low, high = np.percentile(placed, [25, 75])
    assert high - low > 1 / 13
    assert len(scale.ticks) >= 2 and all(0 <= at <= 1 for at, _ in scale.ticks)


def test_zeros_among_huge_scores_do_not_squeeze_the_rest():
    scores = np.concatenate([np.zeros(20), np.exp(np.linspace(30, 120, 300))])
    scale = score_scale(scores)
    assert scale.kind == "symlog" and np.ptp(np.percentile(scale.positions(scores), [25, 75])) > 0.4


def test_scores_that_failed_have_no_place():
    values = np.array([1.0, np.nan, 2.0, np.inf, 3.0])
    for scale in (score_scale(values), rank_scale(values)):
        assert np.isnan(scale.positions(values)).tolist() == [False, True, False, True, False]


def test_constant_and_empty_scores_have_a_scale():
    assert score_scale(np.ones(4)).positions(np.ones(4)).tolist() == [0.5] * 4
    assert np.isnan(score_scale(np.full(3, np.nan)).positions(np.full(3, np.nan))).all()


def test_accuracies_that_crowd_at_the_top_are_spread():
    accuracy = np.concatenate([np.full(10, 10.0), np.linspace(85, 94, 300)])
    scale = accuracy_scale(accuracy)
    assert scale.kind == "stretched" and np.ptp(scale.positions(accuracy)[10:]) > 0.4
    assert accuracy_scale(np.linspace(10, 90, 50)).kind == "linear"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.2, 0.83), (1e-9, 3e-9), (0, 94.37), (5, 5)])
def test_ticks_are_round_and_inside(low, high):
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7 and all(low - 1e-12 <= tick <= high * (1 + 1e-9) + 1e-12 for tick in ticks)
    assert "-0" not in [f"{tick:g}" for tick in ticks]


@pytest.mark.parametrize("values", [np.linspace(-270_000, -90_000, 50), np.linspace(1.02e6, 1.09e6, 50)])
def test_no_two_ticks_have_one_label(values):
    """Defect: -250,000 and -150,000 were both -2·10⁵."""
    labels = [label for _, label in score_scale(values).ticks]
    assert len(set(labels)) == len(labels) >= 2
