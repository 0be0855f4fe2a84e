"""The same function with the same weights, written in two ways, has the same scores by every proxy."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch
from spellings import PAIRS
from torch import nn
from torch.nn import functional

import harness
from harness.engine.module_score import Scores, score_module
from harness.proxies.registry import registry

LABELS = torch.arange(8) % 4
known: dict[str, Scores] = {}


def everything(model: nn.Module, inputs) -> Scores:
    """The scores of all proxies, one draw for those that take the mean of several."""
    proxies = [replace(each, view=replace(each.view, repeats=1)) for each in registry().values()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score_module(
            model, inputs, LABELS, proxies, blocks=None, logits=None, strict=False, seed=0, precision="float32"
        )


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore")
def test_two_ways_of_writing(name):
    make, other, inputs = PAIRS[name]
    torch.manual_seed(0)
    model = make()
    second = other(model)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(inputs), second.eval()(inputs), rtol=1e-4, atol=1e-6)
    if make.__qualname__ not in known or "lambda" in make.__qualname__:
        known[make.__qualname__] = everything(model, inputs)
    ours, theirs = known[make.__qualname__], everything(second, inputs)
    for proxy, score in ours.items():
        both_failed = math.isnan(score) and math.isnan(theirs[proxy])
        assert both_failed or theirs[proxy] == pytest.approx(score, rel=1e-3, abs=1e-9), proxy
    assert sum(map(math.isfinite, ours.values())) > 40


def test_order_of_attributes_does_not_matter():
    """Weights that are drawn again follow the order in which layers run."""

    class Net(nn.Module):
        def __init__(self, last_first: bool) -> None:
            super().__init__()
            names = ("second", "first") if last_first else ("first", "second")
            for name in names:
                setattr(self, name, nn.Conv2d(*((3, 6) if name == "first" else (6, 5)), 3))

        def forward(self, x):
            return self.second(functional.relu(self.first(x))).mean((2, 3))

    x = torch.randn(8, 3, 8, 8)
    nets = []
    for last_first in (True, False):
        torch.manual_seed(0)
        nets.append(Net(last_first))
    nets[0].load_state_dict(nets[1].state_dict())
    ours, theirs = (everything(net, x) for net in nets)
    assert theirs == pytest.approx(ours, rel=1e-6, nan_ok=True)


def test_what_is_written_in_place_is_seen_by_what_comes_after():
    """The shortcut of a pre-activation block with an activation in place is what the activation wrote."""

    class Block(nn.Module):
        def __init__(self, relu) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.stem, self.norm, self.conv = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1)
            self.relu, self.fc = relu, nn.Linear(6, 5)

        def forward(self, x):
            x = self.norm(self.stem(x))
            y = self.relu(x)
            return self.fc((x + self.conv(y)).mean((2, 3)))

    x = torch.randn(8, 3, 8, 8)
    ways = [nn.ReLU(inplace=True), lambda x: x.relu_(), lambda x: functional.relu(x, inplace=True)]
    first, *others = (harness.score(Block(relu), x, LABELS, "snip,naswot,fisher,naswot@hnas") for relu in ways)
    assert all(other == first for other in others)
    assert first != harness.score(Block(nn.ReLU()), x, LABELS, "snip,naswot,fisher,naswot@hnas")
    model = Block(nn.ReLU(inplace=True)).train()
    functional.cross_entropy(model(x), LABELS).backward()
    by_hand = sum((m.weight * m.weight.grad).abs().sum().item() for m in (model.stem, model.conv, model.fc))
    assert first["snip"] == pytest.approx(by_hand, rel=1e-4)
