"""Every proxy of the registry equals its definition, computed a second time by plain autograd and NumPy."""

from __future__ import annotations

import copy
import hashlib
import importlib
import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import reference_proxies as reference
import torch
from networks import (
    SMALL_FLOPS,
    SMALL_PARAMS,
    SMALL_TENSORS,
    Bare,
    Reference201,
    Small,
    copy_from_stack,
    minibatch,
)
from torch import nn

import harness
from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, score_stack
from harness.inputs.draw import Minibatch, gaussian_minibatches
from harness.probe.initialise import initialise, stream
from harness.probe.twin import Twin
from harness.proxies.registry import registry

TINY = {"channels": 4, "cells_per_stage": 1, "input_channels": 3, "classes": 5}
CELL = 1462
"""A 201 cell with every operation on its paths."""
HAND_COUNTED = {
    "params": SMALL_PARAMS, "flops": SMALL_FLOPS, "layers": SMALL_TENSORS, "params_reachable": SMALL_PARAMS,
    "flops_reachable": SMALL_FLOPS,
}  # fmt: skip
TOLERANCE = {"float32": 1e-4, "float64": 1e-6}


def plain_double(model: nn.Module) -> nn.Module:
    """A copy for the reference: float64, training mode, no activation in place."""
    twin = copy.deepcopy(model).double().train()
    for module in twin.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return twin


def scores_of(model, x, y, names, *, precision: str, feature_map=None, further=()) -> dict[str, float]:
    """Our scores of a module's own weights, all proxies in one go, in a precision for those that leave it open."""
    proxies = [registry()[name] for name in names]
    proxies = [
        replace(p, view=replace(p.view, precision="float64" if p.name == "synflow" else precision)) for p in proxies
    ]
    given = ViewInputs([Minibatch(x, y), *(Minibatch(*pair) for pair in further)], 5, 0)
    scored = score_stack(
        lambda view: Twin(model),
        ["model"],
        proxies,
        given,
        seed=0,
        own_weights=True,
        features=lambda twin: (feature_map and partial(feature_map, twin.network), ()),
    )
    assert all(not each.reasons for each in scored.values()), {name: each.reasons for name, each in scored.items()}
    return {name: each.scores.item() for name, each in scored.items()}


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("model", [Small(), Bare()], ids=["small", "bare"])
def test_values_on_an_ordinary_network(model, precision):
    x, y = minibatch(12)
    names = list(reference.BY_MINIBATCH)
    ours = scores_of(model, x, y, names, precision=precision)
    for name in names:
        expected, scale = reference.BY_MINIBATCH[name](plain_double(model), x.double(), y)
        tolerance = TOLERANCE["float64" if name == "synflow" else precision]
        assert abs(ours[name] - expected) <= tolerance * scale, f"{name}: {ours[name]} is not {expected}"
        assert expected != 0


def network_201(seed: int = 0):
    """(ours, the plain reference in float64) of one 201 cell with the same weights."""
    space = space_of("201")
    ours = allocate(space.build([CELL], **TINY), "cpu")
    initialise(ours, [stream(seed, "cell", "default 0")])
    theirs = Reference201(space.canonical(CELL), channels=4, cells=1, classes=5)
    return ours, copy_from_stack(ours, 0, theirs).double().train()


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_values_on_a_201_network(precision):
    ours, theirs = network_201()
    x, y = minibatch(12)
    names = list(reference.BY_MINIBATCH)
    scored = scores_of(ours, x, y, names, precision=precision)
    for name in names:
        expected, scale = reference.BY_MINIBATCH[name](copy.deepcopy(theirs), x.double(), y)
        tolerance = TOLERANCE["float64" if name == "synflow" else precision]
        assert abs(scored[name] - expected) <= tolerance * scale, f"{name}: {scored[name]} is not {expected}"


def test_epe_nas_naslib_above_100_classes():
    """Classes of four, three and one sample; by hand for two classes: twice the distance over two."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 120))
    x, _ = minibatch(12)
    y = torch.tensor([0, 0, 0, 0, 7, 7, 7, 119, 119, 119, 50, 80])
    ours = scores_of(model, x, y, ["epe_nas", "epe_nas@naslib"], precision="float32")
    for name in ours:
        expected, scale = reference.BY_MINIBATCH[name](plain_double(model), x.double(), y)
        assert abs(ours[name] - expected) <= 1e-4 * scale
    assert abs(ours["epe_nas"] - ours["epe_nas@naslib"]) > 1
    rows = reference.jacobian(plain_double(model), x.double())[:5]
    r = [np.corrcoef(rows[a], rows[b])[0, 1] for a, b in ((0, 1), (2, 3))]
    s = [np.log(np.abs(each) + 1e-5) + np.log(1 + 1e-5) for each in r]  # of a 2 x 2 matrix, over 2
    two = scores_of(model, x[:5], torch.tensor([3, 3, 4, 4, 9]), ["epe_nas@naslib"], precision="float64")
    assert two["epe_nas@naslib"] == pytest.approx(abs(s[0] - s[1]), rel=1e-4)
    one = scores_of(model, x[:3], torch.tensor([3, 3, 4]), ["epe_nas@naslib"], precision="float64")
    assert one["epe_nas@naslib"] == 0
    with pytest.raises(AssertionError, match="no two samples of one"):
        scores_of(model, x[:3], torch.tensor([3, 5, 4]), ["epe_nas@naslib"], precision="float64")


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_zico(precision):
    """In float32 a weight whose two gradients nearly agree divides by their rounding: hence 1e-3 there."""
    pairs = [minibatch(12, seed=seed) for seed in (1, 2)]
    for model in (Small(), network_201()[0]):
        ours = scores_of(model, *pairs[0], ["zico"], precision=precision, further=pairs[1:])["zico"]
        plain = network_201()[1] if model.__class__.__name__ == "Network201" else plain_double(model)
        expected, scale = reference.zico(plain, [(x.double(), y) for x, y in pairs])
        assert abs(ours - expected) <= {"float32": 1e-3, "float64": 1e-6}[precision] * scale


def features_of_201(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return network.last(network.body(network.stem(x)))


@pytest.mark.parametrize("name, repeats", [("zen", 32), ("zen@naslib", 1)])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_zen(name, repeats, precision):
    """Weights N(0, 1), BatchNorm reset, and noise are the streams of each repeat; the rest is computed here."""
    noise = [gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=16, count=2, seed=r) for r in range(repeats)]
    pairs = [(a.inputs.double(), b.inputs.double()) for a, b in noise]
    x, y = minibatch(12)

    def draw(model, repeat):
        initialise(model, [stream(0, "model", f"normal {repeat}")], "normal")

    for ours, theirs, features in (
        (Small(), plain_double(Small()), lambda network, x: network.body(x)),
        (*network_201(), features_of_201),
    ):
        if isinstance(ours, Small):
            expected, scale = reference.zen(theirs, pairs, draw, features)
        else:
            stack = copy.deepcopy(ours)

            def draw_as_ours(model, repeat, stack=stack):
                draw(stack, repeat)
                copy_from_stack(stack, 0, model)

            expected, scale = reference.zen(theirs, pairs, draw_as_ours, features)
        scored = scores_of(ours, x, y, [name], precision=precision, feature_map=features)[name]
        assert abs(scored - expected) <= TOLERANCE[precision] * scale


def test_counts_by_hand():
    x, y = minibatch(12)
    scored = harness.score(Small(), x, y, proxies=",".join(HAND_COUNTED))
    assert {name: scored[name] for name in HAND_COUNTED} == HAND_COUNTED


def test_random_is_a_seeded_normal_draw():
    x, y = minibatch(4)
    digest = hashlib.sha256(b"3\x1fmodel\x1frandom").digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    expected = torch.randn(1, generator=generator, dtype=torch.float64).item()
    assert harness.score(Small(), x, y, proxies="random", seed=3)["random"] == expected
    draws = [torch.randn(1, generator=stream(seed, "a", "random")).item() for seed in range(2000)]
    assert abs(np.mean(draws)) < 0.07 and abs(np.std(draws) - 1) < 0.05


def test_every_proxy_is_tested():
    tested = {*reference.BY_MINIBATCH, *HAND_COUNTED, "random", "zico", "zen", "zen@naslib"}
    for file in Path(__file__).parent.glob("test_proxies_*.py"):  # a family each, with what it tests in TESTED
        tested |= set(getattr(importlib.import_module(file.stem), "TESTED", ()))
    assert tested == {name for name, entry in registry().items() if not entry.source}


# Worked by hand


def one_weight(value: float) -> nn.Module:
    """A 1x1 convolution and a linear layer with one weight each class: logits w * x * v."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        model[0].weight.fill_(value)
        model[2].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    return model


def test_by_hand_on_two_layers():
    """Logits (wx, -wx), w = 0.5, x = 2, label 0: with s = sigmoid(2) the loss is log(1 + e^-2), its slope in z = wx is
    -2 (1 - s); dL/dw = -4 (1 - s) and dL/dv = -/+ (1 - s) for the two classifier weights."""
    x, y = torch.full((1, 1, 1, 1), 2.0), torch.tensor([0])
    s = 1 / (1 + math.exp(-2))
    slope = -2 * (1 - s)
    g_w, g_v = slope * 2, 1 - s
    names = ["l2_norm", "plain", "grad_norm", "snip", "fisher", "synflow"]
    ours = scores_of(one_weight(0.5), x, y, names, precision="float64")
    assert ours["l2_norm"] == pytest.approx(0.5 + math.sqrt(2))
    assert ours["plain"] == pytest.approx(0.5 * g_w - 2 * g_v)
    assert ours["grad_norm"] == pytest.approx(abs(g_w) + math.sqrt(2) * g_v)
    assert ours["snip"] == pytest.approx(0.5 * abs(g_w) + 2 * g_v)
    assert ours["fisher"] == pytest.approx(0.5 * slope**2 + 2 * 0.5 * g_v**2)
    assert ours["synflow"] == pytest.approx(0.5 * 2 + 2 * 0.5)


def test_grasp_by_hand():
    """One weight: L = log(1 + e^-2wx), g = -2x (1 - s), H = 4 x^2 s (1 - s), s = sigmoid(2wx); score = -w H g > 0."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.3], [-0.3]]))
    x, y = torch.full((1, 1, 1, 1), 2.0), torch.tensor([0])
    s = 1 / (1 + math.exp(-2 * 0.3 * 2))
    g = (1 - s) * 2 * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    hessian = 4 * s * (1 - s) * torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
    weights = torch.tensor([0.3, -0.3], dtype=torch.float64)
    expected = -(weights @ hessian @ g).item()
    assert expected > 0
    assert scores_of(model, x, y, ["grasp"], precision="float64")["grasp"] == pytest.approx(expected)


def test_jacob_cov_by_hand():
    """Two samples with opposite Jacobians: correlation -1, eigenvalues 2 and 0; k = 1e-5."""

    class Flip(nn.Module):
        def forward(self, x):
            sign = torch.tensor([1.0, -1.0], dtype=x.dtype).view(2, 1, 1, 1)
            return (x * sign * torch.tensor([1.0, 3.0], dtype=x.dtype)).flatten(1)

    x = torch.zeros(2, 1, 1, 2)
    k = 1e-5
    expected = -(math.log(2 + k) + 1 / (2 + k) + math.log(k) + 1 / k)
    assert scores_of(Flip(), x, torch.tensor([0, 1]), ["jacob_cov"], precision="float64")["jacob_cov"] == pytest.approx(
        expected
    )


def test_naswot_by_hand():
    """Codes (+, +, -), (+, -, -), (-, -, -): agreements 3 on the diagonal, 2, 1 and 2 beside it."""
    model = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(3, 2))
    x = torch.tensor([[1.0, 1, -1], [1, -1, -1], [-1, -1, 0]]).view(3, 1, 1, 3)
    kernel = np.array([[3.0, 2, 1], [2, 3, 2], [1, 2, 3]])
    expected = math.log(np.linalg.det(kernel))
    assert scores_of(model, x, torch.tensor([0, 1, 0]), ["naswot"], precision="float32")["naswot"] == pytest.approx(
        expected
    )
