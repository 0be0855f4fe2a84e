"""On a CUDA device: the CPU's scores, the same bits twice, runs by all GPUs. Skipped without one: `pytest -m gpu`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from networks import Small, minibatch

import harness
from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import Scored, ViewInputs, of_space, score_stack
from harness.inputs.draw import Minibatch
from harness.proxies.registry import Proxy, registry
from harness.runs.config import RunConfig
from harness.runs.runner import run

pytestmark = pytest.mark.gpu

SPACE = space_of("201")
CELLS = [int(i) for i in SPACE.sample(40, seed=0) if SPACE.connected[i]][:4]
TINY = {"channels": 4, "cells_per_stage": 1, "input_channels": 3, "classes": 5}
SIGNS = ("gradsign", "gradsign@az_nas")
"""They count signs, some of gradients that are rounding."""


def proxies() -> list[Proxy]:
    """Every proxy that looks at a network."""
    return [p for p in registry().values() if not p.static and not p.source]


def scores(device: str, cells: list[int]) -> dict[str, Scored]:
    """Scores of one stack on a device."""
    given = ViewInputs([Minibatch(*minibatch(12, seed=k)) for k in range(2)], 5, 0, device)
    return score_stack(
        lambda: allocate(SPACE.build(cells, **TINY), device), [SPACE.canonical(i) for i in cells], proxies(), given,
        seed=0, features=of_space,
    )  # fmt: skip


def test_every_proxy_gives_the_cpus_scores(gpu):
    """Within 1e-3 of float32; what cancels (plain, grasp) against the largest score of the stack; zico see its page."""
    here, there = scores("cpu", CELLS), scores(gpu, CELLS)
    wrong = {}
    for name in here.keys() - set(SIGNS):
        a, b = here[name].scores, there[name].scores
        assert torch.equal(a.isfinite(), b.isfinite()), name
        scale = a[a.isfinite()].abs().max() if a.isfinite().any() else torch.tensor(1.0)
        away = ((a - b)[a.isfinite()].abs() / scale.clamp(min=1e-6)).max() if a.isfinite().any() else torch.tensor(0.0)
        if away > (3e-2 if name == "zico" else 1e-3):
            wrong[name] = away.item()
    assert not wrong


def test_the_same_bits_twice(gpu):
    one, other = scores(gpu, CELLS), scores(gpu, CELLS)
    differ = [name for name in one if not torch.equal(one[name].scores.nan_to_num(), other[name].scores.nan_to_num())]
    assert not differ


def test_a_run_by_all_gpus(gpu, embedded: Path, tmp_path: Path):
    """Two processes for each GPU; then with the size of stack that a probe finds."""
    settings = {"bench": "201", "sample": "12", "batch_size": 12, "proxies": "grad_norm,naswot,synflow"}
    runs = [
        run(
            RunConfig(**settings, devices=devices, workers=2, stack=stack, out=str(tmp_path / name)),
            say=lambda line: None,
        )
        for name, devices, stack in (("cpu", "cpu", "4"), ("gpu", "cuda", "4"), ("auto", "cuda", "auto"))
    ]
    for name, values in runs[0].scores.items():
        for other in runs[1:]:
            np.testing.assert_allclose(values, other.scores[name], rtol=1e-3, err_msg=name)


def test_a_users_module_on_the_device(gpu):
    x, y = minibatch()
    here = harness.score(Small(), x, y, "grad_norm,naswot,synflow")
    there = harness.score(Small().to(gpu), x.to(gpu), y.to(gpu), "grad_norm,naswot,synflow")
    assert there == pytest.approx(here, rel=1e-3)


def test_tf32_is_close_to_float32_and_another_arithmetic(gpu):
    x, y = (each.to(gpu) for each in minibatch())
    exact, rounded = (
        harness.score(Small().to(gpu), x, y, "naswot,grad_norm", precision=p) for p in ("float32", "tf32")
    )
    assert rounded == pytest.approx(exact, rel=1e-2)
