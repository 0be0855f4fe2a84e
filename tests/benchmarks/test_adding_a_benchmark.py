"""A benchmark of another package: the example of docs/adding-a-benchmark.md as it stands there, and broken ones."""

from __future__ import annotations

import configparser
import csv
import io
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmarks
from benchmarks import UserError, benchmark, convert
from benchmarks import __main__ as overview
from benchmarks.files import sources
from benchmarks.spaces.layers import allocate
from benchmarks.table import load_table
from harness.runs import evaluate_scores

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "adding-a-benchmark.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    """The file of this name in the page."""
    (text,) = re.findall(rf"<!-- file:{re.escape(name)} -->\n```\w+\n(.*?)```", PAGE, re.S)
    return text


def install(site: Path, package: str, points: dict[str, str]) -> Path:
    """Make a folder look as if pip had installed a package there."""
    info = site / f"{package.replace('-', '_')}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    lines = [f"[{benchmark.GROUP}]", *(f"{key} = {value}" for key, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return site


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder of installed packages."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv(sources.VARIABLE, raising=False)
    yield folder
    for name in ("my_chains", "faulty"):
        sys.modules.pop(name, None)


@pytest.fixture
def chains(site) -> Path:
    """The page's package, installed, and a data folder with its whole ground truth."""
    project = tomllib.loads(shown("pyproject.toml"))
    install(site, project["project"]["name"], project["project"]["entry-points"][benchmark.GROUP])
    (site / "my_chains.py").write_text(shown("my_chains.py"))
    data = site.parent / "data"
    data.mkdir()
    first = list(csv.reader(io.StringIO(shown("nasbenchchains.csv"))))
    archs = benchmarks.space_of("chains").archs
    assert [row[0] for row in first[1:]] == list(archs[:3])
    rest = [[arch, 50 + 2 * sum(map(int, arch)), 51 + 2 * sum(map(int, arch))] for arch in archs[3:]]
    with open(data / "nasbenchchains.csv", "w", newline="") as file:
        csv.writer(file).writerows(first + rest)
    return data


def test_both_forms_of_the_entry_point_say_the_same():
    setup = configparser.ConfigParser()
    setup.read_string(shown("setup.cfg"))
    (line,) = setup["options.entry_points"][benchmark.GROUP].strip().splitlines()
    project = tomllib.loads(shown("pyproject.toml"))["project"]
    assert dict([line.split(" = ")]) == project["entry-points"][benchmark.GROUP]


def test_the_space_of_the_page(chains):
    space = benchmarks.space_of("chains")
    assert len(space) == 27 and len(set(space.class_id)) == 15
    assert space.canonical(space.index("031")) == "310"
    assert space.archs[space.index("013")] == "013" and space.connected.all()
    assert [space.archs[i] for i in space.neighbours(space.index("013"))] == ["113", "313", "003", "033", "010", "011"]
    with pytest.raises(UserError, match="'014' is not an architecture of Chains of three layers; expected one like"):
        space.index("014")
    network = allocate(space.build([5], channels=4, input_channels=1, classes=10), "cpu")
    counted = space.sizes(channels=4, input_channels=1, classes=10, resolution=8)[:, 5]
    parameters = list(network.parameters())
    assert (sum(p.numel() for p in parameters), len(parameters)) == (counted[0], counted[2])


def test_a_stack_of_the_page_is_its_networks_one_by_one(chains):
    space = benchmarks.space_of("chains")
    indices = [space.index(arch) for arch in ("013", "000", "331", "110")]
    stack = allocate(space.build(indices, channels=4, input_channels=1, classes=10), "cpu")
    rng = torch.Generator().manual_seed(0)
    for parameter in stack.parameters():
        parameter.data = torch.randn(parameter.shape, generator=rng)
    x = torch.randn(6, 1, 8, 8, generator=rng)
    together = stack(x.repeat(1, 4, 1, 1))
    for k, index in enumerate(indices):
        alone = allocate(space.build([index], channels=4, input_channels=1, classes=10), "cpu")
        of_stack = dict(stack.named_modules())
        owned = {name: list(module.owners) for name, module in of_stack.items() if hasattr(module, "owners")}
        ours = [name for name, owners in owned.items() if k in owners and list(of_stack[name].parameters())]
        targets = [module for module in alone.modules() if hasattr(module, "owners") and list(module.parameters())]
        for name, target in zip(ours, targets, strict=True):
            at = owned[name].index(k)
            for source, own in zip(of_stack[name].parameters(), target.parameters(), strict=True):
                own.data = source.data.view(len(owned[name]), *own.shape)[at]
        torch.testing.assert_close(alone(x)[:, 0], together[:, k], rtol=1e-4, atol=1e-4)


def test_the_command_of_the_page_runs_with_workers(chains, tmp_path):
    """Without the report, which takes longer than the run."""
    from harness.cli.run import parser
    from harness.runs.config import each_space
    from harness.runs.runner import run

    (command,) = re.findall(r"<!-- command:run -->\n```text\npython -m harness.run (.*?)\n```", PAGE)
    arguments = command.replace("DIR", str(chains)).replace("core", "naswot,params").split()
    settings = ["--batch-size", "8", "--stack", "4", "--workers", "2", "--out", str(tmp_path / "out")]
    given = vars(parser().parse_args(arguments + settings))
    (config,) = each_space(given.pop("space"), **given)
    stored = run(config, say=lambda _: None)
    assert dict(zip(stored.archs, stored.accuracy, strict=True))["001"] == 62.25
    assert sorted(stored.archs) == sorted(all_archs())
    (scores,) = stored.scores["naswot"]
    assert [stored.archs[i] for i in np.flatnonzero(np.isnan(scores))] == ["000"]  # it has no ReLU
    assert np.unique(stored.class_id).size == 15


def test_its_ground_truth_has_the_name_of_the_embedded_one(chains):
    """There is none embedded for it."""
    assert benchmarks.load("chains", "digits", chains).table.target()[1] == 62.25
    assert benchmarks.load("201", "digits", chains).embedded


def test_it_can_be_trained(chains, tmp_path):
    from harness.cli import train

    settings = "--bench chains --sample 2 --seeds 1 --epochs 1 --train-images 50 --valid-images 50 --workers 1"
    assert train.main([*settings.split(), "--out", str(tmp_path / "made")]) == 0
    assert len(load_table(tmp_path / "made" / "table.h5", "digits")) >= 2


def test_every_other_command_line_knows_it(chains, capsys):
    from harness.cli import evaluate, run

    for parser in (run.parser(), evaluate.parser()):
        assert "macro" in parser.format_help() and "chains" in parser.format_help()
    (chains / "scores.csv").write_text("arch,mine\n" + "\n".join(f"{a},{i}" for i, a in enumerate(all_archs())) + "\n")
    judged = evaluate_scores.store_scores(
        str(chains / "scores.csv"), "chains", dataset=None, split="test", epochs=None, reduction="mean",
        existing="resume", data=str(chains), out=str(chains / "judged"), say=lambda _: None,
    )  # fmt: skip
    assert judged.archs == all_archs() and judged.scores["mine"].tolist() == [list(range(27))]
    assert convert.main([str(chains / "nasbenchchains.csv"), "--bench", "chains", "--quiet"]) == 0
    capsys.readouterr()
    assert overview.main(["--data", str(chains)]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Chains of three layers (--bench chains)")
    assert re.search(r"nasbenchchains.h5 .* there, .*: digits", lines[at + 1])
    assert re.search(r"nasbenchchains.csv .* there", lines[at + 2])


def all_archs() -> tuple[str, ...]:
    return benchmarks.space_of("chains").archs


def test_no_ground_truth_says_what_to_put_where(chains):
    (chains / "nasbenchchains.csv").unlink()
    with pytest.raises(UserError, match=r"no ground truth of benchmark chains found .* get nasbenchchains.csv"):
        benchmarks.load("chains", data=chains)


OFFICIAL = """
from benchmarks.files.sources import Source
from benchmarks.table import Table
from my_chains import Chains

class Faulty(Chains):
    name, title = "faulty", "Faulty"
    readers = {"json": "faulty:read"}
    sources = (Source("faulty.json", "official", 12, "a page", "http://127.0.0.1/faulty.json"),)

def read(path, expected, complete=True, on_progress=None):
    return [Table("faulty", "digits", tuple(expected), ("test",), (1,), ("0",), [[[[7.0]]]] * 27, "official", "")]
"""


def test_a_reader_and_sources_of_another_package(chains, site, capsys):
    from benchmarks import download

    install(site, "faulty", {"faulty": "faulty:Faulty"})
    (site / "faulty.py").write_text(OFFICIAL)
    assert overview.main(["--data", str(chains)]) == 0
    assert "missing, 12 bytes, checksum not known; nas-harness data get faulty.json" in capsys.readouterr().out
    assert "faulty.json" in download.all_sources()
    (chains / "faulty.json").write_text("{}")
    with pytest.raises(UserError, match=r"convert it once: python -m benchmarks.convert .*faulty.json"):
        benchmarks.load("faulty", data=chains)
    assert convert.main([str(chains / "faulty.json"), "--quiet"]) == 0  # known by the name of the file
    assert np.all(benchmarks.load("faulty", data=chains).table.target() == 7.0)


@pytest.mark.parametrize(
    ("code", "value", "said"),
    [
        ("1 / 0", "faulty:Mine", "ZeroDivisionError: division by zero"),
        ("raise RuntimeError('two\\nlines')", "faulty:Mine", "RuntimeError: two lines"),
        ("raise SystemExit(3)", "faulty:Mine", "SystemExit: 3"),
        ("", "faulty:Mine", "AttributeError: module 'faulty' has no attribute 'Mine'"),
        ("", "nowhere:Mine", "ModuleNotFoundError: No module named 'nowhere'"),
        ("", "faulty", "TypeError: 'module' object is not callable"),
        ("Mine = dict", "faulty:Mine", "makes a dict, not a benchmarks.spaces.space.Space"),
        (
            "from benchmarks.nasbench201.space import Space201 as Mine",
            "faulty:Mine",
            "its space has the name '201'; expected",
        ),
        ("class Mine:\n    def __init__(self): raise KeyError", "faulty:Mine", "KeyError: no reason given"),
    ],
)
def test_a_broken_package_is_named_only_when_it_is_used(site, capsys, code, value, said):
    from harness.cli import run

    install(site, "half-done", {"faulty": value})
    (site / "faulty.py").write_text(code + "\n")
    assert benchmarks.space_of("201").name == "201" and "faulty" in benchmarks.known()
    assert run.main(["--bench", "faulty"]) == 2
    printed = capsys.readouterr().err
    assert "benchmark 'faulty' of the package half-done cannot be used: " in printed and said in printed
    assert printed.count("\n") == 1
    assert overview.main([]) == 0
    assert "NAS-Bench-201 (--bench 201)" in (printed := capsys.readouterr().out) and said in printed


def test_names_that_are_taken(site):
    install(site, "one", {"201": "faulty:A", "both": "faulty:A", "a b": "faulty:A", "1shot1": "faulty:A"})
    install(site, "two", {"both": "faulty:B"})
    for key, said in (
        ("201", "benchmark '201' of the package one has a built-in name; it has to take another"),
        ("1shot1", "benchmark '1shot1' of the package one has a built-in name"),
        ("both", "benchmark 'both' is declared by the packages one and two; uninstall all but one"),
        ("a b", "a name has letters, digits and . _ - alone"),
    ):
        with pytest.raises(UserError, match=re.escape(said)):
            benchmarks.space_of(key)
    assert benchmarks.known().count("201") == 1 and "a b" not in benchmarks.known()
    assert benchmarks.space_of("macro").name == "macro"


def test_help_imports_no_package(site):
    install(site, "half-done", {"faulty": "faulty:Mine"})
    (site / "faulty.py").write_text("raise SystemExit(9)\n")
    for module in ("harness.run", "benchmarks.convert"):
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(site)},
        )  # fmt: skip
        assert done.returncode == 0 and "faulty" in done.stdout, done.stderr
