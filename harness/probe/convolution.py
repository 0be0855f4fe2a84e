"""Convolution whose second derivative takes three convolutions, each by the kernel made for it.

PyTorch differentiates the backward of a convolution by generic transposed convolutions. With x the input, w the
weight, u the gradient of the output, and (gx, gw) what arrives for the two results of the backward,
dx = data_gradient(u, w) and dw = weight_gradient(x, u):

    d/du   convolve(x, gw) + convolve(gx, w)
    d/dx   data_gradient(u, gw)
    d/dw   weight_gradient(gx, u)

The last, and the weight's part of a first backward, are skipped where `skip()` says that they are not needed: PyTorch
does not tell a custom function which of its gradients were requested.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from harness.probe.precision import computed


def _convolve(module: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    return torch.conv2d(x, weight, None, module.stride, module.padding, module.dilation, module.groups)


def _gradients(module: nn.Conv2d, u: Tensor, x: Tensor, weight: Tensor, data: bool, weights: bool) -> tuple[Any, Any]:
    """Return the data gradient, like x, and the weight gradient, like the weight; None where not wanted."""
    if not (data or weights):
        return None, None
    dx, dw, _ = torch.ops.aten.convolution_backward(
        u, x, weight, None, module.stride, module.padding, module.dilation, False, [0, 0], module.groups,
        [data, weights, False],
    )  # fmt: skip
    return dx, dw


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u, x, weight, module, skip, data):
        ctx.save_for_backward(u, x, weight)
        ctx.module, ctx.skip = module, skip
        return _gradients(module, u, x, weight, data, True)

    @staticmethod
    @once_differentiable
    def backward(ctx, gx, gw):
        u, x, weight = ctx.saved_tensors
        module, skip = ctx.module, ctx.skip
        to_u = None if gw is None else _convolve(module, x, gw)
        if gx is not None:
            through = _convolve(module, gx, weight)
            to_u = through if to_u is None else to_u.add_(through)
        to_x = None if gw is None else _gradients(module, u, x, gw, ctx.needs_input_grad[1], False)[0]
        to_weight = None if gx is None or skip() else _gradients(module, u, gx, weight, False, True)[1]
        return to_u, to_x, to_weight, None, None, None


class _Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, module, skip):
        ctx.save_for_backward(x, weight)
        ctx.module, ctx.skip = module, skip
        ctx.set_materialize_grads(False)
        return _convolve(module, x, weight)

    @staticmethod
    def backward(ctx, u):
        if u is None:
            return None, None, None, None
        x, weight = ctx.saved_tensors
        data = ctx.needs_input_grad[0]
        if torch.is_grad_enabled():  # the backward is to be differentiated again
            dx, dw = _Backward.apply(u, x, weight, ctx.module, ctx.skip, data)
        else:
            dx, dw = _gradients(ctx.module, u, x, weight, data, ctx.needs_input_grad[1] and not ctx.skip())
        return dx, dw, None, None


def convolution(module: nn.Conv2d, skip: Callable[[], bool], x: Tensor) -> Tensor:
    """Return what the module (zero padding by numbers) returns for x; its bias is a constant."""
    y = _Forward.apply(computed(x), computed(module.weight), module, skip)
    return y if module.bias is None else y + module.bias.detach().view(1, -1, 1, 1).to(y.dtype)
