"""Weights are drawn as each initialisation says, from the architecture's own stream; views put networks as they say."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from networks import Small, minibatch
from torch import nn

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, as_seen, by_view
from harness.inputs.draw import Minibatch
from harness.probe.initialise import INITIALISATIONS, initialise, stream
from harness.probe.twin import Twin
from harness.probe.view import DEFAULT, View
from harness.proxies.choose import choose
from harness.proxies.global_state import seeded
from harness.proxies.registry import registry


def wide() -> nn.Module:
    return nn.Sequential(nn.Conv2d(8, 64, 3, groups=2), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(256, 100))


@pytest.mark.parametrize("scheme", INITIALISATIONS)
def test_distribution(scheme):
    model = wide()
    with torch.no_grad():
        for tensor in (model[1].weight, model[1].bias, model[1].running_mean):
            tensor.fill_(7)
    initialise(model, [stream(0, "a", "x")], scheme)
    conv_in, conv_out, linear_in, linear_out = 4 * 9, 64 * 9, 256, 100
    deviation = {
        "default": (1 / math.sqrt(3 * conv_in), 1 / math.sqrt(3 * linear_in)), "normal": (1, 1),
        "kaiming_fan_in": (math.sqrt(2 / conv_in), math.sqrt(2 / linear_in)),
        "kaiming_fan_out": (math.sqrt(2 / conv_out), math.sqrt(2 / linear_out)),
    }[scheme]  # fmt: skip
    for layer, expected in zip((model[0], model[3]), deviation, strict=True):
        assert layer.weight.std().item() == pytest.approx(expected, rel=0.06)
        assert abs(layer.weight.mean().item()) < 4 * expected / math.sqrt(layer.weight.numel())
        assert (layer.bias.abs().max() == 0) == (scheme != "default")
    if scheme == "default":  # PyTorch's own bounds for weights and biases
        for layer, fan_in in ((model[0], conv_in), (model[3], linear_in)):
            for tensor in (layer.weight, layer.bias):
                assert 0.9 / math.sqrt(fan_in) < tensor.abs().max() <= 1 / math.sqrt(fan_in)
            torch.manual_seed(0)
            layer.reset_parameters()
            assert layer.weight.abs().max() <= 1 / math.sqrt(fan_in) + 1e-6
    assert (model[1].weight == 1).all() and (model[1].bias == 0).all() and (model[1].running_mean == 0).all()


def test_streams():
    def draw(*which):
        return torch.rand(3, generator=stream(*which)).tolist()

    assert draw(0, "a", "x") == draw(0, "a", "x")
    assert (
        len(
            {
                tuple(draw(*which))
                for which in [(0, "a", "x"), (1, "a", "x"), (0, "b", "x"), (0, "a", "y"), (0, "ax", "")]
            }
        )
        == 5
    )


def test_the_same_weights_in_any_stack():
    space = space_of("201")
    indices = [int(i) for i in space.sample(5, seed=0)]
    settings = {"channels": 4, "cells_per_stage": 1, "classes": 5, "input_channels": 3}

    def drawn(some):
        network = allocate(space.build(some, **settings), "cpu")
        initialise(network, [stream(0, str(i), "x") for i in some])
        return [
            torch.cat([
                p.detach().unflatten(0, (len(m.owners), -1))[m.owners.index(k)].flatten()
                for m in network.modules() if k in getattr(m, "owners", ()) for p in m.parameters(recurse=False)
            ])
            for k in range(len(some))
        ]  # fmt: skip

    together = drawn(indices)
    for index, weights in zip(indices, together, strict=True):
        assert torch.equal(drawn([index])[0], weights)


def test_as_seen():
    model = copy.deepcopy(Small())
    model.body.norm.bias.data.fill_(-1)
    model.body.norm.running_mean.fill_(-2)
    seen = as_seen(copy.deepcopy(model), View(batchnorm="off", precision="float64", absolute_weights=True))
    kinds = [type(m) for m in seen.modules()]
    assert nn.BatchNorm2d not in kinds and kinds.count(nn.Identity) == 2
    for name, tensor in seen.state_dict().items():
        assert tensor.dtype is torch.float64 and (tensor == model.state_dict()[name].double().abs()).all()
    assert all(m.training for m in as_seen(copy.deepcopy(model).eval(), DEFAULT).modules())
    assert not any(m.training for m in as_seen(copy.deepcopy(model), View(batchnorm="eval")).modules())


def test_inputs_of_a_view():
    x, y = minibatch(12)
    given = ViewInputs([Minibatch(x, y), Minibatch(x + 1, y)], 5, seed=2)
    (first,) = given.of(DEFAULT, 1)
    assert torch.equal(first.inputs, x) and torch.equal(first.targets, y)
    assert torch.equal(given.of(DEFAULT, 2)[1].inputs, x + 1)
    (ones,) = given.of(View(inputs="ones", batch_size=1, precision="float64"), 1)
    assert ones.inputs.shape == (1, 3, 8, 8) and (ones.inputs == 1).all() and ones.inputs.dtype is torch.float64
    gaussian = View(inputs="gaussian", batch_size=500, minibatches=2)
    a, b = given.of(gaussian, 2)
    assert a.inputs.shape == (500, 3, 8, 8) and abs(a.inputs.mean()) < 0.02 and abs(a.inputs.std() - 1) < 0.02
    assert not torch.equal(a.inputs, b.inputs) and torch.equal(a.inputs, given.of(gaussian, 2)[0].inputs)
    assert not torch.equal(a.inputs, given.of(gaussian, 2, repeat=1)[0].inputs)
    assert not torch.equal(a.inputs, ViewInputs([Minibatch(x, y)], 5, seed=3).of(gaussian, 2)[0].inputs)


def test_proxies_of_one_view_share_a_probe():
    groups = by_view(
        p for p in choose("plain,grad_norm,snip,grasp,fisher,jacob_cov,naswot,epe_nas,l2_norm,zico") if not p.static
    )
    assert len(groups) == 1
    assert registry()["zen"].view != registry()["zen@naslib"].view
    assert hash(registry()["zico"].view) == hash(DEFAULT) and registry()["zico"].view.minibatches == 2


def test_seeded_leaves_the_global_generator():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with pytest.raises(ZeroDivisionError), seeded(1):
        inside = torch.rand(2)
        raise ZeroDivisionError
    assert torch.equal(torch.rand(2), expected)
    with seeded(1):
        assert torch.equal(torch.rand(2), inside)


def test_a_twin_is_a_copy_without_activations_in_place():
    model = Small()
    twin = Twin(model)
    assert model.relu.inplace and not any(getattr(m, "inplace", False) for m in twin.modules())
    twin.network.hidden.weight.data.zero_()
    assert model.hidden.weight.abs().sum() > 0
