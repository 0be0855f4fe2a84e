"""Imports point one way, starting is fast, and one name is one name: the rules a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from harness.probe.passes import READS
from harness.proxies.registry import COSTS, registry

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "scipy", "pandas", "matplotlib", "h5py", "sklearn")


LAYERS = (
    ("harness.api", "harness.run", "harness.evaluate", "harness.train"),
    ("harness.cli",),
    ("harness.reproduce",),
    ("harness.search",),
    ("harness.operations",),
    ("harness.report",),
    ("harness.analysis",),
    ("harness.runs",),
    ("harness.training",),
    ("harness.engine",),
    ("harness.proxies",),
    ("harness.probe",),
    ("harness.cached",),
    ("harness.inputs",),
    ("harness.stats",),
    ("harness.store",),
    ("benchmarks",),
)
"""The packages from the top down; a module imports from its own layer and from those below. CONTRIBUTING.md says what
each is for. `__main__` files count as entries: each starts a command of `harness.cli`."""
INNER_IMPORTS = 20
"""Imports of our own modules inside functions, at most: they keep optional and heavy parts out of a light module."""


@cache
def sources() -> dict[str, Path]:
    """{module: file} of everything that is shipped."""
    found = {}
    for package in ("harness", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports() -> dict[str, set[str]]:
    """{module: every module or name it imports anywhere in its file, for type checking too}."""
    return {name: set(_imported(ast.parse(path.read_text()))) for name, path in sources().items()}


def _imported(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(imported: str) -> str | None:
    """The module of this project that an import reads: the name itself, or what it is a name of."""
    return next((each for each in (imported, imported.rpartition(".")[0]) if each in sources()), None)


@cache
def edges() -> dict[str, set[str]]:
    """{module: the modules of this project that it imports}."""
    return {name: {m for each in found if (m := module_of(each))} - {name} for name, found in imports().items()}


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def layer(name: str) -> int:
    if name == "harness" or name.endswith(".__main__"):
        return 0
    (found,) = (place for place, members in enumerate(LAYERS) if within(name, *members))
    return found


def test_imports_go_down():
    upward = [(name, other) for name, found in edges().items() for other in found if layer(other) < layer(name)]
    assert not [pair for pair in upward if pair[1] != "harness"]
    assert not [name for name, other in upward if not name.startswith("harness.")]
    assert {place for name in sources() for place in [layer(name)]} == set(range(len(LAYERS)))  # each is used


def test_there_are_no_circles():
    waiting = {name: set(found) for name, found in edges().items()}
    while free := [name for name, found in waiting.items() if not found & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting  # those that import one another, and what stands on them


def test_own_modules_are_imported_at_the_top_of_files():
    inner = []
    for name, path in sources().items():
        if within(name, "harness.cli") or path.name == "__init__.py":
            continue
        functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
        inner += [(name, each) for function in functions for each in _imported(function) if module_of(each)]
    assert len(set(inner)) <= INNER_IMPORTS, sorted(set(inner))


FORBIDDEN = [
    # the statistics know arrays, and nothing else of this project
    ("harness.stats", ("benchmarks", "torch", "h5py", "pandas", "harness.store", "harness.inputs")),
    # statistics and reports are made from the stored run alone
    ("harness.store", ("torch",)),
    ("harness.analysis", ("torch", "harness.engine", "harness.probe", "harness.runs", "harness.inputs")),
    ("harness.report", ("torch", "harness.engine", "harness.probe", "harness.runs", "harness.inputs")),
    # what looks at networks knows no accuracies, no store and no settings of a run
    *((name, ("benchmarks.table", "benchmarks.benchmark", "benchmarks.files", "harness.store", "harness.stats"))
      for name in ("harness.probe", "harness.proxies")),
    ("harness.probe", ("harness.inputs",)),
    # and a worker starts without what only a finished run needs
    ("harness.engine", ("harness.store.store", "harness.store.stored_run", "harness.stats", "pandas")),
    ("harness.inputs", ("harness.store",)),
]  # fmt: skip
"""(package, what nothing in it may import, though it lies in a layer below)."""


@pytest.mark.parametrize("package, forbidden", FORBIDDEN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_layer_must_not_know(package, forbidden):
    members = [name for name in imports() if within(name, package)]
    assert members
    wrong = {(name, each) for name in members for each in imports()[name] if within(each, *forbidden)}
    assert not wrong


def test_packages_that_few_files_may_touch():
    homes = {
        "h5py": {
            "benchmarks.files.write",
            "benchmarks.readers.foreign",
            "benchmarks.readers.hdf5_check",
            "harness.store",
            "harness.runs.assemble",  # only asks for its version
        },
        "matplotlib": {"harness.report"},
        "ray": {"harness.engine.ray_cluster"},
        "argparse": {"harness.cli", "benchmarks"},
    }
    for package, allowed in homes.items():
        users = {name for name, found in imports().items() if any(within(each, package) for each in found)}
        assert not {name for name in users if not within(name, *allowed)}, package


def loaded_by(code: str) -> set[str]:
    """Heavy packages that are in memory after some code ran in a fresh interpreter."""
    check = f"\nimport sys\nprint('LOADED', *(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code + check], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("LOADED")[1].split())


def test_importing_the_packages_is_light():
    assert not loaded_by("import harness, benchmarks, benchmarks.nasbench201.space, benchmarks.errors")


@pytest.mark.parametrize(
    "module",
    [
        "harness.run",
        "benchmarks",
        "harness.report",
        "harness.train",
        "harness.evaluate",
        "harness.search",
        "harness.reproduce.hnas",
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
assert "harness" in told.getvalue() and "--help" in told.getvalue()
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
    told = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    assert not [entry.name for entry in builtin() if entry.name not in told]
