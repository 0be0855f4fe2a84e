"""Users' own proxies that do what they must not: runs end, no other score changes by a bit, each failure is named."""

from __future__ import annotations

import copy
import functools
import math
import os
import random
import signal
import sys
import warnings
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import numpy as np
import pytest
import torch
from torch import nn

from harness.engine import guard, scorer
from harness.proxies.global_state import unchanged
from harness.proxies.own import load_file
from harness.runs.config import RunConfig
from harness.runs.runner import run
from harness.store.stored_run import StoredRun

FILE = Path(__file__).with_name("misbehaving.py")
ENDING = {
    "exits": "ended its process", "crashes": "ended its process", "loops": "took longer than 5 s (--proxy-timeout)",
    "leaves_a_thread": "left threads running", "interrupts": "KeyboardInterrupt",
}  # fmt: skip
IN_PLACE = {
    "gradients_in_place": "gradients", "gradients_by_data": "gradients", "gradients_by_numpy": "gradients",
    "list_of_gradients": "gradients", "weights_in_place": "weights", "weights_by_data": "weights",
    "inputs_in_place": "inputs", "targets_in_place": "inputs", "outputs_in_place": "outputs",
}  # fmt: skip
FAILING = {
    "default_device": "meta", "patched_torch": "RuntimeError", "patched_modules": "RuntimeError",
    "probe_itself": "RuntimeError", "leaves": "SystemExit: 0", "own_exception": "Own, which cannot be printed",
    "no_memory": "OutOfMemoryError: CUDA out of memory", "subclass": "RuntimeError: odd",
}  # fmt: skip
GOOD = ("good_first", "good_last")
OTHERS = "snip,naswot,zen@naslib"


def scores(out: Path, names, proxies: str = OTHERS, **settings) -> StoredRun:
    words = [f"{FILE}:{GOOD[0]}", *(f"{FILE}:{name}" for name in names), f"{FILE}:{GOOD[1]}", proxies]
    usual = {"bench": "201", "batch_size": 16, "workers": 1, "sample": 2, "stack": 2}
    return run(RunConfig(**usual | settings, proxies=",".join(words), out=str(out)), say=lambda line: None)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, embedded: Path) -> None:
    """Score in this process, though proxies are users' own."""
    monkeypatch.setattr(scorer, "in_files", lambda setting: False)


@pytest.fixture
def alone(tmp_path: Path, here: None) -> StoredRun:
    """The scores of the others."""
    return scores(tmp_path / "alone", ())


def reasons_of(found: StoredRun, alone: StoredRun) -> dict[str, str]:
    """Return each failed proxy's reason, once the others have been seen to have equal bits."""
    for name, values in alone.scores.items():
        assert np.isfinite(values).all() and values.tobytes() == found.scores[name].tobytes(), name
    assert (found.failures.groupby("proxy").size() == 2).all()
    return dict(found.failures.groupby("proxy")["reason"].first())


def state() -> tuple:
    """Return what some of them change."""
    return (
        torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), torch.get_num_threads(),
        torch.is_inference_mode_enabled(), torch.backends.mkldnn.enabled, torch.is_autocast_enabled("cpu"),
        torch.default_generator, torch.backends, torch.float64, torch.contiguous_format, np.pi, math.inf,
        copy.deepcopy, functools.partial,
        getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", bool)(False), torch.backends.opt_einsum.enabled,
        torch.get_float32_matmul_precision(), torch.relu, nn.functional.conv2d, nn.Conv2d.forward, np.isfinite,
        nn.BatchNorm2d.__call__, torch.Tensor.sum, dict(os.environ), os.getcwd(), list(warnings.filters),
        signal.getsignal(signal.SIGTERM), random.getstate(), torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(), len(nn.modules.module._global_forward_hooks),
        torch.autocast_increment_nesting() - 1, torch.autocast_decrement_nesting(),
    )  # fmt: skip


def test_what_a_proxy_changes_is_put_back_or_named(tmp_path: Path, alone: StoredRun):
    names = [name for name, proxy in load_file(FILE).items() if name not in (*ENDING, *GOOD) and not proxy.static]
    before = state()
    found = scores(tmp_path / "all", names)
    assert state() == before
    reasons = reasons_of(found, alone)
    assert len(names) > 31 and set(reasons) == {*IN_PLACE, *FAILING}
    for name, what in IN_PLACE.items():
        assert reasons[name] == f"Tampering: {name} changed {what} in place, which other proxies read: work on a copy"
    assert all(said in reasons[name] for name, said in FAILING.items()), reasons
    usual = found.scores["seeds"]  # the same formula
    assert all((found.scores[name] == usual).all() for name in ("default_dtype", "grad_mode", "own_backward", "forks"))


def test_a_pass_that_ran_under_other_flags_runs_again(tmp_path: Path, alone: StoredRun):
    """`threads` lets passes run again, and `own_backward` reads outputs when weights require no gradients."""
    assert not reasons_of(scores(tmp_path / "flags", ("threads", "own_backward")), alone)


@pytest.mark.parametrize("first", [True, False], ids=["before", "inside"])
def test_a_replaced_function_hides_no_change(first: bool):
    """Whether PyTorch's function was replaced when another proxy was called, or by the proxy itself."""
    real = torch.is_autocast_enabled
    if first:
        with patch.object(torch, "is_autocast_enabled", lambda *_: False), unchanged(0):
            pass
    with unchanged(0) as changed:
        if not first:
            torch.is_autocast_enabled = lambda *_: False
        torch.autocast("cpu", torch.bfloat16).__enter__()
    assert torch.is_autocast_enabled is real and not real("cpu") and "autocast on cpu (enabled)" in changed


def test_modules_that_are_imported_later_are_guarded_too(monkeypatch: pytest.MonkeyPatch):
    with unchanged(0):
        pass
    later = ModuleType("harness.later")
    later.formula = real = len
    monkeypatch.setitem(sys.modules, "harness.later", later)
    with unchanged(0) as changed:
        later.formula = sum
    assert later.formula is real and changed == ["functions of harness.later"]


def test_a_process_that_ends_or_hangs_names_the_proxy(tmp_path: Path, alone: StoredRun, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path / "embedded")
    tried = [name for name in ENDING if name != "crashes"]  # as exits, and as slow
    reasons = reasons_of(scores(tmp_path / "ending", tried, proxy_timeout=5), alone)
    assert set(reasons) == set(tried) and all(name in reasons[name] for name in tried if name != "interrupts")
    assert all(ENDING[name] in reasons[name] for name in tried), reasons


def test_static_proxies_fail_alone(tmp_path: Path, embedded: Path):
    """Those of a file are called in a process apart, each once a seed."""
    words = ",".join(f"{FILE}:static_{name}" for name in ("in_place", "raises", "exits"))
    settings = {"bench": "201", "batch_size": 16, "workers": 1, "sample": 2}
    found = run(RunConfig(**settings, proxies=words, out=str(tmp_path / "run")), say=lambda line: None)
    assert (found.scores["params"] > 0).all() and (found.scores["static_in_place"] == 0).all()
    assert (found.failures.groupby("proxy").size() == 2).all()
    reasons = dict(found.failures.groupby("proxy")["reason"].first())
    assert reasons == {
        "static_raises": "Own, which cannot be printed",
        "static_exits": "static_exits ended its process (os._exit or a crash)",
    }


def test_an_honest_proxy_runs_no_pass_again(tmp_path: Path, here: None, monkeypatch: pytest.MonkeyPatch):
    """What is recorded around calls is as before after those that change nothing."""
    forgotten: list = []
    monkeypatch.setattr(guard._Watch, "_forget", lambda self, probe: forgotten.append(probe))
    scores(tmp_path / "run", ("noise", "seeds"))
    assert not forgotten


def test_a_proxy_that_ends_processes_is_given_up():
    rescue, chunk = scorer.Rescue(5.0), scorer.Chunk(0, (3, 4), ("a", "b"))
    note = ("a", "", 0.0)
    assert rescue(chunk, ("a", "", np.inf), killed=True) == ([], [chunk])  # perhaps no fault of its own
    (part,), (rest,) = rescue(chunk, ("a", "", np.inf), killed=True)
    assert part.proxies == ("a",) and part.reasons[0][1] == "a was killed twice at work" and rest.proxies == ("b",)
    assert [each.proxies for each in rescue.lessened([chunk])] == [("b",)]  # it never answered
    assert [each.proxies for each in rescue.seen([])] == [("a",)] and "given up" in rescue.given_up["a"]
    rescue = scorer.Rescue(5.0)
    rescue.answered.add("a")
    for _ in range(3):
        assert "took longer than 5 s" in rescue(chunk, note, killed=False)[0][0].reasons[0][0]
    assert list(rescue.given_up) == ["a"]
