"""Per-sample gradients and their proxies against a loop of one backward a sample."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from networks import Bare, Small, minibatch
from proxy_checks import (
    cases,
    check_declared,
    check_properties,
    close,
    disconnected,
    given,
    score,
    scores_201,
    scores_of,
)
from torch import Tensor, nn
from torch.nn import functional

from harness.engine.scoring import as_seen
from harness.inputs.draw import Minibatch
from harness.probe.per_sample import coupled_gram, each_sample
from harness.probe.probe import Probe
from harness.probe.twin import Twin
from harness.probe.view import View
from harness.proxies.registry import registry

NTK = ("ntk_trace", "knas")
SIGN = ("gradsign", "gradsign@az_nas")
TESTED = ("ntk_cond", *NTK, *SIGN)


def flat(gradients: list[Tensor | None], like: list[Tensor]) -> np.ndarray:
    found = (torch.zeros_like(w) if g is None else g for g, w in zip(gradients, like, strict=True))
    return torch.cat([g.flatten() for g in found]).numpy()


def layer_weights(model: nn.Module) -> list[Tensor]:
    return [m.weight for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def loop(model: nn.Module, numbers: Tensor, weights: list[Tensor]) -> np.ndarray:
    """(samples, weights): one backward for each number."""
    rows = [torch.autograd.grad(n, weights, retain_graph=True, allow_unused=True) for n in numbers]
    return np.stack([flat(row, weights) for row in rows])


def ones_by_one(model: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """(samples, weights): each image as a minibatch of one, in training mode."""
    weights = layer_weights(model)
    rows = []
    for n in range(len(x)):
        loss = functional.cross_entropy(model(x[n : n + 1]), y[n : n + 1])
        rows.append(flat(torch.autograd.grad(loss, weights, allow_unused=True), weights))
    return np.stack(rows)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_trace_and_knas(case):
    x, y = minibatch(12)
    x = x.double()
    weights = layer_weights(case.plain)
    outputs = case.plain(x)
    rows = loop(case.plain, outputs[range(12), y], weights)
    ours = case.ours(NTK)
    assert close(score(ours, "ntk_trace"), math.sqrt(np.trace(rows @ rows.T) / 12))
    rows = loop(case.plain, functional.cross_entropy(outputs, y, reduction="none"), weights)
    assert close(score(ours, "knas"), (rows @ rows.T).mean())


@pytest.mark.parametrize("position", range(3))
def test_condition_number(position):
    """Two of its three draws; BatchNorm's weights count."""
    x = minibatch(12)[0].double()
    expected = []
    for repeat in range(2):
        case = cases("kaiming_fan_out", repeat)[position]
        weights = [p for name, p in case.plain.named_parameters() if "weight" in name]
        rows = loop(case.plain, case.plain(x).sum(1), weights)
        eigenvalues = np.linalg.eigvalsh(rows @ rows.T)
        expected.append(-eigenvalues[-1] / eigenvalues[0])
    ours = case.ours(["ntk_cond"], repeats=2)
    assert close(score(ours, "ntk_cond"), float(np.mean(expected)), 1e-5)
    assert registry()["ntk_cond"].view.repeats == 3


@pytest.mark.parametrize("init", ["default", "kaiming_fan_in"])
@pytest.mark.parametrize("position", range(3))
def test_gradsign(position, init):
    case = cases(init)[position]
    x, y = minibatch(12)
    rows = ones_by_one(case.plain, x.double(), y)
    signs = np.where(np.abs(rows) > 1e-10, np.sign(rows), 0)
    expected = np.abs(signs.sum(0))
    name = "gradsign" if init == "default" else "gradsign@az_nas"
    value = score(case.ours([name]), name)
    assert close(value, expected.sum() if init == "default" else expected.mean(), 1e-9)


class Odd(nn.Module):
    """Strides, dilation, 'same' and reflecting padding, groups; a linear layer on every position; one used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, stride=2, padding=(1, 2), dilation=2)
        self.b = nn.Conv2d(4, 4, (2, 3), padding="same", groups=2)
        self.c = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", bias=False)
        self.d = nn.Linear(4, 5)
        self.norm = nn.BatchNorm2d(4)
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(torch.tanh(self.norm(self.c(torch.relu(self.b(self.a(x)))))))
        return self.d(x.movedim(1, 3)).mean((1, 2))


def probe_of(model: nn.Module, x: Tensor, y: Tensor, batchnorm: str) -> Probe:
    view = View(batchnorm=batchnorm, precision="float64")
    return Probe(as_seen(Twin(model), view), [Minibatch(x.double(), y)])


def test_every_kind_of_layer():
    torch.manual_seed(0)
    model, (x, y) = Odd(), minibatch(5)
    found = each_sample(probe_of(model, x, y, "one"), lambda rows: rows)
    rows = ones_by_one(copy.deepcopy(model).double().train(), x.double(), y)
    ours = torch.cat([(f if f.shape[0] == 5 and f.dim() > 2 else f.expand(5, *f.shape)).flatten(1) for f in found], 1)
    assert np.allclose(ours.numpy(), rows, rtol=1e-9, atol=1e-12)
    in_eval = each_sample(probe_of(model, x, y, "eval"), lambda rows: rows.sum(0))
    model = copy.deepcopy(model).double().eval()
    (functional.cross_entropy(model(x.double()), y) * 5).backward()
    for layer, ours in zip(layer_weights(model), in_eval, strict=True):
        assert layer.grad is None or torch.allclose(ours, layer.grad, rtol=1e-9, atol=1e-12)


def test_coupled_is_not_single():
    """What BatchNorm carries from sample to sample is in the kernel."""
    x, y = minibatch(6)
    coupled = coupled_gram(probe_of(Small(), x, y, "train"), of="sum", every_weight=False)
    single = coupled_gram(probe_of(Small(), x, y, "one"), of="sum", every_weight=False)
    assert not torch.allclose(coupled, single, rtol=1e-2)
    by_sample = each_sample(probe_of(Bare(), x, y, "train"), lambda rows: rows)  # no BatchNorm: nothing is carried
    assert len(by_sample) == 3
    with pytest.raises(ValueError, match="coupled by batch statistics"):
        each_sample(probe_of(Small(), x, y, "train"), lambda rows: rows)


def test_layers_of_an_unknown_kind_run_sample_by_sample():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            return functional.conv2d(x, self.weight / self.weight.std(), self.bias)

    model = nn.Sequential(Standardised(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
    ours = scores_of(model, ["gradsign", "ntk_trace", "ntk_trace@hnas"])
    x, y = given().minibatches[0].inputs.double(), given().minibatches[0].targets
    rows = ones_by_one(copy.deepcopy(model).double(), x, y)
    assert score(ours, "gradsign") == np.abs(np.where(np.abs(rows) > 1e-10, np.sign(rows), 0).sum(0)).sum()
    assert "Standardised" in ours["ntk_trace@hnas"].reasons[0]
    assert math.isfinite(score(ours, "ntk_trace"))  # the kernel asks nothing of layers


def test_the_network_is_left_as_it_was():
    """Weights that are fixed stay so, no hook stays, the pass is counted."""
    probe = probe_of(Small(), *minibatch(4), "train")
    fixed = [p for p in probe.network.parameters() if not p.requires_grad]
    coupled_gram(probe, of="sum", every_weight=True)
    assert fixed and not any(p.requires_grad for p in fixed)
    assert not any(p._backward_hooks for p in probe.network.parameters())
    assert probe.passes == {"per-sample gradients": 1}


def test_properties():
    check_properties(TESTED)
    check_declared(TESTED)
    assert [registry()[name].labels for name in TESTED] == [False, True, True, True, True]


def test_by_hand():
    """One weight w and inputs x: the logit w x of class 1, gradients x; K = x x^T has rank one: singular."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 1, bias=False))
    x, _ = minibatch(3)
    kernel = x.double().flatten(1) @ x.double().flatten(1).T
    inputs = given(3, labels=torch.ones(3, dtype=torch.long))
    eigenvalues = torch.linalg.eigvalsh(kernel)
    ours = scores_of(model, ["ntk_cond", "ntk_trace", "knas", "gradsign"], inputs=inputs)
    assert score(ours, "ntk_cond") == pytest.approx(-(eigenvalues[-1] / eigenvalues[0]).item())
    assert score(ours, "ntk_trace") == pytest.approx(math.sqrt(kernel.trace().item() / 3))
    slopes = ((model(x).double().sigmoid() - 1) * x.double().flatten(1)).detach()  # of the binary cross-entropy
    assert score(ours, "knas") == pytest.approx(slopes.mean(0).square().sum().item())
    assert score(ours, "gradsign") == slopes.sign().sum(0).abs().sum().item()


def test_degenerate():
    """Twins make the kernel singular; nothing to differentiate is no score; a disconnected cell has its classifier."""
    twins = given(4)
    twins.minibatches[0].inputs[1] = twins.minibatches[0].inputs[0]
    ours = scores_of(Small(), ["ntk_cond"], inputs=twins, view={"repeats": 1})["ntk_cond"]
    assert ours.scores.item() == -math.inf and "singular" in ours.reasons[0]

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(2, 2)

        def forward(self, x):
            return x.new_zeros(len(x), 5)

    nothing = scores_of(Constant(), TESTED)
    for name in ("ntk_cond", "ntk_trace", "knas", "gradsign"):
        assert math.isnan(score(nothing, name)) and "the outputs have no gradient" in nothing[name].reasons[0]
    apart = scores_201(TESTED, [disconnected()], view={"repeats": 1})
    for each in apart.values():
        assert math.isfinite(each.scores.item()) or each.reasons
    one = scores_of(Small(), TESTED, inputs=given(1), view={"repeats": 1})
    assert score(one, "ntk_cond") == pytest.approx(-1)  # a single sample: one eigenvalue
    tiny = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 5))
    assert "more than 1 value" in scores_of(tiny, ["gradsign"])["gradsign"].reasons[0]
