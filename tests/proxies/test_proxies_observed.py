"""act_cor and its relatives, dextr, rbflex, entropy, linear_regions@te_nas, meco@pruner and reg_swap against NumPy."""

from __future__ import annotations

import copy
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from networks import Bare, Reference201, Small, minibatch
from proxy_checks import (
    FULL,
    STACK,
    Case,
    cases,
    check_declared,
    check_properties,
    close,
    disconnected,
    given,
    score,
    scores_201,
    scores_of,
    stack_of,
)
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.benchmark import space_of
from harness.inputs.draw import gaussian_minibatches
from harness.probe.initialise import stream
from harness.probe.probe import Probe
from harness.probe.relu_observers import absolute_correlations
from harness.proxies.dextr import circle, curvature
from harness.proxies.global_state import seeded
from harness.proxies.linear_regions import crops
from harness.proxies.rbflex import log_determinant
from harness.proxies.registry import registry

CORRELATED = ("act_cor", "grad_cor", "act_grad_cor", "wrcor")
OTHERS = ("dextr", "rbflex", "entropy", "linear_regions@te_nas", "meco@pruner")
USUAL = (*CORRELATED, *OTHERS)
TESTED = (*USUAL, "reg_swap")
BLOCK = {
    "Small": {"body.relu": 2, "body.loose": 2, "relu": 3},
    "Bare": {"layers.1": 0, "layers.3": 1},
}
"""How many feature blocks come before each ReLU."""


def outputs(model: nn.Module, x: Tensor, kinds: tuple[type, ...]) -> list[tuple[str, Tensor]]:
    """(module's name, output) of each call."""
    kept: list[tuple[str, Tensor]] = []
    handles = [
        m.register_forward_hook(lambda _, __, out, name=name: kept.append((name, out)))
        for name, m in model.named_modules() if isinstance(m, kinds)
    ]  # fmt: skip
    with seeded(0):
        model(x)
    for handle in handles:
        handle.remove()
    return kept


def correlated(values: Tensor) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.abs(np.corrcoef(values.detach().flatten(1).numpy())), nan=0.0)


def block_of(label: str, name: str) -> int:
    if label != "201":
        return BLOCK[label][name]
    return 6 if name.startswith("last") else int(name.split(".")[1]) + 1


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_correlations(case: Case):
    x, labels = minibatch(12)
    model = copy.deepcopy(case.plain)
    kept: list[tuple[str, Tensor]] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _, __, out, name=name: kept.append((name, out)))
    loss = functional.cross_entropy(model(x.double()), labels)
    gradients = torch.autograd.grad(loss, [out for _, out in kept], allow_unused=True)
    a = [correlated(out) for _, out in kept]
    g = [0 * first if each is None else correlated(each) for first, each in zip(a, gradients, strict=True)]
    weights = [2.0 ** block_of(case.label, name) for name, _ in kept]
    expected = {
        "act_cor": sum(a), "grad_cor": sum(g), "act_grad_cor": sum(a) + sum(g),
        "wrcor": sum(w * (one + other) for w, one, other in zip(weights, a, g, strict=True)),
    }  # fmt: skip
    ours = case.ours(CORRELATED)
    for name, matrix in expected.items():
        assert close(score(ours, name), np.linalg.slogdet(matrix)[1]), name


def test_correlation_by_hand():
    """1/2 between the first two; none with a constant row; the size of a row does not matter, however small."""
    rows = torch.tensor([[[1.0, -1.0, 0.0, 0.0], [-1e-30, 0.0, 1e-30, 0.0], [7.1, 7.1, 7.1, 7.1]]])
    expected = torch.tensor([[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 0.0]]).double()
    assert torch.allclose(absolute_correlations(rows)[0], expected, atol=1e-6)


def with_statistics_of(model: nn.Module, points: Tensor) -> nn.Module:
    """The model in evaluation mode, BatchNorm's statistics those of the points."""
    model = copy.deepcopy(model).train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    counts = {}
    for norm in norms:
        norm.momentum = 1.0
        norm.register_forward_hook(lambda m, x, _: counts.update({m: x[0].numel() / x[0].shape[1]}))
    model(points)
    for norm in norms:
        norm.running_var *= (counts[norm] - 1) / counts[norm]  # of the population
    return model.eval()


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_dextr(case: Case):
    x = minibatch(12)[0][:1].double()
    maps = [out for _, out in outputs(case.plain, x, (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)) if out.dim() == 4]
    values = [np.linalg.svd(out[0].detach().flatten(1).numpy(), compute_uv=False) for out in maps]
    s = math.log(1 + sum(v[-1] / v[0] for v in values))
    with seeded(0):
        points, moves = circle(x)
    model = with_statistics_of(case.plain, points)
    bends = []
    for point, move in zip(points, moves, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda x: model(x[None])[0], point).flatten(1)
        v, a = (jacobian @ move.flatten()).numpy(), -(jacobian @ point.flatten()).numpy()
        along = a - (a @ v) / (v @ v) * v  # what of a turns the curve
        bends.append(np.linalg.norm(along) / (v @ v))
    c = math.log(1 + np.mean(bends))
    assert close(score(case.ours(["dextr"]), "dextr"), s * c / (s + c), 1e-5)


def test_curvature_by_hand():
    """A circle of radius 4 bends by 1/4, at any speed; a line does not; what stands still has no curvature."""
    v = torch.tensor([[0.0, 8.0], [1.0, 1.0], [0.0, 0.0]])
    a = torch.tensor([[-16.0, 3.0], [2.0, 2.0], [1.0, 0.0]])
    found = curvature(v, a).tolist()
    assert found[:2] == [0.25, 0.0] and math.isnan(found[2])


def test_circle():
    """Points have mean square 1, moves are their derivative by the angle."""
    points, moves = circle(torch.zeros(2, 3, 8, 8).double())
    assert torch.allclose(points.square().flatten(1).mean(1), torch.ones(8).double())
    assert torch.allclose((points * moves).flatten(1).sum(1), torch.zeros(8).double(), atol=1e-9)
    step = math.tau / 8
    turned = math.cos(step) * points[3] + math.sin(step) * moves[3]
    assert torch.allclose(points[4], turned)


def decimal_log_determinant(squares: np.ndarray, gamma: str) -> float:
    with localcontext() as context:
        context.prec = 80
        a, b, c = ((-Decimal(gamma) * Decimal(float(squares[i, j]))).exp() for i, j in ((0, 1), (0, 2), (1, 2)))
        return float((1 + 2 * a * b * c - a * a - b * b - c * c).ln())


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_rbflex(case: Case):
    x = minibatch(12)[0][:3].double()
    relus, last = [], []
    for one in x:
        relus.append(torch.cat([o.flatten() for _, o in outputs(case.plain, one[None], (nn.ReLU,))]))
        case.plain.classifier.register_forward_pre_hook(lambda _, x: last.append(x[0].flatten()))
        case.plain(one[None])
        case.plain.classifier._forward_pre_hooks.clear()
    total = 0.0
    for rows, gamma in ((torch.stack(relus), "2.687e-12"), (torch.stack(last), "1.025e-11")):
        rows = rows.detach().numpy()
        varied = rows[:, np.ptp(rows, axis=0) > 0]
        varied = (varied - varied.min(0)) / np.ptp(varied, axis=0)
        squares = ((varied[:, None] - varied) ** 2).sum(2)
        total += decimal_log_determinant(squares, gamma)
    assert close(score(case.ours(["rbflex"]), "rbflex"), 3 * total)


def test_kernel_determinant_by_hand():
    """Two samples: 1 - exp(-2 g d)."""
    found = log_determinant(torch.tensor([[[0.0, 3.0], [3.0, 0.0]]]).double(), 0.5).item()
    assert found == pytest.approx(math.log(1 - math.exp(-3)))


def test_entropy():
    case = cases("normal")[2]
    model = copy.deepcopy(case.plain)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda x: x
    (noise,) = gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=16, count=1, seed=0)
    maps = model.last(model.body(model.stem(noise.inputs.double()))).detach().numpy()
    assert close(score(case.ours(["entropy"]), "entropy"), math.log(maps.var()))


@torch.no_grad()
def thin(model: Reference201) -> Reference201:
    """A network of a quarter of the channels, one input channel, with the first weights of every convolution."""
    small = Reference201(space_of("201").canonical(FULL), channels=1, cells=1, classes=5, input_channels=1).double()
    for to, layer in zip(small.modules(), model.modules(), strict=True):
        if isinstance(to, nn.Conv2d):
            scale = math.sqrt(layer.in_channels / to.in_channels)
            to.weight.copy_(scale * layer.weight[: to.out_channels, : to.in_channels])
    return small.train()


def test_linear_regions():
    """Counted in a network that is thin, on images of one channel."""
    case = cases("kaiming_fan_in")[2]
    x = (minibatch(12)[0][:, :, :1, :1] + torch.arange(8.0) / 50).expand(12, 3, 8, 8).double()  # alike along columns
    inputs = given(12)
    inputs.minibatches[0].inputs.copy_(x)
    with seeded(0):
        cut = crops(x)
    assert cut.shape == (3000, 3, 4, 4) and not cut[:, 1:].any()
    signs = [out.flatten(1) > 0 for _, out in outputs(thin(case.plain), cut[:, :1], (nn.ReLU,))]
    expected = len(np.unique(torch.cat(signs, 1).numpy(), axis=0))
    ours = scores_201(["linear_regions@te_nas"], inputs=inputs, view={"precision": "float64"})
    assert score(ours, "linear_regions@te_nas") == expected
    assert 10 < expected < 60  # not merely the 60 different crops


def test_crops_are_of_the_images():
    x = torch.arange(2 * 3 * 64.0).view(2, 3, 8, 8)
    for crop in crops(x)[:, 0]:
        assert torch.equal(crop - crop[0, 0], torch.arange(4.0)[:, None] * 8 + torch.arange(4.0))
        assert crop[0, 0] % 192 < 64 and crop[0, 0] % 8 <= 4


@pytest.mark.parametrize("case", cases()[1:], ids=lambda case: case.label)
def test_meco_pruner(case: Case):
    noise = torch.randn(1, 3, 64, 64, generator=stream(0, "64", "meco@pruner")).double()
    maps = [out for _, out in outputs(case.plain, noise, (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)) if out.dim() == 4]
    expected = 0.0
    with np.errstate(invalid="ignore"):
        for out in maps:
            matrix = np.nan_to_num(np.corrcoef(out[0].detach().flatten(1).numpy()))
            expected += np.linalg.eigvalsh(matrix).min()
    assert expected > 1e-4 and close(score(case.ours(["meco@pruner"]), "meco@pruner"), expected, scale=1.0)


def test_reg_swap():
    """mu is the size of the largest 201 network, in thousands."""
    space = space_of("201")
    every = [f"nor_conv_3x3~{source}" for source in (0, 0, 1, 0, 1, 2)]
    largest = space.index("|{}|+|{}|{}|+|{}|{}|{}|".format(*every))
    assert sum(p.numel() for p in space.build([largest]).parameters()) // 1000 == 1531
    ours = scores_201(["swap", "reg_swap"], view={"repeats": 1})
    params = sum(p.numel() for p in stack_of([FULL]).parameters()) / 1e3
    assert score(ours, "reg_swap") == pytest.approx(score(ours, "swap") * math.exp(-(((params - 1531) / 1531) ** 2)))
    assert [registry()[name].fitted for name in ("reg_swap", "rbflex", "swap", "dextr")] == [True, True, False, False]


def test_properties():
    check_properties(USUAL)
    check_properties(["reg_swap"], view={"repeats": 2})
    check_declared(TESTED)


def test_beside_others():
    """What they add to a shared pass changes nobody's scores; nothing stays on the network."""
    names = ("naswot", "snip", "grasp", "jacob_cov")
    beside, alone = scores_201((*USUAL, *names), STACK), scores_201(names, STACK)
    for name in names:
        assert torch.allclose(beside[name].scores, alone[name].scores, rtol=1e-4), name
    assert torch.allclose(beside["wrcor"].scores, scores_201(["wrcor"], STACK)["wrcor"].scores, rtol=1e-5)
    model = Small()
    before = copy.deepcopy(model.state_dict())
    probe = Probe(model, given().minibatches)
    x = torch.cat(circle(probe.inputs))
    assert probe.pushforward(x, x.roll(1, 0)).shape == (16, 1, 5)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any("forward" in vars(module) for module in model.modules())


def test_degenerate():
    """No path to the output; no ReLU; one sample; samples alike; smooth activations; an input of one size only."""
    ours = scores_201(USUAL, [disconnected()])
    reasons = {name: each.reasons.get(0, "") for name, each in ours.items()}
    assert all(math.isnan(score(ours, name)) and "no ReLU responds" in reasons[name] for name in CORRELATED)
    assert math.isnan(score(ours, "dextr")) and "stands still" in reasons["dextr"]
    assert score(ours, "rbflex") == -math.inf and "alike" in reasons["rbflex"]
    assert score(ours, "entropy") == -math.inf and "constant" in reasons["entropy"]
    assert math.isfinite(score(ours, "linear_regions@te_nas")) and math.isfinite(score(ours, "meco@pruner"))

    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
    ours = scores_of(plain, USUAL)
    assert "no ReLU responds" in ours["act_cor"].reasons[0] and "blocks=" in ours["wrcor"].reasons[0]
    assert "no ReLU" in ours["linear_regions@te_nas"].reasons[0] and "blocks=" in ours["entropy"].reasons[0]
    assert math.isfinite(score(ours, "meco@pruner")) and math.isfinite(score(ours, "dextr"))
    assert "shapes" in scores_of(Small(), ["meco@pruner"])["meco@pruner"].reasons[0]

    one = scores_of(Bare(), USUAL, inputs=given(1), blocks=("layers.1",))
    assert math.isfinite(score(one, "act_cor")) and math.isfinite(score(one, "dextr"))
    assert "two or more" in one["rbflex"].reasons[0]

    twins = given(6)
    twins.minibatches[0].inputs[1] = twins.minibatches[0].inputs[0]
    alike = scores_of(Bare(), ("act_cor", "rbflex"), inputs=twins)
    assert {each.scores.item() for each in alike.values()} == {-math.inf}
    assert all(each.reasons for each in alike.values())

    smooth = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(144, 5))
    assert "SiLU" in scores_of(smooth, ["dextr"])["dextr"].reasons[0]
