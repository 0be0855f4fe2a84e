"""Several input tensors of one minibatch, by the keywords of a module's `forward`, handled as one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class NamedInputs:
    """Tensors (samples, ...) by keyword. The first one of floats, else the first, stands for all: its shape, its type,
    and its gradient."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        self.name = next((name for name, tensor in tensors.items() if tensor.is_floating_point()), next(iter(tensors)))

    @property
    def main(self) -> Tensor:
        """The tensor that stands for all."""
        return self.tensors[self.name]

    @property
    def shape(self) -> torch.Size:
        """Of the main tensor."""
        return self.main.shape

    @property
    def dtype(self) -> torch.dtype:
        """Of the main tensor."""
        return self.main.dtype

    @property
    def device(self) -> torch.device:
        """Of the main tensor."""
        return self.main.device

    @property
    def is_cuda(self) -> bool:
        """Of the main tensor."""
        return self.main.is_cuda

    def __len__(self) -> int:
        return len(self.main)

    def dim(self) -> int:
        """Of the main tensor."""
        return self.main.dim()

    def is_floating_point(self) -> bool:
        """Of the main tensor."""
        return self.main.is_floating_point()

    def __getitem__(self, rows: slice) -> NamedInputs:
        return NamedInputs({name: tensor[rows] for name, tensor in self.tensors.items()})

    def tensor_split(self, count: int) -> list[NamedInputs]:
        """Return even parts, as `Tensor.tensor_split`."""
        parts = {name: tensor.tensor_split(count) for name, tensor in self.tensors.items()}
        return [NamedInputs({name: each[part] for name, each in parts.items()}) for part in range(count)]

    def clone(self) -> NamedInputs:
        """Return copies of all."""
        return NamedInputs({name: tensor.clone() for name, tensor in self.tensors.items()})

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> NamedInputs:
        """Return all on a device; floats of a type."""
        types = {name: dtype if tensor.is_floating_point() else tensor.dtype for name, tensor in self.tensors.items()}
        return NamedInputs({name: tensor.to(device, types[name]) for name, tensor in self.tensors.items()})
