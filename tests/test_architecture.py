"""Imports point one way, starting is fast, and one name is one name: the rules a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from harness.passes import READS
from harness.proxies import COSTS, registry

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "scipy", "pandas", "matplotlib", "h5py", "sklearn")


@cache
def imports() -> dict[str, set[str]]:
    """{module: every module it imports anywhere in its file, inside functions too}; type-checking imports left out."""
    found = {}
    for package in ("harness", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = set(_imported(ast.parse(path.read_text())))
    return found


def _imported(tree: ast.AST):
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _imported(node)


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


RULES = [
    ("benchmarks", ("harness",)),
    # the statistics know arrays, and nothing else of this project
    ("harness.stats", ("benchmarks", "torch", "h5py", "pandas", "harness.store", "harness.engine", "harness.probe",
                       "harness.view", "harness.proxies", "harness.report", "harness.run", "harness.runner",
                       "harness.config", "harness.inputs", "harness.summary")),
    # reports are made from the stored run alone
    ("harness.store", ("torch", "harness.engine", "harness.probe", "harness.view", "harness.proxies", "harness.report",
                       "harness.stats", "harness.summary", "harness.runner", "harness.executors", "harness.inputs")),
    ("harness.summary", ("torch", "harness.engine", "harness.probe", "harness.view", "harness.proxies",
                         "harness.report", "harness.runner", "harness.executors", "harness.inputs", "harness.plots")),
    ("harness.report", ("torch", "harness.engine", "harness.probe", "harness.view", "harness.proxies", "harness.runner",
                        "harness.executors", "harness.inputs", "harness.stats")),
    ("harness.plots", ("torch", "harness.engine", "harness.probe", "harness.view", "harness.proxies", "harness.runner",
                       "harness.executors", "harness.inputs", "harness.stats")),
    # what looks at networks knows no accuracies, no store and no settings of a run
    *((name, ("benchmarks.table", "benchmarks.load", "benchmarks.nasbench201", "benchmarks.sources", "harness.store",
              "harness.stats", "harness.summary", "harness.report", "harness.plots", "harness.config", "harness.runner",
              "harness.run", "harness.executors", "harness.api"))
      for name in ("harness.view", "harness.batchnorm", "harness.passes", "harness.probe", "harness.hooks",
                   "harness.watchers", "harness.responses", "harness.per_sample", "harness.engine", "harness.proxies")),
    # and of those, the lower know nothing of the upper
    ("harness.view", ("harness.probe", "harness.proxies", "harness.engine", "harness.inputs")),
    *((name, ("benchmarks.layers", "benchmarks.space", "harness.view", "harness.hooks", "harness.passes",
              "harness.probe", "harness.proxies", "harness.engine", "harness.inputs"))
      for name in ("harness.precision", "harness.batchnorm", "harness.convolution", "harness.codes")),
    ("harness.probe", ("harness.proxies", "harness.engine", "harness.inputs")),
    ("harness.passes", ("harness.probe", "harness.proxies", "harness.engine", "harness.inputs")),
    *((name, ("harness.probe", "harness.proxies", "harness.engine", "harness.inputs"))
      for name in ("harness.hooks", "harness.watchers", "harness.responses")),
    ("harness.proxies", ("harness.engine", "harness.inputs")),
    ("harness.inputs", ("harness.view", "harness.probe", "harness.proxies", "harness.engine", "harness.store",
                        "harness.config", "harness.runner")),
]  # fmt: skip
"""(package or module, what nothing in it may import)."""


@pytest.mark.parametrize("package, forbidden", RULES, ids=lambda value: value if isinstance(value, str) else "")
def test_imports_point_one_way(package, forbidden):
    members = [name for name in imports() if within(name, package)]
    wrong = {
        (name, imported)
        for name in members
        for imported in imports()[name]
        if within(imported, *forbidden) and not within(imported, package)
    }
    assert not wrong
    assert members or package == "harness.watchers"


def test_the_rules_would_notice():
    assert "harness.view.View" in imports()["harness.engine"] and "harness.probe.Probe" in imports()["harness.engine"]
    assert any(within(name, "torch") for name in imports()["benchmarks.layers"])


def test_packages_that_few_files_may_touch():
    homes = {
        "h5py": {"benchmarks.table", "harness.store", "harness.assemble"},  # the last only asks for its version
        "matplotlib": {"harness.plots", "harness.report"},
        "ray": {"harness.cluster"},
        "argparse": {
            "harness.command",
            "harness.run",
            "harness.train",
            "harness.report",
            "harness.evaluate",
            "harness.published",
            "benchmarks",
        },
    }
    for package, allowed in homes.items():
        users = {name for name, found in imports().items() if any(within(each, package) for each in found)}
        benches = {name for name in users if within(name, "harness.bench")}  # scripts of their own
        assert not {name for name in users - benches if not within(name, *allowed)}, package


def loaded_by(code: str) -> set[str]:
    """Heavy packages that are in memory after some code ran in a fresh interpreter."""
    check = f"\nimport sys\nprint('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + check], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("LOADED")[1].split())


def test_importing_the_packages_is_light():
    assert not loaded_by("import harness, benchmarks, benchmarks.nasbench201, benchmarks.errors")


@pytest.mark.parametrize(
    "module",
    [
        "harness.run",
        "benchmarks",
        "harness.report",
        "harness.train",
        "harness.evaluate",
        "harness.search",
        "harness.hnas",
        "harness.reproduce",
        "benchmarks.convert",
    ],
)
def test_help_is_light(module):
    code = f"""
import contextlib, io, runpy, sys
sys.argv = ["x", "--help"]
told = io.StringIO()
try:
    with contextlib.redirect_stdout(told):
        runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code
assert {module.split(".")[0]!r} in told.getvalue() and "--help" in told.getvalue()
"""
    assert not loaded_by(code)


def builtin():
    return [
        entry for entry in registry().values() if not entry.source and entry.score.__module__.startswith("harness.")
    ]


@pytest.mark.parametrize("entry", builtin(), ids=lambda entry: entry.name)
def test_one_name(entry):
    """The registry's name is the function's; its file is called so, or holds a family."""
    base, file = entry.name.split("@")[0], entry.score.__module__.split(".")[-1]
    assert entry.score.__name__ == re.sub("[@-]", "_", entry.name)
    siblings = [each for each in builtin() if each.score.__module__ == entry.score.__module__]
    assert file in (base, entry.score.__name__) or len(siblings) > 1


@pytest.mark.parametrize("entry", builtin(), ids=lambda entry: entry.name)
def test_facts_of_a_proxy(entry):
    documented = " ".join(sys.modules[entry.score.__module__].__doc__.split()).lower()
    assert "larger is better" in documented
    assert entry.summary and len(entry.summary) < 100
    assert entry.cost in COSTS and set(entry.reads) <= set(READS)
    assert entry.static or entry.paper
    assert entry.static == (entry.cost == "S" and not entry.reads)
    assert not entry.labels or entry.view.inputs == "minibatch"


def test_every_proxy_is_named_in_a_test():
    told = "".join(path.read_text() for path in (ROOT / "tests").glob("*.py"))
    assert not [entry.name for entry in builtin() if entry.name not in told]
