"""Supernets of DARTS and of the MobileNet-like space, and the searches over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.benchmark import space_of
from benchmarks.darts.edges import EDGES, ENDS, SETS
from benchmarks.darts.genotypes import compact, parse_genotype, random_genotype
from benchmarks.darts.network import groups_of
from benchmarks.mobilenet.chains import OPERATIONS, parse_chain, random_proxyless
from benchmarks.spaces.layers import allocate
from harness.cli import search
from harness.inputs.draw import Minibatch
from harness.operations.decide import decide
from harness.operations.scores.naswot import naswot_of_masks
from harness.operations.scores.saliency import _objective, zeros
from harness.operations.supernets.masks import draw_alphas, mixture, one_hot
from harness.operations.vertex_inputs import select_edges
from harness.probe.initialise import initialise, stream

SMALL = {"channels": 4, "cells": 4, "classes": 5, "input_channels": 3}


def supernet(key: str, **network):
    made = allocate(space_of(key).supernet(**(network or SMALL)), "cpu")
    with torch.no_grad():
        initialise(made, [stream(0, "supernet", "test")], made.scheme)
    return made.eval()


@torch.no_grad()
def same(one: nn.Module, other: nn.Module) -> None:
    """Give `other` the tensors of `one`, layer by layer."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    pairs = zip(*([m for m in each.modules() if isinstance(m, kinds)] for each in (one, other)), strict=True)
    for ours, theirs in pairs:
        theirs.load_state_dict(ours.state_dict())


def copied(net: nn.Module, mixed: nn.Module, genotype) -> None:
    """Give a network of one genotype the tensors of a supernet."""
    same(mixed.stem, net.stem)
    same(mixed.classifier, net.classifier)
    if net.late_stem is not None:
        same(mixed.late_stem, net.late_stem)
    for cell, source in zip(net.body, mixed.body, strict=True):
        same(source.prepared, cell.prepared)
        pairs = genotype.reduce if source.stride == 2 else genotype.normal
        nodes = [[list(pairs[2 * at : 2 * at + 2]) for at in range(4)]]
        for group, operation in zip(groups_of(nodes, source.stride == 2), cell.operations, strict=True):
            ((start, _),) = group.members
            theirs = source.edges[ENDS.index((start, group.node))][group.operation]
            if "pool" not in group.operation:  # no tensors, and a BatchNorm that the network has not
                same(theirs, operation)


def mask_of(genotype, operations) -> torch.Tensor:
    mask = torch.zeros(1, len(EDGES), len(operations))
    for number, (_, cell) in enumerate(genotype.cells()):
        for at, (name, source) in enumerate(cell):
            mask[0, number * len(ENDS) + ENDS.index((source, 2 + at // 2)), operations.index(name)] = 1
    return mask


@pytest.mark.parametrize("key", ["darts", "darts-s1", "darts-s2", "darts-s3", "darts-s4", "imagenet"])
def test_a_discretised_supernet_is_the_network_of_its_genotype(key: str, monkeypatch):
    monkeypatch.setattr(torch, "randn_like", lambda x: torch.full_like(x, 0.5))  # the noise of s4
    form = "imagenet" if key == "imagenet" else None
    space = space_of("darts" if form else key).with_network(form)
    mixed = allocate(space.supernet(**SMALL), "cpu").eval()
    with torch.no_grad():
        initialise(mixed, [stream(0, "supernet", "test")])
    operations, found = SETS[space.part], space.every()
    generator = np.random.default_rng(1)
    allowed = np.ones((28, len(operations))) if space.choices.allowed is None else space.choices.allowed
    while True:  # inputs that nothing takes are not built in a network
        chosen = [int(generator.choice(np.flatnonzero(row))) for row in allowed]
        kept = [sorted(generator.permutation(2 + at % 4)[:2].tolist()) for at in range(8)]
        place = found.place(chosen, kept)
        genotype = parse_genotype(found.archs[place])
        cells = [cell for _, cell in genotype.cells()]
        if all({0, 1} <= {s for name, s in cell if name != "none"} and "none" not in dict(cell) for cell in cells):
            break
    net = allocate(space.over([str(genotype)]).build([0], keep_unreachable=True, **SMALL), "cpu").eval()
    copied(net, mixed, genotype)
    side = 64 if form else 16
    x = torch.randn(3, 3, side, side, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed(x, mask_of(genotype, operations))[0], net(x)[:, 0], rtol=1e-3, atol=1e-4)
    assert mask_of(genotype, operations).sum() == 16


def test_a_discretised_mobile_supernet_is_its_network():
    ids = random_proxyless(np.random.default_rng(3))
    mixed = supernet("mobilenet", classes=5, input_channels=3)
    space = space_of("mobilenet", [ids])
    net = allocate(space.build([0], classes=5, input_channels=3), "cpu").eval()
    chosen = [int(word) % len(OPERATIONS) for word in space.canonical(0).split()]
    for part in ("stem", "head", "classifier"):
        same(getattr(mixed, part), getattr(net, part))
    for layer, position, at in zip(mixed.body, net.body, chosen, strict=True):
        same(layer[str(at)], position.blocks[0])
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mask = one_hot(chosen, len(OPERATIONS))[None]
    torch.testing.assert_close(mixed(x, mask)[0], net(x)[:, 0], rtol=1e-3, atol=1e-4)
    found = space.every()
    place = found.place(chosen)
    assert parse_chain(found.archs[place]) == parse_chain(space.canonical(0))
    assert space.choices.allowed.sum() == 21 * 7 - 6


def test_masks_together_are_masks_one_by_one():
    mixed = supernet("darts")
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    masks = torch.rand(3, 28, 7, generator=torch.Generator().manual_seed(1))
    masks[1, :, 4] = 0
    masks[2, 3:6] = 0
    together = mixed(x, masks)
    for at in range(3):
        torch.testing.assert_close(together[at], mixed(x, masks[at : at + 1])[0], rtol=1e-4, atol=1e-5)


def test_released_counting_of_relus():
    """By hooks on a plain walk through the modules: an operation of weight 0 counts nowhere, inputs of cells twice."""
    mixed = supernet("darts", **SMALL | {"cells": 1})
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = mixture(torch.zeros(28, 7))[None]
    mask[:, :, :3] = 0  # convolutions alone
    mask[:, 0] = 0
    kernel, seen = torch.zeros(4, 4, dtype=torch.float64), []

    def add(inputs: torch.Tensor, times: int) -> None:
        codes = (inputs > 0).flatten(1).double()
        kernel.add_(times * (codes @ codes.T + (1 - codes) @ (1 - codes).T))
        seen.append(times)

    (cell,) = mixed.body
    handles = [part[0].register_forward_pre_hook(lambda _, i: add(i[0], 2)) for part in cell.prepared]
    for edge in range(len(ENDS)):
        for name in ("sep_conv_3x3", "sep_conv_5x5"):
            handles.append(cell.edges[edge][name][4].register_forward_pre_hook(lambda _, i: add(i[0], 1)))
    for source, relu in enumerate(cell.relus):
        leaving = sum(start == source for start, _ in ENDS) - (source == 0)
        handles.append(relu.register_forward_pre_hook(lambda _, i, times=4 * leaving: add(i[0], times)))
    with torch.no_grad():
        mixed(x, mask.roll(14, 1))  # the only cell is a reduction cell: its edges are the later ones
    for handle in handles:
        handle.remove()
    expected = torch.linalg.slogdet(kernel).logabsdet
    found = naswot_of_masks(mixed, x, mask.roll(14, 1), released=True)
    torch.testing.assert_close(found, expected[None])
    assert sum(seen) == 4 + 4 * 13 + 2 * 13
    assert naswot_of_masks(mixed, x, mask.roll(14, 1), released=False)[0] != expected


def test_synflow_on_darts_is_rounding():
    """Alphas keep their sign; logits do not depend on them, as every node has mean 0 over the one image."""
    mixed, alphas = supernet("darts-s2"), draw_alphas(28, 2, seed=0)
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    minibatch = Minibatch(images, torch.zeros(2, dtype=torch.long))
    network, seen, total = _objective(mixed, alphas, minibatch, "synflow")
    assert seen.equal(alphas.double()) and (alphas < 0).any()
    assert total.item() == pytest.approx(network.classifier.bias.sum().item(), abs=1e-12)
    assert zeros(mixed, alphas, minibatch, "synflow").max() < 1e-13 < zeros(mixed, alphas, minibatch, "snip").max()


def test_the_two_cells_take_turns():
    generator = np.random.default_rng(0)
    proposal = decide(lambda mask, edges, step: np.arange(28.0 * 7).reshape(28, 7), torch.ones(28, 7), "random",
                      generator, turns=2)  # fmt: skip
    parts = [step.edge // 14 for step in proposal.steps]
    assert parts == [0, 1] * 14 and set(proposal.operations) == {6}


def test_edges_are_kept_whose_removal_leaves_the_lowest_score():
    mixed = supernet("darts")
    minibatch = object()

    def evaluate(masks: torch.Tensor, given: object) -> np.ndarray:
        """The number of the edge that is missing; those that went before are missing in all."""
        assert given is minibatch
        missing = masks.sum(2) == 0
        always = missing.all(0)
        return np.array([float(np.flatnonzero((row & ~always).numpy())[0]) for row in missing])

    found = select_edges(evaluate, mixed, [3] * 28, lambda step: minibatch, np.random.default_rng(0))
    assert sorted(each.vertex for each in found) == list(range(8))
    assert {each.selected for each in found} == {(0, 1)}  # the lowest numbers
    names = {each.vertex: each.name for each in found}
    assert names[0] == "normal 2" and names[7] == "reduce 5"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tables of a few random architectures of both spaces; searches rank among 20 random ones."""
    monkeypatch.setattr("benchmarks.darts.space.DRAWN", 20)
    generator = np.random.default_rng(0)
    rows = "\n".join(f'"{compact(random_genotype(generator))}",{70 + at}' for at in range(3))
    (tmp_path / "nasbenchdarts.csv").write_text(f"arch,cifar10_test_1\n{rows}\n")
    ids = "\n".join(f"{random_proxyless(generator)},{70 + at}" for at in range(3))
    (tmp_path / "nasbenchmobilenet.csv").write_text(f"arch,imagenet_valid_1\n{ids}\n")
    pixels = generator.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=pixels, labels=np.arange(40) % 10)
    return tmp_path


def found(folder: Path, settings: str) -> pd.DataFrame:
    assert search.main([*settings.split(), "--data", str(folder), "--out", str(folder / "out")]) == 0
    return pd.read_csv(folder / "out" / "runs.csv")


@pytest.mark.parametrize(
    ("bench", "method"),
    [("darts-s2", "zero-cost-pt --proposals 2 --validations 1"), ("darts-s1", "freedarts"),
     ("darts", "freedarts --score zeros-snip --ranks l2_norm"),
     ("darts-s1", "darts --supernet-epochs 1 --supernet-images 8 --supernet-batch 4")],
)  # fmt: skip
def test_searches_end_to_end(folder: Path, bench: str, method: str, monkeypatch):
    if bench != "darts-s2":  # figures of 28 edges take seconds
        for name in ("write_strip", "write_cells"):
            monkeypatch.setattr(f"harness.operations.search.report.{name}", lambda *_: None)
    settings = f"--bench {bench} --inputs gaussian --network channels=2,cells=3 --batch-size 4 --seeds 1 --resolution 8"
    if "supernet" in method:
        settings += f" --inputs {folder / 'own.npz'}"
    (row,) = found(folder, f"{settings} --method {method}").to_dict("records")
    genotype = parse_genotype(row["arch"])
    part = space_of(bench)
    chosen = part.over([row["arch"]]).choices.chosen[0]
    assert (chosen >= 0).sum() == 16
    if part.choices.allowed is not None:
        assert all(part.choices.allowed[edge, at] for edge, at in enumerate(chosen) if at >= 0)
    assert all(source < 2 + at // 2 for at, (_, source) in enumerate(genotype.normal))
    summary = (folder / "out" / "summary.md").read_text()
    assert "| found |" in summary and "| control: most parameters |" in summary
    assert (folder / "out" / "figures" / "cell-seed0.png").exists() == (bench == "darts-s2")
    if "ranks" in method:
        assert 1 <= row["l2_norm_rank"] <= 21 and "l2\\_norm\\_rank" in summary
        (kept,) = (folder / "out" / "ranks").iterdir()
        assert len(pd.read_csv(kept)) == 20 + 5 + 2  # random, found, five published, the largest
    assert ("but for rounding errors" in summary) == (method == "freedarts")
    assert 1 <= row["params_rank"] <= 21 and np.isnan(row["accuracy"])


def test_a_mobile_search(folder: Path, monkeypatch):
    for name in ("write_strip", "write_cells"):
        monkeypatch.setattr(f"harness.operations.search.report.{name}", lambda *_: None)
    settings = "--bench mobilenet --inputs gaussian --batch-size 2 --resolution 32 --seeds 1 --method freedarts"
    (row,) = found(folder, f"{settings} --score zeros-snip").to_dict("records")
    assert len(parse_chain(row["arch"]).blocks) == 21
