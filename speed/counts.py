"""FLOPs and bytes that the passes over a network must move, counted from the shapes of its layers.

The counting rule. A convolution or linear layer does 2 FLOPs for each multiply-accumulate; those of elementwise layers
are left out, as their bytes always take longer. Each pass reads or writes every tensor of a layer once:

- forward: reads input x and weight w, writes output y.
- loss backward: reads the gradient u of y, x and w, writes the gradients of x and w: the FLOPs of the forward twice
  (once, and no gradient of x, for a layer that the images go into). BatchNorm and ReLU read u and x, write the gradient
  of x; pooling reads u and writes it.
- Jacobian backward: reads u and w, writes the gradient of x: the FLOPs of the forward.
- Hessian form w^T H g, after the backward with a graph (`harness/probe/convolution.py`, `harness/probe/batchnorm.py`):
  four convolutions a layer; four tensors like x, three like y, three like w. A layer that the images go into needs
  one of the four. BatchNorm 8 tensors like x (backward of the backward 5, of the forward 3), ReLU 6, pooling twice
  its backward.

Sums at the nodes of a cell, concatenations, the gathering of a stack's channels, the mean before the classifier and the
loss count nothing, nor do parameters of BatchNorm: what is counted is a lower bound.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

PASSES = ("forward", "loss backward", "jacobian", "hessian form")
KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "convolution": (nn.Conv2d, nn.Linear),
    "batchnorm": (nn.modules.batchnorm._BatchNorm,),
    "relu": (nn.ReLU,),
    "pooling": (nn.AvgPool2d, nn.MaxPool2d),
}
ELEMENTWISE = {  # pass -> how many tensors like its input a layer of this kind moves; pooling also some like its output
    "batchnorm": dict(zip(PASSES, (2, 3, 3, 8), strict=True)),
    "relu": dict(zip(PASSES, (2, 3, 3, 6), strict=True)),
}


@dataclass(frozen=True)
class Layer:
    """One call of a layer of a network, or of a stack of networks, for a whole minibatch."""

    kind: str
    """A key of KINDS; linear layers count as convolutions."""
    flops: int
    """Of one forward."""
    inside: int
    """Elements of its input, samples and architectures included."""
    outside: int
    """Elements of its output."""
    weights: int
    """Elements of its weight; 0 where it has none that counts."""
    first: bool = False
    """Whether the images go into it, so that no weight is upstream of it."""

    def cost(self, which: str, itemsize: int = 4) -> tuple[int, int]:
        """Return (FLOPs, bytes) of one of PASSES."""
        x, y, w = self.inside, self.outside, self.weights
        if self.kind == "pooling":
            return 0, itemsize * (x + y) * (2 if which == "hessian form" else 1)
        if self.kind != "convolution":
            return 0, itemsize * x * ELEMENTWISE[self.kind][which]
        if which == "loss backward":
            factor, elements = (1, y + x + w) if self.first else (2, y + x + w + w + x)
        elif which == "hessian form":
            factor, elements = (1, x + y + w) if self.first else (4, 4 * x + 3 * y + 3 * w)
        else:
            factor, elements = 1, x + y + w
        return factor * self.flops, itemsize * elements


def kind_of(module: nn.Module) -> str | None:
    """Return which of KINDS a module is; None for what is not counted."""
    return next((name for name, types in KINDS.items() if isinstance(module, types)), None)


def flops_of(module: nn.Module, output: Tensor) -> int:
    """Return the FLOPs of a convolution or linear layer for this output; 2 for each multiply-accumulate."""
    assert isinstance(module, (nn.Conv2d, nn.Linear))
    return 2 * output.numel() * module.weight[0].numel()  # grouped: weight[0] holds the inputs of one group


def layers_of(network: nn.Module, shape: Sequence[int]) -> list[Layer]:
    """Return the calls of all layers that count, in the order they run, for an input of this shape.

    The network is moved to PyTorch's meta device, where nothing is computed; it is of no other use afterwards.
    """
    found: list[Layer] = []
    images = torch.empty(tuple(shape), device="meta")

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kind = kind_of(module)
        assert kind is not None  # only such modules are watched
        weighted = kind == "convolution"
        weight = module.weight.numel() if weighted else 0  # type: ignore[operator]
        flops = flops_of(module, output) if weighted else 0
        found.append(Layer(kind, flops, inputs[0].numel(), output.numel(), weight, inputs[0] is images))

    network = network.to("meta")
    handles = [module.register_forward_hook(watch) for module in network.modules() if kind_of(module)]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return found


def floor_seconds(
    layers: Iterable[Layer], which: str, flops_rate: float, bandwidth: Callable[[int], float], itemsize: int = 4
) -> dict[str, float]:
    """Return seconds by kind that a pass takes at least: the larger of arithmetic and transport, layer by layer.

    `flops_rate` is FLOPs a second; `bandwidth(bytes)` the bytes a second at which that many can be moved.
    """
    seconds = dict.fromkeys(KINDS, 0.0)
    for layer in layers:
        flops, moved = layer.cost(which, itemsize)
        seconds[layer.kind] += max(flops / flops_rate, moved / bandwidth(moved))
    return seconds


def totals(layers: Iterable[Layer], which: str, itemsize: int = 4) -> tuple[int, int]:
    """Return (FLOPs, bytes) of a pass over all layers."""
    costs = [layer.cost(which, itemsize) for layer in layers]
    return sum(flops for flops, _ in costs), sum(moved for _, moved in costs)
