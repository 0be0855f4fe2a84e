"""DARTS: genotypes in all their forms, published counts, networks against plain ones, the published tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

import benchmarks
from benchmarks import UserError
from benchmarks.benchmark import space_of
from benchmarks.darts.genotypes import (
    INPUTS,
    NODES,
    SPACE,
    Genotype,
    canonical,
    compact,
    edits,
    genotype_of,
    parse_genotype,
    random_genotype,
)
from benchmarks.darts.sizes import sizes
from benchmarks.darts.space import GENOTYPES, SpaceDarts
from benchmarks.spaces.layers import allocate
from benchmarks.table import Table, save_tables
from harness.inputs.draw import source_of
from harness.probe.initialise import initialise, stream

CIFAR = {"stem": "cifar", "channels": 36, "cells": 20, "input_channels": 3, "classes": 10, "resolution": 32}
IMAGENET = {"stem": "imagenet", "channels": 48, "cells": 14, "input_channels": 3, "classes": 1000, "resolution": 224}
V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),"
    " ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6),"
    " reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0),"
    " ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
"""The cell that DARTS's second-order search found."""


@pytest.fixture(scope="session")
def published(real_data: Path) -> Path:
    if not (real_data / "darts").is_dir():
        pytest.skip(f"no folder darts in {real_data}")
    return real_data / "darts"


@pytest.fixture(scope="session")
def folder(published: Path, tmp_path_factory) -> Path:
    """A data folder with the published tables under their own names."""
    made = tmp_path_factory.mktemp("data")
    names = {"DARTS_archs_CIFAR10.csv": "swap_1000.csv", "data-545.csv": "darts_bench_545.csv"}
    for name, source in (names | {"DARTS_in.json": "nds_DARTS_in.json"}).items():
        (made / name).symlink_to(published / source)
    return made


def drawn(count: int, seed: int = 0) -> list[Genotype]:
    generator = np.random.default_rng(seed)
    return [random_genotype(generator) for _ in range(count)]


def wide(seed: int = 0) -> Genotype:
    """A genotype as the tables have them: with none, noise and nodes that take one input twice."""
    generator = np.random.default_rng(seed)
    names = (*SPACE, "none", "noise", "none")

    def cell():
        return tuple((names[generator.integers(10)], int(generator.integers(INPUTS + at // 2))) for at in range(8))

    return Genotype(cell(), cell())


# --- genotypes --------------------------------------------------------------------------------------------------------


def test_every_form_of_a_genotype_is_the_same():
    genotype = parse_genotype(V2)
    assert str(genotype) == V2 and genotype.normal[7] == ("dil_conv_3x3", 2)
    lists = V2.replace("range(2, 6)", "[2, 3, 4, 5]").replace("', ", "',")
    normal, reduce = compact(genotype)
    assert normal[:2] == ((0, 3), (1, 3)) and reduce[7] == (1, 0)  # (input, operation) as NASLib numbers them
    as_dictionary = {"normal": list(map(list, genotype.normal)), "reduce": list(map(list, genotype.reduce))}
    for text in (lists, f" {V2}\n", str((normal, reduce)), str([list(normal), list(reduce)]), str(as_dictionary)):
        assert parse_genotype(text) == genotype
    sized = parse_genotype(f"{V2} imagenet C=48 N=14")
    assert sized.network == ("imagenet", 48, 14) and str(sized) == f"{V2} imagenet C=48 N=14"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no DARTS genotype; expected Genotype(normal="),
        ("__import__('os').system('false')", "is no DARTS genotype"),
        ("(" * 3000, "is no DARTS genotype"),
        ("-" * 3900 + "1", "is no DARTS genotype"),
        ("x" * 5000, "is no DARTS genotype"),
        (V2 + " imagenet C=0 N=14", "is no DARTS genotype"),
        (V2.replace("('sep_conv_3x3', 0), ", "", 1), "the normal cell has 7 pairs; a DARTS cell has 8"),
        (V2.replace("dil_conv_3x3", "dil_conv_7x7"), "'dil_conv_7x7' (did you mean dil_conv_"),
        (V2.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "node 5: dil_conv_3x3 from 5, which is not before"),
        (V2.replace("range(2, 6)", "range(2, 7)", 1), "normal_concat [2, 3, 4, 5, 6]: a cell of DARTS concatenates"),
    ],
)
def test_what_is_no_genotype(text, said):
    with pytest.raises(UserError) as error:
        parse_genotype(text)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 500


def test_random_genotypes_are_uniform_over_s5():
    drawn_ = drawn(3000)
    pairs = [pair for genotype in drawn_ for _, cell in genotype.cells() for pair in cell]
    shares = [sum(name == each for name, _ in pairs) / len(pairs) for each in SPACE]
    assert np.abs(np.array(shares) * 7 - 1).max() < 0.03
    assert all(g.normal[2 * n][1] < g.normal[2 * n + 1][1] for g in drawn_[:50] for n in range(NODES))
    last = [tuple(sorted(source for _, source in genotype.normal[6:])) for genotype in drawn_]
    assert len(set(last)) == 10 and max(map(last.count, set(last))) < 1.2 * 300
    assert GENOTYPES == (7**8 * 1 * 3 * 6 * 10) ** 2
    assert len(set(edits(drawn_[0]))) == 16 * 6 + 2 * (0 + 2 * 1 + 2 * 2 + 2 * 3)


def test_the_same_network_by_another_name():
    genotype = parse_genotype(V2)
    swapped = Genotype(tuple(genotype.normal[at ^ 1] for at in range(8)), genotype.reduce)  # pairs of each node
    first, second, third, fourth = (genotype.normal[2 * at : 2 * at + 2] for at in range(4))
    moved = Genotype(second + first + third + (fourth[0], ("dil_conv_3x3", 3)), genotype.reduce)  # nodes 2 and 3
    assert canonical(swapped) == canonical(moved) == canonical(genotype) == canonical(canonical(genotype))
    assert canonical(Genotype(genotype.reduce, genotype.normal)) != canonical(genotype)
    dead = [("none", 0), ("none", 1)]
    cell = (*dead, ("sep_conv_3x3", 2), ("skip_connect", 1), *dead, ("skip_connect", 4), ("none", 1))
    skip = [("none", 0)] * 7 + [("skip_connect", 1)]
    assert sorted(canonical(Genotype(cell, cell)).normal) == sorted(skip)
    twice = (("sep_conv_3x3", 0), ("sep_conv_3x3", 0)) * 4
    assert canonical(Genotype(twice, twice)).normal == twice


# --- counts -----------------------------------------------------------------------------------------------------------


def test_the_published_genotypes_have_their_parameters(published: Path):
    found = [
        (genotype_of(each), each["params_c36_l20_10"], each["params_imagenet_c48_l14"])
        for group in json.loads((published / "published_genotypes.json").read_text()).values()
        for each in group.values()
        if len(each["normal"]) == 8
    ]
    genotypes, cifar, imagenet = zip(*found, strict=True)
    assert len(genotypes) == 188
    assert sizes(genotypes, **CIFAR)[0].tolist() == list(cifar)
    assert sizes(genotypes, **IMAGENET)[0].tolist() == list(imagenet)


def test_parameters_and_flops_that_freedarts_states(published: Path):
    known = json.loads((published / "published_genotypes.json").read_text())["anonymous-submission1991/FreeDARTS"]
    with open(published / "freedarts_flops_params.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["arch"] in known]
    assert len(rows) == 30
    for row in rows:
        counted = sizes([genotype_of(known[row["arch"]])], **(IMAGENET if "imagenet" in row["network"] else CIFAR))
        stated = round(float(row["mparams"]) * 1e6), round(float(row["mmacs_thop"]) * 1e6)
        assert (counted[0, 0], counted[1, 0]) == stated


@pytest.mark.parametrize("stem", ["cifar", "imagenet", "none"])
@pytest.mark.parametrize("everything", [False, True])
def test_the_networks_own_counts(stem: str, everything: bool):
    """Parameters, tensors and multiply-accumulates of what is really built, without memory."""
    space = SpaceDarts([*map(str, drawn(4)), *(str(wide(seed)) for seed in range(4))])
    space.stem = stem
    settings = {"channels": 6, "cells": 5, "classes": 7, "input_channels": 3}
    stack = space.build(range(8), keep_unreachable=everything, **settings)
    counted = np.zeros((3, 8))

    def count(layer, _, output):
        owners, each = list(layer.owners), len(layer.owners)
        positions = output.shape[2] * output.shape[3] if output.dim() == 4 else 1
        for parameter in layer.parameters():
            counted[0, owners] += parameter.numel() / each
            counted[2, owners] += 1
        if not isinstance(layer, nn.BatchNorm2d):
            counted[1, owners] += layer.weight.numel() / each * positions
            counted[1, owners] += 0 if layer.bias is None else layer.bias.numel() / each

    for layer in stack.modules():
        if hasattr(layer, "owners") and not isinstance(layer, nn.ReLU):
            layer.register_forward_hook(count)
    stack.to("meta")(torch.empty(1, 3 * 8, 68, 68, device="meta"))
    named = sizes(space.genotypes, stem=stem, resolution=68, reachable_only=not everything, **settings)
    np.testing.assert_array_equal(counted, named)


# --- networks ---------------------------------------------------------------------------------------------------------


def norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels)


def one_by_one(inside: int, outside: int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inside, outside, 1, bias=False), norm(outside))


class Halve(nn.Module):
    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.even, self.odd = (nn.Conv2d(inside, outside // 2, 1, 2, bias=False) for _ in range(2))
        self.norm = norm(outside)

    def forward(self, x):
        x = functional.relu(x)
        return self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], 1))


def plain_operation(name: str, c: int, stride: int) -> nn.Module:
    if name.startswith(("sep", "dil")):
        kernel, dilation = int(name[-1]), 2 if name[0] == "d" else 1
        steps = [stride] if dilation == 2 else [stride, 1]
        return nn.Sequential(*(
            each for step in steps for each in (
                nn.ReLU(), nn.Conv2d(c, c, kernel, step, dilation * (kernel // 2), dilation, c, bias=False),
                nn.Conv2d(c, c, 1, bias=False), norm(c),
            )
        ))  # fmt: skip
    if name == "skip_connect":
        return Halve(c, c) if stride == 2 else nn.Identity()
    return nn.MaxPool2d(3, stride, 1) if name[:3] == "max" else nn.AvgPool2d(3, stride, 1, count_include_pad=False)


class PlainCell(nn.Module):
    """A cell, node by node, every operation built."""

    def __init__(self, cell, before: int, last: int, c: int, reduction: bool, reduced: bool) -> None:
        super().__init__()
        self.cell, self.stride = cell, 2 if reduction else 1
        self.inputs = nn.ModuleList([Halve(before, c) if reduced else one_by_one(before, c), one_by_one(last, c)])
        self.operations = nn.ModuleDict()
        strides = [2 if reduction and source < 2 else 1 for _, source in cell]
        for node in range(4):  # registered in the order in which a stack has them
            for at in sorted((2 * node, 2 * node + 1), key=lambda at: (cell[at][0], strides[at], at)):
                if cell[at][0] != "none":
                    self.operations[str(at)] = plain_operation(cell[at][0], c, strides[at])

    def forward(self, older, last):
        maps = [self.inputs[0](older), self.inputs[1](last)]
        for node in range(4):
            total = torch.zeros_like(maps[0][:, :, :: self.stride, :: self.stride])
            for at in (2 * node, 2 * node + 1):
                name, source = self.cell[at]
                if name != "none":
                    total = total + self.operations[str(at)](maps[source])
            maps.append(total)
        return torch.cat(maps[2:], 1)


class Plain(nn.Module):
    """The evaluation network of a genotype, literally."""

    def __init__(self, genotype: Genotype, stem: str, c: int, cells: int, classes: int) -> None:
        super().__init__()
        if stem == "imagenet":
            first = [nn.Conv2d(3, c // 2, 3, 2, 1, bias=False), norm(c // 2), nn.ReLU()]
            self.early = nn.Sequential(*first, nn.Conv2d(c // 2, c, 3, 2, 1, bias=False), norm(c))
            self.late = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, 3, 2, 1, bias=False), norm(c))
            before, last, reduced = c, c, True
        else:
            self.early = nn.Sequential(nn.Conv2d(3, 3 * c, 3, 1, 1, bias=False), norm(3 * c))
            self.late, before, last, reduced = nn.Identity(), 3 * c, 3 * c, False
        self.cells = nn.ModuleList()
        for number in range(cells):
            reduction = number in (cells // 3, 2 * cells // 3)
            c *= 2 if reduction else 1
            cell = genotype.reduce if reduction else genotype.normal
            self.cells.append(PlainCell(cell, before, last, c, reduction, reduced))
            before, last, reduced = last, 4 * c, reduction
        self.classifier = nn.Linear(last, classes)

    def forward(self, x):
        older = self.early(x)
        last = self.late(older)
        for cell in self.cells:
            older, last = last, cell(older, last)
        return self.classifier(last.mean((2, 3)))


@torch.no_grad()
def copy(stack: nn.Module, position: int, to: nn.Module) -> nn.Module:
    """Give a plain network the tensors of one architecture of a stack, layer by layer in module order."""
    ours = [m for m in stack.modules() if position in getattr(m, "owners", ()) and not isinstance(m, nn.ReLU)]
    theirs = [m for m in to.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.Linear))]
    for layer, other in zip(ours, theirs, strict=True):
        row = layer.owners.index(position)
        for name, tensor in other.named_parameters():
            tensor.copy_(getattr(layer, name).unflatten(0, (len(layer.owners), -1))[row])
    return to


def build(space: SpaceDarts, indices, seed: int = 0, **settings):
    network = {"channels": 4, "cells": 3, "classes": 5, "input_channels": 3} | settings
    stack = allocate(space.build(indices, **network), "cpu")
    initialise(stack, [stream(seed, space.canonical(i), "test") for i in indices])
    return stack


def images(k: int, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(6, 3, side, side, generator=torch.Generator().manual_seed(0))
    return x, x.repeat(1, k, 1, 1)


@pytest.mark.parametrize(("stem", "side"), [("cifar", 16), ("imagenet", 64)])
def test_stack_equals_plain_networks(stem: str, side: int):
    """Random ones of S5, and two with none and one input twice. All inputs of cells are used, so that all is built."""
    some = [each for each in drawn(40, 1) if all({0, 1} <= {s for _, s in cell} for _, cell in each.cells())][:3]
    twice = (("sep_conv_3x3", 0), ("sep_conv_3x3", 0), ("none", 1), ("dil_conv_5x5", 1), *some[0].normal[4:])
    pools = (
        ("max_pool_3x3", 0),
        ("max_pool_3x3", 0),
        ("skip_connect", 1),
        ("skip_connect", 1),
        *twice[:2],
        *twice[4:6],
    )
    some += [Genotype(twice, pools), Genotype(pools, twice)]
    space = SpaceDarts([str(canonical(each)) for each in some])
    space.stem = stem
    stack = build(space, range(len(some)))
    x, repeated = images(len(some), side)
    output = stack(repeated)
    assert output.shape == (6, len(some), 5)
    for position, genotype in enumerate(space.genotypes):
        plain = copy(stack, position, Plain(genotype, stem, 4, 3, 5))
        torch.testing.assert_close(output[:, position], plain(x), rtol=1e-3, atol=1e-4)


def test_one_of_a_stack_is_the_stack_of_one():
    space = SpaceDarts([*map(str, drawn(3, 2)), *(str(wide(seed)) for seed in (1, 2))])
    space = SpaceDarts([arch.replace("noise", "none") for arch in space.archs])
    x, repeated = images(5)
    stack = build(space, range(5))
    together = stack(repeated)
    for position in range(5):
        torch.testing.assert_close(build(space, [position])(x)[:, 0], together[:, position], rtol=1e-3, atol=1e-4)
    modules = dict(stack.named_modules())
    assert stack.blocks() == ["stem", *(f"body.{at}" for at in range(3))] and set(stack.blocks()) <= set(modules)
    features = stack.eval().features(repeated)
    assert features.shape == (6, 5 * 64, 4, 4)
    torch.testing.assert_close(stack.classifier(features.mean((2, 3))), stack(repeated))


def test_what_lies_on_no_path_changes_nothing():
    dead = (("none", 0), ("none", 1), ("sep_conv_3x3", 2), ("skip_connect", 1), *[("avg_pool_3x3", 1)] * 4)
    live = (("none", 1), ("none", 0), ("skip_connect", 1), ("none", 0), *[("avg_pool_3x3", 1)] * 4)
    space = SpaceDarts([str(Genotype(cell, cell)) for cell in (dead, live)])
    x, _ = images(1)
    assert space.class_id.tolist() == [0, 0] and space.canonical(0) == space.canonical(1)
    assert torch.equal(build(space, [0])(x), build(space, [1])(x))
    params = space.sizes(channels=4, cells=3, classes=5, input_channels=3, resolution=16)[0]
    assert params[0] > params[1]


def test_noise_has_the_shape_of_an_operation_and_no_input():
    noise = (("noise", 0), ("skip_connect", 1)) * 4
    nothing = (("none", 0), ("noise", 1)) * 4
    space = SpaceDarts([str(Genotype(noise, noise)), str(Genotype(nothing, nothing))])
    x, _ = images(1)
    torch.manual_seed(0)
    one, other = (build(space, [0])(x) for _ in range(2))
    assert one.isfinite().all() and not torch.equal(one, other)
    assert space.connected.tolist() == [True, False]


def test_the_network_of_swap():
    """No stem, three channels, one cell, which is a reduction cell of six."""
    space = SpaceDarts([V2]).with_network("swap")
    assert space.network == {"channels": 3, "cells": 1, "input_channels": 3} and space.title.endswith("swap network")
    stack = build(space, [0], **space.network)
    x, _ = images(1)
    assert stack.blocks() == ["body.0"] and stack.features(x).shape == (6, 24, 8, 8)
    assert space.sizes(**CIFAR | {"stem": "cifar"})[0] == [3349342]  # counted as trained
    with pytest.raises(UserError, match="unknown network of DARTS: 'swop' .did you mean swap"):
        space.with_network("swop")


# --- the space of a table ---------------------------------------------------------------------------------------------


def test_a_space_is_what_its_table_holds():
    archs = [str(each) for each in drawn(5)]
    space = space_of("darts", archs)
    near = next(iter(edits(space.genotypes[2])))
    space = space.over([*archs, str(near)])
    assert space.title == "DARTS (6 genotypes)" and len(space) == 6 and space.full_size == GENOTYPES
    assert space.neighbours(2) == [5] and space.neighbours(0) == []
    pairs = space.genotypes[1].normal
    other = str(Genotype((pairs[1], pairs[0], *pairs[2:]), space.genotypes[1].reduce))
    assert space.index(other) == space.index(archs[1]) == 1 and space.index(str(compact(space.genotypes[3]))) == 3
    with pytest.raises(UserError, match="is a DARTS genotype, but not among the 6 of the table"):
        space.index(V2)
    with pytest.raises(UserError, match="is no DARTS genotype"):
        space_of("darts", ["something"])
    whole = space_of("darts").whole()
    assert len(whole) == len(set(whole.archs)) == 4_096
    assert whole.archs[:2] == space_of("darts").whole().archs[:2]


def test_a_table_of_ones_own(tmp_path: Path):
    archs = [str(compact(each)) for each in drawn(12)]
    rows = "\n".join(f'"{arch}",{80 + at}' for at, arch in enumerate(archs))
    (tmp_path / "nasbenchdarts.csv").write_text(f"arch,cifar10_valid_200_seed0\n{rows}\n")
    opened = benchmarks.load("darts", data=tmp_path)
    assert opened.network == {"channels": 16, "cells": 8, "input_channels": 3, "classes": 10}
    assert opened.trained == {"channels": 36, "cells": 20}
    assert opened.table.target("valid").tolist() == [80.0 + at for at in range(12)]
    (tmp_path / "nasbenchdarts.csv").write_text("arch,cifar10_test_200\nsep_conv,12\n")
    with pytest.raises(UserError, match="'sep_conv' is no DARTS genotype"):
        benchmarks.load("darts", data=tmp_path)


def test_a_part_of_the_space_is_opened_by_the_tables_of_the_whole(tmp_path: Path, monkeypatch):
    facts = {"channels": 4, "cells": 5, "input_channels": 1, "classes": 10, "resolution": 8}
    table = Table(
        benchmark="darts", dataset="digits", archs=tuple(map(str, drawn(2))), splits=("test",), epochs=(1,),
        seeds=("0",), accuracy=np.full((2, 1, 1, 1), 60.0), source="tiny", checksum="0", attributes=facts,
    )  # fmt: skip
    save_tables(tmp_path / "digitsdarts.h5", [table])
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", tmp_path)
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    for key in ("darts", "darts-s2"):
        opened = benchmarks.load(key)
        assert opened.embedded and opened.table.benchmark == opened.space.name == key
        assert opened.network == {name: size for name, size in facts.items() if name != "resolution"}
        assert opened.trained == {"channels": 4, "cells": 5}
    assert benchmarks.space_of("darts-s2").sources == ()


def test_images_of_imagenet_are_to_be_named(folder: Path):
    with pytest.raises(UserError, match="images of 'imagenet-nds' are not read here: name yours with --inputs PATH"):
        source_of(benchmarks.load("darts", "imagenet-nds", folder).table)
    assert source_of(benchmarks.load("darts", "cifar10-545", folder).table) == "cifar10-545"  # CIFAR-10's


def test_the_published_tables(folder: Path):
    opened = {name: benchmarks.load("darts", name, folder) for name in ("cifar10", "cifar10-545", "imagenet-nds")}
    facts = {"cifar10": (1000, 999, 0.805), "cifar10-545": (545, 526, 0.131), "imagenet-nds": (121, 121, 0.821)}
    assert benchmarks.load("darts", data=folder).table.dataset == "cifar10"
    for name, (count, networks, rho) in facts.items():
        bench = opened[name]
        params = bench.space.sizes(resolution=bench.resolution, **bench.network | bench.trained)[0]
        accuracy = bench.table.target(bench.table.splits[-1])
        assert (len(bench.table), len(set(bench.space.class_id))) == (count, networks)
        assert spearmanr(params, accuracy).statistic == pytest.approx(rho, abs=5e-4)
    first, other = opened["cifar10"], opened["cifar10-545"]
    assert first.table.target("valid").max() == pytest.approx(86.61) and first.space.connected.sum() == 998
    assert other.table.splits == ("train", "valid", "test") and other.table.epochs == (10, 50)
    assert other.table.target("test", 50)[0] == pytest.approx(92.04, abs=1e-3)
    assert np.isnan(other.table.target("test", 10)).all()
    assert other.table.seconds_per_run[0].tolist() == [[1257.0], [6296.0]]
    (tmp := folder / "nasbenchdarts.csv").write_text(f'arch,mine_test_1\n"{V2}",50\n')
    assert benchmarks.load("darts", data=folder).table.dataset == "mine"  # one's own comes first
    tmp.unlink()


def test_networks_of_nds_have_their_own_sizes(folder: Path, published: Path):
    stated = json.loads((published / "nds_DARTS_in.json").read_text())
    bench = benchmarks.load("darts", "imagenet-nds", folder)
    params, flops, _ = bench.space.sizes(resolution=224, **bench.network | bench.trained)
    assert params.tolist() == [each["params"] for each in stated]
    above = np.array([each["flops"] for each in stated]) / flops
    assert 1.01 < above.min() < above.max() < 1.12  # by a rule that is not known
    assert bench.space.together == 1
    with pytest.raises(UserError, match="networks of different channels and cells are no stack"):
        bench.space.build(range(9), **bench.network)
    built = bench.space.build([0], **bench.network)
    assert (
        sum(p.numel() for p in built.parameters())
        == bench.space.sizes(resolution=224, reachable_only=True, **bench.network)[0, 0]
    )
    small = bench.space.with_network("swap")
    assert small.build([0, 1], **small.network | {"classes": 10}).k == 2


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("DARTS_archs_CIFAR10.csv", f'"{V2}",high\n', "could not convert string to float: 'high'"),
        ("DARTS_archs_CIFAR10.csv", f'"{V2}",120\n', "accuracies outside 0..100"),
        ("DARTS_archs_CIFAR10.csv", "sep,90\n", "'sep' is no DARTS genotype"),
        ("data-545.csv", f'architecture,params\n"{V2}",3.0\n', "parameters of 1 rows are not those of their DARTS"),
        ("data-545.csv", f'architecture,params\n"{V2}",3.349342\n', "train_acc10"),
        ("DARTS_in.json", "[{}]", "net"),
        ("DARTS_in.json", "[" * 100_000, "truncated or not JSON"),
        ("DARTS_in.json", "[]", "DARTS_in.json: "),
    ],
)
def test_broken_tables_give_one_line(tmp_path: Path, name: str, content: str, said: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        benchmarks.load("darts", data=tmp_path)
    assert said in str(error.value) and "\n" not in str(error.value)
