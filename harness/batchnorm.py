"""BatchNorm in other ways than PyTorch's: of each sample by itself, and with a cheap second derivative.

Training-mode BatchNorm whose second derivative costs a few passes over the activations instead of about twenty.

PyTorch differentiates the backward of BatchNorm through a chain of elementwise operations, which is half the time of a
Hessian-vector product on a CPU. Written out for one channel, with N elements, M the mean over them, r = 1/sqrt(var + eps),
xh = (x - M x) r, weight w, and u the gradient of the output:

    backward   dx = w r (u - M u - xh M(u xh))
    with G the gradient of dx, a = M(G xh), b = M(u xh), S = M(G u) - M(G) M(u) - a b
    d/du       w r (G - M G - xh a)                          (the backward again, applied to G)
    d/dx       -w r^2 (xh (S - 2 a b) + b (G - M G) + a (u - M u))

Weight and bias are constants here: the probe differentiates with respect to convolution and linear weights alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


def _backward(grad: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, rstd: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return dx (like x), sum(grad xh) and sum(grad), each (channels,)."""
    return torch.ops.aten.native_batch_norm_backward(
        grad, x, weight, None, None, mean, rstd, True, 0.0, [True, True, True]
    )


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
        to_u, g_xh, g_sum = _backward(grad, x, weight, mean, rstd)
        if not ctx.needs_input_grad[1]:
            return to_u, None, None, None, None
        n = x.numel() // x.shape[1]
        shape = (1, -1) + (1,) * (x.dim() - 2)
        a, b, g_mean, u_mean = g_xh / n, u_xh / n, g_sum / n, u_sum / n
        s = (grad * u).sum(dim=[0, *range(2, x.dim())]) / n - g_mean * u_mean - a * b
        outer = -(rstd**2) if weight is None else -(rstd**2) * weight
        along_x = outer * (s - 2 * a * b) * rstd
        constant = -along_x * mean - outer * (b * g_mean + a * u_mean)
        to_x = torch.addcmul(constant.view(shape), x, along_x.view(shape))
        to_x.addcmul_(grad, (outer * b).view(shape)).addcmul_(u, (outer * a).view(shape))
        return to_u, to_x, None, None, None


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, running_mean, running_var, momentum, eps):
        y, mean, rstd = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, weight, mean, rstd)
        return y

    @staticmethod
    def backward(ctx, u):
        x, weight, mean, rstd = ctx.saved_tensors
        return _Backward.apply(u, x, weight, mean, rstd), None, None, None, None, None, None


def batch_norm(module: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return what the module returns for x in training mode, running statistics updated; weight and bias are constants."""
    if x.numel() == x.shape[1]:
        raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
    momentum = module.momentum
    if module.track_running_stats and module.num_batches_tracked is not None:
        module.num_batches_tracked.add_(1)
        momentum = 1 / float(module.num_batches_tracked) if momentum is None else momentum
    return _Forward.apply(
        x, module.weight, module.bias, module.running_mean, module.running_var, momentum or 0.0, module.eps
    )


def of_each_sample(module: nn.modules.batchnorm._BatchNorm, x: Tensor) -> Tensor:
    """Return what the module returns in training mode for each sample in a minibatch of its own; nothing is recorded.

    Raises ValueError where a sample has one value per channel, as the module would.
    """
    if x.dim() < 3 or x[0, 0].numel() == 1:
        shape = tuple(x.shape[1:])
        raise ValueError(f"Expected more than 1 value per channel when training, got one sample of size {shape}")
    return functional.instance_norm(x, weight=module.weight, bias=module.bias, use_input_stats=True, eps=module.eps)
