"""The tables that ship: one for each benchmark, of uniform samples, whose trainings agree with each other."""

import json
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import benchmarks
from benchmarks.nasbench101.space import CELLS
from benchmarks.table import load_table
from harness.training.loop import plan

TABLES = sorted(benchmarks.benchmark.EMBEDDED.glob("digits*.h5"))
KEYS = [path.stem.removeprefix("digits") for path in TABLES]


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)


def networks(benchmark: benchmarks.Benchmark) -> np.ndarray:
    """Rows of the table, one for each different network."""
    return np.unique(benchmark.space.class_id[benchmark.indices], return_index=True)[1]


def test_the_old_table_is_as_it_was():
    benchmark = benchmarks.load("201")
    assert benchmark.embedded and len(benchmark.table) == 1498 and len(networks(benchmark)) == 1024
    assert benchmark.network == {"channels": 8, "cells_per_stage": 1, "input_channels": 1, "classes": 10}
    assert benchmark.table.checksum.startswith("6a448a34fb053042")


@pytest.mark.parametrize("bench", KEYS)
def test_a_table_says_how_to_build_its_networks(bench: str):
    benchmark = benchmarks.load(bench)
    space = benchmark.space
    assert benchmark.embedded and benchmark.resolution == 8
    assert benchmark.network == {**space.network, **space.reduced, "input_channels": 1, "classes": 10}
    assert benchmark.table.splits == ("valid", "test")
    assert benchmark.table.seeds == (("0", "1") if bench == "darts" else ("0", "1", "2"))
    assert json.loads(str(benchmark.table.attributes["recipe"]))["bench"] == bench
    assert np.isfinite(benchmark.table.accuracy).all()


@pytest.mark.parametrize("bench", KEYS)
def test_single_trainings_agree_and_do_not_saturate(bench: str):
    benchmark = benchmarks.load(bench)
    accuracy = benchmark.table.per_seed("test")[networks(benchmark)]
    pairs = [spearmanr(accuracy[:, a], accuracy[:, b])[0] for a, b in combinations(range(accuracy.shape[1]), 2)]
    assert min(pairs) > (0.55 if bench == "darts" else 0.6)  # cells of DARTS differ less: 0.59
    low, high = np.percentile(accuracy.mean(1), [10, 90])
    assert high < 90 and high - low > 5


@pytest.mark.parametrize("bench", [key for key in KEYS if key != "101"])
def test_the_strings_are_a_uniform_sample(bench: str):
    """All strings drawn on the way to the wanted number of networks: `harness.train` made them so."""
    benchmark = benchmarks.load(bench)
    assert benchmark.table.archs == tuple(plan(benchmark.space.whole(), len(networks(benchmark))))


def test_the_sample_of_101_is_of_all_cells():
    """Uniform over 423,624: nearly all have six or seven vertices (15 % and 85 %), as the space does."""
    table = load_table(benchmarks.benchmark.EMBEDDED / "digits101.h5", "digits")
    vertices = [arch.split("|")[0].count(",") + 3 for arch in table.archs]
    assert 0.75 < np.mean(np.array(vertices) == 7) < 0.95
    assert CELLS == 423_624 and len(set(table.archs)) == len(table)


def test_tables_are_small():
    assert all(Path(path).stat().st_size < 100_000 for path in TABLES)
