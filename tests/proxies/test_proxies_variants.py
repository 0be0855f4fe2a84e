"""Relatives of synflow, grad_norm, naswot and jacob_cov against plain autograd and NumPy."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from networks import Bare, ReluConvBn, minibatch
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

from harness.inputs.draw import gaussian_minibatches
from harness.proxies.registry import registry

SYNFLOW = ("synflow_bn", "logsynflow", "logsynflow@naslib")
CODES = ("naswot@naslib", "naswot@running-stats", "naswot@zero-cost-pt", "naswot@layerwise", "naswot@hnas")
OTHERS = ("jacob_logdet", "grad_norm@zennas", "grad_norm@az_nas")
TESTED = (*SYNFLOW, *CODES, *OTHERS)


def flow(model: nn.Module, *, keep_batchnorm: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """(weight, gradient) of each convolution and linear layer of the network of absolute weights, ones put in."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.abs_()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not keep_batchnorm:
            module.forward = lambda x: x
    model(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    used = [m.weight for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) and m.weight.grad is not None]
    return [(w.detach().numpy(), w.grad.numpy()) for w in used]


def relu_inputs(model: nn.Module, x: Tensor, kinds: type | tuple[type, ...] = nn.ReLU) -> list[np.ndarray]:
    """Of each call of a ReLU, or of modules of these kinds, (samples, units)."""
    kept: list[np.ndarray] = []
    handles = [
        m.register_forward_hook(lambda _, x, __: kept.append(x[0].detach().flatten(1).numpy().copy()))
        for m in model.modules() if isinstance(m, kinds)
    ]  # fmt: skip
    model(x)
    for handle in handles:
        handle.remove()
    return kept


def agreements(x: np.ndarray) -> np.ndarray:
    code = x > 0
    return np.array([[float((a == b).sum()) for b in code] for a in code])


def logdet(matrix: np.ndarray) -> float:
    return float(np.linalg.slogdet(matrix)[1])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_values(case):
    ours = case.ours((*SYNFLOW, *CODES, "jacob_logdet"))
    x = minibatch(12)[0].double()
    with_bn, without = flow(case.plain, keep_batchnorm=True), flow(case.plain, keep_batchnorm=False)
    evaluated = copy.deepcopy(case.plain).eval()
    expected = {
        "synflow_bn": sum(np.abs(w * g).sum() for w, g in with_bn),
        "logsynflow": sum(np.abs(w * np.log(g + 1)).sum() for w, g in without),
        "logsynflow@naslib": math.log(sum(np.abs(w * g).sum() for w, g in without)),
        "naswot@running-stats": logdet(sum(agreements(r) for r in relu_inputs(evaluated, x))),
        "naswot@zero-cost-pt": logdet(sum(agreements(r) for r in relu_inputs(evaluated, x, (nn.ReLU, ReluConvBn)))),
    }
    relus = relu_inputs(copy.deepcopy(case.plain), x)
    kernels = [agreements(r) for r in relus]
    expected["naswot@naslib"] = logdet(sum(kernels))
    expected["naswot@layerwise"] = sum(logdet(kernel) for kernel in kernels)
    expected["naswot@hnas"] = logdet(sum(r @ r.T for r in relus))
    x.requires_grad_(True)
    (jacobian,) = torch.autograd.grad(case.plain(x).sum(), x)
    expected["jacob_logdet"] = logdet(np.corrcoef(jacobian.flatten(1).numpy()))
    for name, value in expected.items():
        assert close(score(ours, name), value), f"{name}: {score(ours, name)} is not {value}"


def test_naslib_counts_what_the_output_does_not_need():
    """The small network throws one ReLU's result away."""
    ours = cases()[0].ours(("naswot", "naswot@naslib"))
    assert abs(score(ours, "naswot") - score(ours, "naswot@naslib")) > 1e-3


def test_only_blocks_that_are_named_after_their_relu_count_twice():
    """The cell of 201 has such blocks; the small network has none."""
    small, _, cell = (case.ours(("naswot@running-stats", "naswot@zero-cost-pt")) for case in cases())
    assert score(small, "naswot@zero-cost-pt") == score(small, "naswot@running-stats")
    assert score(cell, "naswot@zero-cost-pt") > score(cell, "naswot@running-stats") + 1


@pytest.mark.parametrize("case", cases("normal"), ids=lambda case: case.label)
def test_grad_norm_zennas(case):
    (noise,) = gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=16, count=1, seed=0)
    functional.cross_entropy(case.plain(noise.inputs.double()), noise.targets).backward()
    squares = [(p.grad**2).sum().item() for p in case.plain.parameters() if p.grad is not None]
    assert close(score(case.ours(["grad_norm@zennas"]), "grad_norm@zennas"), math.sqrt(sum(squares)))


@pytest.mark.parametrize("case", cases("kaiming_fan_in"), ids=lambda case: case.label)
def test_grad_norm_az_nas(case):
    (noise,) = gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=12, count=1, seed=0)
    functional.cross_entropy(case.plain(noise.inputs.double()), noise.targets).backward()
    squares = [(p.grad**2).sum().item() for p in case.plain.parameters() if p.grad is not None]
    assert close(score(case.ours(["grad_norm@az_nas"]), "grad_norm@az_nas"), math.sqrt(sum(squares)))


def test_grad_norm_zennas_leaves_zen_alone():
    """They may share a network; zen is of the running variance after its own two passes."""
    both, alone = scores_201(["grad_norm@zennas", "zen@naslib"]), scores_201(["zen@naslib"])
    view = {"precision": "float64"}  # now of one view
    shared = scores_201(["grad_norm@zennas", "zen@naslib"], view=view)
    assert both["zen@naslib"].scores.equal(alone["zen@naslib"].scores)
    assert shared["zen@naslib"].scores.equal(scores_201(["zen@naslib"], view=view)["zen@naslib"].scores)


def test_properties():
    check_properties([name for name in TESTED if name != "naswot@layerwise"])
    check_declared(TESTED)
    assert not any(registry()[name].labels for name in TESTED)


def test_layerwise_of_a_stack():
    """A last ReLU of few units makes two samples alike in one of them: six samples here."""
    stack = (1462, 7000, 333)
    together = scores_201(["naswot@layerwise"], stack, inputs=given(6))["naswot@layerwise"]
    alone = [scores_201(["naswot@layerwise"], [i], inputs=given(6))["naswot@layerwise"].scores.item() for i in stack]
    assert together.scores.tolist() == pytest.approx(alone)
    assert together.scores.isfinite().any()


def test_disconnected_cells():
    ours = scores_201(TESTED, [disconnected()])
    assert score(ours, "synflow_bn") == score(ours, "logsynflow") == 0
    assert score(ours, "logsynflow@naslib") == -math.inf
    assert "no path" in ours["logsynflow@naslib"].reasons[0]
    assert math.isnan(score(ours, "jacob_logdet")) and "constant" in ours["jacob_logdet"].reasons[0]
    assert score(ours, "naswot@layerwise") == -math.inf and "same code" in ours["naswot@layerwise"].reasons[0]
    assert math.isfinite(score(ours, "grad_norm@zennas"))


def test_singular_and_empty():
    """Two samples alike: no determinant. A network without ReLU: nothing to compare."""
    x = minibatch(6)[0]
    twins = given(6)
    twins.minibatches[0].inputs[1] = x[0]
    ours = scores_of(Bare(), (*CODES[:3], "jacob_logdet"), inputs=twins)
    assert all(value.reasons[0] for value in ours.values())
    assert {each.scores.item() for name, each in ours.items() if name in CODES[:3]} == {-math.inf}
    bare = scores_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 5)), CODES)
    for name in CODES:
        assert math.isnan(score(bare, name)) and "no ReLU" in bare[name].reasons[0]
