"""Users' own files: read once, identified by path and checksum, refused in a worker where they changed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from benchmarks.errors import UserError
from harness.analysis.populations import BASELINES
from harness.engine.scorer import Chunk, Scorer, Setting, execute
from harness.proxies.choose import choose
from harness.proxies.own import Reference, load_file, references, resolve
from harness.proxies.registry import CORE, baselines, registry

TEXT = """
import harness
from pathlib import Path
with Path({mark!r}).open("a") as file:
    file.write("x")

@harness.proxy(reads="outputs", labels=False)
def here(probe):
    return probe.outputs.sum((0, 2))

@harness.proxy(reads="outputs", labels=False)
def there(probe):
    return probe.outputs.sum((0, 2))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with two proxies, which leaves a mark each time it is run."""
    path = tmp_path / "mine.py"
    path.write_text(TEXT.format(mark=str(tmp_path / "runs")))
    return path


def test_a_file_is_read_once_for_all_its_proxies(file: Path):
    before = registry()
    names = [proxy.name for proxy in choose(f"{file}:here,naswot,{file}:there,{file}:here")]
    assert names == [*baselines(), "here", "naswot", "there"]
    assert (file.parent / "runs").read_text() == "x" and registry() == before


def test_a_worker_gets_the_same_proxies_and_refuses_a_file_that_changed(file: Path):
    chosen = choose(f"snip,{file}:here,{file}:there")
    found = references(chosen)
    assert found[-1] == Reference("there", str(file), chosen[-1].source) and found[0] == Reference("params")
    again = resolve(found)
    assert [proxy.name for proxy in again] == [proxy.name for proxy in chosen]
    assert again[:-2] == chosen[:-2] and (file.parent / "runs").read_text() == "xx"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UserError, match="mine.py' is not what it was when this run began"):
        resolve(found)
    file.unlink()
    with pytest.raises(UserError, match="mine.py' is not what it was when this run began"):
        resolve(found)


def test_files_with_a_name_in_common_are_refused_together(file: Path):
    other = file.with_name("other.py")
    other.write_text(file.read_text())
    with pytest.raises(UserError, match="both have a proxy named 'here'"):
        choose(f"{file}:here,{other}:here")
    assert [proxy.path for proxy in choose(f"{file}:here,{other}:there")[-2:]] == [str(file), str(other)]


def test_all_that_a_file_registers(file: Path):
    found = load_file(file)
    assert list(found) == ["here", "there"] and found["here"].source == found["there"].source


@pytest.mark.parametrize("ending", ["os._exit(3)", "os.abort()", "sys.exit()", "raise KeyError(1)"])
def test_a_file_that_ends_the_process_while_it_is_read_is_refused(ending: str, tmp_path: Path):
    (tmp_path / "last.py").write_text(f"import os, sys\n{ending}\n")
    real = os._exit
    with pytest.raises(UserError, match="last.py' could not be run: (SystemExit|KeyError)"):
        load_file(tmp_path / "last.py")
    assert os._exit is real


def test_a_file_that_is_read_for_ever_ends_the_process_with_its_place(tmp_path: Path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)\n")
    code = "from harness.proxies import own; own.READING = 0.5; own.load_file('slow.py')"
    found = {**os.environ, "PYTHONPATH": str(Path(harness.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=found, capture_output=True, text=True)
    assert done.returncode == 1 and 'slow.py", line 2' in done.stderr


def test_baselines_are_marked_where_they_are_made():
    marked = {name for name, proxy in registry().items() if proxy.baseline}
    assert marked == set(BASELINES) == set(baselines()) and set(CORE) > marked
    assert [proxy.name for proxy in choose("")] == list(baselines())


def test_a_run_stops_with_one_line_where_its_file_changed(file: Path):
    setting = Setting(
        bench="201", proxies=(), network={"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10},
        resolution=8, inputs="gaussian", dataset="digits", batch_size=8, balanced=False, share=True,
        keep_unreachable=False, device="cpu",
    )  # fmt: skip
    chosen = choose(f"{file}:here")
    scorer = Scorer(replace(setting, proxies=references(chosen)), chosen)
    chunks = [Chunk(0, (index,), ("here",)) for index in range(2)]
    assert len(list(execute(chunks, scorer, ["cpu", "cpu"]))) == 2
    file.write_text(file.read_text() + "\n")
    with pytest.raises(UserError, match="mine.py' is not what it was when this run began: repeat the command"):
        list(execute(chunks, scorer, ["cpu", "cpu"]))


FORMS = """
import harness

SCALE = 2.0

def helper(model):
    return sum(weight.abs().sum() for weight in model.parameters())

@harness.module_proxy(name="total")
def weights(model, inputs, targets):
    return SCALE * helper(model).item()

@harness.proxy(reads="outputs", labels=False)
def spread(probe):
    return probe.outputs.sum((0, 2))

def logit_sd(model, inputs, targets):
    return model(inputs).std().item()
"""


@pytest.fixture
def forms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "__init__.py").touch()
    (tmp_path / "lab" / "scores.py").write_text(FORMS)
    path = tmp_path / "mine.py"
    path.write_text(FORMS)
    return path


def test_a_file_alone_is_all_it_registers_and_a_plain_function_needs_no_decorator(forms: Path) -> None:
    count = len(baselines())
    assert [proxy.name for proxy in choose("mine.py")][count:] == ["total", "spread"]
    assert [proxy.name for proxy in choose("mine.py:logit_sd,mine.py:total")][count:] == ["logit_sd", "total"]
    assert [proxy.name for proxy in choose("lab.scores:logit_sd,lab.scores:total")][count:] == ["logit_sd", "total"]
    chosen = choose("lab.scores:logit_sd,mine.py:total")
    assert [proxy.name for proxy in resolve(references(chosen))] == [proxy.name for proxy in chosen]
    for words, said in (("mine.py:SCALE", "no proxy named 'SCALE'"), ("lab.none:f", "no module 'lab.none'")):
        with pytest.raises(UserError, match=said):
            choose(words)


@pytest.mark.parametrize(("old", "new", "changed"), [
    ("import harness", "import harness  # a comment", set()),
    ("probe.outputs.sum", "probe.outputs.mean", {"spread"}),
    ("weight.abs()", "weight", {"total"}),
    ("SCALE = 2.0", "SCALE = 3.0", {"total", "spread"}),
])  # fmt: skip
def test_only_what_an_edit_concerns_counts_as_edited(forms: Path, old: str, new: str, changed: set) -> None:
    before = {proxy.name: proxy.code for proxy in choose("mine.py")}
    forms.write_text(FORMS.replace(old, new))
    after = {proxy.name: proxy.code for proxy in choose("mine.py")}
    assert {name for name in after if before[name] != after[name]} == changed
