"""The figures draw the summary's numbers, the same bytes each time, and axes on which the points are seen."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from toy_runs import HOSTILE, toy_run

from harness.analysis.summary import RANDOM_PICKS, summarise
from harness.report import compare, run_figures, style
from harness.report.axes import accuracy_scale, nice_ticks, rank_scale, score_scale
from harness.report.figures import COLUMN, FORMATS, PAGE, drawing
from harness.report.scatter import draw_scatter
from harness.report.style import KINDS, number


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
        f"figures/{name}.{kind}" for name in ("scatter", "correlation", "agreement", "regret") for kind in FORMATS
    )
    for name, path in one.items():
        content = path.read_bytes()
        assert content == two[name].read_bytes(), name
        if path.suffix == ".png":
            assert content.startswith(b"\x89PNG")
        elif path.suffix == ".pdf":
            assert content.startswith(b"%PDF") and b"/CreationDate" not in content
        else:
            ElementTree.fromstring(content)
            assert b"<dc:date>" not in content and b"<script" not in content


def test_without_any_correlation_there_are_figures(run, summary, tmp_path):
    none = {f"{statistic}{end}": np.nan for statistic in ("rho", "tau_b") for end in ("", "_low", "_high")}
    empty = replace(summary, table=summary.table.assign(**none))  # as from two architectures
    for path in run_figures.write_figures(run, empty, tmp_path).values():
        assert path.stat().st_size < 10**6, path


def test_a_forest_has_the_summary_s_values_and_intervals_best_first(figure, summary):
    for statistic in ("rho", "tau_b"):
        panel = figure.add_subplot()
        run_figures.forest(panel, summary, statistic=statistic)
        names, rows = style.by_rho(summary, "all")[::-1], style.rows(summary, "all")
        drawn = {}
        for line in panel.lines:
            if line.get_marker() in {kind.marker for kind in KINDS.values()}:
                drawn |= dict(zip(line.get_ydata(), line.get_xdata(), strict=True))
        np.testing.assert_allclose([drawn[at] for at in range(len(names))], [rows[name][statistic] for name in names])
        ends = sorted((rows[n][f"{statistic}_low"], rows[n][f"{statistic}_high"]) for n in names)
        segments = [segment[:, 0] for each in panel.collections for segment in each.get_segments() if len(segment)]
        segments = sorted(tuple(each) for each in segments if np.isfinite(each).all())
        np.testing.assert_allclose(segments, [end for end in ends if end[0] == end[0]])
        assert "undefined" in [text.get_text() for text in panel.texts]
        best = max(rows[name][statistic] for name in ("params",))
        assert any(set(line.get_xdata()) == {best} for line in panel.lines if line.get_linestyle() == "--"), (
            "best count"
        )


def test_regret_lines_are_the_curves(figure, summary):
    run_figures.regret(figure.subplots(), summary)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    for name in ("naswot", RANDOM_PICKS):
        curve = summary.regret.query("population == 'all' and proxy == @name").sort_values("k")
        np.testing.assert_allclose(lines[name].get_xdata(), curve["k"])
        np.testing.assert_allclose(lines[name].get_ydata(), curve["regret"])
    assert figure.axes[0].get_xscale() == "log"


def test_heat_map_prints_the_values_in_clustered_order(figure, summary):
    run_figures.heat_map(figure.subplots(), summary, "connected")
    square = run_figures.clustered(summary.agreement["connected"])
    assert sorted(square.columns) == sorted(summary.agreement["connected"].columns)
    said = [text.get_text() for text in figure.axes[0].texts]
    values = square.to_numpy().ravel()
    expected = ["1" if v >= 0.995 else number(v, 2).replace("0.", ".", 1) for v in values[np.isfinite(values)]]
    assert said == expected


def test_text_is_readable_in_one_column_and_nothing_is_cut_off(run, summary):
    for name in ("scatter", *run_figures.DRAWINGS):
        with drawing(*run_figures.size_of(name, len(run.scores))) as figure:
            run_figures.draw(name, figure, summary, run=run)
            figure.canvas.draw()
            texts = [each for each in figure.findobj(Text) if each.get_text() and each.get_visible()]
            assert min(text.get_fontsize() for text in texts) >= 7, name
            width = figure.get_window_extent().width
            labels = [text for axes in figure.axes for text in axes.get_yticklabels()]
            assert all(text.get_window_extent().x0 >= -1 for text in labels), name
            assert figure.get_figwidth() == (PAGE if name == "scatter" else COLUMN), name
            assert all(text.get_window_extent().x1 <= width + 1 for text in labels), name


def test_kinds_differ_in_shape_and_in_grey(summary):
    """Colour-blind and grey-scale readers tell kinds apart."""
    assert len({kind.marker for kind in KINDS.values()}) == len(KINDS)
    grey = sorted(0.299 * r + 0.587 * g + 0.114 * b for r, g, b in (to_rgb(kind.colour) for kind in KINDS.values()))
    assert grey[-1] < 0.65, "dark enough on white"
    assert style.kind_of(summary, "zen") == "fitted" and style.kind_of(summary, "params") == "count"


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


def test_a_colour_means_one_kind_and_lines_of_a_kind_differ_by_dashes(summary):
    looks = style.looks(summary)
    for name, look in looks.items():
        assert look.colour == KINDS[style.kind_of(summary, name)].colour
    first = [looks[name].dashes for name in looks if style.kind_of(summary, name) == "proxy"][:4]
    assert len(set(first)) == len(first)


def test_many_lines_leave_the_best_of_each_kind():
    kinds = {f"p{i:02d}": "proxy" for i in range(36)} | {"params": "count", "flops": "count", "random": "random"}
    shown, rest = run_figures.lines_shown(list(kinds), kinds)
    assert shown == [*(f"p{i:02d}" for i in range(run_figures.LINES_SHOWN)), "params"]
    assert sorted(shown + rest) == sorted(kinds)


def test_labels_of_forty_proxies_do_not_overlap(tmp_path):
    run = toy_run(tmp_path, archs=30, seeds=1)
    base = run.scores["naswot"]
    rng = np.random.default_rng(0)
    for i in range(32):
        run.scores[f"a_long_name_of_a_variant@codebase_{i:02d}"] = base + rng.normal(size=base.shape)
        run.seconds[f"a_long_name_of_a_variant@codebase_{i:02d}"] = np.ones(base.shape)
    summary = summarise(run, resamples=2, populations=("all",))
    for name in ("correlation", "agreement"):
        with drawing(*run_figures.size_of(name, 40)) as figure:
            run_figures.draw(name, figure, summary)
            figure.canvas.draw()
            boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
            tops = sorted((box.y0, box.y1) for box in boxes)
            assert all(upper[0] >= lower[1] - 1 for lower, upper in pairwise(tops))
            assert min(box.x0 for box in boxes) >= 0


def test_comparison_figure(tmp_path):
    columns = pd.MultiIndex.from_product([["one", "two"], ["rho", "rho_low", "rho_high"]])
    table = pd.DataFrame([[0.5, 0.4, 0.6, 0.3, 0.2, 0.4], [0.1, 0.0, 0.2, np.nan, np.nan, np.nan]], ["a", "b"], columns)
    written = compare.write_comparison_figure(table, ["one", "two"], tmp_path)
    assert all(Path(path).is_file() for path in written.values()) and len(written) == 3


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
