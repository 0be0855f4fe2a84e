"""What a stack needs of a GPU, counted on the meta device: a host wait in a pass, or a mix of devices, fails here."""

import pytest
import torch

from benchmarks.benchmark import space_of
from harness.proxies.choose import choose
from harness.proxies.registry import proxy
from speed import dispatch
from speed.networks import connected

LOOPS = {"meco_opt", "linear_regions@te_nas", "az_trainability"}
"""They take their layers, architectures or blocks one by one."""


def count(names: str, cells: int = 1, archs: int = 3) -> dispatch.Dispatch:
    """Of architectures with one or two convolutions, which are the quickest."""
    space = space_of("201")
    network = {"channels": 4, "cells_per_stage": cells, "classes": 5, "input_channels": 3}
    small = [index for index in connected(space, 20) if 0 < space.conv_count[index] < 3]
    return dispatch.count(names, small[:archs], network, batch=4, side=8)


def waits(names: str, **sizes: int) -> int:
    seen = count(names, **sizes)
    return seen.count["waits"] + seen.count["uploads"]


def test_no_proxy_mixes_devices_or_waits_for_each_layer_or_architecture():
    looked = [each for each in choose("all") if not each.static and not each.on_module and each.cost != "PS"]
    names = [each.name for each in looked if each.name not in LOOPS]
    assert waits(",".join(names)) == waits(",".join(names), cells=2, archs=2)


def test_a_pass_of_the_classic_ten_waits_for_scores_alone():
    seen = count(dispatch.TEN)
    assert seen.count["waits"] <= 20 and seen.count["uploads"] <= 20
    assert seen.count["kernels"] > 1000 and seen.count["bytes"] > 1e6


def test_a_number_that_is_read_is_counted(own_proxies):
    @proxy(name="curious", reads="gradients", labels=True)
    def curious(probe):
        return probe.total(layer.weight * g for layer, g in probe.by_layer(probe.gradients) if g.sum().item() or True)

    few, many = count("curious"), count("curious", cells=2)
    assert 1 < few.waits["aten._local_scalar_dense.default"] < many.waits["aten._local_scalar_dense.default"]


def test_mixed_devices_are_an_error():
    with dispatch.Dispatch(), pytest.raises(RuntimeError, match="mixes tensors of the CPU and of the device"):
        torch.ones(2, device="meta") + torch.ones(2)


def test_kernels_and_bytes_by_hand():
    x = torch.empty(8, 4, device="meta")
    with dispatch.Dispatch() as seen:
        x.t().view(4, 8)  # views
        y = x @ x.t()  # 8 x 4 and 4 x 8 in, 8 x 8 out
        y.index_select(0, torch.empty(2, dtype=torch.int64, device="meta"))  # 2 rows of 8 in and out
        y.cpu()
        torch.ones(3).to("meta")
    assert seen.count["kernels"] == 3 and seen.count["waits"] == 1 and seen.count["uploads"] == 1
    assert seen.count["bytes"] == 4 * (32 + 32 + 64) + 4 * 2 * 16 + 4 * (3 + 3)
