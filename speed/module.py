"""`python -m speed.module`: `harness.score` on a module of one's own, compared with one proxy at a time in PyTorch.

The modules are networks of NAS-Bench-201 as their authors write them: plain layers, every operation computed, zeros
too. "Alone" is zero-cost-nas's way (`speed.one_by_one`): each proxy on a fresh copy, with passes of its own. The sides
take turns in one process, on the same weights and images. CPU time, one thread.
"""

import argparse
import statistics
import sys
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

import harness
from benchmarks.nasbench201.space import CONV1, CONV3, EDGES, KERNEL, NONE, POOL, SKIP, Space201, parse_cell
from harness.engine.processes import few_collections
from harness.inputs.draw import gaussian_minibatches
from speed.command import CommandLine, write_json
from speed.environment import described, machine, strict_float32
from speed.networks import connected
from speed.one_by_one import ALONE, LOOSE, TOLERANCE
from speed.passes import Watch, same

SETS = {
    "without grasp": ("grad_norm", "snip", "fisher", "jacob_cov", "plain", "synflow"),
    "with grasp": ("grad_norm", "snip", "fisher", "jacob_cov", "plain", "synflow", "grasp"),
}


class Zero(nn.Module):
    """The operation `none`, which is computed."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


def relu_conv_bn(inside: int, outside: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU, convolution without bias, BatchNorm."""
    convolution = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, nn.BatchNorm2d(outside))


def operation(name: str, width: int) -> nn.Module:
    """Return the module of one edge."""
    if name in (CONV1, CONV3):
        return relu_conv_bn(width, width, KERNEL[name])
    pool = partial(nn.AvgPool2d, 3, stride=1, padding=1, count_include_pad=False)
    return {NONE: Zero, SKIP: nn.Identity, POOL: pool}[name]()


class PlainCell(nn.Module):
    """A cell: each node is the sum of its edges."""

    def __init__(self, cell: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(operation(name, width) for name in cell)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for node in (1, 2, 3):
            arriving = [
                edge(nodes[source]) for edge, (source, target) in zip(self.edges, EDGES, strict=True) if target == node
            ]
            nodes.append(sum(arriving[1:], arriving[0]))
        return nodes[-1]


class PlainReduction(nn.Module):
    """The residual block between stages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_a, self.conv_b = relu_conv_bn(width, 2 * width, 3, 2), relu_conv_bn(2 * width, 2 * width, 3)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, stride=2), nn.Conv2d(width, 2 * width, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.conv_b(self.conv_a(x))


def plain_network(arch: str, *, channels: int = 16, cells: int = 5, classes: int = 10) -> nn.Sequential:
    """Return the official network of a cell, written in plain modules, with PyTorch's weights."""
    body: list[nn.Module] = []
    for stage in range(3):
        body += [PlainReduction(channels * 2 ** (stage - 1))] if stage else []
        body += [PlainCell(parse_cell(arch), channels * 2**stage) for _ in range(cells)]
    width = 4 * channels
    return nn.Sequential(
        nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), *body, nn.BatchNorm2d(width),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes),
    )  # fmt: skip


def measure(arch: str, seed: int, channels: int, cells: int, batch_size: int, resolution: int, repeats: int) -> dict:
    """Return the medians of one architecture, seconds of CPU time by side and set, and what disagrees."""
    torch.manual_seed(seed)
    model = plain_network(arch, channels=channels, cells=cells)
    shape = (3, resolution, resolution)
    (images,) = gaussian_minibatches(shape=shape, classes=10, batch_size=batch_size, count=1, seed=seed)
    together, alone, ours = Watch(), Watch(), {}
    wrong: set[str] = set()
    for _ in range(repeats):
        for which, names in SETS.items():
            proxies = ",".join(names)
            ours |= together.time(which, partial(harness.score, model, images.inputs, images.targets, proxies))
        for name in SETS["with grasp"]:
            theirs, scale = alone.time(name, lambda name=name: ALONE[name](deepcopy(model), *_data(images)))
            if not same(theirs, ours[name], scale, LOOSE.get(name, TOLERANCE)):
                wrong.add(f"{name} ({ours[name]:.6g} by harness.score, {theirs:.6g} alone)")
    apart = alone.medians("cpu")
    one_by_one = {which: sum(apart[name] for name in names) for which, names in SETS.items()}
    return {"arch": arch, "together": together.medians("cpu"), "alone": one_by_one, "apart": apart,
            "disagree": sorted(wrong)}  # fmt: skip


def _data(images) -> tuple[Tensor, Tensor]:
    return images.inputs, images.targets


def run(given: argparse.Namespace) -> bool:
    """Measure, print and store; return whether a score disagrees."""
    space = Space201()
    archs = [space.archs[index] for index in connected(space, given.archs, given.seed)]
    facts = machine(1)
    print(described(facts))
    found = []
    with strict_float32(1), few_collections():
        measure(archs[0], 0, given.channels, given.cells, given.batch_size, given.resolution, 1)  # warm up
        for arch in archs:
            one = measure(
                arch, given.seed, given.channels, given.cells, given.batch_size, given.resolution, given.repeats
            )
            found.append(one)
            print(
                arch, *(f"{w}: {one['alone'][w] / one['together'][w]:.2f}" for w in SETS), *one["disagree"], flush=True
            )
    ratios = {w: sum(one["alone"][w] for one in found) / sum(one["together"][w] for one in found) for w in SETS}
    medians = {w: statistics.median(one["alone"][w] / one["together"][w] for one in found) for w in SETS}
    for which in SETS:
        print(f"{which}: {ratios[which]:.2f} times as fast over all, {medians[which]:.2f} by the median architecture")
    write_json(given.out, {"machine": facts, "ratios": ratios, "medians": medians, "networks": found})
    return any(one["disagree"] for one in found)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit code, 1 if the sides disagree on a score."""
    line = CommandLine("module", __doc__)
    line.count("--archs", "architectures", 8)
    line.count("--repeats", "turns of both sides for each", 1)
    line.count("--batch-size", "images", 64)
    line.count("--channels", "of the stem", 16)
    line.count("--cells", "in each stage", 5)
    line.count("--resolution", "of the images", 32)
    line.add_argument("--seed", type=int, default=0, help="of sample, weights and images (default 0)")
    line.out("results/speed_module.json")
    return line.run(argv, run)


if __name__ == "__main__":
    sys.exit(main())
