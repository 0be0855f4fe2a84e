"""Layers of a stack: which module, which tensor of it, and the architectures that own its channels."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """A weight that proxies score, and the positions in the stack its rows belong to."""

    name: str
    """Of the module."""
    module: nn.Module
    owners: tuple[int, ...]
    tensor: str = "weight"
    """Name of the weight in the module."""
    channels: int = 0
    """Output channels, of all owners together."""

    @property
    def parameter(self) -> nn.Parameter:
        """The weight itself, to differentiate with respect to."""
        return getattr(self.module, self.tensor)

    @property
    def bias(self) -> nn.Parameter | None:
        """(owners * out,)."""
        return getattr(self.module, "bias", None)

    @property
    def weight(self) -> Tensor:
        """(owners * out, in / groups, kernel, kernel) or (owners * out, in), detached."""
        return self.parameter.detach()


def owners_of(module: nn.Module) -> tuple[int, ...]:
    """Return the positions in the stack a module belongs to; an ordinary one belongs to the only architecture."""
    return getattr(module, "owners", (0,))


def owned(module: nn.Module, values: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """(samples, owners * channels, ...) -> a module's owners, and (samples, owners, -1, ...)."""
    owners = owners_of(module)
    if values.dim() == 3 and len(owners) > 1:  # of a stacked linear layer
        return owners, values
    return owners, values.reshape(len(values), len(owners), -1, *values.shape[2:])


@lru_cache(maxsize=1024)
def places(owners: tuple[int, ...], device: torch.device) -> Tensor:
    """Return positions in the stack as an index on the device, made once: a GPU waits for each tensor it is sent."""
    with torch.inference_mode(False):  # it outlives the block that asks first
        return torch.tensor(owners, device=device)


def by_sample(values: Tensor, samples: int, axis: int | None) -> Tensor:
    """Return what flows at a layer with one row a sample: rows of one sample, such as windows, become positions.

    `axis` is that of the channels. What does not depend on the input has one row. Raises TypeError where samples cannot
    be told apart.
    """
    if len(values) in (1, samples):
        return values
    if axis == -1 and values.dim() == 3 and values.shape[1] == samples:  # (time, samples, channels)
        return values.transpose(0, 1)
    if axis == -1 and len(values) % samples == 0:
        return values.reshape(samples, -1, values.shape[-1])
    if axis == -1:  # a table of positions
        return values.unsqueeze(0)
    raise TypeError(f"cannot tell the {samples} samples apart in a tensor of the shape {tuple(values.shape)}")
