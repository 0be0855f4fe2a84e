"""Where a network keeps its feature blocks and the map before pooling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class Features:
    """How to find the features of a network; by default they are not known."""

    map: Callable[[Any, Tensor], Tensor] | None = None
    """Network and inputs -> the map before pooling."""
    blocks: Callable[[Any], Sequence[str]] = lambda network: ()
    """Network -> names of the modules whose outputs are the feature blocks, in order."""

    def map_of(self, network: nn.Module) -> Callable[[Tensor], Tensor] | None:
        """Return the function that gives a network's map before pooling; None where it is not known."""
        return None if self.map is None else partial(self.map, network)


UNKNOWN = Features()
OF_SPACE = Features(lambda network, inputs: network.features(inputs), lambda network: network.blocks())
"""Of networks of the benchmarks' spaces (`benchmarks.spaces.layers.StackedNetwork`)."""


def named(blocks: Sequence[str] | None) -> Features:
    """Return the features of a module whose blocks a user names; the last is the map before pooling."""
    if not blocks:
        return UNKNOWN
    return Features(lambda network, inputs: _output_of(blocks[-1], network, inputs), lambda network: blocks)


def _output_of(name: str, network: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the module called `name` returns when the network gets these inputs."""
    kept: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda module, _, output: kept.append(output))
    try:
        network(inputs)
    finally:
        handle.remove()
    return kept[-1]
