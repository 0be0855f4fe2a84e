"""Hamming kernel of activation patterns: in how many ReLU units two samples are in the same state, on or off.

A unit is on where its input is above zero. One matrix product for each ReLU, or bits counted.
"""

from collections import deque
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

from harness.probe.context import PassContext
from harness.probe.layers import owners_of
from harness.probe.precision import as_written
from harness.probe.twin import Twin

PACKED_FROM = 4096
"""Units from which counting bits on a CPU is faster than the product (docs/speed.md)."""


class ReluCodes:
    """The kernels of all ReLU calls of one forward."""

    def __init__(self, context: PassContext) -> None:
        self.context = context
        self.calls: list[tuple[nn.Module, Tensor, int, object]] = []
        """By call: module, kernel (owners, samples, samples), units, node of the autograd graph."""
        self.error: ValueError | None = None
        """What the proxies that read them shall fail with."""
        self.latest: deque[tuple[ref[Tensor], int, Tensor]] = deque(maxlen=4)
        """The ReLU inputs seen last, their versions and kernels: several ReLUs of a cell may read one node."""

    @torch.no_grad()
    def hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        """Forward hook of a ReLU."""
        owners, x = owners_of(module), inputs[0]
        twin = self.context.network if isinstance(self.context.network, Twin) else None
        seen = (a for of, version, a in self.latest if of() is x and version == x._version and len(a) == len(owners))
        if (kernel := next(seen, None)) is None:
            plain = x.detach()
            if twin is not None:
                try:
                    plain = twin.arranged(plain, twin.layout(module))
                except ValueError as error:
                    self.error = error
                    return
            if len(owners) == 1 and plain.dim() == 4 and plain.is_contiguous(memory_format=torch.channels_last):
                plain = plain.movedim(1, 3)  # the order of units does not matter, a copy would cost
            kernel = hamming_kernel(plain.reshape(len(plain), len(owners), -1))
            self.latest.append((ref(x), x._version, kernel))
        units = x[0].numel() // len(owners) if twin is None else int(kernel[0, 0, 0])  # a sample agrees with itself
        self.calls.append((module, kernel, units, output.grad_fn))

    def reaching(self, outputs: Tensor) -> Tensor:
        """(archs, samples, samples) float64: the sum over the ReLUs that reach the outputs."""
        reached = _ancestors(outputs.grad_fn)
        pairs = (_on_path(module, kernel) for module, kernel, _, node in self.calls if node in reached)
        return self.context.sums((pair for pair in pairs if pair[0]), *[len(self.context.inputs)] * 2)

    def kernels(self) -> list[tuple[tuple[int, ...], Tensor, int]]:
        """By ReLU call: owners, kernel, units."""
        return [(owners_of(module), kernel, units) for module, kernel, units, _ in self.calls]


def _on_path(module: nn.Module, kernel: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Return those of a ReLU's owners that have it on a path, which the graph cannot tell, and their kernels."""
    owners, on_path = owners_of(module), getattr(module, "on_path", ())
    if all(on_path):
        return owners, kernel
    return tuple(owner for owner, counts in zip(owners, on_path, strict=True) if counts), kernel[list(on_path)]


def _ancestors(node: Any) -> set:
    """Return every node of the autograd graph that leads to this one."""
    if node is None:
        return set()
    seen, todo = {node}, [node]
    while todo:
        for parent, _ in todo.pop().next_functions:
            if parent is not None and parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return seen


def hamming_kernel(x: Tensor) -> Tensor:
    """(samples, owners, units) -> (owners, samples, samples) float64: units above zero in both or in neither."""
    if x.device.type == "cpu" and x.shape[1] == 1 and x.shape[2] >= PACKED_FROM and hasattr(np, "bitwise_count"):
        return _counted(x[:, 0]).unsqueeze(0)
    on = torch.gt(x, 0, out=torch.empty_like(x, dtype=torch.float32)).transpose(0, 1)  # (owners, samples, units)
    with as_written(on):
        both = on @ on.transpose(1, 2)
    single = both.diagonal(dim1=1, dim2=2)
    return (2 * both - single.unsqueeze(1) - single.unsqueeze(2) + x.shape[2]).double()


def _counted(x: Tensor) -> Tensor:
    """The same of (samples, units): 64 units in a word, bits that differ counted pair by pair."""
    bits = np.packbits((x > 0).numpy(), axis=1)  # NumPy has no bfloat16
    words = (np.pad(bits, ((0, 0), (0, short))) if (short := -bits.shape[1] % 8) else bits).view(np.uint64)
    found = np.zeros((len(x), len(x)))
    for i in range(len(x) - 1):
        found[i, i + 1 :] = np.bitwise_count(words[i + 1 :] ^ words[i]).sum(1, dtype=np.uint32)
    return torch.from_numpy(x.shape[1] - found - found.T)
