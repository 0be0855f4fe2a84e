"""Stacked layers: the networks of K architectures as one module.

Activations are (samples, K * channels, height, width): the channels of architecture 0 come first. Each layer belongs to
the architectures in `owners` (positions in the stack) and its tensors hold theirs one after the other along the first
axis, so that `tensor.view(len(owners), -1)` has one row an owner. With one owner every layer is the ordinary one.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class StackedConv2d(nn.Conv2d):
    """One convolution without bias for each owner, run as one grouped convolution.

    Input (samples, owners * in_channels, height, width); weight (owners * out_channels, in_channels / groups, kernel,
    kernel). `groups` are those of each owner's own convolution: in_channels makes it depthwise.
    """

    def __init__(
        self, owners: Sequence[int], in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1,
        dilation: int = 1,
    ) -> None:  # fmt: skip
        k = len(owners)
        super().__init__(
            k * in_channels, k * out_channels, kernel, stride, padding=dilation * (kernel // 2), dilation=dilation,
            groups=k * groups, bias=False, device="meta",
        )  # fmt: skip
        self.owners = tuple(owners)

    def reset_parameters(self) -> None:
        """Nothing: weights are set after a stack is built, and PyTorch's draw is slow even on the meta device."""


class StackedBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over (owners * channels); statistics are an architecture's own by construction."""

    def __init__(self, owners: Sequence[int], channels: int) -> None:
        super().__init__(len(owners) * channels, device="meta")
        self.owners = tuple(owners)

    def reset_parameters(self) -> None:
        """Set the defaults, once there is memory to set."""
        if not self.weight.is_meta:
            super().reset_parameters()


class StackedReLU(nn.ReLU):
    """ReLU that knows the owners of its channels, and for which of them it lies on a path to the output.

    `blocks`: how many modules of the official code are named after a ReLU and begin with this one (ReLUConvBN: 1). Code
    that counts modules by their class's name counts those too.
    """

    def __init__(self, owners: Sequence[int], on_path: Sequence[bool] | None = None, blocks: int = 0) -> None:
        super().__init__()
        self.owners, self.blocks = tuple(owners), blocks
        self.on_path = (True,) * len(self.owners) if on_path is None else tuple(on_path)


class StackedLinear(nn.Linear):
    """One linear layer for each owner. Input (samples, owners * in_features) -> (samples, owners, out_features).

    weight (owners * out_features, in_features), bias (owners * out_features,).
    """

    def __init__(self, owners: Sequence[int], in_features: int, out_features: int) -> None:
        super().__init__(in_features, len(owners) * out_features, device="meta")
        self.owners = tuple(owners)

    def reset_parameters(self) -> None:
        """Nothing, as for convolutions."""

    def forward(self, x: Tensor) -> Tensor:
        k = len(self.owners)
        if k == 1:
            return functional.linear(x, self.weight, self.bias).unsqueeze(1)
        x = x.view(x.shape[0], k, self.in_features).transpose(0, 1)  # (owners, samples, in)
        weight = self.weight.view(k, -1, self.in_features).transpose(1, 2)  # (owners, in, out)
        return torch.baddbmm(self.bias.view(k, 1, -1), x, weight).transpose(0, 1)


class Places(nn.Module):
    """Where some owners stand in a stack of `size`; `gather` and `scatter` move maps between them and the stack."""

    positions: Tensor | None
    """Positions of the owners in the stack; None where they are all of it, in order."""

    def __init__(self, owners: Sequence[int], size: int) -> None:
        super().__init__()
        whole = list(owners) == list(range(size))
        self.register_buffer("positions", None if whole else torch.tensor(owners), persistent=False)


def gather(x: Tensor, size: int, places: Iterable[nn.Module]) -> list[Tensor]:
    """Return for each of `places` the maps of its owners, (samples, owners * channels, height, width).

    `x` is (samples, size * channels, height, width).
    """
    positions = [_of(each) for each in places]
    if all(each is None for each in positions):
        return [x] * len(positions)
    return [part.flatten(1, 2) for part in _Gather.apply(x.unflatten(1, (size, -1)), *positions)]


def scatter(parts: Sequence[Tensor], size: int, places: Iterable[nn.Module]) -> Tensor:
    """Return the sum of maps (samples, owners * channels, ...) at their places, (samples, size * channels, ...).

    An architecture that none of them owns gets zeros. The sum is formed in the order of `parts`.
    """
    positions = tuple(_of(each) for each in places)
    if all(each is None for each in positions):
        return functools.reduce(torch.add, parts)
    stacked = [
        part.unflatten(1, (size if each is None else len(each), -1))
        for part, each in zip(parts, positions, strict=True)
    ]
    shape = (len(stacked[0]), size, *stacked[0].shape[2:])
    return _Scatter.apply(shape, positions, *stacked).flatten(1, 2)


Positions = Sequence[Tensor | None]


def _of(places: nn.Module) -> Tensor | None:
    assert isinstance(places, Places)  # lists of modules do not know what they hold
    return places.positions


def _taken(x: Tensor, positions: Positions) -> tuple[Tensor, ...]:
    return tuple(x.view_as(x) if each is None else x.index_select(1, each) for each in positions)


def _summed(shape: Sequence[int], positions: Positions, parts: Sequence[Tensor | None]) -> Tensor | None:
    total = None
    for each, part in zip(positions, parts, strict=True):
        if part is None:
            continue
        if total is None:
            total = part.new_zeros(shape)
        total = total.add_(part) if each is None else total.index_add_(1, each, part)
    return total


class _Gather(torch.autograd.Function):
    """(samples, K, ...) -> for each of the positions, the maps there. Its derivative backward is `_Scatter`.

    One function for all that leaves a node, and one for all that arrives: PyTorch's own derivative of adding in place
    copies the whole node for every edge.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(x, *positions):
        return _taken(x, positions)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.positions, ctx.shape = inputs[1:], inputs[0].shape
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, *gradients):
        there = [
            (each, gradient) for each, gradient in zip(ctx.positions, gradients, strict=True) if gradient is not None
        ]
        total = _Scatter.apply(ctx.shape, tuple(each for each, _ in there), *(g for _, g in there)) if there else None
        return total, *(None for _ in ctx.positions)

    @staticmethod
    def jvp(ctx, tangent, *_):
        return (None,) * len(ctx.positions) if tangent is None else _taken(tangent, ctx.positions)


class _Scatter(torch.autograd.Function):
    """The sum of maps at their positions, (samples, K, ...). Its derivative backward is `_Gather`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(shape, positions, *parts):
        return _summed(shape, positions, parts)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.shape, ctx.positions = inputs[0], inputs[1]
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, gradient):
        parts = (None for _ in ctx.positions) if gradient is None else _Gather.apply(gradient, *ctx.positions)
        return None, None, *parts

    @staticmethod
    def jvp(ctx, _shape, _positions, *tangents):
        return _summed(ctx.shape, ctx.positions, tangents)


def conv_bn_relu(
    owners: Sequence[int], inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution without bias, BatchNorm, ReLU."""
    return nn.Sequential(
        StackedConv2d(owners, inside, outside, kernel, stride, groups),
        StackedBatchNorm2d(owners, outside),
        StackedReLU(owners),
    )


def relu_conv_bn(
    owners: Sequence[int], inside: int, outside: int, kernel: int, stride: int = 1,
    on_path: Sequence[bool] | None = None,
) -> nn.Sequential:  # fmt: skip
    """ReLU, convolution without bias, BatchNorm: the ReLUConvBN of the official code."""
    return nn.Sequential(
        StackedReLU(owners, on_path, blocks=1),
        StackedConv2d(owners, inside, outside, kernel, stride),
        StackedBatchNorm2d(owners, outside),
    )


class StackedNetwork(nn.Module):
    """K networks as one: a stem, a body of cells or layers, an optional tail, global average pooling, a classifier.

    Input (samples, K * input_channels, height, width), output (samples, K, classes). Parameters are allocated on the
    meta device: initialise them (`harness.probe.view`) before use.
    """

    stem: nn.Module
    body: nn.Sequential
    classifier: nn.Module

    def __init__(self, k: int, input_channels: int) -> None:
        super().__init__()
        self.k, self.input_channels = k, input_channels

    def blocks(self) -> list[str]:
        """Return the names of the feature blocks: the stem, then the modules of the body in order, except poolings."""
        return ["stem", *(f"body.{i}" for i, each in enumerate(self.body) if not isinstance(each, nn.MaxPool2d))]

    def tail(self, x: Tensor) -> Tensor:
        """Return the map before pooling from that behind the body; by default the same."""
        return x

    def features(self, x: Tensor) -> Tensor:
        """Return the map before global pooling, (samples, K * channels, height, width)."""
        return self.tail(self.body(self.stem(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def like(module: nn.Module) -> nn.Module:
    """Return another module that was built as this one was, its tensors not set; several times faster than building.

    For modules that no hook and no caller has touched yet. Tensors that are on no meta device (places in the stack)
    are shared.
    """
    other = object.__new__(type(module))
    state: dict[str, Any] = {
        name: value.copy() if isinstance(value, (dict, list, set)) else value for name, value in vars(module).items()
    }
    for tensors in (state["_parameters"], state["_buffers"]):
        for name, tensor in tensors.items():
            if tensor is not None and tensor.is_meta:
                fresh = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                tensors[name] = nn.Parameter(fresh) if isinstance(tensor, nn.Parameter) else fresh
    state["_modules"] = {name: None if each is None else like(each) for name, each in state["_modules"].items()}
    vars(other).update(state)
    return other


def allocate(network: nn.Module, device: torch.device | str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """Give every tensor still on the meta device memory; BatchNorm starts at its defaults, weights are not set."""
    for module in network.modules():
        normalises = isinstance(module, nn.BatchNorm2d)
        for own in (vars(module)["_parameters"], vars(module)["_buffers"]):  # setattr would check each for long
            for name, tensor in own.items():
                if tensor is not None and tensor.is_meta:
                    kind = dtype if tensor.is_floating_point() else tensor.dtype
                    make: Callable[..., Tensor] = torch.empty
                    if normalises:
                        make = torch.ones if name in ("weight", "running_var") else torch.zeros
                    filled = make(tensor.shape, device=device, dtype=kind)
                    own[name] = nn.Parameter(filled) if isinstance(tensor, nn.Parameter) else filled
    if torch.device(device).type != "cpu":
        _send(network, device)
    return network


def _send(network: nn.Module, device: torch.device | str) -> None:
    """Move the positions that are still on the CPU to the device, all at once: it waits for every tensor it is sent."""
    held = [(vars(module)["_buffers"], name) for module in network.modules() for name in vars(module)["_buffers"]]
    held = [(own, name) for own, name in held if own[name] is not None and own[name].device.type == "cpu"]
    distinct = list({id(own[name]): own[name] for own, name in held}.values())
    if distinct:
        sent = torch.cat(distinct).to(device).split([len(each) for each in distinct])
        by_id = {id(before): after for before, after in zip(distinct, sent, strict=True)}
        for own, name in held:
            own[name] = by_id[id(own[name])]
