"""A uniform sample of NAS-Bench-101: what `--bench 101` is measured on where it is there, and no view of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import benchmarks
from benchmarks.benchmark import find_table, what_to_get
from benchmarks.convert import convert, main

NAME = "nasbench101_uniform.npz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with a sample of two cells, and a table of another one."""
    edges, labels = np.zeros((3, 7, 7), np.int8), np.zeros((3, 7), np.int8)
    for row in range(3):
        edges[row, 0, 1] = edges[row, 1, 2] = 1
        labels[row, :3] = -1, row, -2
    errors = np.full((3, 4), 0.25, np.float32)
    np.savez(tmp_path / NAME, matrix=edges[:2], ops=labels[:2], valid_error=errors[:2])
    np.savez(tmp_path / "other.npz", matrix=edges[2:], ops=labels[2:], errors=np.full((1, 2, 4, 3), 0.5))
    convert(tmp_path / "other.npz", tmp_path / "nasbench101.h5", "101", partial=True)
    return tmp_path


def test_the_sample_is_read_first_and_as_it_is(folder):
    opened = benchmarks.load("101", data=folder)
    assert len(opened.table) == 2 and opened.table.source.startswith("2 of 423,624 cells, from")
    assert opened.table.target("valid").tolist() == [75, 75]
    assert find_table("101", folder, samples=False) == folder / "nasbench101.h5"
    with pytest.raises(benchmarks.UserError, match="1 of 423,624 cells"):  # the spaces of 1Shot1 ask the other table
        benchmarks.load("1shot1-1", data=folder)


def test_converted_it_keeps_its_name(folder, capsys):
    assert main([str(folder / NAME), "--partial"]) == 0
    assert "use it: python -m harness.run --bench 101 --data" in capsys.readouterr().out
    assert find_table("101", folder) == folder / "nasbench101_uniform.h5"
    assert len(benchmarks.load("101", data=folder).table) == 2


def test_without_any_the_official_files_are_named(tmp_path):
    assert "nasbench_only108.tfrecord" in what_to_get("101", tmp_path) and benchmarks.load("101").embedded


def test_the_published_correlation_of_parameters(real_data, tmp_path):
    if not (real_data / NAME).is_file():
        pytest.skip(f"no {NAME} in the data folder")
    (tmp_path / NAME).symlink_to(real_data / NAME)
    opened = benchmarks.load("101", data=tmp_path)
    network = {name: value for name, value in opened.network.items() if value is not None}
    params = opened.space.sizes(**network, resolution=32)[0]
    assert len(opened.table) == 20_001
    assert spearmanr(params, opened.table.target("valid")).statistic == pytest.approx(0.446, abs=5e-4)  # published .43
