"""The MobileNet-like spaces: strings, published counts, networks against plain ones, the published table."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

import benchmarks
from benchmarks import UserError
from benchmarks.benchmark import space_of
from benchmarks.mobilenet.chains import MNASNET, PROXYLESS, chain_size, edits, parse_chain, random_proxyless
from benchmarks.mobilenet.files import read_archive
from benchmarks.mobilenet.space import SpaceMobile
from benchmarks.spaces.layers import allocate
from harness.probe.initialise import initialise, stream

PUBLISHED = "0 2 0 4 2 3 3 4 4 3 4 4 3 3 5 1 0 4 3 0 2"
"""FreeDARTS's network."""
MNAS = "e6k3l1 e1k5l3se e4k5l2 e6k3l3se e1k3l1 e4k5l4 e6k3l2"
SMALL = {"classes": 7, "input_channels": 3}


@pytest.fixture(scope="session")
def accel(real_data: Path) -> Path:
    if not (real_data / "mobilenet" / "accel_nasbench.csv").is_file():
        pytest.skip(f"no mobilenet/accel_nasbench.csv in {real_data}")
    return real_data


def drawn(count: int, seed: int = 0) -> list[str]:
    generator = np.random.default_rng(seed)
    return [random_proxyless(generator) for _ in range(count)]


# --- strings and counts -----------------------------------------------------------------------------------------------


def test_the_published_network_has_its_parameters():
    assert chain_size(parse_chain(PUBLISHED), 1000, 3, 224).params == 6_261_360


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no MobileNet-like architecture; expected ids of 21 layers"),
        ("0 1 2", "3 layers; expected 21 ids, -1 to 5"),
        ("6 " + PUBLISHED[2:], "layer 0: 6; ids are 0 to 5"),
        ("-1 " + PUBLISHED[2:], "layer 0: -1; ids are 0 to 5, and -1 where the shape stays"),
        ("e6k3l1", "1 blocks; expected 7"),
        (MNAS.replace("e6k3l1", "e6k3l4"), "4 layers in block 1; it has at most 3"),
        (MNAS.replace("e6k3l1", "e5k3l1"), "is no MobileNet-like architecture"),
    ],
)
def test_what_is_no_architecture(text, said):
    with pytest.raises(UserError) as error:
        parse_chain(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_where_identities_stand_does_not_matter():
    ids = PUBLISHED.split()
    first, other = (" ".join([ids[0], *changed.split(), *ids[4:]]) for changed in ("-1 3 -1", "3 -1 -1"))
    space = SpaceMobile([first, other, PUBLISHED])
    assert space.class_id.tolist() == [0, 0, 2] and space.canonical(0) == space.canonical(1) == other
    assert space.conv_count.tolist() == [19, 19, 21]
    assert space.neighbours(2) == [] and 2 in SpaceMobile([*edits(PUBLISHED)][:2] + [PUBLISHED]).neighbours(0)
    assert len(set(edits(PUBLISHED))) == 6 * 5 + 15 * 6
    assert len(set(edits(MNAS))) == 7 * (2 + 1 + 1) + 6 * 2 + 3
    assert all(parse_chain(each).frame is MNASNET for each in edits(MNAS))
    assert space.full_size == 6**6 * 7**15 and SpaceMobile([MNAS]).full_size == 12**7 * 3**6 * 4


@pytest.mark.parametrize(
    "archs", [[PUBLISHED, *drawn(2)], [MNAS, "e1k3l1se e4k5l1 e4k3l2 e1k3l1 e1k3l3se e6k5l2 e4k5l1"]]
)
def test_the_networks_own_counts(archs: list[str]):
    """Parameters, tensors and multiply-accumulates of what is really built, without memory, at an odd resolution."""
    stack = SpaceMobile(archs).build(range(len(archs)), **SMALL)
    counted = np.zeros((3, len(archs)))

    def count(layer, _, output):
        owners, each = list(layer.owners), len(layer.owners)
        for parameter in layer.parameters():
            counted[0, owners] += parameter.numel() / each
            counted[2, owners] += 1
        if not isinstance(layer, nn.BatchNorm2d):
            positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
            counted[1, owners] += layer.weight.numel() / each * positions
            counted[1, owners] += 0 if layer.bias is None else layer.bias.numel() / each

    for layer in stack.modules():
        if hasattr(layer, "owners") and not isinstance(layer, (nn.ReLU, nn.ReLU6)):
            layer.register_forward_hook(count)
    stack.to("meta")(torch.empty(1, 3 * len(archs), 70, 70, device="meta"))
    np.testing.assert_array_equal(counted, SpaceMobile(archs).sizes(resolution=70, **SMALL))


# --- networks ---------------------------------------------------------------------------------------------------------


def conv_bn(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outside)]


class PlainSqueeze(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, squeezed, 1), nn.ReLU(), nn.Conv2d(squeezed, channels, 1)
        )

    def forward(self, x):
        return x * torch.sigmoid(self.layers(x))


class PlainBlock(nn.Module):
    def __init__(self, kernel, expansion, squeezed, inside, outside, stride, act) -> None:
        super().__init__()
        wide, self.same = inside * expansion, inside == outside and stride == 1
        layers = [*conv_bn(inside, wide, 1), act()] if expansion > 1 else []
        layers += [*conv_bn(wide, wide, kernel, stride, wide), act()]
        layers += [PlainSqueeze(wide, squeezed)] if squeezed else []
        self.layers = nn.Sequential(*layers, *conv_bn(wide, outside, 1))

    def forward(self, x):
        return x + self.layers(x) if self.same else self.layers(x)


def plain(arch: str, classes: int) -> nn.Module:
    """The network of a string, literally."""
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if arch.startswith("e"):
        layers, width = [*conv_bn(3, 32, 3, 2), nn.ReLU()], 32
        shapes = zip(arch.split(), (16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 2, 1, 2, 1), strict=True)
        for word, channels, stride in shapes:
            for number in range(int(word[5])):
                squeezed = width // 4 if word.endswith("se") else 0
                step = 1 if number else stride
                layers.append(PlainBlock(int(word[3]), int(word[1]), squeezed, width, channels, step, nn.ReLU))
                width = channels
        return nn.Sequential(*layers, *conv_bn(320, 1280, 1), nn.ReLU(), *tail, nn.Linear(1280, classes))
    layers, width = [*conv_bn(3, 40, 3, 2), nn.ReLU6(), PlainBlock(3, 1, 0, 40, 24, 1, nn.ReLU6)], 24
    stages = ((32, 4, 2), (56, 4, 2), (112, 4, 2), (128, 4, 1), (256, 4, 2), (432, 1, 1))
    ids = iter(map(int, arch.split()))
    for channels, count, stride in stages:
        for number in range(count):
            if (chosen := next(ids)) >= 0:
                step = 1 if number else stride
                layers.append(
                    PlainBlock((3, 5, 7)[chosen // 2], (3, 6)[chosen % 2], 0, width, channels, step, nn.ReLU6)
                )
            width = channels
    return nn.Sequential(*layers, *conv_bn(432, 1728, 1), nn.ReLU6(), *tail, nn.Linear(1728, classes))


@torch.no_grad()
def copy(stack: nn.Module, position: int, to: nn.Module) -> nn.Module:
    """Give a plain network the tensors of one architecture of a stack, layer by layer in module order."""
    kinds = (nn.ReLU, nn.ReLU6)
    ours = [m for m in stack.modules() if position in getattr(m, "owners", ()) and not isinstance(m, kinds)]
    theirs = [m for m in to.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    for layer, other in zip(ours, theirs, strict=True):
        row = layer.owners.index(position)
        for name, tensor in other.named_parameters():
            tensor.copy_(getattr(layer, name).unflatten(0, (len(layer.owners), -1))[row].view_as(tensor))
    return to


def build(space: SpaceMobile, indices):
    stack = allocate(space.build(indices, **SMALL), "cpu")
    initialise(stack, [stream(0, space.canonical(i), "test") for i in indices])
    return stack


@pytest.mark.parametrize(
    "archs", [[PUBLISHED, *drawn(1, 3)], [MNAS, "e1k3l1se e4k5l1 e4k3l2 e1k3l1 e1k3l3se e6k5l2 e4k5l1"]]
)
def test_stack_equals_plain_networks(archs: list[str]):
    space = SpaceMobile([SpaceMobile([arch]).canonical(0) for arch in archs])
    stack = build(space, range(len(archs)))
    x = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    output = stack(x.repeat(1, len(archs), 1, 1))
    assert output.shape == (4, len(archs), 7)
    for position, arch in enumerate(space.archs):
        torch.testing.assert_close(output[:, position], copy(stack, position, plain(arch, 7))(x), rtol=1e-3, atol=1e-4)
    alone = build(space, [1])(x)[:, 0]
    torch.testing.assert_close(alone, output[:, 1], rtol=1e-3, atol=1e-4)
    assert set(stack.blocks()) <= set(dict(stack.named_modules()))


def test_networks_of_both_spaces_are_no_stack():
    space = SpaceMobile([PUBLISHED, MNAS])
    assert space.title == "MobileNet-like (2 of mnasnet and proxyless)"
    with pytest.raises(UserError, match="networks of two MobileNet-like spaces are no stack"):
        space.build([0, 1], **SMALL)


# --- the space of a table ---------------------------------------------------------------------------------------------


def test_a_space_is_what_its_table_holds(tmp_path: Path):
    archs = drawn(5)
    space = space_of("mobilenet", archs)
    assert space.index(archs[2]) == 2 and space.sample(3, 0).shape == (3,)
    with pytest.raises(UserError, match="is a MobileNet-like architecture, but not among the 5 of the table"):
        space.index(PUBLISHED)
    whole = space_of("mobilenet").whole()
    assert len(whole) > 4_000 and {chain.frame for chain in whole.chains} == {PROXYLESS}
    rows = "\n".join(f"{arch},{70 + at}" for at, arch in enumerate(archs))
    (tmp_path / "nasbenchmobilenet.csv").write_text(f"arch,imagenet_valid_240\n{rows}\n")
    opened = benchmarks.load("mobilenet", data=tmp_path)
    assert opened.resolution == 224 and opened.table.target("valid").tolist() == [70.0, 71.0, 72.0, 73.0, 74.0]


def test_the_published_table(accel: Path, tmp_path: Path):
    (tmp_path / "accel_nasbench.csv").symlink_to(accel / "mobilenet" / "accel_nasbench.csv")
    bench = benchmarks.load("mobilenet", data=tmp_path)  # refuses parameters or MACs that are not those of a row
    accuracy = bench.table.target("valid")
    params = bench.space.sizes(resolution=224, **bench.network)[0]
    assert len(bench.table) == 5_125  # 13 of the 5,138 trainings are of an architecture that was trained before
    assert np.isfinite(bench.table.per_seed("valid")).sum(0).tolist() == [5_125, 13]
    assert spearmanr(params, accuracy).statistic == pytest.approx(0.810, abs=1e-3)
    with open(accel / "mobilenet" / "accel_nasbench.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    stated = [[float(row[name]) for row in rows] for name in ("macs", "val_top1")]
    assert spearmanr(*stated).statistic == pytest.approx(0.617, abs=1e-3)


ROW = {
    **{f"block{at}_{name}": value for at in range(7) for name, value in (("e", 1), ("k", 3), ("l", 1), ("se", False))},
}


def archive(path: Path, **changes) -> Path:
    """An archive of one result."""
    size = chain_size(parse_chain("e1k3l1 " * 7), 1000, 3, 224)
    info = {"macs": (size.flops + size.published) / 1e6, "params": size.params / 1e6}
    result = {"architecture": ROW, "metrics": {"val_top1": 60.5, "train_time": 100.0}, "model_info": info} | changes
    text = json.dumps(result).encode()
    with tarfile.open(path, "w:gz") as made:
        entry = tarfile.TarInfo("./anb_dataset_jsons/result_0.json")
        entry.size = len(text)
        made.addfile(entry, io.BytesIO(text))
    return path


def test_the_archive_as_it_is_published(tmp_path: Path):
    archive(tmp_path / "anb_dataset_jsons.tar.gz")
    bench = benchmarks.load("mobilenet", data=tmp_path)
    assert bench.table.archs == (" ".join(["e1k3l1"] * 7),) and bench.table.target("valid").tolist() == [60.5]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_info": {"macs": 1.0, "params": 1.0}}, "parameters or MACs of 1 rows are not those of their networks"),
        ({"metrics": {"val_top1": 160.5, "train_time": 1.0}}, "accuracies outside 0..100"),
        ({"metrics": {}}, "val_top1"),
        ({"architecture": ROW | {"block0_k": 9}}, "is no MobileNet-like architecture"),
        ({"more": "x" * 20_000}, "too many for the result of one training"),
    ],
)
def test_broken_archives_give_one_line(tmp_path: Path, changes: dict, said: str):
    with pytest.raises(UserError) as error:
        read_archive(archive(tmp_path / "anb_dataset_jsons.tar.gz", **changes))
    assert said in str(error.value) and "\n" not in str(error.value)
