"""The Macro space against the official file, its reader against broken files, its networks against plain ones."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

import benchmarks
from benchmarks import UserError, convert
from benchmarks.benchmark import space_of
from benchmarks.nasbench_macro.files import read_official
from benchmarks.nasbench_macro.layers import canonical
from benchmarks.nasbench_macro.space import SpaceMacro
from benchmarks.spaces.layers import allocate
from harness.probe.initialise import initialise, stream

FILE = "nas-bench-macro_cifar10.json"
TINY = {"channels": 2, "head_channels": 12, "input_channels": 3, "classes": 5}
OFFICIAL = {"channels": 32, "head_channels": 1280, "input_channels": 3, "classes": 10}


@pytest.fixture(scope="module")
def space() -> SpaceMacro:
    return space_of("macro")


@pytest.fixture(scope="session")
def official(real_data: Path) -> Path:
    if not (real_data / FILE).is_file():
        pytest.skip(f"no {FILE} in {real_data}")
    return real_data / FILE


def entry(arch: str, accuracy: float = 90.0) -> dict:
    """An entry of the official file with the right counts."""
    space = space_of("macro")
    params, flops, _ = space.sizes(resolution=32, **OFFICIAL)
    trials = [accuracy, accuracy + 0.5, accuracy + 1]
    at = space.index(arch)
    return {
        "test_acc": trials, "mean_acc": accuracy + 0.5, "std": float(np.std(trials)), "params": int(params[at]),
        "flops": int(flops[at]),
    }  # fmt: skip


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


# --- the space --------------------------------------------------------------------------------------------------------


def test_order_and_classes(space):
    assert len(space) == len(set(space.archs)) == 6_561
    assert space.archs[0] == "00000000" and space.archs[1] == "00000001" and space.archs[-1] == "22222222"
    assert all(space.index(space.archs[i]) == i for i in (0, 1, 2, 3, 80, 6_560))
    assert len(set(space.class_id)) == 3_969
    assert canonical("02012100") == "02012100"
    assert canonical("00102001") == "00120010"
    assert (space.class_id[space.class_id] == space.class_id).all()
    assert space.canonical(space.index("22212202")) == "22212220"
    assert space.connected.all()
    assert (space.conv_count.min(), space.conv_count.max()) == (0, 8)


def test_classes_are_the_chains_of_what_is_left(space):
    """The rule again, by the list of layers that do something."""
    groups = defaultdict(set)
    for index, arch in enumerate(space.archs):
        acting = tuple((stage, arch[p]) for stage, span in enumerate(((0, 2), (2, 5), (5, 8))) for p in range(*span)
                       if p == span[0] or arch[p] != "0")  # fmt: skip
        groups[acting].add(index)
    assert len(groups) == 3_969
    assert all(len(set(space.class_id[list(group)])) == 1 for group in groups.values())


def test_neighbours_and_sample(space):
    near = space.neighbours(space.index("22212220"))
    assert len(set(near)) == 16
    assert all(sum(a != b for a, b in zip(space.archs[i], "22212220", strict=True)) == 1 for i in near)
    assert list(space.sample(50, 3)[:10]) == list(space.sample(10, 3))
    assert sorted(space.sample(6_561, 0)) == list(range(6_561))
    with pytest.raises(UserError, match="6,561: give 1 to 6561"):
        space.sample(7_000, 0)


@pytest.mark.parametrize("arch", ["2221222", "222122203", "2221222x", "３2212220", ""])
def test_what_is_no_architecture(space, arch):
    with pytest.raises(UserError, match="is not an architecture of NAS-Bench-Macro; expected one like '00000000'"):
        space.index(arch)


# --- the official file ------------------------------------------------------------------------------------------------


def test_official_facts(space, official):
    (table,) = read_official(official, space.archs)
    mean = table.target()
    assert table.archs == space.archs
    assert mean.max() == pytest.approx(93.1267, abs=5e-5)
    assert {table.archs[i] for i in np.flatnonzero(mean == mean.max())} == {"22212202", "22212220"}
    assert mean[-1] == pytest.approx(92.953, abs=5e-4) and (mean > mean[-1]).sum() == 20
    np.testing.assert_allclose(table.per_seed().mean(1), mean, atol=1e-4)
    for accuracy in table.accuracy[:, 0, 0].T:  # every member of a class has the same accuracies
        np.testing.assert_array_equal(accuracy, accuracy[space.class_id])
    assert len(set(mean)) == 2_331
    params, flops, _ = space.sizes(resolution=32, **OFFICIAL)
    assert round(spearmanr(params, mean).statistic, 3) == 0.318
    assert round(spearmanr(flops, mean).statistic, 3) == 0.748


def test_official_sizes_of_every_architecture(space, official):
    entries = json.loads(official.read_text())
    params, flops, _ = space.sizes(resolution=32, **OFFICIAL)
    assert {arch: (entry["params"], entry["flops"]) for arch, entry in entries.items()} == {
        arch: (params[i], flops[i]) for i, arch in enumerate(space.archs)
    }


def test_a_file_of_some_architectures(tmp_path, space):
    path = write(tmp_path / FILE, {arch: entry(arch, 80 + i) for i, arch in enumerate(("22212220", "00000000"))})
    with pytest.raises(UserError, match="6559 of 6561 architectures are missing: 00000001, 00000002, 00000010 and"):
        read_official(path, space.archs)
    (table,) = read_official(path, space.archs, complete=False)
    assert table.archs == ("00000000", "22212220")
    np.testing.assert_allclose(table.target(), [81.5, 80.5])
    np.testing.assert_allclose(table.target(reduction="3"), [82, 81])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "truncated or not JSON"),
        ("[1, 2]", "not an object of architectures"),
        ("{}", "not an object of architectures"),
        ('{"22212220": 3}', "not an object of architectures"),
        ('{"22212220": {}, "22212220": {}}', "keys that occur more than once: 22212220"),
        ("[" * 100_000, "truncated or not JSON"),
        ({"2221222": {}}, "1 architectures are not in the space: '2221222'"),
        ({"22212220": {"test_acc": [1, 2, 3]}}, "22212220 lacks flops, mean_acc, params, std"),
        ({"22212220": entry("22212220") | {"test_acc": [90.0, 91.0]}}, "has not three test accuracies"),
        ({"22212220": entry("22212220") | {"std": "small"}}, "holds what is no number"),
        ({"22212220": entry("22212220") | {"mean_acc": float("nan")}}, "holds what is no number"),
        ({"22212220": entry("22212220", 99.5)}, "outside 0..100"),
        ({"22212220": entry("22212220") | {"mean_acc": 91.0}}, "not that of its three accuracies"),
        ({"22212220": entry("22212200")}, "parameters or FLOPs of 1 entries are not those of the networks"),
    ],
)
def test_broken_files_give_one_line(tmp_path, space, content, said):
    with pytest.raises(UserError) as error:
        read_official(write(tmp_path / FILE, content), space.archs, complete=False)
    assert said in str(error.value) and FILE in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_file_the_error_says_what_to_get(tmp_path):
    with pytest.raises(UserError, match=r"get its small files \(1\.18 MB: nas-harness data get macro\)"):
        benchmarks.load("macro", "cifar10", tmp_path)


def test_the_file_opens_as_it_is_and_converts(tmp_path, official, capsys):
    (tmp_path / FILE).symlink_to(official)
    read = benchmarks.load("macro", data=tmp_path)
    assert (read.table.dataset, read.resolution, read.network["classes"]) == ("cifar10", 32, 10)
    assert convert.main([str(tmp_path / FILE), "--quiet"]) == 0
    assert "nasbenchmacro.h5" in capsys.readouterr().out
    again = benchmarks.load("macro", data=tmp_path)
    np.testing.assert_array_equal(again.table.accuracy, read.table.accuracy)
    assert convert.main([str(tmp_path / FILE), "--bench", "201", "--out", str(tmp_path / "x.h5")]) == 2
    assert "a JSON file, which is no form of NAS-Bench-201" in capsys.readouterr().err


# --- the networks -----------------------------------------------------------------------------------------------------


def conv_bn(inside: int, outside: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outside)]


class Mobile(nn.Module):
    def __init__(self, inside: int, outside: int, stride: int, kernel: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.same = stride == 1
        self.conv = nn.Sequential(
            *conv_bn(inside, wide), nn.ReLU(), *conv_bn(wide, wide, kernel, stride, wide), nn.ReLU(),
            *conv_bn(wide, outside),
        )  # fmt: skip

    def forward(self, x):
        return self.conv(x) + x if self.same else self.conv(x)


def reference(arch: str, c: int, head: int, classes: int) -> nn.Sequential:
    """The network of a string, literally."""
    layers: list[nn.Module] = [nn.Sequential(*conv_bn(3, c, 3), nn.ReLU())]
    width = c
    for position, digit in enumerate(arch):
        first = position in (0, 2, 5)
        outside, stride = (2 * width, 2) if first else (width, 1)
        if digit == "0":
            layers.append(nn.Sequential(*conv_bn(width, outside, 1, 2)) if first else nn.Identity())
        else:
            layers.append(Mobile(width, outside, stride, *((3, 3) if digit == "1" else (5, 6))))
        width = outside
    layers.append(nn.Sequential(*conv_bn(width, head), nn.ReLU()))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, classes))


@torch.no_grad()
def copy(stack: nn.Module, position: int, to: nn.Module) -> nn.Module:
    """Give a reference network the tensors of one architecture of a stack, layer by layer in module order."""
    ours = [m for m in stack.modules() if position in getattr(m, "owners", ()) and not isinstance(m, nn.ReLU)]
    theirs = [m for m in to.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    for layer, other in zip(ours, theirs, strict=True):
        row = layer.owners.index(position)
        for name, tensor in other.named_parameters():
            tensor.copy_(getattr(layer, name).unflatten(0, (len(layer.owners), -1))[row])
    return to


def build(space: SpaceMacro, archs, seed: int = 0):
    indices = [space.index(arch) for arch in archs]
    stack = allocate(space.build(indices, **TINY), "cpu")
    initialise(stack, [stream(seed, space.canonical(i), "test") for i in indices])
    return stack


def test_the_networks_own_counts(space):
    """Parameters, tensors and multiply-accumulates of what is really built, at the official size, without memory."""
    indices = space.sample(120, 1)
    stack = space.build(indices, **OFFICIAL)
    counted = np.zeros((3, len(indices)))

    def count(layer, _, output):
        for parameter in layer.parameters():
            counted[0, list(layer.owners)] += parameter.numel() / len(layer.owners)
            counted[2, list(layer.owners)] += 1
        if not isinstance(layer, nn.BatchNorm2d):
            positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
            counted[1, list(layer.owners)] += layer.weight.numel() / len(layer.owners) * positions

    for layer in stack.modules():
        if hasattr(layer, "owners") and not isinstance(layer, nn.ReLU):
            layer.register_forward_hook(count)
    stack.to("meta")(torch.empty(1, 3 * len(indices), 32, 32, device="meta"))
    np.testing.assert_array_equal(counted, space.sizes(resolution=32, **OFFICIAL)[:, indices])


def test_stack_equals_plain_networks(space):
    archs = [space.archs[i] for i in space.sample(24, 2)] + ["00000000", "22222222", "11111111"]
    stack = build(space, archs)
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    output = stack(x.repeat(1, len(archs), 1, 1))
    assert output.shape == (3, len(archs), 5)
    for position, arch in enumerate(archs):
        plain = copy(stack, position, reference(arch, 2, 12, 5))
        torch.testing.assert_close(output[:, position], plain(x), rtol=1e-4, atol=1e-5)


def test_one_of_a_stack_is_the_stack_of_one(space):
    archs = ["22212220", "01201020", "00000000"]
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    together = build(space, archs)(x.repeat(1, 3, 1, 1))
    for position, arch in enumerate(archs):
        torch.testing.assert_close(build(space, [arch])(x)[:, 0], together[:, position], rtol=1e-4, atol=1e-5)


def test_equivalent_strings_are_one_network(space):
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.equal(build(space, ["22212202"])(x), build(space, ["22212220"])(x))
    assert not torch.equal(build(space, ["22212210"])(x), build(space, ["22212220"])(x))


def test_features_and_blocks(space):
    stack = build(space, ["22212220", "01201020"]).eval()
    x = torch.randn(2, 6, 16, 16, generator=torch.Generator().manual_seed(1))
    features = stack.features(x)
    assert features.shape == (2, 2 * 12, 2, 2)
    torch.testing.assert_close(stack.classifier(features.mean((2, 3))), stack(x))
    modules = dict(stack.named_modules())
    assert len(stack.blocks()) == 9 and all(name in modules for name in stack.blocks())
    assert stack.k == 2


def test_relu6_would_hardly_differ(space):
    """What the module's docstring says of the activation: no unit in a hundred thousand exceeds 6 behind BatchNorm."""
    stack = build(space, [space.archs[i] for i in space.sample(12, 5)])
    above, units = 0, 0

    def look(_, inputs, __):
        nonlocal above, units
        above, units = above + int((inputs[0] > 6).sum()), units + inputs[0].numel()

    for module in stack.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(look)
    stack(torch.randn(32, 36, 16, 16, generator=torch.Generator().manual_seed(2)))
    assert above / units < 1e-5


@pytest.mark.parametrize("text", ["00122012", "122012", "[0, 0, 1, 2, 2, 0, 1, 2]", "0 0 1 2 2 0 1 2"])
def test_spellings_of_a_string(text):
    """A table that is read as numbers loses the zeros in front."""
    space = benchmarks.space_of("macro")
    assert space.archs[space.locate(text)] == "00122012"
