"""BatchNorm in other ways than PyTorch's: of each sample alone, and with a cheap second derivative.

Training-mode BatchNorm whose second derivative costs a few passes over the activations instead of about twenty.

PyTorch differentiates the backward of BatchNorm through a chain of elementwise operations, which is half the time of a
Hessian-vector product on a CPU. Written out for one channel: N elements, M the mean over them, r = 1/sqrt(var + eps),
xh = (x - M x) r, weight w, and u the gradient of the output:

    backward   dx = w r (u - M u - xh M(u xh))
    with G the gradient of dx, a = M(G xh), b = M(u xh), S = M(G u) - M(G) M(u) - a b
    d/du       w r (G - M G - xh a)                          (the backward again, applied to G)
    d/dx       -w r^2 (xh (S - 2 a b) + b (G - M G) + a (u - M u))

With channels last, PyTorch adds up a channel's elements one after the other in float32: its statistics are off by 1e-5,
a hundred times more than in the default layout, which deep networks magnify to 1e-3 of a score. Here they are sums by
halves, as exact as in the default layout. On CUDA devices with Triton, `harness.probe.batchnorm_kernels` does the
second derivative in two kernels, in float32 and the default layout.

Weight and bias are constants here: the probe differentiates with respect to convolution and linear weights alone.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.autograd.function import once_differentiable
from torch.nn import functional

from harness.probe.precision import widened


def _by_channel(x: Tensor) -> Tensor:
    """Sum over samples and positions, (channels,)."""
    return x.sum((0, 2, 3))


def _channels_last(x: Tensor) -> bool:
    """Whether sums are to be formed here; bfloat16 is less exact than PyTorch's sums, which are in float32 for it."""
    ours = x.dim() == 4 and x.dtype != torch.bfloat16
    return ours and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _forward(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, running: tuple[Tensor | None, Tensor | None],
    momentum: float, eps: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Return the output, the mean and 1 / sqrt(var + eps) of each channel; updates the running statistics."""
    if not _channels_last(x):
        return torch.native_batch_norm(x, weight, bias, *running, True, momentum, eps)
    n = x.numel() // x.shape[1]
    mean = _by_channel(x) / n
    var = _by_channel((x - mean.view(1, -1, 1, 1)).square_()) / n
    for recorded, seen in zip(running, (mean, var * (n / (n - 1))), strict=True):
        if recorded is not None:
            recorded.lerp_(seen, momentum)
    y, _, _ = torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, eps)
    return y, mean, (var + eps).rsqrt()


def _backward(grad: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor) -> list[Tensor]:
    """Return dx (like x), sum(grad xh) and sum(grad), each (channels,)."""
    if not _channels_last(x):
        settings = (None, None, mean, rstd, True, 0.0, [True] * 3)
        return torch.ops.aten.native_batch_norm_backward(grad, x, weight, *settings)
    n = x.numel() // x.shape[1]
    total = _by_channel(grad)
    total_xh = (_by_channel(grad * x) - mean * total) * rstd
    along_u = rstd if weight is None else rstd * weight
    along_x = -along_u * rstd * total_xh / n
    constant = -along_u * total / n - along_x * mean
    dx = torch.addcmul(constant.view(1, -1, 1, 1), x, along_x.view(1, -1, 1, 1))
    return [dx.addcmul_(grad, along_u.view(1, -1, 1, 1)), total_xh, total]


@cache
def _fused(device: torch.device) -> Callable[..., tuple[Tensor, Tensor]] | None:
    """Return the second derivative in two kernels; None where Triton is missing or cannot compile for a device."""
    try:
        from harness.probe.batchnorm_kernels import second_derivative

        second_derivative(*torch.ones(3, 2, 2, 2, device=device), *torch.ones(5, 2, device=device))
        return second_derivative
    except Exception:  # whatever a compiler raises: the written-out form serves
        return None


def _plain(*tensors: Tensor) -> bool:
    """Whether all are float32 in the default layout."""
    return all(each.dtype == torch.float32 and each.is_contiguous() for each in tensors)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, x, weight, mean, rstd):
        dx, u_xh, u_sum = _backward(u, x, weight, mean, rstd)
        ctx.save_for_backward(u, x, weight, mean, rstd, u_xh, u_sum)
        return dx

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        u, x, weight, mean, rstd, u_xh, u_sum = ctx.saved_tensors
        if ctx.needs_input_grad[1] and x.is_cuda and (fused := _fused(x.device)) and _plain(grad, u, x):
            ones = torch.ones_like(mean) if weight is None else weight
            return *fused(grad, u, x, ones, mean, rstd, u_xh, u_sum), None, None, None
        to_u, g_xh, g_sum = _backward(grad, x, weight, mean, rstd)
        if not ctx.needs_input_grad[1]:
            return to_u, None, None, None, None
        n = x.numel() // x.shape[1]
        shape = (1, -1) + (1,) * (x.dim() - 2)
        a, b, g_mean, u_mean = g_xh / n, u_xh / n, g_sum / n, u_sum / n
        s = (widened(grad) * u).sum(dim=[0, *range(2, x.dim())]) / n - g_mean * u_mean - a * b
        outer = -(rstd**2) if weight is None else -(rstd**2) * weight
        along_x = outer * (s - 2 * a * b) * rstd
        constant = -along_x * mean - outer * (b * g_mean + a * u_mean)
        to_x = torch.addcmul(constant.view(shape), x, along_x.view(shape))
        to_x.addcmul_(grad, (outer * b).view(shape)).addcmul_(u, (outer * a).view(shape))
        return to_u, to_x.to(x.dtype), None, None, None


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, running, momentum, eps):
        y, mean, rstd = _forward(x, weight, bias, running, momentum, eps)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    def backward(ctx, u):
        x, weight, mean, rstd = ctx.saved_tensors
        return _Backward.apply(u, x, weight, mean, rstd), None, None, None, None, None


def batch_norm(module: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return what the module does for x in training mode, running statistics updated; weight and bias are constants."""
    if x.numel() == x.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
    momentum = module.momentum
    if module.track_running_stats and module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        momentum = 1 / float(module.num_batches_tracked) if momentum is None else momentum
    running = (module.running_mean, module.running_var)
    return _Forward.apply(x, module.weight, module.bias, running, momentum or 0.0, module.eps)


def constant_statistics(module: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """Return what the module returns in training mode, its tangent (forward mode) as if the statistics were constants.

    Nothing is recorded.
    """
    x, tangent = forward_ad.unpack_dual(x)
    y, _, rstd = _forward(x, module.weight, module.bias, (None, None), 0.0, module.eps)
    if tangent is None:
        return y
    scale = rstd if module.weight is None else rstd * module.weight
    return forward_ad.make_dual(y, (tangent * scale.view(1, -1, *[1] * (x.dim() - 2))).to(y.dtype))


def of_each_sample(module: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """Return what the module returns in training mode for each sample in a minibatch of its own; nothing is recorded.

    Raises ValueError where a sample has one value per channel, as the module would.
    """
    if x.dim() < 3 or x[0, 0].numel() == 1:
        shape = tuple(x.shape[1:])
        raise ValueError(f"Expected more than 1 value per channel when training, got one sample of size {shape}")
    return functional.instance_norm(x, weight=module.weight, bias=module.bias, use_input_stats=True, eps=module.eps)
