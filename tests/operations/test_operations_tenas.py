"""tenas: ranks by hand, and the command lines, on networks as small as they get."""

import numpy as np
import pytest
import torch

from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.inputs.draw import Minibatch
from harness.operations.scores.perturbation import PERTURBATIONS, Evaluator, combined, perturb, perturbation_of
from harness.operations.supernets.masks import draw_alphas, mixture, pruned
from harness.probe.initialise import initialise, stream


def test_ranks_are_added_by_hand():
    """-condition numbers -9, -2, -inf, -2 rank 2, 3.5, 1, 3.5; regions 5, 7, 6, 9 rank 1, 3, 2, 4."""
    condition = np.array([-9, -2, -np.inf, -2])
    np.testing.assert_array_equal(combined([condition, np.array([5, 7, 6, 9])]), [3, 6.5, 3, 7.5])
    np.testing.assert_array_equal(combined([np.array([np.nan, 1, 2]), np.array([1, 2, 3])]), [np.nan, 3, 5])


@pytest.fixture(scope="module")
def supernet():
    network = allocate(Space201().supernet(channels=2, cells_per_stage=1, classes=4, input_channels=1), "cpu")
    initialise(network, [stream(0, "supernet", "weights")])
    return network.eval()


def test_tenas_is_minus_the_rank_sum_without_the_operation(supernet):
    """Over the operations that are scored together; what is not finite ranks lowest."""
    generator = torch.Generator().manual_seed(1)
    batch = Minibatch(torch.randn(4, 1, 8, 8, generator=generator), torch.arange(4))
    mask, proxies = mixture(draw_alphas(6, 5, seed=2)), PERTURBATIONS["tenas"].proxies
    found = perturb("tenas", Evaluator(supernet, proxies, 0), mask, [5], batch)
    masks = pruned(mask, 5)
    condition, regions = (
        [Evaluator(supernet, (), 0)._by_registry(proxy, each, batch).item() for each in masks] for proxy in proxies
    )
    np.testing.assert_allclose(found[5], -combined([np.array(condition), np.array(regions)]))
    assert np.isnan(found[:5]).all() and len(set(found[5])) > 2
    assert perturbation_of("tenas").every_edge and not perturbation_of("zc-pt:snip").every_edge
    assert perturbation_of("tenas:snip") is None
