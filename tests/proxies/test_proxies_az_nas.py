"""AZ-NAS's four scores against NumPy and plain autograd."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from networks import Bare
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
from torch import nn

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import Counts, Scored, of_space, score_stack
from harness.inputs.draw import gaussian_minibatches
from harness.probe.initialise import initialise, stream
from harness.proxies.registry import registry

NAMES = ("az_expressivity", "az_progressivity", "az_trainability", "linear_regions@az_nas")
TESTED = (*NAMES, "az_complexity")


def noise() -> torch.Tensor:
    return gaussian_minibatches(shape=(3, 8, 8), classes=5, batch_size=64, count=1, seed=0)[0].inputs.double()


def features(model: nn.Module, blocks: tuple[str, ...]) -> list[torch.Tensor]:
    """Outputs of the blocks with their graph, as the network computed them."""
    kept = {}
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _, __, out, name=name: kept.__setitem__(name, out))
        for name in blocks
    ]
    model(noise())
    for handle in handles:
        handle.remove()
    return [kept[name] for name in blocks]


def entropy(feature: torch.Tensor) -> float:
    rows = feature.detach().numpy().transpose(0, 2, 3, 1).reshape(-1, feature.shape[1])
    p = np.linalg.eigvalsh(np.cov(rows, rowvar=False, bias=True))
    p = p / p.sum()
    return float(np.sum(-p * np.log(p + 1e-8)))


def trainability(maps: list[torch.Tensor]) -> float:
    """As the authors write it: rows of g_in against rows of g_out, averaged."""
    terms = []
    torch.manual_seed(0)
    for before, after in itertools.pairwise(maps):
        b, c, h, w = after.shape
        signs = torch.randint(2, (b, 1, c, h, w), dtype=torch.int8)[:, 0].double() * 2 - 1
        (g,) = torch.autograd.grad(after, before, signs, retain_graph=True)
        if g.shape[2] != h:
            g = nn.PixelUnshuffle(g.shape[2] // h)(g)
        rows_in = g.permute(0, 2, 3, 1).reshape(b * h * w, -1).numpy()
        rows_out = signs.permute(0, 2, 3, 1).reshape(b * h * w, -1).numpy()
        s = np.linalg.norm(rows_in.T @ rows_out / (b * h * w), 2)
        terms.append(2 - s - 1 / (s + 1e-6))
    return float(np.mean(terms))


def regions(model: nn.Module) -> int:
    codes = []
    handles = [
        m.register_forward_hook(lambda _, x, __: codes.append((x[0].detach() > 0).flatten(1)))
        for m in model.modules() if isinstance(m, nn.ReLU)
    ]  # fmt: skip
    model(noise())
    for handle in handles:
        handle.remove()
    return len({tuple(row.tolist()) for row in torch.cat(codes, 1)})


@pytest.mark.parametrize("case", cases("kaiming_fan_in"), ids=lambda case: case.label)
def test_values(case):
    ours = case.ours(NAMES)
    maps = features(case.plain, case.blocks)
    by_block = [entropy(feature) for feature in maps]
    assert close(score(ours, "az_expressivity"), sum(by_block))
    assert close(score(ours, "az_progressivity"), min(np.diff(by_block)), scale=1.0)
    assert close(score(ours, "az_trainability"), trainability(maps))
    assert score(ours, "linear_regions@az_nas") == regions(case.plain)


def test_properties():
    check_properties(NAMES, scales={"az_progressivity": 1.0})  # a difference of entropies of about 1
    check_declared(TESTED)


def test_complexity_is_flops():
    flops = torch.tensor([3.0, 5.0])
    zeros = torch.zeros(2)
    assert registry()["az_complexity"].static
    assert registry()["az_complexity"].score(Counts(zeros, flops, zeros, zeros, zeros, zeros)).equal(flops)


def test_hand_worked_entropy_and_unchanged_gradient():
    """Two uncorrelated channels of one variance: H = log 2. An identity hands its gradient on: minus infinity."""

    class Signs(nn.Module):
        def forward(self, x):
            n = torch.arange(x.shape[0]).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
            one, two = 1.0 - 2.0 * (n % 2), 1.0 - 2.0 * (n // 2 % 2)
            return torch.cat([one, two], 1).to(x.dtype) + 0 * x[:, :2, :2, :2]

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.signs, self.same, self.last = Signs(), nn.Identity(), nn.Linear(8, 5)

        def forward(self, x):
            return self.last(self.same(self.signs(x)).flatten(1))

    ours = scores_of(Model(), NAMES, blocks=("signs", "same"))
    assert close(score(ours, "az_expressivity"), 2 * math.log(2), 1e-6)
    assert score(ours, "az_progressivity") == pytest.approx(0, abs=1e-12)
    assert score(ours, "az_trainability") == -math.inf
    assert "unchanged" in ours["az_trainability"].reasons[0]


def test_without_blocks_the_reason_says_what_to_name():
    ours = scores_of(Bare(), NAMES)
    for name in NAMES[:3]:
        assert "blocks=" in ours[name].reasons[0] and math.isnan(score(ours, name))
    assert score(ours, "linear_regions@az_nas") > 1  # not harmed by the others
    one = scores_of(Bare(), NAMES, blocks=("layers.1",))
    assert math.isfinite(score(one, "az_expressivity"))
    assert "two or more" in one["az_progressivity"].reasons[0] and "two or more" in one["az_trainability"].reasons[0]


def test_disconnected_cells():
    """Maps without a path are constant: no entropy. Nothing is pulled back through the break: no trainability."""
    ours = scores_201(NAMES, [disconnected()], cells_per_stage=1)
    assert "constant" in ours["az_expressivity"].reasons[0]
    assert math.isnan(score(ours, "az_progressivity"))
    assert ours["az_trainability"].reasons == {0: "a block hands no gradient on"}
    assert math.isnan(score(ours, "az_trainability"))
    assert score(ours, "linear_regions@az_nas") >= 1


def test_identities_of_macro_are_no_blocks():
    """A layer that is left out has neighbours that follow each other, also in a stack where another has it."""
    space, double = space_of("macro"), {"precision": "float64"}
    sizes = {"channels": 4, "head_channels": 8, "classes": 5, "input_channels": 3}
    archs = ("02001020", "11111111")
    indices = [list(space.archs).index(arch) for arch in archs]
    proxies = [replace(registry()[name], view=replace(registry()[name].view, **double)) for name in NAMES[:3]]

    def ours(some: list[int]) -> dict[str, Scored]:
        build = partial(allocate, space.build(some, **sizes), "cpu")
        names = [space.archs[i] for i in some]
        return score_stack(build, names, proxies, given(), seed=0, features=of_space)

    together = ours(indices)
    for position, (arch, index) in enumerate(zip(archs, indices, strict=True)):
        network = allocate(space.build([index], **sizes), "cpu")
        initialise(network, [stream(0, arch, "kaiming_fan_in 0")], "kaiming_fan_in")
        kept = [k for k, digit in enumerate(arch) if digit != "0" or k in (0, 2, 5)]
        maps = features(network.double().train(), ("stem", *(f"body.{k}" for k in kept)))
        by_block = [entropy(feature) for feature in maps]
        assert close(together["az_expressivity"].scores[position].item(), sum(by_block))
        assert close(together["az_progressivity"].scores[position].item(), min(np.diff(by_block)), scale=1.0)
        alone = ours([index])
        assert math.isfinite(score(alone, "az_trainability"))
        for name in NAMES[:3]:
            assert close(score(alone, name), together[name].scores[position].item(), 1e-6, scale=1.0), name
