"""The 201 space against the real table, and its stacked networks against a plain PyTorch network."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import EDGES, Reference201, copy_from_stack, minibatch, operations

from benchmarks import UserError
from benchmarks.benchmark import space_of
from benchmarks.nasbench201.space import NONE, OPERATIONS, SKIP, Cell, Space201, parse_cell, print_cell, reachable
from benchmarks.spaces.layers import allocate
from harness.probe.initialise import initialise, stream

OFFICIAL = {"channels": 16, "cells_per_stage": 5, "input_channels": 3}
TINY = {"channels": 4, "cells_per_stage": 1, "input_channels": 3, "classes": 5}
LITERAL_TINY = {"channels": 4, "cells": 1, "input_channels": 3, "classes": 5}


def benchmark_string(cell: Cell, *, consider_zero: bool) -> str:
    """Return the nested string by which the benchmark's own code (`to_unique_str`) distinguishes cells.

    Both rules collapse skip connections; `consider_zero` also lets zeros swallow what they feed, except in sums.
    They give 12,751 (False) and 6,466 (True) different strings; the paper's "6,466 unique" is the second.
    """
    nodes = ["0"]
    for node in (1, 2, 3):
        terms = []
        for (source, target), operation in zip(EDGES, cell, strict=True):
            if target != node:
                continue
            if consider_zero and (operation == NONE or nodes[source] == "#"):
                terms.append("#")
            elif operation == SKIP:
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{operation}")
        nodes.append("+".join(sorted(terms)))
    return nodes[3]


@pytest.fixture(scope="module")
def space() -> Space201:
    return space_of("201")


@pytest.fixture(scope="session")
def rows(real_data: Path) -> list[dict[str, str]]:
    """The rows of the real table, in official order."""
    file = real_data / "nasbench201.csv"
    if not file.is_file():
        pytest.skip(f"no real table: {file}")
    return list(csv.DictReader(file.open()))


def build(space: Space201, indices, *, keep_unreachable: bool = False, seed: int = 0, network=TINY):
    """A stack with its weights drawn; BatchNorm gets weights and biases of its own so that they count."""
    stack = allocate(space.build(indices, keep_unreachable=keep_unreachable, **network), "cpu")
    initialise(stack, [stream(seed, space.archs[i], "test") for i in indices])
    return stack


def test_order_and_size(space):
    assert len(space) == len(space.archs) == len(set(space.archs)) == 15_625
    assert (
        space.archs[0]
        == "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    assert (
        space.archs[1]
        == "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
    )
    assert space.index(space.archs[6111]) == 6111


def test_official_order_throughout(space, rows):
    assert [row["arch"] for row in rows] == list(space.archs)
    assert [int(row["index"]) for row in rows] == list(range(15_625))


def test_counts(space):
    assert (~space.connected).sum() == 341
    assert len(set(space.class_id)) == 9_445
    assert len({benchmark_string(cell, consider_zero=False) for cell in space.cells}) == 12_751
    assert len({benchmark_string(cell, consider_zero=True) for cell in space.cells}) == 6_466
    assert (space.conv_count == 0).sum() == 1_983
    assert space.conv_count.max() == 6


def on_a_path(arch: str) -> list[bool]:
    """For each edge, whether some path from node 0 to node 3 uses it: all 4 paths, tried one after the other."""
    names = dict(zip(EDGES, operations(arch), strict=True))
    used = set()
    for path in ([(0, 3)], [(0, 1), (1, 3)], [(0, 2), (2, 3)], [(0, 1), (1, 2), (2, 3)]):
        if all(names[edge] != "none" for edge in path):
            used |= set(path)
    return [edge in used for edge in EDGES]


def test_reachability_is_by_paths(space):
    for arch, cell in zip(space.archs, space.cells, strict=True):
        kept = tuple(name if path else "none" for name, path in zip(cell, on_a_path(arch), strict=True))
        assert reachable(cell) == kept


def test_class_id_is_the_member_without_unreachable_operations(space):
    groups = defaultdict(list)
    for index in range(len(space)):
        groups[space.canonical(index)].append(index)
    for canonical, members in groups.items():
        representative = space.index(canonical)
        assert set(space.class_id[members]) == {representative} and representative in members
    assert len(groups) == 9_445


def test_print_and_parse(space):
    for cell, arch in zip(space.cells, space.archs, strict=True):
        assert print_cell(cell) == arch
        assert parse_cell(arch) == cell == tuple(operations(arch))


@pytest.mark.parametrize(
    "text",
    [
        "", "none", "|none~0|", "|none~0|+|none~0|none~1|", "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+|none~0|",
        "|none~1|+|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~1|none~0|+|none~0|none~1|none~2|",
        "|none~0|none~0|none~1|+|none~0|none~1|none~2|", "|none~0|+|none~0|none~1|none~0|+|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|x", "x|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2",
    ],
)  # fmt: skip
def test_malformed_strings(space, text):
    with pytest.raises(UserError, match="is not a NAS-Bench-201 cell"):
        space.index(text)


def test_unknown_operations_are_named_together(space):
    text = "|nor_conv_5x5~0|+|none~0|maxpool~1|+|none~0|none~1|none~2|"
    with pytest.raises(UserError, match=r"'maxpool'.*'nor_conv_5x5' \(did you mean nor_conv_3x3"):
        space.index(text)


def test_neighbours(space):
    for index in (0, 7, 15_624):
        found = space.neighbours(index)
        assert len(set(found)) == 24 and index not in found
        for other in found:
            assert sum(a != b for a, b in zip(space.cells[index], space.cells[other], strict=True)) == 1
            assert index in space.neighbours(other)


def test_sample(space):
    sample = space.sample(1000, seed=3)
    assert len(set(sample.tolist())) == 1000
    assert np.array_equal(space.sample(200, seed=3), sample[:200])
    assert not np.array_equal(space.sample(1000, seed=4), sample)
    assert sorted(space.sample(15_625, seed=0)) == list(range(15_625))
    pooled = np.concatenate([space.sample(500, seed=seed) for seed in range(40)])
    by_part = np.histogram(pooled, bins=25, range=(0, 15_625))[0]  # 25 equal parts of 625, 800 draws expected in each
    assert ((by_part - 800) ** 2 / 800).sum() < 52.6  # chi-squared with 24 degrees of freedom, 99.94 %
    for wrong in (0, -1, 15_626):
        with pytest.raises(UserError, match="15,625"):
            space.sample(wrong, seed=0)


# Sizes


def sizes_of(arch: str, *, resolution: int, classes: int, **settings) -> tuple[int, int, int]:
    """Parameters, multiply-accumulates and parameter tensors of the reference network, by walking it with an image."""
    network = Reference201(arch, classes=classes, **settings).eval()
    done = []

    def add(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            done.append(output[0].numel() * module.in_channels // module.groups * module.kernel_size[0] ** 2)
        else:
            done.append(module.in_features * module.out_features + module.out_features)

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(add)
    with torch.no_grad():
        network(torch.zeros(1, settings.get("input_channels", 3), resolution, resolution))
    parameters = list(network.parameters())
    return sum(p.numel() for p in parameters), sum(done), len(parameters)


@pytest.mark.parametrize("settings", [{"channels": 4, "cells": 1}, {"channels": 6, "cells": 2, "input_channels": 1}])
def test_sizes_are_those_of_the_network(space, settings):
    named = {
        "channels": settings["channels"],
        "cells_per_stage": settings["cells"],
        "input_channels": settings.get("input_channels", 3),
    }
    all_of_them = space.sizes(classes=7, resolution=16, **named)
    pruned = space.sizes(classes=7, resolution=16, reachable_only=True, **named)
    for index in space.sample(12, seed=1):
        assert tuple(all_of_them[:, index]) == sizes_of(space.archs[index], resolution=16, classes=7, **settings)
        assert tuple(pruned[:, index]) == sizes_of(space.canonical(index), resolution=16, classes=7, **settings)


def test_official_sizes_of_index_0(space):
    params, flops, tensors = space.sizes(classes=10, resolution=32, **OFFICIAL)[:, 0]
    assert params == 129_306 and round(flops / 1e6, 5) == 15.64737 and tensors == 111
    assert sizes_of(space.archs[0], resolution=32, classes=10) == (params, flops, tensors)


def test_parameters_against_the_table(space, rows):
    """15,475 rows agree to the parameter; 150 are off by exactly one operation's convolutions, and not by our mistake.

    Each of the 150 carries the number of another cell with the same nested string by the benchmark's own first rule
    (`to_unique_str(False)`), which writes a skipped node's terms out and so cannot tell a convolution that is computed
    once and used twice from two convolutions. Only 230 of the 12,751 strings (1,108 cells) mix sizes in this way.
    """
    ours = space.sizes(classes=10, resolution=32, **OFFICIAL)[0]
    published = np.round([float(row["params_million"]) * 1e6 for row in rows])
    off = np.flatnonzero(np.abs(published - ours) > 1)
    assert len(off) == 150
    per_convolution = {5 * (k**2 * (16**2 + 32**2 + 64**2) + 2 * (16 + 32 + 64)) for k in (1, 3)}
    assert set(np.abs(published - ours)[off]) == per_convolution == {28_000, 243_040}
    sharing = defaultdict(list)
    for index, cell in enumerate(space.cells):
        sharing[benchmark_string(cell, consider_zero=False)].append(index)
    mixed = [members for members in sharing.values() if len(set(ours[members])) > 1]
    assert len(mixed) == 230 and sum(map(len, mixed)) == 1_108
    for index in off:
        twins = sharing[benchmark_string(space.cells[index], consider_zero=False)]
        assert published[index] in ours[twins] and published[index] != ours[index]
    for index in off[:3]:  # the network, built literally, has our number
        assert sum(p.numel() for p in Reference201(space.archs[index]).parameters()) == ours[index]


# Networks


@torch.no_grad()
def unlike_defaults(stack) -> None:
    """Move BatchNorm's weights and biases off 1 and 0, by a rule of its own for each channel of each owner."""
    generator = torch.Generator().manual_seed(5)
    for module in stack.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.copy_(1 + 0.3 * torch.randn(module.weight.shape, generator=generator))
            module.bias.copy_(0.3 * torch.randn(module.bias.shape, generator=generator))


@pytest.mark.parametrize("keep_unreachable", [False, True])
def test_stack_equals_the_reference_networks(space, keep_unreachable):
    """Outputs, parameters and running statistics of 40 random cells, disconnected ones too, in stacks of 8 and of 1."""
    disconnected = np.flatnonzero(~space.connected)[:2]
    indices = np.concatenate([space.sample(36, seed=2), disconnected, [space.index(print_cell(("none",) * 6)), 6111]])
    x, _ = minibatch(6)
    for part in [*indices.reshape(5, 8), indices[:1], disconnected[:1]]:
        stack = build(space, part, keep_unreachable=keep_unreachable)
        unlike_defaults(stack)
        stack.train()
        outputs = stack(x.repeat(1, len(part), 1, 1))
        assert outputs.shape == (6, len(part), 5)
        for position, index in enumerate(part):
            arch = space.archs[index] if keep_unreachable else space.canonical(index)
            reference = copy_from_stack(stack, position, Reference201(arch, **LITERAL_TINY))
            if not keep_unreachable or on_a_path(arch) == [name != "none" for name in operations(arch)]:
                owned = sum(
                    p.numel() // len(m.owners)
                    for m in stack.modules()
                    for p in m.parameters(recurse=False)
                    if position in m.owners
                )
                assert owned == sum(p.numel() for p in reference.parameters())
            torch.testing.assert_close(outputs[:, position], reference.train()(x), rtol=1e-4, atol=1e-5)


def test_running_statistics_match(space):
    indices = space.sample(4, seed=6)
    stack = build(space, indices)
    references = [
        copy_from_stack(stack, k, Reference201(space.canonical(i), **LITERAL_TINY)) for k, i in enumerate(indices)
    ]
    x, _ = minibatch(6)
    stack.train()(x.repeat(1, 4, 1, 1))
    for position, reference in enumerate(references):
        reference.train()(x)
        seen = copy_from_stack(stack, position, Reference201(space.canonical(indices[position]), **LITERAL_TINY))
        for (name, ours), theirs in zip(seen.named_buffers(), reference.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6, msg=name)


def test_members_of_a_class_compute_the_same_function(space):
    """Literal networks of a class's members agree with the pruned one, given its weights on the edges they share.

    Exact only with BatchNorm as initialised (bias 0), where a convolution of zeros gives zeros; that is what is scored.
    """
    x, _ = minibatch(6)
    groups = defaultdict(list)
    for index in range(len(space)):
        groups[space.class_id[index]].append(index)
    several = [members for members in groups.values() if 3 <= len(members) <= 30 and space.connected[members[0]]]
    for members in several[:: len(several) // 12]:
        pruned = build(space, members[:1]).train()
        expected = pruned(x)[:, 0]
        for index in members[:5]:
            torch.manual_seed(index)  # the unreachable convolutions, which must not matter
            literal = Reference201(space.archs[index], **LITERAL_TINY).train()
            copy_from_stack(pruned, 0, literal)
            torch.testing.assert_close(literal(x), expected, rtol=1e-5, atol=1e-6)


def test_disconnected_outputs_do_not_depend_on_the_input(space):
    index = int(np.flatnonzero(~space.connected)[0])
    network = build(space, [index]).train()
    x, _ = minibatch(4)
    assert torch.equal(network(x), network(x + 1))


def test_blocks_and_features(space):
    indices = space.sample(3, seed=1)
    network = build(space, indices, network={**TINY, "cells_per_stage": 2}).eval()
    names = network.blocks()
    assert len(names) == 1 + 3 * 2 + 2
    x = torch.randn(2, 3 * 3, 8, 8)
    seen = {}
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda m, i, o, name=name: seen.__setitem__(name, tuple(o.shape))
        )
    features = network.features(x)
    assert list(seen) == names
    assert [shape[1:] for shape in seen.values()] == [(12, 8, 8)] * 3 + [(24, 4, 4)] * 3 + [(48, 2, 2)] * 3
    torch.testing.assert_close(network(x), network.classifier(features.mean((2, 3))))


def test_operations_are_the_official_five():
    assert OPERATIONS == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.mark.parametrize("text", ["(4, 0, 3, 1, 4, 2)", "[4,0,3,1,4,2]", "[4 0 3 1 4 2]", "403142", " {} "])
def test_numbers_of_naslib(text):
    """NASLib lists its operations as skip, none, 3x3, 1x1, pool, and the edges 01, 02, 03, 12, 13, 23."""
    arch = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    space = space_of("201")
    assert space.printed(text.format(arch)) == arch
    assert space.locate(text.format(arch)) == space.index(arch)


@pytest.mark.parametrize("text", ["(4, 0, 3, 1, 4)", "(4, 0, 3, 1, 4, 5)", "|none~0|", "17", ""])
def test_what_is_no_spelling_of_a_cell(text):
    with pytest.raises(UserError, match="is not a NAS-Bench-201 cell; expected the form"):
        space_of("201").locate(text)
