"""All figures but those of a run (test_plots.py) at print size: 7 points or more, one column or two, nothing cut."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from toy_runs import toy_run

from harness.analysis.summary import summarise
from harness.cli.main import main
from harness.operations import figure as operations
from harness.operations.search import picture
from harness.report import compare, figures, run_figures
from harness.report.figures import COLUMN, PAGE
from harness.report.result import write_manifest
from harness.reproduce import figure as reproduction
from harness.search import figure as search
from speed import floor_tables, precision_tables

EDGES, OPERATIONS = ["1<-0", "2<-0", "2<-1"], ["none", "skip_connect", "nor_conv_3x3"]
DARTS = [f"normal {number}" for number in range(14)]
ABOUT = {"edges": EDGES, "operations": OPERATIONS}
RNG = np.random.default_rng(0)


@pytest.fixture
def printed(monkeypatch):
    """The figures that were written, checked, by name; nothing goes to the disk."""
    found = {}

    def write(figure, stem):
        figure.canvas.draw()
        texts = [each for each in figure.findobj(Text) if each.get_text().strip() and each.get_visible()]
        assert min(text.get_fontsize() for text in texts) >= 7
        width, height = figure.get_size_inches()
        assert width in (COLUMN, PAGE)
        drawn = figure.get_tightbbox()
        assert drawn.x0 > -0.01 and drawn.x1 < width + 0.01 and drawn.y0 > -0.01 and drawn.y1 < height + 0.01
        found[stem.name] = figure
        return [stem.with_suffix(f".{kind}") for kind in figures.FORMATS]

    for module in (figures, floor_tables, precision_tables):
        monkeypatch.setattr(module, "write", write)
    return found


def curves(guides):
    """Return `Searches.curves` of random search and of one method with these guides."""
    rows = [("random", "", at, 5 / at) for at in (1, 2, 10, 60)]
    rows += [("local", guide, at, 4 / at) for guide in guides for at in (1, 2, 10, 60)]
    frame = pd.DataFrame(rows, columns=["method", "guide", "at", "median"])
    return frame.assign(cost="queries", low=frame["median"] / 2, high=frame["median"] * 2)


@pytest.mark.parametrize("guides", [["params"], ["", "params", "snip", "synflow", "naswot", "zico"]])
def test_search_curves(printed, guides):
    search.write_figure(curves(guides), Path())
    lines = printed["regret"].axes[0].lines
    looks = {(line.get_color(), line.get_linestyle(), tuple(line._unscaled_dash_pattern[1] or ())) for line in lines}
    assert len(looks) == len(lines), "every line of a panel has its own look"
    dashes = [tuple(line._unscaled_dash_pattern[1] or ()) for line in lines[:5]]
    assert len(set(dashes)) == len(dashes), "told apart in grey"


def scores(edges, operations):
    """Return scores of two operation scores, seeds x edges x operations."""
    names = [(s, seed, e, o) for s in ("best-acc", "zc-pt") for seed in (0, 1) for e in edges for o in operations]
    return pd.DataFrame(names, columns=["score", "seed", "edge", "operation"]).assign(value=RNG.random(len(names)))


def test_operation_scores(printed, monkeypatch):
    agreement = pd.DataFrame([[1, 0.5], [0.5, 1]], ["best-acc", "zc-pt"], ["best-acc", "zc-pt"])
    along = pd.DataFrame({"score": "zc-pt", "seed": [0, 1, 0, 1], "step": [0, 0, 1, 1], "rho": [0.5, 0.7, 0, -1.0],
                          "rho_conditional": [0.5, 0.7, 0.2, np.nan]})  # fmt: skip
    operations.write_figures(scores(EDGES, OPERATIONS), agreement, along, ABOUT, Path())
    ranks = operations.mean_ranks(scores(EDGES, OPERATIONS))
    assert ranks["zc-pt"].groupby(level=0, sort=False).sum().eq(6).all(), "ranks 1 to 3 on each edge"
    panel = printed["operations"].axes[0]
    assert len(panel.texts) == len(EDGES) * len(OPERATIONS)
    np.testing.assert_allclose(printed["along"].axes[0].lines[0].get_ydata(), [0.6, -0.5])
    monkeypatch.setattr(operations, "TALL", 0.5)
    operations.write_figures(scores(EDGES, OPERATIONS), agreement, pd.DataFrame(), ABOUT, Path())
    assert printed["operations"].get_figwidth() == PAGE, "what is too tall for a column takes two"


def test_decisions(printed):
    """An edge a step: what was decided before is black, what is decided has the dot."""
    rows = [(0, 0, step, edge, name, float(at), step == EDGES.index(edge) and at == 1)
            for step in range(3) for edge in EDGES[step:] for at, name in enumerate(OPERATIONS)]  # fmt: skip
    columns = ["seed", "proposal", "step", "edge", "operation", "score", "decided"]
    operations.write_strip(pd.DataFrame(rows, columns=columns), ABOUT, Path())
    panels = printed["decisions"].axes
    assert [panel.get_title(loc="left") for panel in panels] == ["step 1", "step 2", "step 3"]
    dots = [tuple(float(each[0]) for each in line.get_data()) for panel in panels for line in panel.lines]
    assert dots == [(1.5, 0.5), (1.5, 1.5), (1.5, 2.5)]
    assert [len(panel.collections) for panel in panels] == [0, 1, 2]


def test_cells(printed):
    normal = [("sep_conv_3x3", 0), ("skip_connect", 1)] * 4
    arch = f"Genotype(normal={normal}, normal_concat=range(2, 6), reduce={normal}, reduce_concat=range(2, 6))"
    found = pd.DataFrame({"group": ["found"], "name": ["seed 0"], "arch": [arch]})
    picture.write_cells(found, {"settings": {"base": {"bench": "darts"}}}, Path())
    assert [len(panel.texts) for panel in printed["cell-seed0"].axes] == [8, 8]


@pytest.mark.parametrize("edges", [EDGES, DARTS])
def test_training(printed, edges):
    weights = {f"{edge} {name}": RNG.random(4) for edge in edges for name in OPERATIONS}
    history = pd.DataFrame({
        "epoch": [1, 2, 3, 4], "train_accuracy": [20.0, 40, 50, 60], "valid_accuracy": [25.0, 35, 45, 50],
        "accuracy": np.nan, "skip_weight": 0.3, "skip_edges": 1, **weights,
    })  # fmt: skip
    operations.write_history(history, edges, OPERATIONS, Path(), "training")
    strip = printed["training"].axes[3]
    largest = np.stack([weights[f"{edges[0]} {name}"] for name in OPERATIONS]).argmax(0)
    assert strip.lines[0].get_ydata().tolist() == largest.tolist()


def test_comparison_of_runs(printed):
    labels = ["201-cifar10-whole", "a/long-name-of-a-run-with-settings-4a66d827", "third"]
    columns = pd.MultiIndex.from_product([labels, ["rho", "rho_low", "rho_high"]])
    names = ["snip", "a_long_name@codebase", "params", "flops", "zico"]
    table = pd.DataFrame(RNG.random((5, 9)), names, columns)
    compare.write_comparison_figure(table, labels, Path())
    labels = printed["comparison"].axes[0].get_yticklabels()
    tops = sorted((box.y0, box.y1) for box in (label.get_window_extent() for label in labels))
    assert all(upper[0] >= lower[1] - 2 for lower, upper in pairwise(tops))


def test_reproduction(printed):
    rows = pd.DataFrame([
        ("naswot-2021", "naswot", 0.6, 0.61, "agrees"), ("naswot-2021", "epe_nas@naslib", 0.3, 0.9, "differs"),
        ("other", "snip", 0.5, 0.2, "differs"),
    ], columns=["table", "method", "published", "value", "verdict"])  # fmt: skip
    rows = rows.assign(kind="correlation", inputs="", low=rows["value"] - 0.1, high=rows["value"] + 0.1,
                       away=rows["value"] - rows["published"])  # fmt: skip
    assert reproduction.write_figure(rows, Path())
    panel = printed["reproduction"].axes[0]
    assert panel.get_title(loc="left") == "naswot-2021\n1 agree, 1 differ of 2"
    assert [text.get_text() for text in panel.texts] == ["epe_nas@naslib"]


def test_speed_and_precision(printed):
    floors = [{"bench": bench, "stack": 1, "pass": name, "over_floor": at + 1.5, "seconds": 0.2}
              for bench in ("101", "1shot1-1") for at, name in enumerate(floor_tables.PASSES)]  # fmt: skip
    floor_tables.draw({"floors": floors}, Path("floor"))
    labels = printed["floor"].axes[0].get_yticklabels()
    tops = sorted((box.y0, box.y1) for box in (label.get_window_extent() for label in labels))
    assert len(labels) == 10 and all(upper[0] >= lower[1] - 2 for lower, upper in pairwise(tops))
    rows = [{"proxy": name, "mode": mode, "ratio": 1.3, "tau_b": 0.9, "tau_b_truth": 0.5, "tau_b_truth_float32": 0.4}
            for mode in ("tf32", "bfloat16") for name in ("snip", "a_long_name@codebase")]  # fmt: skip
    result = {"proxies": rows, "modes": ["float32", "tf32", "bfloat16"], "archs": [0] * 40,
              "options": {"bench": "201", "batch_size": 64}, "machine": {"device": "NVIDIA H200"}}  # fmt: skip
    precision_tables.draw(result, Path("precision"))
    assert len(printed["precision"].axes) == 3


def test_what_limits_a_run_stands_in_its_figures(printed, tmp_path):
    """Substitute images, few images, a table of a part of the space: a figure that is sent alone says so."""
    run = toy_run(tmp_path, archs=30, seeds=1)
    said = "CIFAR-100: a SUBSTITUTE, not the benchmark's images, 332 images, PARTIAL (all: 50,000), from images/x.npz"
    run.manifest.update(minibatch=said, embedded=False, table_size=100, space_size=15_625)
    run_figures.write_figures(run, summarise(run, resamples=2, populations=("all",)), tmp_path)
    for name in ("scatter", "correlation", "agreement", "regret"):
        words = " ".join(printed[name]._supxlabel.get_text().split())
        assert words.count("warning:") == 3 and "the images are substitutes" in words, name


def test_report_draws_figures_of_other_results_again(printed, tmp_path, capsys):
    """One command for all figures: of a search, of operation scores, and of a run whose scores are not stored."""
    folder = tmp_path / "search"
    folder.mkdir()
    curves(["params"]).to_csv(folder / "curves.csv", index=False)
    write_manifest(folder, {"kind": "search"})
    table = tmp_path / "table"
    table.mkdir()
    rows = pd.DataFrame({"population": "all", "proxy": ["snip", "params"], "n": 99, "failed": 1, "rho": [0.5, 0.4]})
    rows.assign(rho_low=0.3, rho_high=0.6).to_csv(table / "summary.csv", index=False)
    write_manifest(table, {"benchmark": "NAS-Bench-201", "dataset": "cifar10"})
    assert main(["report", str(folder), str(table)]) == 0
    assert sorted(printed) == ["correlation", "regret"]
    assert "figures/regret.png" in capsys.readouterr().out
    assert printed["correlation"]._supxlabel.get_text() == "NAS-Bench-201, cifar10, 100 architectures"
    (folder / "curves.csv").unlink()
    assert main(["report", str(folder)]) == 2
    assert "its figures cannot be drawn again" in capsys.readouterr().err
