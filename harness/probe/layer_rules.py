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
    others: tuple[str, ...] = ("bias",)
    """Names of its other parameters: biases, and what scales a normalised map."""
    outputs: int = 0
    """Axis of the (first) weight that counts output channels; channels are counted over groups for axis 1."""
    channels: int | None = None
    """What `axis` returns."""
    maps: bool = False
    """Whether proxies of feature maps read its output, where that is (samples, channels, height, width)."""
    batch_statistics: bool = False
    """Whether it normalises, in training mode, by statistics of the minibatch."""
    activation: bool = False
    gate: bool = False
    """Whether it is an activation that lets what is above zero pass and little of what is below (ReLU, GELU, ...): its
    units are on above zero."""
    smooth: bool = False
    """Whether its function is not piecewise linear, running statistics given."""
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
        bias = getattr(module, "bias", None)
        return output if bias is None else output - bias.detach().view(1, -1, *[1] * (output.dim() - 2))

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
        return _first_channel(module, gradient).flatten(2)

    def multiply_adds(self, module: Any, output: Tensor) -> int:
        """Return the multiply-accumulates that gave this output, additions of a bias included."""
        return output.numel() * (self.per_channel(module) + (module.bias is not None))

    def axis(self, module: Any) -> int | None:
        """Return the axis of the output's channels; None where it is that of the layer before."""
        return self.channels

    def per_channel(self, module: Any) -> int:
        """Return the weights of one output channel."""
        return module.weight.numel() // self.out_channels(module)

    def out_channels(self, module: Any) -> int:
        """Return the number of output channels, of all owners together."""
        return module.weight.shape[self.outputs] * (module.groups if self.outputs and hasattr(module, "groups") else 1)


class _General(LayerRule):
    """Any layer whose output is linear in its weight; PyTorch differentiates it for each sample (`vmap`)."""

    def weight_rows(self, module, x, gradient):
        weight = module.weight.detach()

        def of_one(x: Tensor, gradient: Tensor) -> Tensor:
            def forward(weight: Tensor) -> Tensor:
                return torch.func.functional_call(module, {"weight": weight}, (x.unsqueeze(0),))

            return torch.func.vjp(forward, weight)[1](gradient.unsqueeze(0))[0]

        return torch.func.vmap(of_one)(x, gradient)


class _Convolution(_General):
    """Convolution over one or three dimensions."""

    def leading_input(self, module, x, output):
        x, ends = _padded(module, _first_channel(module, x).double()), output.shape[2:]
        steps = (slice(None, step * end, step) for step, end in zip(module.stride, ends, strict=True))
        return x[(slice(None), slice(None), *steps)].flatten(2)


class _Convolution2d(_Convolution):
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


def _first_channel(module: nn.Module, x: Tensor) -> Tensor:
    """(samples, owners * channels, ...) -> (samples, owners, ...), one position where there are none."""
    x = x.unsqueeze(2) if x.dim() == 2 else x
    return x.reshape(len(x), len(owners_of(module)), -1, *x.shape[2:])[:, :, 0]


def _padded(module: Any, x: Tensor) -> Tensor:
    """Pad as the convolution does."""
    if module.padding == "same":
        total = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        sides = [(each // 2, each - each // 2) for each in total]
    elif module.padding == "valid":
        sides = []
    else:
        sides = [(int(each), int(each)) for each in module.padding]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return functional.pad(x, [side for pair in reversed(sides) for side in pair], mode=mode) if sides else x


class _LastChannels(LayerRule):
    """Channels are last, behind an axis of owners in a stack."""

    def without_bias(self, module, output):
        if getattr(module, "bias", None) is None:  # an Embedding has none
            return output
        bias, owners = module.bias.detach(), len(owners_of(module))
        return output - (bias.view(owners, -1) if owners > 1 else bias)

    def by_channel(self, module, values):
        return values.reshape(len(values), len(owners_of(module)), -1, values.shape[-1]).sum(2).flatten(1)


class _Linear(_LastChannels):
    """Linear layer."""

    def weight_rows(self, module, x, gradient):
        k = len(owners_of(module))
        x = self._by_place(module, x)
        gradient = gradient.reshape(len(x), k, -1, gradient.shape[-1])
        return (gradient.transpose(2, 3) @ x).reshape(len(x), *module.weight.shape)

    def leading_input(self, module, x, output):
        return self._by_place(module, x)[..., 0].double()

    def leading_gradient(self, module, gradient):
        return gradient.reshape(len(gradient), len(owners_of(module)), -1, gradient.shape[-1])[..., 0]

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
        x, k = _first_channel(module, x).double(), len(owners_of(module))
        mean, var = (each.reshape(k, -1)[:, :1, None].double() for each in (module.running_mean, module.running_var))
        return ((x - mean) * (var + module.eps).rsqrt()).flatten(2)


class _Embedding(_LastChannels):
    """A table of vectors: looking one up is no arithmetic."""

    def multiply_adds(self, module, output):
        return 0


class _Normalisation(LayerRule):
    """Normalisation of each sample alone."""

    def axis(self, module):
        return 1 if isinstance(module, nn.GroupNorm) or len(module.normalized_shape) > 1 else -1

    def reset(self, module):
        for name, value in (("weight", 1), ("bias", 0)):
            if getattr(module, name, None) is not None:
                getattr(module, name).fill_(value)

    def leading_input(self, module, x, output):
        if isinstance(module, nn.GroupNorm):
            normal = functional.group_norm(x, module.num_groups, None, None, module.eps)
        elif isinstance(module, nn.LayerNorm):
            normal = functional.layer_norm(x, module.normalized_shape, None, None, module.eps)
        else:
            normal = functional.rms_norm(x, module.normalized_shape, None, module.eps)
        return self.leading_gradient(module, normal).double()

    def leading_gradient(self, module, gradient):
        if isinstance(module, nn.GroupNorm):
            return super().leading_gradient(module, gradient)
        first = gradient[(..., *(0,) * len(module.normalized_shape))]
        return first.reshape(len(gradient), 1, -1)


_PIECEWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.Hardtanh, nn.Hardsigmoid, nn.Threshold)
_GATES = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Mish, nn.ELU, nn.SELU,
    nn.CELU,
)  # fmt: skip
_SHARES = (nn.Softmax, nn.Softmin, nn.Softmax2d, nn.LogSoftmax)
_ACTIVATIONS = [
    kind for kind in vars(nn.modules.activation).values()
    if isinstance(kind, type) and issubclass(kind, nn.Module) and kind.__module__ == nn.modules.activation.__name__
    and kind not in (nn.MultiheadAttention, *_SHARES)
]  # fmt: skip
_W = ("weight",)
_AFFINE = ("weight", "bias")
RULES: dict[type[nn.Module], LayerRule] = {
    **{kind: _Convolution((kind,), _W, maps=True, channels=1, leading=True) for kind in (nn.Conv1d, nn.Conv3d)},
    nn.Conv2d: _Convolution2d((nn.Conv2d, StackedConv2d), _W, maps=True, channels=1, leading=True),
    **{
        kind: _General((kind,), _W, outputs=1, channels=1, maps=True)
        for kind in (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    },
    nn.Linear: _Linear((nn.Linear, StackedLinear), _W, maps=True, channels=-1, leading=True),
    nn.Bilinear: _LastChannels(weights=_W, channels=-1),
    **{kind: _Embedding(weights=_W, outputs=1, channels=-1) for kind in (nn.Embedding, nn.EmbeddingBag)},
    nn.modules.batchnorm._BatchNorm: _BatchNorm(
        (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, StackedBatchNorm2d), others=_AFFINE, channels=1, maps=True,
        batch_statistics=True, leading=True,
    ),
    **{
        kind: _Normalisation((kind,), others=_AFFINE, maps=True, smooth=True, leading=True)
        for kind in (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    },
    nn.modules.instancenorm._InstanceNorm: LayerRule(others=_AFFINE, channels=1, maps=True, smooth=True),
    nn.MultiheadAttention: LayerRule(others=(), smooth=True),
    **{kind: LayerRule(others=(), smooth=True) for kind in (*_SHARES, nn.RNNBase, nn.RNNCellBase)},
    **{
        kind: LayerRule(
            others=_W, maps=True, activation=True, gate=kind in _GATES, smooth=not issubclass(kind, _PIECEWISE)
        )
        for kind in _ACTIVATIONS
    },
}  # fmt: skip
"""By type. All activations of PyTorch are there."""


PLAIN = LayerRule()
"""Of a module without a rule."""


def rule_of(module: nn.Module) -> LayerRule:
    """Return the rule of a module: that of its class, or of the nearest base that has one."""
    kind: Any = type(module)
    return _of_type(kind)


@lru_cache(maxsize=512)
def _of_type(kind: type) -> LayerRule:
    return next((RULES[base] for base in kind.__mro__ if base in RULES), PLAIN)


def is_relu(module: nn.Module) -> bool:
    """Whether a module counts as a ReLU: it opens above zero (GELU, SiLU, ... too), or is called so, as the field's
    code says."""
    return rule_of(module).gate or "ReLU" in type(module).__name__


def layers_of(network: nn.Module) -> list[Layer]:
    """Return the weights that proxies score, each once: one that two modules share is the first's.

    They are in module order; those of a user's module in the order in which they ran, behind those that did not.
    """
    found: dict[int, Layer] = {}
    for name, module in network.named_modules():
        for tensor in rule_of(module).weights:
            if (weight := getattr(module, tensor, None)) is not None:
                channels = rule_of(module).out_channels(module)
                found.setdefault(id(weight), Layer(name, module, owners_of(module), tensor, channels))
    ran = {name: place for place, name in enumerate(getattr(network, "ran", ()))}
    return sorted(found.values(), key=lambda layer: ran.get(layer.name, -1))


def without_rule(network: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that no rule knows, by name: of custom modules, or beside a layer's weight and bias."""
    found: dict[str, nn.Parameter] = {}
    for path, module in network.named_modules():
        rule = rule_of(module)
        known = (*rule.weights, *rule.others) if rule is not PLAIN else ()
        own = module.named_parameters(path, recurse=False)
        found |= {name: parameter for name, parameter in own if name.rpartition(".")[2] not in known}
    return found


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
