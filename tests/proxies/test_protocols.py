"""Protocols: the view each proxy gets by hand, scores against plain autograd, and how a run keeps them apart."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from networks import Reference201, copy_from_stack
from tiny import SIZES
from torch import Tensor, nn
from torch.nn import functional

import harness
from benchmarks import UserError
from benchmarks.benchmark import space_of
from harness.analysis.summary import summarise
from harness.engine.scorer import Chunk, Scorer, Setting
from harness.engine.scoring import by_view
from harness.inputs.draw import choose, flip_and_crop, gaussian_minibatches, load_images
from harness.probe.initialise import initialise, stream
from harness.probe.view import View
from harness.proxies.choose import choose as choose_proxies
from harness.proxies.own import references
from harness.proxies.protocols import PROTOCOLS, described, seen_under
from harness.proxies.registry import registry
from harness.report import compare, page, tables
from harness.runs.config import RunConfig
from harness.runs.runner import run

NETWORK = {name: size for name, size in SIZES.items() if name != "resolution"}
FULL = 1462
SNIP, ZEN = View(), View(init="normal", inputs="gaussian", batch_size=16, minibatches=2, repeats=32)
SYNFLOW = View(
    inputs="ones", batch_size=1, batchnorm="off", precision="float64", objective="sum", absolute_weights=True
)
MECO = View(batch_size=1, precision="float64")
TE = View(init="kaiming_fan_out", repeats=3)
AZ = View(init="kaiming_fan_in", inputs="gaussian")
NOISE = View(init="normal", inputs="gaussian", batch_size=16, repeats=32)
ONCE = replace(ZEN, repeats=1)
EXPECTED = {
    "default": (SNIP, SNIP, SYNFLOW, ZEN, ONCE, SNIP, MECO, TE),
    "zero-cost-nas": (SNIP, SNIP, SYNFLOW, ZEN, ONCE, SNIP, MECO, TE),
    "suite-zero": (SNIP, SNIP, SYNFLOW, ONCE, ONCE, SNIP, MECO, TE),
    "naswot": (SNIP, SNIP, SYNFLOW, ZEN, ONCE, SNIP, MECO, TE),
    "hnas": (SNIP, SNIP, SYNFLOW, ZEN, ONCE, SNIP, MECO, TE),
    "az-nas": (
        replace(AZ, inputs="minibatch"), AZ, replace(SYNFLOW, init="kaiming_fan_in"),
        replace(ONCE, batch_size=None), ONCE, replace(AZ, inputs="minibatch"), replace(MECO, init="kaiming_fan_in"), TE,
    ),
    "vkdnw": (
        replace(AZ, inputs="minibatch", batchnorm="eval"), replace(AZ, batchnorm="eval"),
        replace(SYNFLOW, init="kaiming_fan_in"), replace(ONCE, batch_size=None), ONCE,
        replace(AZ, inputs="minibatch", batchnorm="eval"), replace(MECO, init="kaiming_fan_in", batchnorm="eval"),
        replace(TE, batchnorm="eval"),
    ),
    "zen": (
        NOISE, NOISE, replace(SYNFLOW, init="normal", repeats=32), ZEN, ONCE, NOISE,
        replace(MECO, init="normal", inputs="gaussian", repeats=32), replace(TE, inputs="gaussian", batch_size=16),
    ),
    "zico": (
        NOISE, NOISE, replace(SYNFLOW, init="normal", repeats=32), ZEN, ONCE, View(init="normal"),
        replace(MECO, init="normal", inputs="gaussian", repeats=32), replace(TE, inputs="gaussian", batch_size=16),
    ),
    "te-nas": (
        TE, TE, replace(SYNFLOW, init="kaiming_fan_out", repeats=3), ZEN, ONCE, TE,
        replace(MECO, init="kaiming_fan_out", repeats=3), TE,
    ),
}  # fmt: skip
PROXIES = ("snip", "grad_norm", "synflow", "zen", "zen@naslib", "zico", "meco", "ntk_cond")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_view_each_proxy_gets(name: str):
    protocol = PROTOCOLS[name]
    for proxy, expected in zip(PROXIES, EXPECTED[name], strict=True):
        (seen,) = seen_under([registry()[proxy]], protocol, protocol.batch_size)
        assert seen.view == expected, proxy


def test_the_minibatch_of_each():
    made = {name: (each.batch_size, each.augment, each.own_minibatch) for name, each in PROTOCOLS.items()}
    usual = dict.fromkeys(PROTOCOLS, (64, False, False))
    own = {"zero-cost-nas": (64, True, True), "suite-zero": (64, True, True)}
    assert made == usual | own | {"naswot": (128, False, False), "te-nas": (72, False, False)}


def test_default_changes_nothing():
    for proxy, seen in zip(
        every := list(registry().values()), seen_under(every, PROTOCOLS["default"], 48), strict=True
    ):
        assert seen == proxy


def test_views_that_become_equal_share_passes():
    names = ("grad_norm", "naswot", "az_expressivity", "linear_regions@az_nas")
    chosen = [registry()[name] for name in names]
    assert len(by_view(chosen)) == 2
    (view,) = {view for view, _ in by_view(seen_under(chosen, PROTOCOLS["az-nas"], 64))}
    assert view == AZ
    assert len(by_view(seen_under(chosen, PROTOCOLS["az-nas"], 32))) == 2  # az_* keep their 64


def scorer(protocol: str, proxies: str, batch_size: int = 8, **changes) -> Scorer:
    setting = Setting(
        bench="201", proxies=references(choose_proxies(proxies)), network=NETWORK, resolution=8,
        inputs=load_images("digits", None), dataset="digits", batch_size=batch_size, balanced=False, share=False,
        keep_unreachable=False, device="cpu", protocol=protocol,
    )  # fmt: skip
    return Scorer(replace(setting, **changes))


def plain_network(init: str, repeat: int = 0, index: int = FULL) -> nn.Module:
    """A network written out, with the weights that an architecture draws."""
    space = space_of("201")
    ours = scorer("default", "snip").build([index])
    initialise(ours, [stream(0, space.archs[index], f"{init} {repeat}")], init)
    reference = Reference201(space.canonical(index), channels=4, cells=1, classes=10, input_channels=1)
    reference = copy_from_stack(ours, 0, reference)
    for module in reference.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return reference


def by_layer(network: nn.Module, inputs: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Weight and loss gradient of every convolution and linear layer."""
    functional.cross_entropy(network(inputs), targets).backward()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [(layer.weight.detach(), layer.weight.grad) for layer in layers]


def noise(samples: int, repeat: int = 0) -> tuple[Tensor, Tensor]:
    (drawn,) = gaussian_minibatches(shape=(1, 8, 8), classes=10, batch_size=samples, count=1, seed=repeat)
    return drawn.inputs, drawn.targets


def test_kaiming_weights_are_what_they_are_called():
    layer = plain_network("kaiming_fan_in").body[0].edges["0>1"][1]
    fan_in = layer.weight[0].numel()
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.2)


@pytest.mark.parametrize("protocol", ["az-nas", "vkdnw"])
def test_grad_norm_as_az_nas_and_vkdnw_see_it(protocol: str):
    """Kaiming weights, Gaussian images; running statistics (0 and 1) under vkdnw."""
    part = scorer(protocol, "grad_norm").score(Chunk(0, (FULL,), ("grad_norm",)))
    network = plain_network("kaiming_fan_in").train(protocol == "az-nas")
    expected = sum(gradient.norm() for _, gradient in by_layer(network, *noise(8)))
    assert part.scores.item() == pytest.approx(expected.item(), rel=1e-4)


def test_snip_as_zennas_sees_it(monkeypatch: pytest.MonkeyPatch):
    """The mean of several draws of N(0, 1) weights and of 16 images of noise."""
    monkeypatch.setitem(PROTOCOLS, "zen", replace(PROTOCOLS["zen"], repeats=3))
    part = scorer("zen", "snip").score(Chunk(0, (FULL,), ("snip",)))
    draws = [sum((w * g).abs().sum() for w, g in by_layer(plain_network("normal", k), *noise(16, k))) for k in range(3)]
    assert part.scores.item() == pytest.approx(sum(draws).item() / 3, rel=1e-3)


@pytest.mark.parametrize("index", [FULL, 7000])
def test_each_architecture_has_its_own_augmented_minibatch(index: int):
    """As zero-cost-nas: 8 images chosen for this architecture, flipped and cropped, PyTorch's weights."""
    images, name = load_images("digits", None), space_of("201").archs[index]
    seed = stream(0, name, "minibatch").initial_seed()
    chosen = choose(images, 8, 1, seed)[0]
    pixels = torch.from_numpy(flip_and_crop(images.pixels[chosen], seed, (2, 0))).float() / 255
    inputs = (pixels - images.mean[0]) / images.std[0]
    expected = sum(
        (w * g).abs().sum()
        for w, g in by_layer(plain_network("default", index=index), inputs, torch.from_numpy(images.labels[chosen]))
    )
    part = scorer("zero-cost-nas", "snip").score(Chunk(0, (index,), ("snip",)))
    assert part.scores.item() == pytest.approx(expected.item(), rel=1e-4)


def test_a_run_says_its_protocol_and_keeps_to_it(embedded: Path, tmp_path: Path):
    settings = {"bench": "201", "proxies": "grad_norm,az_progressivity", "sample": 3, "batch_size": 8, "workers": 1}
    out = str(tmp_path / "run")
    stored = run(RunConfig(**settings, protocol="az-nas", out=out), say=lambda line: None)
    manifest = stored.manifest
    assert manifest["protocol"].startswith("az-nas (Lee and Ham") and "minibatch of 8" in manifest["protocol"]
    assert "ranked last there" in manifest["protocol"]
    assert manifest["settings"]["protocol"] == "az-nas" and manifest["settings"]["batch_size"] == 8
    assert manifest["proxies"]["grad_norm"]["view"] == "Kaiming-normal (fan-in), Gaussian noise"
    summary = summarise(stored, resamples=10)
    for said in (tables.markdown(stored, summary), page.page(stored, summary)):
        assert "protocol: az-nas (Lee and Ham 2024, arXiv 2403.19232): Kaiming" in said
    assert compare.setting(stored).endswith(" · protocol az-nas")
    with pytest.raises(UserError, match="protocol 'az-nas' -> 'default'"):
        run(RunConfig(**settings, out=out), say=lambda line: None)
    usual = harness.correlate(**settings, out=str(tmp_path / "usual"), protocol="default").run
    assert (usual.scores["grad_norm"] != stored.scores["grad_norm"]).all()
    assert (usual.scores["az_progressivity"] == stored.scores["az_progressivity"]).all()  # its definition


def test_the_protocol_sets_the_batch_size_and_how_many_run_together(embedded: Path, tmp_path: Path):
    settings = {"bench": "201", "proxies": "params", "sample": 3, "workers": 1}
    sizes = {}
    for protocol, stack in (("naswot", "auto"), ("suite-zero", "auto"), ("te-nas", 3)):
        config = RunConfig(**settings, protocol=protocol, stack=stack, out=str(tmp_path / protocol))
        made = run(config, say=lambda line: None).manifest
        sizes[protocol] = made["settings"]["batch_size"], made["settings"]["stack"]
    assert sizes["naswot"][0] == 128 and sizes["suite-zero"] == (64, 1) and sizes["te-nas"] == (72, 3)
    with pytest.raises(UserError, match="--stack 3: under the protocol suite-zero .*one at a time"):
        RunConfig(**settings, protocol="suite-zero", stack=3)


def test_unknown_names_are_one_error_with_a_suggestion():
    with pytest.raises(UserError, match="'aznas' .did you mean az-nas") as caught:
        RunConfig(bench="201", protocol="aznas", proxies="snipp")
    assert "'snipp'" in str(caught.value) and "\n" not in str(caught.value)


def test_every_protocol_says_what_it_is():
    for protocol in PROTOCOLS.values():
        said = protocol.sentence(64)
        assert said.startswith(f"{protocol.name} (") and "\n" not in said
    assert "Gaussian noise of 16; mean of 32 draws" in PROTOCOLS["zen"].sentence(64)
    assert "minibatch of 64" not in PROTOCOLS["zen"].sentence(64)
    assert described(View()) == "usual"
    assert described(SYNFLOW) == (
        "ones, no BatchNorm, float64, 1 sample, gradients of the sum of outputs, absolute weights"
    )
