"""NATS-Bench's size space: order, counts and accuracies by the official package and files; networks written out."""

from __future__ import annotations

from pathlib import Path

import nats_bench
import numpy as np
import pytest
import torch
from official_files import DATASETS
from scipy.stats import spearmanr
from torch import nn

import benchmarks
from benchmarks import UserError, space_of
from benchmarks.benchmark import load
from benchmarks.convert import convert
from benchmarks.nasbench201.files import read_official as read_topology
from benchmarks.nats_size.files import read_list, read_official
from benchmarks.spaces.layers import allocate
from harness.probe.initialise import initialise, stream

SPACE = space_of("nats-size")
LIST = "nats_cifar10_acc_rank.yml"


@pytest.fixture(scope="module")
def folder(real_data: Path) -> Path:
    """The official simple folder of a few architectures."""
    found = real_data / "nats_official" / "NATS-sss-v1_0-50262-simple"
    if not found.is_dir():
        pytest.skip("no nats_official/ in the data folder")
    return found


def test_the_space():
    assert len(SPACE) == 8**5 and SPACE.archs[:2] == ("8:8:8:8:8", "8:8:8:8:16") and SPACE.archs[-1] == "64:64:64:64:64"
    assert SPACE.locate("(8, 16, 24, 32, 64)") == SPACE.locate("8-16-24-32-64") == SPACE.index("8:16:24:32:64")
    for wrong in ("8:8:8:8", "8:8:8:8:9", "a:8:8:8:8", "8:8:8:8:8:8"):
        with pytest.raises(UserError, match="is no(t an)? architecture"):
            SPACE.locate(wrong)
    near = SPACE.neighbours(SPACE.index("8:8:8:8:8"))
    assert len(set(near)) == 35 and all(sum(SPACE.channels[other] != 8) == 1 for other in near)
    assert SPACE.class_id.tolist() == list(range(len(SPACE))) and SPACE.connected.all()


def test_order_counts_and_accuracies_are_those_of_the_official_package(folder):
    api = nats_bench.create(str(folder), "sss", fast_mode=True, verbose=False)
    assert tuple(api.meta_archs) == SPACE.archs
    tables = {table.dataset: table for table in read_official(folder, SPACE.expected, complete=False)}
    assert list(tables) == ["cifar10", "cifar10-valid", "cifar100", "imagenet16-120"]
    for at, arch in enumerate(tables["cifar10"].archs):
        index = SPACE.index(arch)
        for official, dataset, classes, side in zip(
            DATASETS, ("cifar10-valid", "cifar10", "cifar100", "imagenet16-120"), (10, 10, 100, 120), (32, 32, 32, 16),
            strict=True,
        ):  # fmt: skip
            cost = api.get_cost_info(index, official, hp="90")
            counts = SPACE.sizes(input_channels=3, classes=classes, resolution=side)[:2, index]
            assert (counts / 1e6).tolist() == pytest.approx([cost["params"], cost["flops"]], rel=1e-9)
            held = tables[dataset]
            assert held.epochs == (1, 12, 90) and held.benchmark == "nats-size"
            said = api.get_more_info(index, official, hp="90", is_random=False)
            key = "valtest-accuracy" if "valtest-accuracy" in said else "test-accuracy"
            split = "valtest" if "valtest" in held.splits else "test"
            assert held.target(split)[at] == pytest.approx(said[key])
    assert tables["cifar10"].target("test", 12, "888")[0] > 0  # three seeds of the short budget


def test_folders_of_both_spaces_become_tables(folder, tmp_path):
    _, tables = convert(folder, tmp_path / "nasbenchnats-size.h5", partial=True)
    assert len(tables) == 4 and load("nats-size", "cifar100", tmp_path).table.archs == tables[0].archs
    other = next(folder.parent.glob("NATS-tss*"))
    _, tables = convert(other, tmp_path / "nasbench201.h5", partial=True)
    assert tables[0].benchmark == "201" and len(tables[0]) == 3
    with pytest.raises(UserError, match="architectures are not in the space"):
        read_topology(folder, space_of("201").expected, complete=False)


def test_the_small_list(tmp_path):
    lines = "'8:8:8:8:8': 79.79\n\n64:64:64:64:64: 93\n"
    (tmp_path / LIST).write_text(lines)
    (table,) = read_list(tmp_path / LIST, SPACE.expected, complete=False)
    assert table.archs == ("8:8:8:8:8", "64:64:64:64:64") and table.target().tolist() == [79.79, 93]
    with pytest.raises(UserError, match="32766 of 32768 architectures are missing"):
        benchmarks.load("nats-size", data=tmp_path)
    for text, said in (
        ("a: b\n", "1 lines are none of a list"), (lines + "8:8:8:8:8: 1\n", "occur more than once"),
        ("8:8:8:8:7: 3\n", "not in the space"), ("8:8:8:8:8: 101\n", "outside 0..100"),
    ):  # fmt: skip
        (tmp_path / LIST).write_text(text)
        with pytest.raises(UserError, match=said):
            read_list(tmp_path / LIST, SPACE.expected, complete=False)


def test_the_real_list(real_data, tmp_path):
    path = real_data / "small" / LIST
    if not path.is_file():
        pytest.skip("no small/ in the data folder")
    (tmp_path / LIST).symlink_to(path)
    opened = benchmarks.load("nats-size", data=tmp_path)
    accuracy = opened.table.target()
    assert accuracy.max() == 93.65 and len(opened.table) == 32768
    assert spearmanr(SPACE.channels.sum(1), accuracy).statistic == pytest.approx(0.925, abs=5e-4)


# The networks, written out


def relu_conv(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside))


class PlainCell(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict({"01": relu_conv(inside, outside), "02": relu_conv(inside, outside)})
        self.edges["12"] = relu_conv(outside, outside)
        reduce = nn.Sequential(nn.Conv2d(inside, outside, 1, bias=False), nn.BatchNorm2d(outside))
        self.edges["03"] = nn.Identity() if inside == outside else reduce
        self.edges.update({"13": relu_conv(outside, outside), "23": relu_conv(outside, outside)})

    def forward(self, x):
        nodes = [x]
        for target in "123":
            nodes.append(sum(self.edges[f"{source}{target}"](nodes[source]) for source in range(int(target))))
        return nodes[3]


class PlainBlock(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.a, self.b = relu_conv(inside, outside, 2), relu_conv(outside, outside)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(inside, outside, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.b(self.a(x))


def plain(arch: str, classes: int) -> nn.Module:
    """The network of a string, literally."""
    a, b, c, d, e = map(int, arch.split(":"))
    return nn.Sequential(
        nn.Conv2d(3, a, 3, padding=1, bias=False), nn.BatchNorm2d(a), PlainCell(a, a), PlainBlock(a, b),
        PlainCell(b, c), PlainBlock(c, d), PlainCell(d, e), nn.BatchNorm2d(e), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(e, classes),
    )  # fmt: skip


@pytest.mark.parametrize("arch", ["8:16:16:24:8", "16:8:24:8:8"])
def test_a_stack_is_the_plain_networks(arch):
    """Two of the same channels and other weights as one stack: outputs, parameters and multiply-accumulates."""
    stack = SPACE.build([SPACE.index(arch)] * 2, classes=7, input_channels=3)
    allocate(stack, "cpu")
    initialise(stack, [stream(seed, arch, "weights") for seed in (0, 1)])
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    out = stack(torch.cat([x, x], 1))
    for position in range(2):
        other = plain(arch, 7)
        ours = [m for m in stack.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
        theirs = [m for m in other.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
        with torch.no_grad():
            for mine, each in zip(ours, theirs, strict=True):
                for name, tensor in each.named_parameters():
                    tensor.copy_(getattr(mine, name).unflatten(0, (2, -1))[position].view_as(tensor))
        torch.testing.assert_close(out[:, position], other(x), rtol=1e-4, atol=1e-5)
    macs = 0

    def count(layer, _, output):
        nonlocal macs
        macs += layer.weight.numel() * output[0, 0].numel() if output.dim() == 4 else layer.weight.numel() + 7

    for layer in theirs:
        if not isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_hook(count)
    other(x[:1])
    params = sum(parameter.numel() for parameter in other.parameters())
    expected = SPACE.sizes(input_channels=3, classes=7, resolution=16)[:, SPACE.index(arch)]
    assert expected.tolist() == [params, macs, len(list(other.parameters()))]
    wide = [layer for layer in theirs if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert SPACE.conv_count[SPACE.index(arch)] == len(wide) - 1  # the stem


def test_networks_of_other_channels_are_no_stack():
    with pytest.raises(UserError, match="are no stack"):
        SPACE.build([0, 1], classes=10, input_channels=3)
    assert SPACE.together == 1 and np.isfinite(SPACE.sizes(input_channels=3, classes=10, resolution=32)).all()
