"""What the probe knows of each type of layer: `RULES` has one record a type, which holds for its subclasses too.

A module without a rule is passed through: it has no weight that proxies score. To add a type, write its record here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.spaces.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear
from harness.probe.batchnorm import batch_norm
from harness.probe.convolution import convolution
from harness.probe.layers import Layer, owners_of


@dataclass(frozen=True)
class LayerRule:
    """The facts of one type of layer. Tensors have owners * channels on the second axis where no rule differs."""

    exact: tuple[type[nn.Module], ...] = ()
    """Types for which the methods hold: a subclass may use its weight in another way."""
    weights: tuple[str, ...] = ()
    """Names of the tensors that proxies score, each a `Layer`; the output before the bias is linear in them."""
    maps: bool = False
    """Whether proxies of feature maps read its output, where that is (samples, channels, height, width)."""
    batch_statistics: bool = False
    """Whether it normalises, in training mode, by statistics of the minibatch."""
    activation: bool = False
    smooth: bool = False
    """Whether it is an activation that is not piecewise linear."""
    leading: bool = False
    """Whether `leading_input` and `leading_gradient` are there."""

    def knows(self, module: nn.Module) -> bool:
        """Whether the methods hold for a module: its forward is that of a type in `exact`."""
        return type(module) in self.exact and "forward" not in vars(module)

    def reset(self, module: nn.Module) -> None:
        """Set what is not drawn at initialisation to its defaults."""

    def second_order(self, module: nn.Module, skip: Callable[[], bool]) -> Callable[[Tensor], Tensor] | None:
        """Return a forward with a cheaper second derivative; `skip` says that no weight's gradient is needed. None
        where there is none."""
        return None

    def without_bias(self, module: Any, output: Tensor) -> Tensor:
        """Return the output before the bias was added."""
        return output if module.bias is None else output - module.bias.detach().view(1, -1, *[1] * (output.dim() - 2))

    def by_channel(self, module: nn.Module, values: Tensor) -> Tensor:
        """Sum what is shaped like the output over positions, (samples, owners * channels); of a gradient the bias's."""
        return values.flatten(2).sum(2)

    def weight_rows(self, module: nn.Module, x: Tensor, gradient: Tensor) -> Tensor:
        """Return each sample's gradient (samples, *weight) from the input x and the gradient of the output."""
        raise NotImplementedError

    def leading_input(self, module: nn.Module, x: Tensor, output: Tensor) -> Tensor:
        """(samples, owners, places) float64: what the first entry of the weight is multiplied with at each place."""
        raise NotImplementedError

    def leading_gradient(self, module: nn.Module, gradient: Tensor) -> Tensor:
        """(samples, owners, places): the gradient of the output in the first channel."""
        return gradient.reshape(len(gradient), len(owners_of(module)), -1, *gradient.shape[2:])[:, :, 0].flatten(2)

    def multiply_adds(self, module: Any, output: Tensor) -> int:
        """Return the multiply-accumulates for one sample."""
        return output[0].numel() * module.weight[0].numel()


class _Convolution(LayerRule):
    """Two-dimensional convolution."""

    def second_order(self, module, skip):
        plain = self.knows(module) and module.padding_mode == "zeros" and not isinstance(module.padding, str)
        return partial(convolution, module, skip) if plain else None

    def weight_rows(self, module, x, gradient):
        groups = module.groups
        patches = functional.unfold(_padded(module, x), module.kernel_size, module.dilation, stride=module.stride)
        patches = patches.reshape(len(x), groups, -1, patches.shape[2])  # (samples, groups, in * kernel, places)
        gradient = gradient.reshape(len(x), groups, -1, patches.shape[3])
        return (gradient @ patches.transpose(2, 3)).reshape(len(x), *module.weight.shape)

    def leading_input(self, module, x, output):
        (down, right), (height, width) = module.stride, output.shape[2:]
        return _padded(module, _first_channel(module, x))[:, :, ::down, ::right][:, :, :height, :width].flatten(2)


def _first_channel(module: nn.Module, x: Tensor) -> Tensor:
    """(samples, owners * channels, height, width) -> (samples, owners, height, width) float64."""
    return x.reshape(len(x), len(owners_of(module)), -1, *x.shape[2:])[:, :, 0].double()


def _padded(module: nn.Conv2d, x: Tensor) -> Tensor:
    """Pad as the convolution does."""
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        height, width = ((each // 2, each - each // 2) for each in total)
    else:
        height, width = ((int(each), int(each)) for each in ((0, 0) if module.padding == "valid" else module.padding))
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return functional.pad(x, (*width, *height), mode=mode)


class _Linear(LayerRule):
    """Linear layer: channels are last, behind an axis of owners in a stack."""

    def without_bias(self, module, output):
        if module.bias is None:
            return output
        bias, owners = module.bias.detach(), len(owners_of(module))
        return output - (bias.view(owners, -1) if owners > 1 else bias)

    def by_channel(self, module, values):
        return values.reshape(len(values), len(owners_of(module)), -1, values.shape[-1]).sum(2).flatten(1)

    def weight_rows(self, module, x, gradient):
        k = len(owners_of(module))
        x = self._by_place(module, x)
        gradient = gradient.reshape(len(x), k, -1, gradient.shape[-1])
        return (gradient.transpose(2, 3) @ x).reshape(len(x), *module.weight.shape)

    def leading_input(self, module, x, output):
        return self._by_place(module, x)[..., 0].double()

    def leading_gradient(self, module, gradient):
        return gradient.reshape(len(gradient), len(owners_of(module)), -1, gradient.shape[-1])[..., 0]

    def multiply_adds(self, module, output):
        return super().multiply_adds(module, output) + (0 if module.bias is None else output.shape[-1])

    def _by_place(self, module: nn.Linear, x: Tensor) -> Tensor:
        """(samples, owners, places, in)."""
        k = len(owners_of(module))
        return x.reshape(len(x), k, -1, x.shape[-1] // (k if x.dim() == 2 else 1))


class _BatchNorm(LayerRule):
    """BatchNorm of any dimension; the methods on leading entries are for running statistics."""

    def reset(self, module):
        module.reset_running_stats()
        if module.affine:
            module.weight.fill_(1)
            module.bias.zero_()

    def second_order(self, module, skip):
        return partial(batch_norm, module) if self.knows(module) and module.training else None

    def leading_input(self, module, x, output):
        x, k = _first_channel(module, x), len(owners_of(module))
        mean, var = (each.reshape(k, -1)[:, :1, None].double() for each in (module.running_mean, module.running_var))
        return ((x - mean) * (var + module.eps).rsqrt()).flatten(2)


_PIECEWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.Threshold)
_ACTIVATIONS = [
    kind for kind in vars(nn.modules.activation).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind not in (nn.Module, nn.MultiheadAttention)
]  # fmt: skip
RULES: dict[type[nn.Module], LayerRule] = {
    nn.Conv2d: _Convolution((nn.Conv2d, StackedConv2d), weights=("weight",), maps=True, leading=True),
    nn.Linear: _Linear((nn.Linear, StackedLinear), weights=("weight",), leading=True),
    nn.modules.batchnorm._BatchNorm: _BatchNorm(maps=True, batch_statistics=True),
    nn.BatchNorm2d: _BatchNorm(
        (nn.BatchNorm2d, StackedBatchNorm2d), maps=True, batch_statistics=True, leading=True
    ),
    **{
        kind: LayerRule(maps=True, activation=True, smooth=not issubclass(kind, _PIECEWISE)) for kind in _ACTIVATIONS
    },
}  # fmt: skip
"""By type. All activations of PyTorch are there."""


def rule_of(module: nn.Module) -> LayerRule:
    """Return the rule of a module: that of its class, or of the nearest base that has one."""
    kind: Any = type(module)
    return _of_type(kind)


@lru_cache(maxsize=512)
def _of_type(kind: type) -> LayerRule:
    return next((RULES[base] for base in kind.__mro__ if base in RULES), LayerRule())


def is_relu(module: nn.Module) -> bool:
    """Whether a module counts as a ReLU: by its class's name, as the field's code does."""
    return "ReLU" in type(module).__name__


def layers_of(network: nn.Module) -> list[Layer]:
    """Return the weights that proxies score, in module order, each module once."""
    return [
        Layer(name, module, owners_of(module), tensor)
        for name, module in network.named_modules()
        for tensor in rule_of(module).weights
    ]


def batchnorms(network: nn.Module) -> list[Any]:
    """Return the modules that take statistics over the minibatch in training mode, as far as nothing replaces their
    forward."""
    return [m for m in network.modules() if rule_of(m).batch_statistics and "forward" not in vars(m)]


def refuse_coupled(network: nn.Module) -> None:
    """Raise ValueError where samples are coupled by batch statistics."""
    for module in batchnorms(network):
        if module.training or module.running_mean is None:
            raise ValueError("samples are coupled by batch statistics: take a view whose batchnorm is 'one' or 'eval'")


@torch.no_grad()
def reset(network: nn.Module) -> None:
    """Set what initialisation does not draw (BatchNorm) to its defaults."""
    for module in network.modules():
        rule_of(module).reset(module)
