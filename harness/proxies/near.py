"""near: sum over layers of the effective rank exp(H(p)) of a square block of the layer's output.

p are the block's singular values divided by their sum, H(p) = -sum p log p. The output is a matrix with a row for each
sample and position and a column for each channel; the block is as many consecutive rows as there are channels, from a
random place. Layers are the modules that have a weight (BatchNorm too) and the activations. One draw of weights and
place. Larger is better; no labels. Cost: one forward. Source: Husistein, Reiher and Eckert, "NEAR" (2024, arXiv
2408.08776). A block of zeros has effective rank 0, as in the authors' code. Departures: singular values in float64,
as roots of the eigenvalues of the Gram matrix (moves the score by less than 1e-6, relative); the place is drawn once
for each size, the same for every architecture; the authors' optional repeats are left to seeds.
"""

import torch
from torch import Tensor

from harness.probe.linalg import eigvalsh
from harness.proxies.registry import proxy


def effective_rank(blocks: Tensor) -> Tensor:
    """(..., rows, columns) float64 -> (...), 0 for a block of zeros."""
    values = eigvalsh(blocks.mT @ blocks).clamp_min(0).sqrt()  # a third of the time of svdvals
    total = values.sum(-1, keepdim=True)
    rank = torch.special.entr(values / total).sum(-1).exp()
    return torch.where(total[..., 0] > 0, rank, 0.0)


@proxy(reads="square_blocks", labels=False, cost="F", paper="Husistein et al. 2024, arXiv 2408.08776")
def near(probe) -> Tensor:
    """Effective ranks of layer outputs."""
    return probe.sums((owners, effective_rank(blocks)) for owners, blocks in probe.observed("square_blocks"))
