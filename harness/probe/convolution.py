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


def _grouped(module: nn.Conv2d) -> bool:
    return module.in_channels > module.groups > 1 and set(module.stride) == {1}


def _by_group(module: nn.Conv2d, x: Tensor) -> bool:
    """Return whether this is a stack's convolution on a GPU: there cuDNN runs the groups one after the other for data
    gradients and 1 x 1 kernels; a forward convolution and matrix products take a half to a tenth of the time."""
    return x.is_cuda and _grouped(module)


def _rows(module: nn.Conv2d, x: Tensor) -> Tensor:
    """(samples, groups * channels, height, width) -> (samples, groups, channels, height * width)."""
    return x.reshape(len(x), module.groups, -1, x.shape[2] * x.shape[3])


def _pointwise(module: nn.Conv2d) -> bool:
    return set(module.kernel_size) == {1} and set(module.padding) == {0}


def _convolve(module: nn.Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    if _by_group(module, x) and _pointwise(module):
        product = weight.view(module.groups, -1, weight.shape[1]) @ _rows(module, x)
        return product.view(len(x), -1, *x.shape[2:])
    return torch.conv2d(x, weight, None, module.stride, module.padding, module.dilation, module.groups)


def _data_by_group(module: nn.Conv2d, u: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    turned = weight.view(module.groups, -1, *weight.shape[1:]).transpose(1, 2)  # (groups, in, out, kernel, kernel)
    if _pointwise(module):
        return (turned.flatten(2) @ _rows(module, u)).view_as(x)
    assert not isinstance(module.padding, str)  # `second_order` takes zero padding by numbers
    padding = [d * (k - 1) - p for d, k, p in zip(module.dilation, module.kernel_size, module.padding, strict=True)]
    return torch.conv2d(u, turned.flip(3, 4).flatten(0, 1), None, 1, padding, module.dilation, module.groups)


def _by_pytorch(module: nn.Conv2d, u: Tensor, x: Tensor, weight: Tensor, data: bool, weights: bool) -> tuple[Any, Any]:
    if not (data or weights):
        return None, None
    dx, dw, _ = torch.ops.aten.convolution_backward(
        u, x, weight, None, module.stride, module.padding, module.dilation, False, [0, 0], module.groups,
        [data, weights, False],
    )  # fmt: skip
    return dx, dw


def _gradients(module: nn.Conv2d, u: Tensor, x: Tensor, weight: Tensor, data: bool, weights: bool) -> tuple[Any, Any]:
    """Return the data gradient, like x, and the weight gradient, like the weight; None where not wanted."""
    if not _by_group(module, x):
        return _by_pytorch(module, u, x, weight, data, weights)
    dx = _data_by_group(module, u, x, weight) if data else None
    if weights and _pointwise(module):
        return dx, (_rows(module, u) @ _rows(module, x).mT).sum(0).view_as(weight)
    return dx, _by_pytorch(module, u, x, weight, False, weights)[1]


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
