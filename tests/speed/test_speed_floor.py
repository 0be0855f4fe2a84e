"""The floor by hand on small layers, and `python -m speed.floor` on tiny networks. No time is asserted."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks.benchmark import space_of
from speed import floor
from speed.ceilings import Ceilings
from speed.counts import PASSES, Layer, floor_seconds, layers_of, totals

TINY = ["--channels", "4", "--cells", "1", "--resolution", "8", "--batch-size", "4", "--archs", "1", "--repeats", "1"]


@pytest.fixture(scope="module")
def layers() -> list[Layer]:
    """Two samples of 3 x 5 x 5 through one layer of each kind."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
        nn.AvgPool2d(3), nn.Flatten(), nn.Linear(6, 10),
    )  # fmt: skip
    return layers_of(network, (2, 3, 5, 5))


def test_layers_by_hand(layers):
    kinds = [layer.kind for layer in layers]
    assert kinds == ["convolution", "batchnorm", "relu", "convolution", "pooling", "convolution"]
    first, grouped, linear = (layer for layer in layers if layer.kind == "convolution")
    assert first == Layer("convolution", 2 * 2 * (4 * 25) * (3 * 9), 2 * 3 * 25, 2 * 4 * 25, 4 * 3 * 9, True)
    assert grouped == Layer("convolution", 2 * 2 * (6 * 9) * (2 * 9), 2 * 4 * 25, 2 * 6 * 9, 6 * 2 * 9)
    assert linear == Layer("convolution", 2 * 2 * 6 * 10, 2 * 6, 2 * 10, 60)
    assert [layers[place].inside for place in (1, 2, 4)] == [200, 200, 108]


@pytest.mark.parametrize(
    "which, factor, elements",
    [
        ("forward", 1, 200 + 108 + 108),  # x, y, w
        ("loss backward", 2, 108 + 200 + 108 + 200 + 108),  # u, x, w and the gradients of x and w
        ("jacobian", 1, 108 + 108 + 200),  # u, w and the gradient of x
        ("hessian form", 4, 4 * 200 + 3 * 108 + 3 * 108),
    ],
)
def test_passes_of_a_convolution_by_hand(layers, which, factor, elements):
    flops = 2 * 2 * 54 * 18
    assert layers[3].cost(which) == (factor * flops, 4 * elements)
    assert layers[3].cost(which, itemsize=2)[1] == 2 * elements


def test_images_have_a_gradient_only_in_the_jacobian(layers):
    flops = 2 * 2 * 100 * 27
    assert layers[0].cost("loss backward") == (flops, 4 * (200 + 150 + 108))
    assert layers[0].cost("jacobian") == (flops, 4 * (200 + 150 + 108))
    assert layers[0].cost("hessian form") == (flops, 4 * (200 + 150 + 108))


def test_elementwise_layers_by_hand(layers):
    assert [layers[1].cost(which) for which in PASSES] == [(0, 4 * 200 * times) for times in (2, 3, 3, 8)]
    assert [layers[2].cost(which) for which in PASSES] == [(0, 4 * 200 * times) for times in (2, 3, 3, 6)]
    assert [layers[4].cost(which) for which in PASSES] == [(0, 4 * (108 + 12) * times) for times in (1, 1, 1, 2)]


def test_the_floor_is_the_larger_of_arithmetic_and_transport():
    busy, idle = Layer("convolution", 1000, 10, 10, 5), Layer("relu", 0, 30, 30, 0)
    found = floor_seconds([busy, idle], "forward", flops_rate=10.0, bandwidth=lambda moved: 2.0)
    assert found["convolution"] == 100  # 1000 / 10 against 4 * 25 / 2
    assert found["relu"] == 4 * 60 / 2
    assert floor_seconds([busy], "forward", 100.0, lambda moved: 2.0)["convolution"] == 50  # 10 against 50
    assert totals([busy, idle], "forward") == (1000, 4 * 25 + 4 * 60)


def test_the_bandwidth_is_that_of_the_size():
    limits = Ceilings(matmul=3.0, convolution=5.0, copies={100: 9.0, 1000: 4.0, 10000: 6.0}, triad=5.0)
    assert limits.flops == 5
    assert [limits.bandwidth(moved) for moved in (1, 150, 1000, 99999)] == [9, 9, 6, 6]


def test_a_stack_moves_what_its_networks_move():
    space = space_of("201")
    sizes = {"channels": 4, "cells_per_stage": 1, "classes": 10, "input_channels": 3}
    chosen = [int(i) for i in space.sample(40, 0) if space.connected[i]][:3]
    together = layers_of(space.build(chosen, **sizes), (2, 9, 8, 8))
    apart = [layer for index in chosen for layer in layers_of(space.build([index], **sizes), (2, 3, 8, 8))]
    for which in PASSES:
        assert totals(together, which) == totals(apart, which)


@pytest.fixture(scope="module")
def measured(tmp_path_factory) -> dict:
    """The file of one small run."""
    out = tmp_path_factory.mktemp("floor") / "deep" / "floor.json"
    options = ["--bench", "201,macro", "--device", "cpu", "--out", str(out)]
    assert floor.main([*TINY, *options]) == 0
    assert out.with_suffix(".png").stat().st_size > 1000
    return json.loads(out.read_text())


def test_a_row_for_each_space_and_pass(measured):
    assert [(row["bench"], row["pass"]) for row in measured["floors"]] == [
        (bench, which) for bench in ("201", "macro") for which in PASSES
    ]
    for row in measured["floors"]:
        assert row["over_floor"] == pytest.approx(row["seconds"] / row["floor"])
        assert sum(row["floor_by_kind"].values()) == pytest.approx(row["floor"])  # of one architecture
        assert sum(row["ours_by_kind"].values()) == pytest.approx(row["seconds"], rel=0.5)
    assert {"matmul", "convolution", "copies", "triad"} == measured["ceilings"].keys()


def test_options_are_checked(capsys):
    assert floor.main(["--bench", "201,202"]) == 2
    assert "'202'" in capsys.readouterr().err
    assert floor.main(["--archs", "0", "--cells", "0"]) == 2
    assert "--archs 0: expected 1 or more; --cells 0: expected 1 or more" in capsys.readouterr().err
    assert floor.main(["--stack", "2,x"]) == 2
    assert "--stack '2,x'" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert floor.main(["--device", "cuda"]) == 2
        assert "--devices cuda" in capsys.readouterr().err
