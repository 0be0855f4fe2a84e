"""1Shot1 as a benchmark: keys, groups, ground truth by way of 101, either network, from the command line and Python."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import embed

import benchmarks
import harness
import harness.cli.run
from benchmarks import UserError
from benchmarks.benchmark import GROUPS, expand, space_of
from benchmarks.nasbench1shot1.space import Space1Shot1
from benchmarks.nasbench101.cells import graph_hash, print_cell
from benchmarks.table import Table, save_tables

REDUCED = {"channels": 6, "stacks": 2, "modules": 1, "input_channels": 1, "classes": 10, "resolution": 8}


def cells_of(*numbers: int) -> dict[str, str]:
    """Return {official hash: printed cell} of these spaces, in no order of theirs."""
    cells = {graph_hash(cell): print_cell(cell) for n in numbers for cell in Space1Shot1(n).cells}
    return dict(sorted(cells.items()))


def table_101(archs: tuple[str, ...], **changes) -> Table:
    """Cell i has 40 + i / 200, the second training 0.1 more."""
    accuracy = 40 + np.arange(len(archs))[:, None, None, None] / 200 + np.array([0, 0.1])
    facts = {
        "benchmark": "101", "dataset": "cifar10", "archs": archs, "splits": ("test",), "epochs": (108,),
        "seeds": ("1", "2"), "accuracy": accuracy, "source": "made for the test", "checksum": "0" * 64,
        "attributes": REDUCED,
    }  # fmt: skip
    return Table(**facts | changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    save_tables(folder / "nasbench101.h5", [table_101(tuple(cells_of(1, 2).values()))])
    return folder


def test_names_of_several_spaces():
    assert expand("1shot1") == ("1shot1-1", "1shot1-2", "1shot1-3")
    assert expand("1shot1", "3, 1,3") == ("1shot1-3", "1shot1-1")
    assert expand("1shot1-closed", "2") == ("1shot1-2-closed",)
    assert expand("201") == ("201",)
    for key in (key for keys in GROUPS.values() for key in keys):
        assert space_of(key).name == key
    assert space_of("1shot1-2-pruned").title == "NAS-Bench-1Shot1, space 2 (pruned)"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: benchmarks.load("1shot1"), "1shot1 is several spaces; choose one here: 1shot1-1, 1shot1-2, 1shot1-3"),
        (lambda: harness.judge("x.csv", "1shot1"), "choose one here: 1shot1-1"),
        (lambda: expand("1shot1", "1,4"), "unknown space of 1shot1: '4'.*valid: 1, 2, 3"),
        (lambda: expand("201", "1"), "--space 1: only for --bench 1shot1, .*, not 201"),
        (lambda: space_of("1shot1-4"), "unknown benchmark: '1shot1-4' .did you mean 1shot1-"),
        (lambda: space_of("1shot1-1", network="onesot"), "unknown network .*: 'onesot' .did you mean oneshot"),
        (lambda: space_of("201", network="oneshot"), "--network oneshot: NAS-Bench-201 has one kind of network"),
    ],
)
def test_what_is_none_of_them(call, said):
    with pytest.raises(UserError, match=said):
        call()


def test_ground_truth_is_that_of_the_cells(data):
    """Cell by cell as NAS-Bench-101's own hash finds them; isomorphic strings have the same accuracy."""
    row = {mark: i for i, mark in enumerate(cells_of(1, 2))}
    for key in ("1shot1-1", "1shot1-2"):
        found = benchmarks.load(key, data=data)
        assert found.table.benchmark == found.space.name == key and not found.embedded
        assert found.table.archs == found.space.archs
        rows = [row[graph_hash(cell)] for cell in found.space.cells[::50]]
        np.testing.assert_allclose(found.table.target()[::50], 40.05 + np.array(rows) / 200)
        np.testing.assert_array_equal(found.table.target(), found.table.target()[found.space.class_id])
        assert found.network == {k: REDUCED[k] for k in ("channels", "stacks", "modules", "input_channels", "classes")}
        assert "made for the test" in found.table.source


def test_a_part_of_101_without_the_cells(data):
    with pytest.raises(UserError, match=r"space 3 \(released\): [\d,]+ of the 24,066 strings have no cell in made for"):
        benchmarks.load("1shot1-3", data=data)


def test_where_there_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path)
    with pytest.raises(UserError, match="judged by the ground truth of benchmark 101: .*get nasbench_only108.tfrecord"):
        benchmarks.load("1shot1-1", data=tmp_path)
    with pytest.raises(UserError, match="dataset 'cifar10': .*nasbench_only108.tfrecord"):
        benchmarks.load("1shot1-1", "cifar10", data=tmp_path)


def embedded_table() -> Table:
    """A table as harness.train makes it for the key: some strings, with the sizes of the networks trained."""
    archs = space_of("1shot1-1").archs[5:2000:100]
    return table_101(archs, benchmark="1shot1-1", dataset="digits")


def test_an_embedded_table(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path)
    save_tables(tmp_path / "digits1shot1-1.h5", [embedded_table()])
    found = benchmarks.load("1shot1-1")
    assert found.embedded and len(found.table) == 20 and found.resolution == 8
    assert list(found.indices) == list(range(5, 2000, 100))
    assert found.network["channels"] == 6


def test_the_oneshot_network_has_sizes_of_its_own(data):
    found = benchmarks.load("1shot1-2", data=data, network="oneshot")
    assert found.network == {"channels": 16, "stacks": 3, "modules": 3, "input_channels": 1, "classes": 10}
    assert found.resolution == 8
    assert found.space.title == "NAS-Bench-1Shot1, space 2 (released), one-shot network"
    assert benchmarks.load("1shot1-2", data=data, network="101").space.form is None


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Embedded tables of spaces 1 and 2."""
    folder = embed(tmp_path_factory.mktemp("embedded"))
    save_tables(folder / "digits1shot1-1.h5", [embedded_table()])
    other = replace(embedded_table(), benchmark="1shot1-2", archs=space_of("1shot1-2").archs[5:2000:100])
    save_tables(folder / "digits1shot1-2.h5", [other])
    return folder


def test_a_run_of_several_spaces(digits, tmp_path, monkeypatch, capsys):
    """A table and a folder for each; there, the other network is refused."""
    # the report is tested elsewhere and takes long
    monkeypatch.setattr("harness.report.page.write_report", lambda run, summary, **given: {})
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", digits)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    options = ["--sample", "6", "--batch-size", "8", "--proxies", "naswot", "--workers", "1"]
    out = tmp_path / "out"
    assert harness.cli.run.main(["--bench", "1shot1", "--space", "1,2", "--out", str(out), *options]) == 0
    said = capsys.readouterr().out
    for number in (1, 2):
        assert f"NAS-Bench-1Shot1, space {number} (released) · digits" in said
        assert f"report: {out / f'1shot1-{number}'}" in said
        manifest = json.loads((out / f"1shot1-{number}" / "manifest.json").read_text())
        assert manifest["settings"]["bench"] == f"1shot1-{number}" and "form" not in manifest["settings"]
    other = ["--bench", "1shot1-1", "--network", "oneshot", *options]
    assert harness.cli.run.main([*other, "--out", str(out / "1shot1-1")]) == 2
    assert "other settings (form None -> 'oneshot', " in capsys.readouterr().err


def test_from_python(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", digits)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    settings = {"space": "2", "sample": 6, "batch_size": 8, "proxies": "params,l2_norm", "workers": 1}
    runs = {}
    for network in ("101", "oneshot"):
        found = harness.correlate("1shot1", network=network, out=str(tmp_path / network), **settings)
        assert list(found) == ["1shot1-2"]
        runs[network] = found["1shot1-2"].run
    assert runs["oneshot"].manifest["benchmark"].endswith("one-shot network")
    space = space_of("1shot1-2", network="oneshot")
    sizes = {"channels": 16, "stacks": 3, "modules": 3, "input_channels": 1, "classes": 10}
    params = space.sizes(resolution=8, **sizes)[0][runs["oneshot"].index]
    np.testing.assert_array_equal(runs["oneshot"].scores["params"][0], params)
    assert (runs["101"].scores["params"][0] != params).all()
    np.testing.assert_array_equal(runs["101"].accuracy, runs["oneshot"].accuracy)
