"""Later proxies of gradients: vkdnw, signal to noise, HNAS, L-SWAG, and variants of grad_norm and synflow."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from networks import Bare, minibatch
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

FISHER = ("vkdnw", "vkdnw_single")
SNR = ("snip@snr", "snip@log_snr", "synflow@snr", "synflow@log_snr", "t_cet")
HNAS = ("ntk_trace@hnas", "kappa@hnas")
TESTED = (*FISHER, *SNR, *HNAS, "grad_norm@aw_nas", "synflow@zennas", "l_swag")


def noise(samples: int) -> Tensor:
    (found,) = gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=samples, count=1, seed=0)
    return found.inputs.double()


def entropy_of_fisher(model: nn.Module, x: Tensor) -> tuple[float, int]:
    """By its definition, with a Cholesky factor and one backward for each output of each sample."""
    model = model.eval()
    tensors = list(model.parameters())
    total = 0.0
    for image in x:
        logits = model(image[None])[0]
        rows = [torch.autograd.grad(each, tensors, retain_graph=True, allow_unused=True) for each in logits]
        taken = [[0.0 if g is None else g.flatten()[0].item() for g in row[:128]] for row in rows]
        p = 0.95 * logits.detach().softmax(0).numpy() + 0.05 / len(logits)
        factor = np.linalg.cholesky(np.diag(p) - np.outer(p, p) + 1e-14 * np.eye(len(p)))
        a = factor.T @ np.array(taken)
        total = total + a.T @ a / len(x)
    quantiles = np.quantile(np.linalg.svd(total)[1], np.arange(1, 10) / 10)
    q = quantiles / quantiles.sum()
    return float(-(q * np.log(q)).sum()), len(tensors)


@pytest.mark.parametrize("case", cases("kaiming_fan_in"), ids=lambda case: case.label)
def test_vkdnw(case):
    expected, tensors = entropy_of_fisher(case.plain, noise(8))
    ours = case.ours(FISHER, batch_size=8)
    assert close(score(ours, "vkdnw"), expected, 1e-6)
    assert score(ours, "vkdnw_single") - score(ours, "vkdnw") == pytest.approx(tensors)


def gradients_of(model: nn.Module, x: Tensor, y: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(weight, its loss gradient) of each convolution and linear layer."""
    weights = layer_weights(model)
    loss = functional.cross_entropy(model(x.double()), y)
    found = torch.autograd.grad(loss, weights, allow_unused=True)
    return [(w.detach(), torch.zeros_like(w) if g is None else g) for w, g in zip(weights, found, strict=True)]


def layer_weights(model: nn.Module) -> list[Tensor]:
    return [m.weight for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]


def flow(model: nn.Module, *, batchnorm: bool) -> list[tuple[Tensor, Tensor]]:
    """(weight, gradient) of the network of absolute weights, for the summed output of an image of ones."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.abs_()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and not batchnorm:
            module.forward = lambda x: x
    weights = layer_weights(model)
    total = model(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum()
    return list(zip(weights, torch.autograd.grad(total, weights), strict=True))


def ratios(pairs: list[tuple[Tensor, Tensor]]) -> np.ndarray:
    saliencies = [(w * g).abs().detach().numpy().flatten() for w, g in pairs]
    return np.array([s.sum() / s.std(ddof=1) for s in saliencies])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_signal_to_noise(case):
    ours = case.ours((*SNR, "grad_norm@aw_nas", "naswot@layerwise"))
    pairs = gradients_of(case.plain, *minibatch(12))
    r = ratios(pairs)
    assert close(score(ours, "snip@snr"), r.sum())
    assert close(score(ours, "snip@log_snr"), np.log(1 + r).sum())
    assert score(ours, "t_cet") == score(ours, "naswot@layerwise") * score(ours, "snip@log_snr")
    r = ratios(flow(case.plain, batchnorm=False))
    assert close(score(ours, "synflow@snr"), r.sum())
    assert close(score(ours, "synflow@log_snr"), np.log(1 + r).sum())
    assert close(score(ours, "grad_norm@aw_nas"), sum(g.abs().sum().item() for _, g in pairs))


@pytest.mark.parametrize("case", cases("normal")[::2], ids=lambda case: case.label)
def test_synflow_zennas(case):
    """Negated; BatchNorm of a constant map is rounding, so gradients of the last layers alone carry it."""
    means = [(w * g).abs().detach().flatten(1).sum(1).mean().item() for w, g in flow(case.plain, batchnorm=True)]
    assert close(score(case.ours(["synflow@zennas"]), "synflow@zennas"), -sum(means))


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_l_swag(case):
    """Both factors from their definitions, patterns as strings of bits."""
    seen: list[Tensor] = []
    relus = [m for m in case.plain.modules() if isinstance(m, nn.ReLU)]
    handles = [m.register_forward_hook(lambda _, __, y: seen.append(y.detach() > 0)) for m in relus]
    case.plain(minibatch(12)[0].double())
    for handle in handles:
        handle.remove()
    patterns = sum(len({bytes(unit) for unit in y.flatten(1).T.numpy()}) for y in seen if y.dim() == 4)
    both = [gradients_of(case.plain, *minibatch(12, seed=seed)) for seed in (0, 1)]
    steadiness = 0.0
    for (_, one), (_, other) in zip(*both, strict=True):
        deviation = np.std([one.abs().numpy(), other.abs().numpy()], axis=0)
        with np.errstate(divide="ignore"):
            inverse = (1 / deviation)[deviation > 0]
        steadiness += math.log(inverse.sum()) if len(inverse) else 0.0
    assert close(score(case.ours(["l_swag"]), "l_swag"), steadiness * patterns)


def backprops(model: nn.Module, x: Tensor, y: Tensor) -> np.ndarray:
    """(samples, weights and biases): each layer's input times what one backward of all gives its output, by sample."""
    uses: list[tuple[nn.Module, Tensor, Tensor]] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        output.retain_grad()
        uses.append((module, inputs[0].detach(), output))

    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    handles = [m.register_forward_hook(keep) for m in layers]
    model(x)[range(len(x)), y].sum().backward()
    for handle in handles:
        handle.remove()
    rows = []
    for n in range(len(x)):
        total = {p: torch.zeros_like(p) for m in layers for p in m.parameters()}
        for module, given_, output in uses:  # the layer alone, differentiated along its part of the backward
            own = list(module.parameters())
            alone = module(given_[n : n + 1])
            if output.grad is not None:
                for p, g in zip(own, torch.autograd.grad(alone, own, output.grad[n : n + 1]), strict=True):
                    total[p] += g
        rows.append(torch.cat([g.flatten() for g in total.values()]).numpy())
    return np.stack(rows)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_hnas(case):
    x, y = minibatch(12)
    rows = backprops(case.plain, x.double(), y)
    theta = rows @ rows.T
    eigenvalues = np.linalg.eigvalsh(theta)
    ours = case.ours((*HNAS, "ntk_trace"))
    assert close(score(ours, "ntk_trace@hnas"), math.sqrt(np.trace(theta) / 12))
    assert close(score(ours, "kappa@hnas"), -eigenvalues[-1] / eigenvalues[0], 1e-5)
    assert score(ours, "ntk_trace@hnas") != pytest.approx(score(ours, "ntk_trace"), rel=1e-3)


def test_properties():
    check_properties(TESTED, view={"batch_size": 12})
    check_declared(TESTED)
    unlabelled = (*FISHER, "synflow@snr", "synflow@log_snr", "synflow@zennas")
    assert [name for name in TESTED if not registry()[name].labels] == list(unlabelled)


def test_degenerate():
    """Nothing to differentiate is no score, with a reason; one sample, one class, a disconnected cell raise nothing."""

    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return x.new_zeros(len(x), 5)

    nothing = scores_of(Constant(), TESTED)
    for name in (*FISHER, *SNR, "kappa@hnas", "l_swag"):
        assert math.isnan(score(nothing, name)) and nothing[name].reasons[0], name
    for name in ("grad_norm@aw_nas", "synflow@zennas"):
        assert math.isnan(score(nothing, name)) and "the outputs have no gradient" in nothing[name].reasons[0]
    apart = scores_201(FISHER, [disconnected()], view={"batch_size": 4})
    assert all("nine tenths" in apart[name].reasons[0] for name in FISHER)
    one_class = given(6, labels=torch.zeros(6, dtype=torch.long))
    others = (
        scores_201(TESTED, [disconnected()], view={"batch_size": 4}), scores_of(Bare(), TESTED, inputs=given(1)),
        scores_of(Bare(), TESTED, inputs=one_class),
    )  # fmt: skip
    for scored in others:
        for name, each in scored.items():
            assert math.isfinite(each.scores.item()) or each.reasons[0], name


def test_twins_make_kappa_infinite():
    twins = given(4, labels=torch.zeros(4, dtype=torch.long))
    twins.minibatches[0].inputs[1] = twins.minibatches[0].inputs[0]
    ours = scores_of(Bare(), ["kappa@hnas"], inputs=twins)["kappa@hnas"]
    assert ours.scores.item() == -math.inf and "singular" in ours.reasons[0]


def test_snr_by_hand():
    """Two weights 1 and 3 with gradients 1: saliencies 1 and 3, sum 4, deviation sqrt(2)."""

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(2, 1, bias=False)
            self.last.weight.data = torch.tensor([[1.0, 3.0]])

        def forward(self, x: Tensor) -> Tensor:
            return self.last(x[:, :2, 0, 0])

    assert score(scores_of(Pair(), ["synflow@snr"]), "synflow@snr") == pytest.approx(4 / math.sqrt(2))
