"""What a user gets: the wheel, the pinned versions, the README's commands and examples."""

from __future__ import annotations

import ast
import configparser
import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.proxies import registry
from harness.proxies.choose import choose

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("benchmarks", "harness")
HEAVY = {"torch", "scipy", "pandas", "matplotlib", "h5py", "sklearn"}
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "results" / "README.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


def command(name: str) -> str:
    """The line of the README's block under <!-- command:name -->."""
    block = rf"^<!-- command:{name} -->\n```sh\n(.*?)\n```$"
    (text,) = re.findall(block, (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return text


def python_lines() -> list[str]:
    """Every line of a shell block that starts a module, from `python -m` on."""
    lines = [line for page in PAGES for text in blocks(page, "sh") for line in text.splitlines()]
    return sorted({found for line in lines if (found := line[line.find("python -m ") :]) and "python -m" in line})


@pytest.fixture(scope="module")
def settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(settings: configparser.ConfigParser, *extras: str) -> list[Requirement]:
    texts = [settings["options"]["install_requires"], *(settings["options.extras_require"][extra] for extra in extras)]
    return [Requirement(line) for text in texts for line in text.split("\n") if line]


# The package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as setuptools builds it from a copy of the sources."""
    pytest.importorskip("setuptools", minversion="77")
    copy, out = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True, capture_output=True, timeout=300)
    return zipfile.ZipFile(next(out.glob("nas_proxy_harness-*.whl")))


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == sources
    assert "benchmarks/embedded/digits201.h5" in held
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_embedded_tables_are_small() -> None:
    size = sum(path.stat().st_size for path in (ROOT / "benchmarks" / "embedded").iterdir())
    assert 0 < size < 1_000_000


def test_the_metadata_is_complete(wheel: zipfile.ZipFile) -> None:
    import harness

    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = wheel.read(name).decode()
    for line in (
        "Name: nas-proxy-harness",
        f"Version: {harness.__version__}",
        "License: Apache-2.0",
        "Requires-Python: >=3.11",
        "Description-Content-Type: text/markdown",
        "Provides-Extra: test",
        "Provides-Extra: docs",
        "Provides-Extra: notebooks",
        "Provides-Extra: cluster",
    ):
        assert line in metadata.splitlines()


def test_the_citation_and_the_changelog_name_the_version() -> None:
    import harness

    assert f"version: {harness.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert harness.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_what_is_installed_is_pinned_to_versions_that_are_allowed(settings: configparser.ConfigParser) -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {}
    for line in lines:
        name, _, version = line.partition("==")
        assert version, f"'{line}' pins nothing"
        pinned[canonicalize_name(name)] = version
    for need in requirements(settings, "test", "docs", "notebooks"):
        assert need.specifier.contains(pinned[canonicalize_name(need.name)]), str(need)


def test_every_foreign_import_is_a_requirement(settings: configparser.ConfigParser) -> None:
    names = {"Jinja2": "jinja2", "pillow": "PIL", "scikit-learn": "sklearn"}
    wanted = {names.get(need.name, need.name) for need in requirements(settings, "cluster")}
    wanted.add("triton")  # part of PyTorch for CUDA, imported on such a device alone
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            assert imported(path) - set(sys.stdlib_module_names) - set(PACKAGES) <= wanted, path


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_benchmarks_imports_nothing_of_harness() -> None:
    for path in (ROOT / "benchmarks").rglob("*.py"):
        assert "harness" not in imported(path), path


# The README's commands


def test_both_commands_make_the_environment_in_the_same_way() -> None:
    run, test = command("run").split(" && "), command("test").split(" && ")
    assert run[0] == test[0] == "python3 -m venv .venv"
    assert run[1] == ".venv/bin/python -m pip install -c constraints.txt -e ."
    assert test[1] == '.venv/bin/python -m pip install -c constraints.txt -e ".[test]"'
    assert run[2:] == [".venv/bin/python -m harness.run --bench 201"]
    assert test[2:] == [".venv/bin/python -m pytest -n 2"]


def test_ci_runs_the_readme_command_and_has_no_other() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    (extraction,) = [line for line in script.splitlines() if line.startswith("command=")]
    found = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'{extraction}; printf %s "$command"'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert found.stdout == command("test")
    assert 'bash -euo pipefail -c "$command"' in script
    assert "pip install" not in script and "-m pytest" not in script


def test_ci_fails_where_the_tests_fail_and_ends_with_their_summary(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    tool = tmp_path / ".venv" / "bin" / "python"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho tool $*\nexit ${TOOL_STATUS:-0}\n")
    tool.chmod(0o755)
    for tests, tools, status in ((0, 0, 0), (1, 0, 1), (0, 1, 1)):
        text = f"<!-- command:test -->\n```sh\necho '== {3 - tests} passed, {tests} failed ==' && exit {tests}\n```\n"
        (tmp_path / "README.md").write_text(text)
        done = subprocess.run(
            ["bash", ".ci/run"], cwd=tmp_path, capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", "TOOL_STATUS": str(tools)},
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == f"== {3 - tests} passed, {tests} failed =="
        assert "tool -m ruff check ." in done.stdout and "tool -m mypy harness benchmarks" in done.stdout


def asked_help(line: str) -> tuple[str, ...]:
    """Return the module of a command, and --method NAME where it says so: methods have options of their own."""
    words = line.split()
    at = words.index("--method") if "--method" in words else len(words)
    return words[2], *words[at : at + 2]


@pytest.fixture(scope="module")
def helps() -> dict[tuple[str, ...], str]:
    """module and method -> what --help prints; fails where it fails, or imports what makes a slow start."""
    texts = {}
    for module, *method in sorted({asked_help(line) for line in python_lines()}):
        if module in ("venv", "pip", "pytest"):
            continue
        if module.startswith("speed"):  # these load PyTorch, which this process has loaded already
            with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as said:
                patch.setattr("sys.argv", ["x", *method, "--help"])
                with pytest.raises(SystemExit) as stop:
                    runpy.run_module(module, run_name="__main__")
            assert not stop.value.code, module
            texts[(module, *method)] = said.getvalue()
            continue
        program = (
            f"import runpy, sys\nsys.argv = ['x', *{method!r}, '--help']\n"
            f"try:\n    runpy.run_module({module!r}, run_name='__main__')\n"
            f"except SystemExit as stop:\n    assert not stop.code, stop.code\n"
            f"slow = {HEAVY!r} & set(sys.modules)\nassert not slow, slow\n"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, f"{module}: {done.stderr}"
        texts[(module, *method)] = done.stdout
    return texts


def test_every_option_in_the_readme_and_the_docs_exists(helps: dict[tuple[str, ...], str]) -> None:
    assert {("harness.run",), ("harness.train",), ("benchmarks.convert",)} <= set(helps)
    for line in python_lines():
        if told := helps.get(asked_help(line)):
            for option in (word for word in line.split() if word.startswith("--")):
                assert re.search(rf"{option}\b", told), line


def test_the_readme_s_numbers_are_those_of_the_stored_results() -> None:
    """The printed table is the run in results/tables/201-digits; what is said of the real benchmark is measured."""
    readme = (ROOT / "README.md").read_text("utf-8")
    text = re.findall(r"<!-- table:embedded -->\n```text\n(.*?)```", readme, re.DOTALL)[0]
    number = r"(-?\d\.\d{3})  \[-?[\d.]+, -?[\d.]+\]"
    printed = {name: (tau, rho) for name, tau, rho in re.findall(rf"^ (\w+) +{number} +{number}", text, re.MULTILINE)}
    stored = _summary("201-digits")
    assert printed == {name: (f"{row.tau_b:.3f}", f"{row.rho:.3f}") for name, row in stored.iterrows()}
    whole = _summary("201-cifar10-whole")["rho"]
    best = max(whole[name] for name in whole.index if name.split("_")[0] in ("params", "flops", "layers"))
    assert {"meco", "near"} <= set(whole[whole > best].index) and "meco and near are ahead of the best count" in readme


def _summary(name: str) -> pd.DataFrame:
    """The statistics of all architectures of a stored table, by proxy."""
    table = pd.read_csv(ROOT / "results/tables" / name / "summary.csv")
    return table[table["population"] == "all"].set_index("proxy")


# The examples


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies that the test registers are gone after it."""
    monkeypatch.setattr(registry, "_registry", registry.registry())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_examples_run(page: Path, own_registry: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch
    from torch import nn

    import harness

    monkeypatch.chdir(tmp_path)
    before = set(registry.registry())
    for text in blocks(page, "python"):
        exec(compile(text.replace("sample=100", "sample=4"), page.name, "exec"), {})
        for name in set(registry.registry()) - before:  # what the block registered gives a finite score
            model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
            inputs, targets = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3
            blocks_of = ["2"] if "zen" in name else None
            value = harness.score(model, inputs, targets, proxies=name, blocks=blocks_of)[name]
            assert torch.isfinite(torch.tensor(value)), name
            del registry._registry[name]


def test_the_readme_proxy_runs_from_its_file(own_registry: None, tmp_path: Path) -> None:

    (text,) = re.findall(r"<!-- file:mine.py -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    file = tmp_path / "mine.py"
    file.write_text(text)
    assert choose(f"core,{file}:grad_l1")[-1].name == "grad_l1"


def test_links_between_pages_lead_somewhere() -> None:
    for page in (*PAGES, ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
