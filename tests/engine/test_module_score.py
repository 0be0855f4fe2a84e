"""`harness.score` on any module: right values, and nothing of the caller's changes; users' own proxies."""

from __future__ import annotations

import copy
import math
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import reference_proxies as reference
import torch
from ambient import AROUND, around, settings
from networks import Bare, Small, everything_of, minibatch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import harness
from benchmarks import UserError
from harness.proxies import registry as registered
from harness.proxies.choose import choose
from harness.proxies.registry import CORE, baselines, registry

NAMES = ",".join((*reference.BY_MINIBATCH, "zico", "zen@naslib"))


@pytest.fixture(autouse=True)
def registry_as_before():
    """Forget what a test registers."""
    registry()
    before = dict(registered._registry)
    yield
    registered._registry.clear()
    registered._registry.update(before)


def test_the_model_is_left_as_it_was():
    model = Small()
    x, y = minibatch(12)
    functional.cross_entropy(model(x), y).backward()
    model.body.eval()
    model.hidden.weight.requires_grad_(False)
    calls = []
    model.body.first.register_forward_hook(lambda *_: calls.append(1))
    before, x_before, y_before = everything_of(model), x.clone(), y.clone()
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    generators = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    scores = harness.score(model, x, y, proxies=NAMES, blocks=["body"])
    assert all(np.isfinite(list(scores.values())))
    after = everything_of(model)
    assert before.keys() == after.keys()
    for key, value in before.items():
        same = torch.equal(value, after[key]) if isinstance(value, torch.Tensor) else value == after[key]
        assert same, key
    assert torch.equal(x, x_before) and torch.equal(y, y_before) and not x.requires_grad
    assert torch.equal(torch.get_rng_state(), generators[0]) and random.getstate() == generators[1]
    assert np.random.get_state()[1].tolist() == generators[2]
    assert torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32


@pytest.mark.parametrize("name", AROUND)
def test_what_the_code_around_has_set_changes_no_score(name: str):
    """A user who scores inside no_grad, autocast and the like gets the same numbers, on inputs made there."""
    x, y = minibatch(12)
    usual = harness.score(Small(), x, y, proxies=NAMES, blocks=["body"])
    model = Small()
    with around(name):
        before = settings()
        inside = harness.score(model, x * 1, y * 1, proxies=NAMES, blocks=["body"])
        assert settings() == before
    assert inside == usual and settings() != before


def test_calls_from_several_threads_give_the_same_scores():
    """Defect: they drew from one another's generators and left flags changed."""
    x, y = minibatch(12)
    models = [nn.Sequential(Small(seed), nn.Dropout(0.2)) for seed in range(6)]
    names = "snip,naswot,grasp,zico,swap"

    def scored(model: nn.Module) -> dict:
        return dict(harness.score(model, x, y, proxies=names))

    usual, before = list(map(scored, models)), flags()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(scored, models * 2)) == usual * 2
    assert flags() == before


def flags() -> tuple:
    return (
        torch.backends.cudnn.allow_tf32, torch.backends.mha.get_fastpath_enabled(), torch.get_rng_state().tolist(),
        torch.utils.checkpoint.CheckpointFunction.__name__,
    )  # fmt: skip


class Checkpointed(nn.Module):
    """A network whose body runs again in the backward; the function was imported before anything else happens."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner, self.reentrant = Small(), reentrant

    def forward(self, x):
        body = checkpoint(self.inner.body, x, use_reentrant=self.reentrant)
        return self.inner.classifier(self.inner.relu(self.inner.hidden(functional.avg_pool2d(body, 2).flatten(1))))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointed_modules_score_as_others(reentrant: bool):
    """Defect: 0 for each gradient with the reentrant kind, an error of PyTorch with the other."""
    x, y = minibatch(12)
    usual = harness.score(Small(), x, y, proxies=NAMES, blocks=["body"])
    found = harness.score(Checkpointed(reentrant), x, y, proxies=NAMES, blocks=["inner.body"])
    assert found == usual
    x.requires_grad_(True)
    model = Checkpointed(reentrant)
    model(x).sum().backward()
    assert model.inner.body.first.weight.grad.any()  # checkpoints work again


class ByKeyword(nn.Module):
    """Layers that are called by keyword, or not."""

    def __init__(self, keyword: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.call = (lambda layer, x: layer(input=x)) if keyword else (lambda layer, x: layer(x))
        self.one, self.two = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 6, 3)
        self.norm, self.relu = nn.BatchNorm2d(8), nn.ReLU()
        self.both, self.keyword = nn.Bilinear(8, 6, 5), keyword

    def forward(self, x):
        one = self.call(self.relu, self.call(self.norm, self.call(self.one, x))).mean((2, 3))
        two = self.call(self.relu, self.call(self.two, x)).mean((2, 3))
        return self.both(input1=one, input2=two) if self.keyword else self.both(one, two)


def test_layers_that_are_called_by_keyword():
    """Defect: nearly all proxies failed, as hooks get no arguments then."""
    x, y = minibatch(12)
    usual = harness.score(ByKeyword(False), x, y, proxies="core,zico")
    assert harness.score(ByKeyword(True), x, y, proxies="core,zico") == usual and not usual.reasons


def test_a_layer_of_two_inputs():
    """Defect: every proxy failed beside grasp or fisher."""
    x, y = minibatch(12)
    found = harness.score(ByKeyword(False), x, y, proxies="grasp,fisher,snip")
    model, kept = ByKeyword(False).double(), {}

    def keep(layer, _, output):
        output.retain_grad()
        kept[layer] = output

    layers = [model.one, model.two, model.both]
    for layer in layers:
        layer.register_forward_hook(keep)
    loss, weights = functional.cross_entropy(model(x.double()), y), [layer.weight for layer in layers]
    loss.backward(retain_graph=True)
    sums = [(kept[layer].detach() * kept[layer].grad).reshape(12, len(layer.bias), -1).sum(2) for layer in layers]
    fisher = sum((0.5 * s.square().mean(0) * w[0].numel()).sum() for s, w in zip(sums, weights, strict=True))
    grads = torch.autograd.grad(loss, weights, create_graph=True)
    products = torch.autograd.grad(sum((g.detach() * g).sum() for g in grads), weights)
    grasp = -sum((w * h).sum() for w, h in zip(weights, products, strict=True))
    assert found["fisher"] == pytest.approx(fisher.item(), rel=1e-4)
    assert found["grasp"] == pytest.approx(grasp.item(), rel=1e-3)
    assert found["snip"] == pytest.approx(sum((w * g).abs().sum().item() for w, g in zip(weights, grads, strict=True)))


@pytest.mark.parametrize("what", [threading.Lock(), sys.stdin, math, (i for i in ()), threading.local()], ids=type)
def test_what_cannot_be_copied_is_shared(what):
    """Defect: Python's TypeError."""
    model = Small()
    model.kept = [what]
    x, y = minibatch(12)
    assert harness.score(model, x, y, proxies="snip,naswot") == harness.score(Small(), x, y, proxies="snip,naswot")


def test_a_module_that_cannot_be_copied_is_refused():
    class Own(Small):
        def __deepcopy__(self, memo):
            raise RuntimeError("no copies")

    with pytest.raises(UserError, match="the model cannot be copied: no copies"):
        harness.score(Own(), *minibatch(12), proxies="snip")


def test_a_module_of_one_size_of_minibatch():
    class Fixed(Small):
        def forward(self, x):
            return super().forward(x.view(12, 3, 8, 8))

    x, y = minibatch(12)
    names = "snip,naswot,jacob_cov,flops"
    assert harness.score(Fixed(), x, y, proxies=names) == harness.score(Small(), x, y, proxies=names)


def test_a_module_without_gradients_has_no_gradient_score():
    """Defect: 0 without a word."""

    class Blind(Small):
        @torch.no_grad()
        def forward(self, x):
            return super().forward(x)

    with pytest.warns(RuntimeWarning):
        found = harness.score(Blind(), *minibatch(12), proxies="snip,synflow,jacob_cov,l2_norm")
    assert set(found.reasons) == {"snip", "synflow", "jacob_cov"} and found["l2_norm"] > 0
    assert all("the outputs have no gradient" in reason for reason in found.reasons.values())


def test_what_needs_single_samples_fails_alone_where_they_cannot_be_told_apart():
    """Defect: with naswot, snip failed too, and the reason said that the model does not run."""

    class InParts(Small):
        def forward(self, x):
            return torch.cat([super(InParts, self).forward(part) for part in x.chunk(2)])

    x, y = minibatch(12)
    with pytest.warns(RuntimeWarning):
        found = harness.score(InParts(), x, y, proxies="snip,naswot,fisher")
    assert set(found.reasons) == {"naswot", "fisher"}
    assert all("cannot tell the 12 samples apart" in reason for reason in found.reasons.values())
    expected, scale = value("snip", InParts(), x, y)
    assert abs(found["snip"] - expected) <= 1e-4 * scale


def test_a_module_without_known_weights():
    """Defect: 0 for l2_norm and zico."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(5, 192, generator=torch.Generator().manual_seed(0)))

        def forward(self, x):
            return functional.relu(functional.linear(x.flatten(1), self.weight))

    @harness.module_proxy(labels=False)
    def total(model, inputs, targets):
        return model(inputs).sum()

    x, y = minibatch(12)
    with pytest.warns(RuntimeWarning):
        found = harness.score(Own(), x, y, proxies="l2_norm,zico,snip,jacob_cov,total")
    assert set(found.reasons) == {"l2_norm", "zico", "snip"}
    assert all("no rule of a layer type knows" in reason for reason in found.reasons.values())
    assert found["total"] == pytest.approx(Own()(x).sum().item(), rel=1e-5)


def test_mode_and_frozen_weights_do_not_matter():
    x, y = minibatch(12)
    model = Small()
    frozen = copy.deepcopy(model).eval().requires_grad_(False)
    assert harness.score(frozen, x, y, proxies=NAMES) == pytest.approx(
        harness.score(model, x, y, proxies=NAMES), nan_ok=True, rel=0
    )


def test_dropout_is_seeded():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 5))
    x, y = minibatch(12)
    first, again = (harness.score(model, x, y, proxies="snip,jacob_cov,grasp") for _ in range(2))
    torch.rand(3)
    assert first == again
    assert first["snip"] != harness.score(model, x, y, proxies="snip", seed=1)["snip"]


def value(name: str, model: nn.Module, x, y) -> tuple[float, float]:
    return reference.BY_MINIBATCH[name](copy.deepcopy(model).double().train(), x.double(), y)


class Awkward(nn.Module):
    """What networks do in passing; `plainly` writes the same function without doing anything in place."""

    def __init__(self, plainly: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.plainly = plainly
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False)
        self.position = nn.Parameter(torch.randn(1, 3, 8, 8))
        self.of_position = nn.Conv2d(3, 6, 1)
        self.norm = nn.BatchNorm2d(6, affine=False)
        self.mix = nn.Linear(6, 7)
        self.gate = nn.ReLU6()
        self.classifier = nn.Linear(7, 5)

    def forward(self, x):
        constant = self.of_position(self.position)
        if self.plainly:
            y = self.first(x - 0.5)
            z = (self.second(functional.relu(y)) + functional.relu(y)) * 2
        else:
            y = self.first(x.sub_(0.5))
            functional.relu_(y)
            z = self.second(y)
            z += y
            z *= 2
        z = self.norm(z + constant).permute(0, 2, 3, 1)
        return self.classifier(self.gate(self.mix(z)).mean((1, 2)))


@pytest.mark.parametrize("name", sorted(set(reference.BY_MINIBATCH) - {"fisher", "naswot", "synflow"}))
def test_networks_that_work_in_place_or_channels_last(name):
    """In-place arithmetic on the input and on layers' outputs, a constant branch, a linear layer on (N, H, W, C)."""
    x, y = minibatch(12)
    expected, scale = value(name, Awkward(plainly=True), x, y)
    assert abs(harness.score(Awkward(), x, y, proxies=name)[name] - expected) <= 1e-4 * scale


def test_fisher_sees_outputs_before_they_are_changed_and_channels_last():
    class Before(nn.Module):
        """The same function as `Last`, with a 1x1 convolution for the linear layer, and not in place."""

        def __init__(self, model) -> None:
            super().__init__()
            self.first, self.classifier = model.first, model.classifier
            self.mix = nn.Conv2d(6, 7, 1)
            self.mix.weight.data, self.mix.bias.data = model.mix.weight.data[:, :, None, None], model.mix.bias.data

        def forward(self, x):
            y = self.first(x)
            return self.classifier(functional.relu(self.mix(y * 3 + 1)).mean((2, 3)))

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.mix, self.classifier = nn.Conv2d(3, 6, 3), nn.Linear(6, 7), nn.Linear(7, 5)

        def forward(self, x):
            y = self.first(x)
            y *= 3
            y += 1
            return self.classifier(functional.relu(self.mix(y.permute(0, 2, 3, 1))).mean((1, 2)))

    x, y = minibatch(12)
    model = Last()
    for name in ("fisher", "grasp"):
        expected, scale = value(name, Before(model), x, y)
        assert abs(harness.score(model, x, y, proxies=name)[name] - expected) <= 1e-4 * scale


class Standardised(nn.Conv2d):
    def forward(self, x):
        weight = (self.weight - self.weight.mean((1, 2, 3), keepdim=True)) / self.weight.std((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Activated(nn.BatchNorm2d):
    def forward(self, x):
        return functional.softplus(super().forward(x))


@pytest.mark.parametrize("layer", [Standardised(3, 4, 3), nn.Sequential(nn.Conv2d(3, 4, 3), Activated(4))])
def test_grasp_and_its_neighbours_with_layers_that_do_more(layer):
    """Weight standardisation is not linear in the weight, a BatchNorm with an activation is not BatchNorm."""
    torch.manual_seed(0)
    model = nn.Sequential(copy.deepcopy(layer), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    x, y = minibatch(12)
    scores = harness.score(model, x, y, proxies="grasp,snip")
    for name in ("grasp", "snip"):
        expected, scale = value(name, model, x, y)
        assert abs(scores[name] - expected) <= 1e-4 * scale


def test_naswot_counts_by_class_name_and_not_what_leads_nowhere():
    torch.manual_seed(0)
    x, y = minibatch(12)
    for kind in (nn.ReLU6, nn.LeakyReLU, nn.PReLU):
        models = [nn.Sequential(nn.Conv2d(3, 4, 3), k(), nn.Flatten(), nn.Linear(144, 5)) for k in (kind, nn.ReLU)]
        models[0][0].load_state_dict(models[1][0].state_dict())
        a, b = (harness.score(model, x, y, proxies="naswot")["naswot"] for model in models)
        assert a == b
    model = Small()
    counted = harness.score(model, x, y, proxies="naswot")["naswot"]
    model.body.loose = nn.Identity()
    assert harness.score(model, x, y, proxies="naswot")["naswot"] == counted


def test_without_batchnorm_and_without_images():
    x, y = minibatch(12)
    assert np.isfinite(harness.score(Bare(), x, y, proxies=NAMES, blocks=["layers"])["zen@naslib"])
    torch.manual_seed(0)
    mlp = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 5))
    with pytest.warns(RuntimeWarning, match="zen@naslib is nan: LookupError: .* name the modules"):
        scores = harness.score(mlp, torch.randn(12, 10), y, proxies=NAMES)
    assert sum(np.isfinite(list(scores.values()))) == len(scores) - 1


def test_zen_needs_running_statistics():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(144, 5)
    )
    with pytest.warns(RuntimeWarning, match="zen@naslib is nan: LookupError: needs BatchNorm that tracks"):
        assert np.isnan(harness.score(model, *minibatch(12), proxies="zen@naslib", blocks=["1"])["zen@naslib"])


def test_zico_splits_the_minibatch():
    x, y = minibatch(12)
    expected, scale = reference.zico(
        copy.deepcopy(Small()).double(), [(x[:6].double(), y[:6]), (x[6:].double(), y[6:])]
    )
    assert abs(harness.score(Small(), x, y, proxies="zico")["zico"] - expected) <= 1e-3 * scale


# Which proxies


def test_choose():
    assert [p.name for p in choose("synflow")] == [*baselines(), "synflow"]
    assert [p.name for p in choose("synflow, zen@naslib,synflow")] == [*baselines(), "synflow", "zen@naslib"]
    assert [p.name for p in choose("core")] == list(dict.fromkeys((*baselines(), *CORE)))
    assert {p.name for p in choose("all")} == set(registry())


def test_unknown_proxies_are_named_together():
    with pytest.raises(UserError, match=r"'snipp' \(did you mean snip.*'sinflow' \(did you mean synflow"):
        harness.score(Small(), *minibatch(12), proxies="snipp,naswot,sinflow")


# Users' own


def test_a_decorated_function():
    @harness.proxy(reads="gradients")
    def largest_gradient(probe):
        return torch.stack([g.abs().max() for g in probe.gradients]).max().view(1)

    @harness.proxy
    def constant(probe):
        return torch.full((probe.archs,), 2.5)

    assert registry()["largest_gradient"].labels and not registry()["constant"].labels
    x, y = minibatch(12)
    scores = harness.score(Small(), x, y, proxies="largest_gradient,constant")
    grads = reference.loss_gradients(Small().double(), x.double(), y)
    assert scores["largest_gradient"] == pytest.approx(max(np.abs(g).max() for g in grads), rel=1e-4)
    assert scores["constant"] == 2.5


def test_a_function_of_a_module():
    """A model-level proxy gets a module of its own class, in training mode, that it may spoil, and the minibatch."""

    @harness.module_proxy(labels=False)
    def spoils(model, inputs, targets):
        assert isinstance(model, Small) and model.training and all(p.requires_grad for p in model.parameters())
        out = model(inputs)
        assert out.shape == (12, 5)
        out.sum().backward()
        score = model.hidden.weight.grad.abs().sum().item()
        with torch.no_grad():
            model.hidden.weight.zero_()
            inputs.zero_()
        return score

    x, y = minibatch(12)
    usual = harness.score(Small(), x, y, proxies="snip")["snip"]
    both = harness.score(Small(), x, y, proxies="spoils,snip")
    model = Small()
    model(x).sum().backward()
    assert both["spoils"] == pytest.approx(model.hidden.weight.grad.abs().sum().item(), rel=1e-4)
    assert both["snip"] == usual


def test_a_taken_name():
    with pytest.raises(UserError, match="'synflow' exists already"):

        @harness.proxy
        def synflow(probe):
            return probe


MINE = """
from __future__ import annotations
from dataclasses import dataclass
import harness, torch

@dataclass
class Facts:
    factor: float = 2.0

def helper(x):
    return Facts().factor * x

@harness.proxy(reads="weights")
def mine(probe):
    return helper(probe.total(layer.weight.abs() for layer in probe.layers))

@harness.proxy
def other(probe):
    return torch.zeros(probe.archs)
"""


def test_a_file_of_ones_own(tmp_path: Path):
    file = tmp_path / "my_proxies.py"
    file.write_text(MINE)
    x, y = minibatch(12)
    scores = harness.score(Small(), x, y, proxies=f"snip,{file}:mine")
    expected = 2 * sum(m.weight.abs().sum().item() for m in reference.layers(Small()))
    assert scores["mine"] == pytest.approx(expected, rel=1e-5) and "snip" in scores and "other" not in scores
    own = choose(f"{file}:mine")[-1]
    assert len(own.source) == 64 and own.path == str(file) and "mine" not in registry()
    assert harness.score(Small(), x, y, proxies=f"{file}:mine")["mine"] == scores["mine"]  # again, as a worker would


@pytest.mark.parametrize(
    "text, name, told",
    [
        (MINE, "their", r"registers no proxy named 'their' \(it registers: mine, other\)"),
        ("x = 1", "mine", r"\(it registers: none\)"),
        ("import no_such_module", "mine", "could not be run: ModuleNotFoundError"),
        ("def broken(:", "mine", "could not be run: SyntaxError"),
        ("import harness\n@harness.proxy\ndef snip(probe): ...", "snip", "'snip' exists already"),
    ],
)
def test_a_file_that_does_not_serve(tmp_path: Path, text: str, name: str, told: str):
    file = tmp_path / "my_proxies.py"
    file.write_text(text)
    before = set(registry())
    with pytest.raises(UserError, match=told):
        choose(f"{file}:{name}")
    assert set(registry()) == before


def test_a_file_that_is_not_there():
    with pytest.raises(UserError, match=r"no file 'nowhere.py' for the proxy 'nowhere.py:mine'"):
        choose("nowhere.py:mine")


def test_a_failing_proxy_warns_and_is_nan_alone():
    @harness.proxy
    def hopeless(probe):
        raise ZeroDivisionError("by zero")

    @harness.module_proxy
    def hopeless_too(model, inputs, targets):
        return "high"

    with pytest.warns(RuntimeWarning) as told:
        scores = harness.score(Small(), *minibatch(12), proxies="hopeless,hopeless_too,snip")
    assert np.isnan([scores["hopeless"], scores["hopeless_too"]]).all() and np.isfinite(scores["snip"])
    assert sorted(str(w.message).split(":")[1].strip() for w in told) == ["ValueError", "ZeroDivisionError"]
