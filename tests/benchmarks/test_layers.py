"""Stacked layers equal ordinary layers side by side, in values and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.spaces.layers import (
    Places,
    StackedBatchNorm2d,
    StackedConv2d,
    StackedLinear,
    StackedReLU,
    allocate,
    gather,
    like,
    scatter,
)

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


NODE = [Places((0, 2, 5), 6), Places(range(6), 6), Places((4, 2), 6)]


def by_hand(x, position, back=False):
    """The maps of three sets of owners in a stack of six with two channels each, or the sum of such maps."""
    if not back:
        return [torch.cat([x[:, 2 * owner : 2 * owner + 2] for owner in owners], 1) for owners in position]
    total = torch.zeros(len(x[0]), 12, *x[0].shape[2:], dtype=x[0].dtype)
    for part, owners in zip(x, position, strict=True):
        for row, owner in enumerate(owners):
            total[:, 2 * owner : 2 * owner + 2] += part[:, 2 * row : 2 * row + 2]
    return total


OWNED = [(0, 2, 5), range(6), (4, 2)]


def test_gather_and_scatter_by_hand():
    x = torch.arange(2 * 6 * 2 * 3.0).view(2, 12, 1, 3)
    taken = gather(x, 6, NODE)
    for mine, expected in zip(taken, by_hand(x, OWNED), strict=True):
        assert torch.equal(mine, expected)
    assert torch.equal(scatter(taken, 6, NODE), by_hand(taken, OWNED, back=True))
    assert torch.equal(scatter(taken[::2], 6, NODE[::2]), by_hand(taken[::2], OWNED[::2], back=True))


def test_gather_and_scatter_of_one_are_the_map_and_the_sum():
    one, x = Places((0,), 1), torch.ones(1, 2, 1, 1)
    assert all(part is x for part in gather(x, 1, [one, one]))
    assert torch.equal(scatter([x, x], 1, [one, one]), 2 * x) and (x == 1).all()


def test_gather_and_scatter_are_differentiable_twice_forward_and_in_batches():
    x = torch.randn(2, 12, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)

    def node(x):
        first, whole, last = gather(x, 6, NODE)
        return scatter([first.sin(), last.exp()], 6, NODE[::2]) * scatter([whole], 6, NODE[1:2])

    def plain(x):
        first, whole, last = by_hand(x, OWNED)
        return by_hand([first.sin(), last.exp()], OWNED[::2], back=True) * whole

    assert torch.autograd.gradcheck(node, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(node, x)
    (mine,), (expected,) = torch.autograd.grad(node(x).sum(), x), torch.autograd.grad(plain(x).sum(), x)
    torch.testing.assert_close(mine, expected)
    batch = torch.stack([x.detach(), 2 * x.detach()])
    torch.testing.assert_close(torch.func.vmap(node)(batch), torch.stack([node(each) for each in batch]))
    per_sample = torch.func.vmap(torch.func.grad(lambda each: node(each).sum()))(batch)
    torch.testing.assert_close(per_sample[0], expected)


def test_allocate():
    network = nn.Sequential(
        StackedConv2d((0,), 2, 3, 3), StackedBatchNorm2d((0,), 3), StackedReLU((0,)), Places((1,), 2)
    )
    assert network[0].weight.is_meta and network[1].running_var.is_meta
    allocate(network, "cpu", torch.float64)
    assert all(not t.is_meta for t in (*network.parameters(), *network.buffers()))
    assert network[0].weight.dtype is torch.float64 and network[1].num_batches_tracked.dtype is torch.int64
    assert (
        (network[1].running_var == 1).all() and (network[1].weight == 1).all() and network[3].positions.tolist() == [1]
    )


def test_like_is_a_module_of_its_own():
    first = nn.Sequential(
        StackedConv2d((0, 1), 2, 3, 3), StackedBatchNorm2d((0, 1), 3), StackedReLU((0, 1)), Places((1,), 2)
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
