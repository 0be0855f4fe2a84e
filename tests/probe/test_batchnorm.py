"""BatchNorm with a written-out second derivative equals PyTorch's own, in values, both derivatives and statistics."""

from __future__ import annotations

import copy
import os

import pytest
import torch
from torch import nn

from harness.probe.batchnorm import batch_norm

CASES = [
    {"affine": True},
    {"affine": False},
    {"affine": True, "momentum": None},
    {"affine": True, "track_running_stats": False},
    {"affine": True, "eps": 0.1, "momentum": 0.3},
]


def layer(settings: dict, dtype: torch.dtype = torch.float64) -> nn.BatchNorm2d:
    """A layer in training mode with weights away from one and zero, which are constants."""
    generator = torch.Generator().manual_seed(1)
    module = nn.BatchNorm2d(3, **settings).to(dtype)
    if module.affine:
        with torch.no_grad():
            module.weight.copy_(torch.randn(3, generator=generator))
            module.bias.copy_(torch.randn(3, generator=generator))
    return module.requires_grad_(False).train()


def inputs(seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(4, 3, 2, 3, generator=generator, dtype=torch.float64) + 1).to(dtype).requires_grad_(True)


@pytest.mark.parametrize("settings", CASES)
def test_value_and_running_statistics(settings):
    module = layer(settings)
    own = copy.deepcopy(module)
    for seed in range(3):
        assert torch.equal(batch_norm(module, inputs(seed)), own(inputs(seed)))
    assert module.state_dict().keys() == own.state_dict().keys()
    for name, tensor in own.state_dict().items():
        assert torch.equal(module.state_dict()[name], tensor), name


@pytest.mark.parametrize("settings", CASES)
def test_derivatives_by_finite_differences(settings):
    module = layer({**settings, "track_running_stats": False})
    assert torch.autograd.gradcheck(lambda x: batch_norm(module, x), inputs())
    assert torch.autograd.gradgradcheck(lambda x: batch_norm(module, x), inputs())


def second_derivative(function, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """First derivative of a scalar of the layer's output, and of a scalar of that, with respect to x."""
    y = function(x)
    (first,) = torch.autograd.grad(
        (y.tanh() * torch.arange(y.numel(), dtype=y.dtype).view_as(y).cos()).sum(), x, create_graph=True
    )
    (second,) = torch.autograd.grad((first**3).sum(), x)
    return y.detach(), first.detach(), second


@pytest.mark.parametrize("settings", CASES)
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_derivatives_equal_those_of_pytorch(settings, dtype, tolerance):
    module = layer(settings, dtype)
    ours = second_derivative(lambda x: batch_norm(module, x), inputs(dtype=dtype))
    theirs = second_derivative(copy.deepcopy(module), inputs(dtype=dtype))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() <= tolerance * b.abs().max()


def test_a_network_behind_another_layer():
    """Two in a row, so that the gradient that arrives depends on the input in turn."""
    first, last = layer(CASES[0]), layer(CASES[1])
    ours = second_derivative(lambda x: batch_norm(last, batch_norm(first, x).relu()), inputs())
    theirs = second_derivative(lambda x: last(first(x).relu()), inputs())
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


def test_one_value_per_channel_is_refused_as_pytorch_does():
    module, x = layer(CASES[0]), torch.ones(1, 3, 1, 1, dtype=torch.float64)
    with pytest.raises(ValueError, match="more than 1 value per channel") as theirs:
        module(x)
    with pytest.raises(ValueError, match="more than 1 value per channel") as ours:
        batch_norm(module, x)
    assert type(ours.value) is type(theirs.value)


@pytest.mark.parametrize("settings", CASES)
def test_channels_last(settings):
    """The same values, statistics and derivatives; PyTorch's own kernel is the referee, in the default layout."""
    own = layer(settings)
    module = copy.deepcopy(own)
    x = torch.randn(5, 3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_(True)
    torch.testing.assert_close(batch_norm(module, last), own(x))
    for name, tensor in own.state_dict().items():
        torch.testing.assert_close(module.state_dict()[name], tensor, msg=name)
    found = second_derivative(lambda t: batch_norm(module, t), last)
    for value, wanted in zip(found, second_derivative(own, x), strict=True):
        torch.testing.assert_close(value, wanted)


def test_channels_last_is_as_exact_as_the_default_layout():
    """PyTorch's own kernel is off by 1e-5 here: it adds up 65,536 numbers one after the other."""
    module = nn.BatchNorm2d(3, momentum=1.0).requires_grad_(False).train()
    x = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) + 1
    batch_norm(module, x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(module.running_mean.double(), x.double().mean((0, 2, 3)), rtol=5e-7, atol=0)
    torch.testing.assert_close(module.running_var.double(), x.double().var((0, 2, 3)), rtol=5e-7, atol=0)


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (40, 3, 33, 40)])
def test_the_second_derivative_in_two_kernels(shape: tuple[int, ...]) -> None:
    """On a GPU, or on the CPU by Triton's interpreter: TRITON_INTERPRET=1, where Triton is installed."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    pytest.importorskip("triton")
    if device == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton compiles for GPUs; TRITON_INTERPRET=1 runs its kernels here")
    from harness.probe.batchnorm_kernels import second_derivative

    generator = torch.Generator().manual_seed(0)
    x, u, grad = (torch.randn(shape, generator=generator, dtype=torch.float64) + 1 for _ in range(3))
    weight = torch.randn(shape[1], generator=generator, dtype=torch.float64)
    along = u.clone().requires_grad_()
    x.requires_grad_()
    y = nn.functional.batch_norm(x, None, None, weight, training=True)
    (dx,) = torch.autograd.grad(y, x, along, create_graph=True)
    wanted = torch.autograd.grad(dx, (along, x), grad)
    mean = x.mean((0, 2, 3))
    rstd = (x.var((0, 2, 3), unbiased=False) + 1e-5).rsqrt()
    xh = (x - mean.view(1, -1, 1, 1)) * rstd.view(1, -1, 1, 1)
    tensors = (grad, u, x, weight, mean, rstd, (u * xh).sum((0, 2, 3)), u.sum((0, 2, 3)))
    found = second_derivative(*(each.detach().float().to(device) for each in tensors))
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got.double().cpu(), want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))
