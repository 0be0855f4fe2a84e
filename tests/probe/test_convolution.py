"""The written-out derivatives of convolution against PyTorch's own, first and second; what is skipped."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from harness.probe import convolution as convolutions
from harness.probe.convolution import convolution

LAYERS = {
    "3x3": lambda: nn.Conv2d(4, 6, 3, padding=1),
    "stride": lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
    "1x1": lambda: nn.Conv2d(4, 6, 1),
    "grouped 1x1": lambda: nn.Conv2d(4, 6, 1, groups=2),
    "groups": lambda: nn.Conv2d(4, 6, 3, padding=(1, 2), groups=2, dilation=2),
}


def derivatives(module: nn.Conv2d, forward, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradients of x and weight, and the second derivatives of something that mixes them."""
    y = forward(x)
    first = torch.autograd.grad(y.sin().sum(), [x, module.weight], create_graph=True)
    mixed = sum((g.square() * torch.linspace(1, 2, g.numel(), dtype=g.dtype).view(g.shape)).sum() for g in first)
    return [y, *first, *torch.autograd.grad(mixed, [x, module.weight])]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_derivatives_are_pytorchs(name, layout):
    torch.manual_seed(0)
    module = LAYERS[name]().double()
    x = torch.randn(3, 4, 7, 7, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_(True)
    expected = derivatives(module, module, x)
    found = derivatives(module, lambda t: convolution(module, lambda: False, t), x)
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted)


@pytest.mark.parametrize("name", ["grouped 1x1", "groups"])
def test_derivatives_by_group_as_on_a_gpu_are_pytorchs(name, monkeypatch):
    monkeypatch.setattr(convolutions, "_by_group", lambda module, x: convolutions._grouped(module))
    test_derivatives_are_pytorchs(name, torch.contiguous_format)


def test_second_derivatives_numerically():
    torch.manual_seed(0)
    module = nn.Conv2d(2, 3, 3, padding=1, bias=False).double()
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda t: convolution(module, lambda: False, t), (x,))


def test_what_is_skipped_is_the_weights_part_alone():
    torch.manual_seed(0)
    module = nn.Conv2d(4, 6, 3, padding=1).double()
    x = torch.randn(3, 4, 7, 7, dtype=torch.float64, requires_grad=True)
    skipping = False

    def gradient(of: torch.Tensor, graph: bool) -> tuple[torch.Tensor | None, ...]:
        return torch.autograd.grad(of, [x, module.weight], create_graph=graph, retain_graph=True, allow_unused=True)

    expected = derivatives(module, module, x)
    y = convolution(module, lambda: skipping, x)
    skipping = True
    data, weights = gradient(y.sin().sum(), graph=False)
    torch.testing.assert_close(data, expected[1])
    assert weights is None
    skipping = False
    first = gradient(y.sin().sum(), graph=True)
    mixed = sum((g.square() * torch.linspace(1, 2, g.numel(), dtype=g.dtype).view(g.shape)).sum() for g in first)
    skipping = True
    data, weights = gradient(mixed, graph=False)
    torch.testing.assert_close(data, expected[3])
    assert weights is None or not torch.allclose(weights, expected[4])


def test_input_that_needs_no_gradient():
    module = nn.Conv2d(2, 3, 3).double()
    x = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    (expected,) = torch.autograd.grad(module(x).sin().sum(), module.weight)
    (found,) = torch.autograd.grad(convolution(module, lambda: False, x).sin().sum(), module.weight, create_graph=True)
    torch.testing.assert_close(found, expected)
    (expected,) = torch.autograd.grad(
        torch.autograd.grad(module(x).sin().sum(), module.weight, create_graph=True)[0].square().sum(), module.weight
    )
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), module.weight)[0], expected)
