"""Where a network keeps its feature blocks and the map before pooling."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

Features = Callable[[Any], tuple[Callable[[Tensor], Tensor] | None, Sequence[str]]]
"""Network -> the function that gives its map before pooling (None: not known), and the names of the modules whose
outputs are the feature blocks, in order."""


def unknown(network: nn.Module) -> tuple[None, tuple[str, ...]]:
    """Neither is known."""
    return None, ()


def of_space(network: Any) -> tuple[Callable[[Tensor], Tensor], Sequence[str]]:
    """Those of the networks of spaces (`benchmarks.spaces.layers.StackedNetwork`)."""
    return network.features, network.blocks()


def named(blocks: Sequence[str] | None) -> Features:
    """Return the features of a module whose blocks a user names; the last is the map before pooling."""
    return (lambda network: (partial(_output_of, blocks[-1], network), blocks)) if blocks else unknown


def _output_of(name: str, network: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the module called `name` returns when the network gets these inputs."""
    kept: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda module, _, output: kept.append(output))
    try:
        network(inputs)
    finally:
        handle.remove()
    return kept[-1]
