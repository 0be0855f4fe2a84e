"""Eigenvalues and singular values of many small matrices, on whichever processor has them sooner."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

LARGEST = 32
"""CUDA solves a whole batch of matrices of up to this many rows at once, larger ones one after the other."""
THREADS = 8


def eigvalsh(matrices: Tensor) -> Tensor:
    """Return the eigenvalues of symmetric matrices (..., n, n), ascending, (..., n)."""
    return _threaded(torch.linalg.eigvalsh, matrices)


def svdvals(matrices: Tensor) -> Tensor:
    """Return the singular values of matrices (..., m, n), descending, (..., min(m, n))."""
    return _threaded(torch.linalg.svdvals, matrices)


def _threaded(solve: Callable[[Tensor], Tensor], matrices: Tensor) -> Tensor:
    """Solve large matrices of a GPU by threads of the CPU: 64 x 64 take it 80 microseconds each, the GPU 320."""
    if not matrices.is_cuda or max(matrices.shape[-2:]) <= LARGEST:
        return solve(matrices)
    flat = matrices.detach().flatten(0, -3).cpu() if matrices.dim() > 2 else matrices.detach().cpu()[None]
    with ThreadPoolExecutor(THREADS) as threads:
        found = torch.cat(list(threads.map(solve, flat.tensor_split(min(len(flat), 4 * THREADS)))))
    return found.view(*matrices.shape[:-2], -1).to(matrices.device)
