"""Objects of the official NAS-Bench-101 package, and what is no such object."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import benchmarks
from benchmarks.errors import UserError
from benchmarks.table import load_table


def of_101() -> SimpleNamespace:
    """The attributes of nasbench.api.NASBench with two cells, three trainings of 108 epochs each."""
    line = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    both = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])
    fixed = {
        "a": {"module_adjacency": line, "module_operations": ["input", "conv3x3-bn-relu", "output"]},
        "b": {"module_adjacency": both, "module_operations": ["input", "maxpool3x3", "output"]},
    }

    def metrics(base: float) -> dict[str, float]:
        names = ("train_accuracy", "validation_accuracy", "test_accuracy")
        found = {f"{when}_{name}": base + at / 100 for when in ("halfway", "final") for at, name in enumerate(names)}
        return found | {"halfway_training_time": 100 * base, "final_training_time": 200 * base}

    computed = {
        each: {108: [metrics(0.5 + 0.1 * trial + 0.05 * at) for trial in range(3)]} for at, each in enumerate("ab")
    }
    return SimpleNamespace(fixed_statistics=fixed, computed_statistics=computed)


def test_nasbench_101_in_memory(tmp_path: Path) -> None:
    table = benchmarks.from_api(of_101(), data=tmp_path)
    assert (table.benchmark, table.dataset, table.epochs, table.seeds) == ("101", "cifar10", (108,), ("1", "2", "3"))
    assert table.target("test").tolist() == pytest.approx([62, 67]) and len(table.archs) == 2
    assert table.seconds_per_run is not None and table.seconds_per_run[0, 0].tolist() == pytest.approx([100, 120, 140])
    stored = load_table(tmp_path / "nasbench101.h5", "cifar10-halfway")
    np.testing.assert_allclose(stored.target("valid"), [61, 66])
    with pytest.raises(UserError, match="is there already"):
        benchmarks.from_api(of_101(), data=tmp_path)


def test_what_is_no_api_object_is_refused() -> None:
    for api, said in (
        ({"meta_archs": []}, "a dict is no API object"),
        (SimpleNamespace(meta_archs=[], arch2infos_dict={}), "holds no results"),
        (SimpleNamespace(fixed_statistics={}, computed_statistics={}), "holds no results"),
    ):
        with pytest.raises(UserError, match=said):
            benchmarks.from_api(api)
    with pytest.raises(UserError, match="unknown dataset of the object: 'cifar100'"):
        benchmarks.from_api(of_101(), "cifar100")
    wrong = of_101()
    wrong.fixed_statistics["a"]["module_operations"][1] = "conv5x5"
    with pytest.raises(UserError, match="none of NAS-Bench-101: unknown operations conv5x5"):
        benchmarks.from_api(wrong)
