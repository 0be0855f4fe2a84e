"""MISSING DOC"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer of the network and the positions in the stack it belongs to."""

    name: str
    module: nn.Conv2d | nn.Linear
    owners: tuple[int, ...]

    @property
    def weight(self) -> Tensor:
        """(owners * out, in / groups, kernel, kernel) or (owners * out, in), detached."""
        return self.module.weight.detach()


def weighted_layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the convolutions and linear layers of a network, in module order, each once."""
    from torch import nn

    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def owners_of(module: nn.Module) -> tuple[int, ...]:
    """Return the positions in the stack a layer belongs to; an ordinary layer belongs to the only architecture."""
    return getattr(module, "owners", (0,))


@lru_cache(maxsize=1024)
def places(owners: tuple[int, ...], device: torch.device) -> Tensor:
    """Return positions in the stack as an index on the device, made once: a GPU waits for each tensor it is sent."""
    import torch

    return torch.tensor(owners, device=device)
