"""Stacked layers equal ordinary layers side by side, in values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.spaces.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear, StackedReLU, Take, allocate, like

OWNERS = (0, 2, 5)


def filled(layer: nn.Module) -> nn.Module:
    """Allocate a layer and give it weights."""
    layer = allocate(layer, "cpu")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def beside(stacked: nn.Module, make, x_of, x: torch.Tensor, out_of) -> None:
    """Compare outputs and weight gradients with one ordinary layer for each owner."""
    singles = []
    for row in range(len(OWNERS)):
        single = make()
        for name, parameter in single.named_parameters():
            parameter.data.copy_(getattr(stacked, name).detach().unflatten(0, (len(OWNERS), -1))[row])
        singles.append(single)
    outputs = stacked(x)
    expected = [single(x_of(row)) for row, single in enumerate(singles)]
    for row, out in enumerate(expected):
        torch.testing.assert_close(out_of(outputs, row), out)
    (outputs**2).sum().backward()
    sum((out**2).sum() for out in expected).backward()
    for name, parameter in stacked.named_parameters():
        by_owner = parameter.grad.unflatten(0, (len(OWNERS), -1))
        for row, single in enumerate(singles):
            torch.testing.assert_close(by_owner[row], single.get_parameter(name).grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel, stride", [(1, 1), (3, 1), (3, 2)])
def test_convolution(kernel, stride):
    x = torch.randn(4, 3 * 2, 6, 6, generator=torch.Generator().manual_seed(1))
    stacked = filled(StackedConv2d(OWNERS, 2, 5, kernel, stride))
    beside(
        stacked, lambda: nn.Conv2d(2, 5, kernel, stride, padding=kernel // 2, bias=False),
        lambda row: x[:, 2 * row : 2 * row + 2], x, lambda out, row: out[:, 5 * row : 5 * row + 5],
    )  # fmt: skip


def test_batchnorm():
    x = torch.randn(4, 3 * 2, 6, 6, generator=torch.Generator().manual_seed(1))
    stacked = filled(StackedBatchNorm2d(OWNERS, 2))
    beside(
        stacked,
        lambda: nn.BatchNorm2d(2),
        lambda row: x[:, 2 * row : 2 * row + 2],
        x,
        lambda out, row: out[:, 2 * row : 2 * row + 2],
    )


def test_linear():
    x = torch.randn(4, 3 * 7, generator=torch.Generator().manual_seed(1))
    stacked = filled(StackedLinear(OWNERS, 7, 5))
    assert stacked(x).shape == (4, 3, 5)
    beside(stacked, lambda: nn.Linear(7, 5), lambda row: x[:, 7 * row : 7 * row + 7], x, lambda out, row: out[:, row])


def test_linear_of_one():
    layer = filled(StackedLinear((0,), 7, 5))
    x = torch.randn(4, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(x), nn.functional.linear(x, layer.weight, layer.bias).unsqueeze(1))


def test_take_and_add():
    x = torch.arange(2 * 6 * 2 * 3.0).view(2, 12, 1, 3)  # six architectures of two channels
    take = Take(OWNERS, 6)
    taken = take(x)
    expected = torch.cat([x[:, 2 * owner : 2 * owner + 2] for owner in OWNERS], 1)
    assert torch.equal(taken, expected)
    total = take.add(None, taken, x)
    kept = torch.zeros_like(x)
    for owner in OWNERS:
        kept[:, 2 * owner : 2 * owner + 2] = x[:, 2 * owner : 2 * owner + 2]
    assert torch.equal(total, kept)
    assert torch.equal(take.add(total.clone(), taken, x), 2 * kept)
    whole = Take(range(6), 6)
    assert whole(x) is x and torch.equal(whole.add(None, x, x), x) and torch.equal(whole.add(x.clone(), x, x), 2 * x)


def test_adding_for_one_never_changes_what_it_adds_to():
    take, x = Take((0,), 1), torch.ones(1, 2, 1, 1)
    total = take.add(None, x, x)
    assert torch.equal(take.add(total, x, x), 2 * torch.ones_like(x)) and (x == 1).all()


def test_allocate():
    network = nn.Sequential(StackedConv2d((0,), 2, 3, 3), StackedBatchNorm2d((0,), 3), StackedReLU((0,)), Take((1,), 2))
    assert network[0].weight.is_meta and network[1].running_var.is_meta
    allocate(network, "cpu", torch.float64)
    assert all(not t.is_meta for t in (*network.parameters(), *network.buffers()))
    assert network[0].weight.dtype is torch.float64 and network[1].num_batches_tracked.dtype is torch.int64
    assert (
        (network[1].running_var == 1).all() and (network[1].weight == 1).all() and network[3].positions.tolist() == [1]
    )


def test_like_is_a_module_of_its_own():
    first = nn.Sequential(
        StackedConv2d((0, 1), 2, 3, 3), StackedBatchNorm2d((0, 1), 3), StackedReLU((0, 1)), Take((1,), 2)
    )
    second = like(first)
    seen = []
    first[0].register_forward_hook(lambda *_: seen.append(1))
    second[2].on_path = (False, True)
    assert str(second) == str(first) and first[2].on_path == (True, True)
    shapes = [(name, tensor.shape) for name, tensor in first.state_dict().items()]
    assert shapes == [(name, tensor.shape) for name, tensor in second.state_dict().items()]
    allocate(first, "cpu")
    assert second[0].weight.is_meta and not first[0].weight.is_meta
    allocate(second, "cpu")
    for mine, other in zip(
        (*first.parameters(), *first.buffers()), (*second.parameters(), *second.buffers()), strict=True
    ):
        assert mine is not other or mine.dtype is torch.int64  # places in the stack
    second[0](torch.ones(1, 4, 3, 3))
    assert not seen
