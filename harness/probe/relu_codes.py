"""Binary codes of ReLU units -> in how many units two samples agree: one matrix product, or bits counted."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.probe.precision import as_written

PACKED_FROM = 4096
"""Units from which counting bits on a CPU is faster than the product (docs/speed.md)."""


def agreements(x: Tensor) -> Tensor:
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
