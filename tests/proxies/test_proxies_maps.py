"""swap, meco, meco_opt and near against NumPy."""

from __future__ import annotations

import math
from dataclasses import replace

import networks
import numpy as np
import pytest
import torch
from networks import Small, minibatch
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
    stack_of,
)
from torch import Tensor, nn

from harness.engine.scoring import score_stack
from harness.probe.initialise import stream
from harness.proxies.near import effective_rank
from harness.proxies.registry import registry
from harness.proxies.swap import regularised

TESTED = ("swap", "meco", "meco_opt", "near")
LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)


def outputs(model: nn.Module, x: Tensor, kinds: tuple[type, ...]) -> list[np.ndarray]:
    kept: list[np.ndarray] = []
    handles = [
        m.register_forward_hook(lambda _, __, out: kept.append(out.detach().numpy().copy()))
        for m in model.modules() if isinstance(m, kinds)
    ]  # fmt: skip
    model(x)
    for handle in handles:
        handle.remove()
    return kept


def patterns(model: nn.Module, x: Tensor) -> int:
    """Rows of the matrix (units, samples) of signs that differ."""
    maps = [out for out in outputs(model, x, (nn.ReLU,)) if out.ndim == 4]
    return len({tuple(row) for out in maps for row in (out.reshape(len(out), -1).T > 0)})


@pytest.mark.parametrize("position", range(3))
def test_swap(position):
    """Two of its repeats; with 16 of 20 samples."""
    inputs = given(20)
    x = inputs.minibatches[0].inputs[:16].double()
    drawn = [cases("normal", repeat)[position] for repeat in range(2)]
    expected = np.mean([patterns(case.plain, x) for case in drawn])
    view = {"repeats": 2, "precision": "float64"}
    model = {0: "Small", 1: "Bare", 2: "201"}[position]
    assert drawn[0].label == model
    scored = scores_201(["swap"], inputs=inputs, view=view) if model == "201" else None
    scored = scored or scores_of(_own(model), ["swap"], inputs=inputs, view=view)
    assert score(scored, "swap") == expected > 16
    assert registry()["swap"].view.repeats == 32


def _own(label: str) -> nn.Module:
    return getattr(networks, label)()


def correlations(out: np.ndarray) -> np.ndarray:
    rows = out[0].reshape(out.shape[1], -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(rows), nan=0.0, posinf=0.0, neginf=0.0)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_meco(case):
    ours = case.ours(["meco", "meco_opt"])
    maps = [out for out in outputs(case.plain, minibatch(12)[0][:1].double(), LAYERS) if out.ndim == 4]
    expected = sum(np.linalg.eigvalsh(correlations(out)).min() for out in maps)
    assert expected > 1e-4 and close(score(ours, "meco"), expected, scale=1.0)
    drawn = 0.0
    for out in maps:
        c = out.shape[1]
        if c >= 8:
            chosen = torch.randperm(c, generator=stream(0, str(c), "meco_opt"))[:8].numpy()
            drawn += np.linalg.eigvalsh(correlations(out[:, chosen])).min() * c / 8
    if any(out.shape[1] >= 8 for out in maps):
        assert close(score(ours, "meco_opt"), drawn, scale=1.0)
    else:
        assert math.isnan(score(ours, "meco_opt")) and "8 channels" in ours["meco_opt"].reasons[0]


def test_meco_by_hand():
    """Two channels with correlation r: the smallest eigenvalue is 1 - |r|. A constant channel: 0."""

    class Maps(nn.Module):
        def __init__(self, second):
            super().__init__()
            self.second, self.conv, self.last = second, nn.Conv2d(2, 2, 1, bias=False), nn.Linear(8, 5)
            with torch.no_grad():
                self.conv.weight.copy_(torch.eye(2).view(2, 2, 1, 1))

        def forward(self, x):
            maps = torch.tensor([[1.0, -1.0, 0.0, 0.0], self.second]).to(x.dtype).view(1, 2, 2, 2)
            return self.last(self.conv(maps + 0 * x[:, :2, :2, :2]).flatten(1))

    assert score(scores_of(Maps([1.0, 0.0, -1.0, 0.0]), ["meco"]), "meco") == pytest.approx(0.5)
    assert score(scores_of(Maps([7.0, 7.0, 7.0, 7.0]), ["meco"]), "meco") == 0


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_near(case):
    total = 0.0
    for out in outputs(case.plain, minibatch(12)[0].double(), (*LAYERS, nn.Linear)):
        rows = out.transpose(0, 3, 2, 1).reshape(-1, out.shape[1]) if out.ndim == 4 else out
        count, c = rows.shape
        start = int(torch.randint(max(count - c, 0) + 1, (), generator=stream(0, str(c), f"rows of {count}")))
        values = np.linalg.svd(rows[start : start + c], compute_uv=False)
        if values.sum() > 0:
            p = values / values.sum()
            total += math.exp(-sum(v * math.log(v) for v in p if v > 0))
    assert close(score(case.ours(["near"]), "near"), total)


def test_effective_rank_by_hand():
    """Equal singular values: their number. One: 1. None: 0."""
    blocks = torch.stack([torch.eye(3), torch.ones(3, 3), torch.zeros(3, 3)]).double()
    assert effective_rank(blocks).tolist() == pytest.approx([3.0, 1.0, 0.0])


def test_properties():
    check_properties(TESTED, view={"repeats": 2})
    check_declared(TESTED)


def test_regularised_swap():
    """The factor is of all trainable tensors of each member of the stack, in thousands."""
    entry = replace(registry()["swap"], name="mine", score=regularised(mu=2.0, sigma=9.0))
    entry = replace(entry, view=replace(entry.view, repeats=1))
    stack = (1462, 333)
    scored = score_stack(lambda: stack_of(stack), ["a", "b"], [entry], given(), seed=0)["mine"].scores
    plain = replace(registry()["swap"], view=entry.view)
    counts = score_stack(lambda: stack_of(stack), ["a", "b"], [plain], given(), seed=0)["swap"].scores
    params = [sum(p.numel() for p in stack_of([i]).parameters()) for i in stack]
    assert scored.tolist() == pytest.approx(
        [c * math.exp(-((p / 1e3 - 2.0) ** 2) / 9.0) for c, p in zip(counts.tolist(), params, strict=True)]
    )


def test_degenerate():
    """No path: constant maps have no correlations and rank 0 or 1. No ReLU on a map: no patterns."""
    ours = scores_201(TESTED, [disconnected()], view={"repeats": 1})
    assert all(math.isfinite(each.scores.item()) for each in ours.values())
    flat = scores_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.ReLU()), TESTED, view={"repeats": 1})
    assert "no ReLU on a map" in flat["swap"].reasons[0] and "no layer" in flat["meco"].reasons[0]
    assert score(flat, "near") > 1
    one = scores_of(Small(), ["near", "swap"], inputs=given(1), view={"repeats": 1})
    assert score(one, "swap") <= 2 and math.isfinite(score(one, "near"))
    wide = scores_of(Small(), ["swap"], inputs=given(64), view={"repeats": 1, "batch_size": None})["swap"]
    assert "24 samples" in wide.reasons[0]
