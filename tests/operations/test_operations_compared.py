"""Cells found in an open space, compared with published and random ones."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency

from benchmarks.benchmark import space_of
from benchmarks.darts.edges import SETS, allowed, random_of
from benchmarks.darts.genotypes import parse_genotype, random_genotype
from benchmarks.mobilenet.chains import chain_size, parse_chain
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, score_stack
from harness.operations.config import OperationsConfig
from harness.operations.search.candidates import Candidates
from harness.operations.search.compared import Compared, scores
from harness.operations.search.picture import graphs
from harness.operations.search.published import chi_squared, fit, operation_counts, published
from harness.operations.setup import Setup, set_up
from harness.proxies.registry import registry

ZERO_COST_PT = ("zero-cost-pt", "naswot@zero-cost-pt")


def test_published_cells_have_the_shares_that_are_published():
    """Of the 28 genotypes of S5 that Zero-Cost-PT released, counted from its file."""
    groups = published("darts", *ZERO_COST_PT)
    archs = [arch for group in groups for arch in group.archs]
    counts = operation_counts(space_of("darts"), archs)
    shares = dict(zip(SETS["s5"], (counts.sum(0) / counts.sum()).round(3), strict=True))
    assert len(archs) == 28 and (counts.sum(1) == 16).all()
    assert shares == {"max_pool_3x3": 0, "avg_pool_3x3": 0, "skip_connect": 0.049, "sep_conv_3x3": 0.42,
                      "sep_conv_5x5": 0.525, "dil_conv_3x3": 0.007, "dil_conv_5x5": 0}  # fmt: skip
    sizes = space_of("darts").over(archs).sizes(channels=36, cells=20, classes=10, input_channels=3, resolution=32)[0]
    assert sizes.min() == 4_473_190 and sizes.max() == 4_978_198
    assert published("darts", "darts", "darts") == []


@pytest.mark.parametrize(("part", "operation", "share"), [(2, "sep_conv_3x3", 0.823), (3, "sep_conv_3x3", 0.854),
                                                          (4, "noise", 0.146)])  # fmt: skip
def test_published_cells_of_the_parts(part: int, operation: str, share: float):
    ((group),) = published(f"darts-s{part}", *ZERO_COST_PT)
    counts = operation_counts(space_of(f"darts-s{part}"), group.archs)
    found = counts.sum(0)[SETS[f"s{part}"].index(operation)] / counts.sum()
    assert round(found, 3) == share


def test_the_published_mobile_network():
    ((group),) = published("mobilenet", "freedarts", "zeros-synflow")
    assert chain_size(parse_chain(group.archs[0]), 1000, 3, 224).params == 6_261_360


def test_the_test_of_fit_by_all_ways_to_divide_the_cells():
    generator = np.random.default_rng(0)
    ours, theirs = generator.multinomial(16, [0.5, 0.3, 0.2], 3), generator.multinomial(16, [0.2, 0.3, 0.5], 4)
    both = np.concatenate([ours, theirs])
    observed = chi2_contingency([ours.sum(0), theirs.sum(0)], correction=False).statistic
    np.testing.assert_allclose(chi_squared(ours.sum(0), theirs.sum(0)), observed)
    ways = [chi_squared(both[list(some)].sum(0), both.sum(0) - both[list(some)].sum(0))
            for some in combinations(range(7), 3)]  # fmt: skip
    assert fit(ours, theirs) == np.mean(np.array(ways) >= observed - 1e-9) < 0.2
    assert fit(ours, ours) == 1 and np.isnan(fit(ours[:1], theirs))


def test_an_operation_that_nobody_has_does_not_matter():
    one, other = np.array([3, 0, 5]), np.array([4, 0, 4])
    assert chi_squared(one, other) == chi_squared(one[[0, 2]], other[[0, 2]])


def test_random_genotypes_of_a_part_are_of_it():
    generator, part = np.random.default_rng(0), allowed("s1")
    chosen = np.stack([space_of("darts-s1").over([str(random_of("s1", generator))]).choices.chosen[0]
                       for _ in range(40)])  # fmt: skip
    assert ((chosen >= 0).sum(1) == 16).all()
    assert all(part[edge, at] for row in chosen for edge, at in enumerate(row) if at >= 0)
    last = chosen[:, 9:14] >= 0  # the five edges into node 5, two of them kept
    assert (last.sum(1) == 2).all() and last.any(0).all()


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    rows = "\n".join(f'"{random_genotype(generator)}",{70 + at}' for at in range(3))
    (folder / "nasbenchdarts.csv").write_text(f"arch,cifar10_test_1\n{rows}\n")
    pixels = generator.integers(0, 256, (20, 3, 8, 8), dtype=np.uint8)
    np.savez(folder / "own.npz", images=pixels, labels=np.arange(20) % 10)
    return set_up(OperationsConfig(
        bench="darts", data=str(folder), network="channels=2,cells=3", batch_size=4, resolution=8,
        inputs=str(folder / "own.npz"), device="cpu",
    ))  # fmt: skip


def test_scores_are_those_of_the_engine_and_are_kept(setup: Setup, tmp_path: Path):
    archs = [str(random_genotype(np.random.default_rng(at))) for at in range(3)]
    first = scores(setup, archs[:2], ["naswot"], tmp_path)
    space = setup.benchmark.space.over(archs)
    seen = ViewInputs([setup.minibatches(0, 1)(0)], 10, 0)
    build = partial(allocate, space.build([1], **setup.network), "cpu")
    expected = score_stack(build, [space.canonical(1)], [registry()["naswot"]],
                           seen, seed=0)["naswot"].scores.item()  # fmt: skip
    assert first.loc[archs[1], "naswot"] == pytest.approx(expected, rel=1e-6)
    (path,) = tmp_path.iterdir()
    kept = pd.read_csv(path, index_col="arch")
    kept.loc[archs[0], "naswot"] = 7.0
    kept.to_csv(path)
    again = scores(setup, archs, ["naswot", "l2_norm"], tmp_path)
    assert list(again.index) == archs and again.notna().all(axis=None)
    only_new = scores(setup, archs, ["naswot"], tmp_path)
    assert only_new.equals(again[["naswot"]])


def test_ranks_and_groups_by_hand(setup: Setup, tmp_path: Path):
    compared = Compared(Candidates(setup), (), tmp_path)
    groups = published("darts", *ZERO_COST_PT)
    cells = compared.all(*ZERO_COST_PT, ["seed 0", "seed 1"], groups[0].archs[:2])
    found, control = cells[cells["group"] == "found"], cells.iloc[-1]
    assert control["params_rank"] == 1 and control["sep_conv_5x5"] == 16 and control["params"] == 5_144_086
    larger = (compared.random["params"] > found["params"].iloc[0]).sum()
    assert found["params_rank"].iloc[0] == 1 + larger
    table = compared.groups(cells).set_index("group")
    assert table.loc["published, all", "cells"] == 28 and table.loc["published, N = 1", "cells"] == 4
    assert table.loc["found", "sep_conv_5x5"] == 18 / 32
    assert table["p"].notna().sum() == len(groups) + 1 and table.loc["published, N = 1", "p"] == 1


def test_pictures_have_the_arcs_of_the_genotype():
    genotype = parse_genotype(published("darts", *ZERO_COST_PT)[0].archs[0])
    drawn = graphs(space_of("darts", [str(genotype)]).choices, 0)
    assert {name: {(source, target, operation) for source, target, operation in arcs} for name, arcs in drawn.items()} \
        == {name: {(source, 2 + at // 2, operation) for at, (operation, source) in enumerate(cell)}
            for name, cell in genotype.cells()}  # fmt: skip
    chain = graphs(space_of("mobilenet", ["0 2 0 4 2 3 3 4 4 3 4 4 3 3 5 1 0 4 3 0 2"]).choices, 0)
    assert [arc[:2] for arc in chain[""]] == [(at, at + 1) for at in range(21)]
