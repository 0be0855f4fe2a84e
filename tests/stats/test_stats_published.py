"""Published figures from published scores, end to end: the Zen scores and accuracies of NAS-Bench-Suite-Zero.

Needs the reference scores beside the real data (../reference/nb201_zen_xvalid_all15625.csv); skipped where they are
absent.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.nasbench201.space import Space201
from harness.analysis.summary import summarise

PUBLISHED = [  # dataset, population, n, rho, tau-b; from the released scores, -1e8 for the 341 disconnected ones
    ("cifar10", "all", 15_625, 0.3549, 0.2722),
    ("cifar10", "connected", 15_284, 0.3108, 0.2397),
    ("cifar10", "distinct", 9_445, 0.1006, 0.0961),
    ("cifar100", "all", 15_625, 0.3607, 0.2815),
    ("cifar100", "connected", 15_284, 0.3170, 0.2495),
    ("ImageNet16-120", "all", 15_625, 0.4003, 0.2947),
    ("ImageNet16-120", "connected", 15_284, 0.3593, 0.2633),
    ("ImageNet16-120", "distinct", 9_445, 0.1117, 0.0920),
]


def cell_params(arch: str) -> int:
    """Parameters of the 15 cells of an architecture: each convolution with its BatchNorm, at 16, 32 and 64 channels."""
    kernels = 9 * arch.count("nor_conv_3x3"), arch.count("nor_conv_1x1")
    convolutions = arch.count("nor_conv")
    return sum(5 * (sum(kernels) * width**2 + convolutions * 2 * width) for width in (16, 32, 64))


@pytest.fixture(scope="module")
def released(real_data):
    path = real_data.parent / "reference" / "nb201_zen_xvalid_all15625.csv"
    if not path.is_file():
        pytest.skip(f"no published scores: {path} is not there")
    return pd.read_csv(path).set_index("arch")


@pytest.fixture(scope="module")
def space():
    return Space201()


@pytest.fixture(scope="module")
def canonical_class(space):
    """(archs,) index of the member whose unreachable edges are all `none`: the one the published 9,445 hold."""
    return np.array([space.index(space.canonical(index)) for index in range(len(space))])


@pytest.fixture(scope="module")
def summaries(released, space, canonical_class):
    made = {}
    table = released.loc[list(space.archs)]
    params = np.array([cell_params(arch) for arch in space.archs], float)
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        run = SimpleNamespace(
            manifest={"space_size": len(space)},
            archs=space.archs,
            index=np.arange(len(space)),
            accuracy=table[f"xvalid_{dataset}"].to_numpy(float),
            seed_accuracy=np.empty((len(space), 0)),
            class_id=canonical_class,
            connected=space.connected,
            params=params,
            conv_count=space.conv_count,
            scores={"zen": table[f"zen_{dataset}"].to_numpy(float)[None], "params": params[None]},
            seconds={},
        )
        made[dataset] = summarise(run)
    return made


def row(summaries, dataset, population, proxy):
    table = summaries[dataset].table
    return table[(table.population == population) & (table.proxy == proxy)].iloc[0]


@pytest.mark.parametrize(("dataset", "population", "n", "rho", "tau"), PUBLISHED)
def test_zen(summaries, dataset, population, n, rho, tau):
    zen = row(summaries, dataset, population, "zen")
    assert zen.n == n
    assert zen.rho == pytest.approx(rho, abs=6e-5)
    assert zen.tau_b == pytest.approx(tau, abs=6e-5)
    assert np.isnan(zen.rho_low)  # the whole space: no sampling error


def test_zen_on_the_distinct_networks(summaries):
    zen = row(summaries, "cifar10", "distinct", "zen")
    assert zen.rho_partial_params == pytest.approx(-0.297, abs=6e-4)
    assert zen.rho_top10pct == pytest.approx(0.34, abs=6e-3)
    assert zen.regret_1 == pytest.approx(4.61, abs=6e-3)
    assert zen.precision_10pct == pytest.approx(0.090, abs=6e-4)


def test_params_on_the_distinct_networks(summaries):
    params = row(summaries, "cifar10", "distinct", "params")
    assert params.rho == pytest.approx(0.747, abs=6e-4)
    assert (params.tau_a, params.tau_b) == pytest.approx((0.544, 0.568), abs=6e-4)
    assert params.tau_weighted == pytest.approx(0.749, abs=6e-4)
    assert params.rho_top10pct == pytest.approx(0.01, abs=6e-3)
    assert (params.regret_1, params.regret_10) == pytest.approx((1.21, 0.79), abs=6e-3)
    assert np.isnan(params.rho_partial_params)
    assert row(summaries, "ImageNet16-120", "distinct", "params").rho == pytest.approx(0.718, abs=1e-3)


def test_random_picks(summaries):
    """6.10, 1.68 and 0.71 were published from random draws; these are the exact expectations."""
    curve = summaries["cifar10"].regret
    curve = curve[(curve.population == "distinct") & (curve.proxy == "random picks")].set_index("k").regret
    assert curve[[1, 10, 100]].tolist() == pytest.approx([6.102, 1.669, 0.713], abs=1e-3)


def test_strata_show_simpsons_paradox(summaries, released, space, canonical_class):
    """Zen ranks small networks backwards and large ones forwards (published: from -0.70 to +0.59 by convolutions)."""
    from harness.stats import stratum_spearman

    one = canonical_class == np.arange(len(space))
    table = released.loc[list(space.archs)][one]
    rho = stratum_spearman(table.zen_cifar10, table.xvalid_cifar10, space.conv_count[one])
    assert rho[0][1] == pytest.approx(-0.70, abs=5e-3)
    assert rho[5][1] == pytest.approx(0.59, abs=5e-3)
    assert sum(n for n, _ in rho.values()) == 9_445
