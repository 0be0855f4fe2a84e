"""meco: sum over layers of the smallest eigenvalue of P, the Pearson correlations between the channels of its map.

meco_opt: the same of 8 channels drawn at random, times channels / 8, over layers with 8 channels or more.

meco@pruner: meco of one image of Gaussian noise of 64 x 64 pixels, as the pruner of the released code has it; its
correlation script takes a real image. The noise is the same for all architectures. A network that takes its inputs at
one size only gives NaN.

One image, the first of the minibatch, training-mode BatchNorm on it alone, PyTorch's default initialisation.
Correlations with a constant channel are zero. Larger is better; no labels. Cost: one forward of one image. Source:
Jiang, Wang and Bie, "MeCo" (NeurIPS 2023), whose released code says "every module": it meets each map again for every
container that returns it, so its score depends on how a network is written. Departures: a layer is a
convolution, a linear layer, a normalisation or an activation that returns a map of one or more dimensions, counted once
(containers, pooling and identities are not);
float64 throughout, symmetric solver; with as many channels as positions or more, P is singular and the eigenvalue is 0,
not rounding; meco_opt draws its channels once for each width, and leaves out layers of fewer than 8 channels, where the
released code stops.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from harness.probe.initialise import fixed_draw
from harness.probe.layers import places
from harness.probe.linalg import eigvalsh
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(batch_size=1, precision="float64")
PAPER = "Jiang et al. 2023, NeurIPS (arXiv number not known to us)"
DRAWN = 8
SIDE = 64


def _sum(probe, correlations: list, of: Callable[[Tensor, int], Tensor | None]) -> Tensor:
    score = probe.zeros()
    counted = torch.zeros(probe.archs, dtype=torch.bool, device=score.device)
    for owners, matrix, positions in correlations:
        values = of(matrix, positions)
        if values is not None:
            at = places(owners, score.device)
            score.index_add_(0, at, values)
            counted[at] = True
    probe.fail(~counted, "no layer with a map" + f" of {DRAWN} channels or more" * (of is _of_drawn))
    return torch.where(counted, score, torch.nan)


def _smallest(matrix: Tensor, positions: int) -> Tensor:
    """(owners, channels, channels) -> (owners,)."""
    if matrix.shape[1] > positions - 1:  # centred rows of so many positions span no more
        return matrix.new_zeros(len(matrix))
    return eigvalsh(matrix)[:, 0]


def _of_drawn(matrix: Tensor, positions: int) -> Tensor | None:
    channels = matrix.shape[1]
    if channels < DRAWN:
        return None
    chosen = torch.randperm(channels, generator=fixed_draw(channels, "meco_opt"))[:DRAWN].to(matrix.device)
    return _smallest(matrix[:, chosen][:, :, chosen], positions) * channels / DRAWN


@proxy(view=VIEW, reads="channel_correlations", labels=False, cost="F", paper=PAPER)
def meco(probe) -> Tensor:
    """Smallest eigenvalues of the correlations between channels."""
    return _sum(probe, probe.observed("channel_correlations"), _smallest)


@proxy(view=VIEW, reads="channel_correlations", labels=False, cost="F", paper=PAPER)
def meco_opt(probe) -> Tensor:
    """meco of eight random channels a layer."""
    return _sum(probe, probe.observed("channel_correlations"), _of_drawn)


@proxy(name="meco@pruner", view=VIEW, labels=False, cost="F", paper=PAPER)
def meco_pruner(probe) -> Tensor:
    """meco of an image of noise of 64 x 64 pixels."""
    if probe.inputs.dim() != 4 or not probe.inputs.is_floating_point():
        raise ValueError(f"replaces an image (channels, height, width), got {tuple(probe.inputs.shape[1:])} a sample")
    shape = (1, probe.inputs.shape[1], SIDE, SIDE)
    noise = torch.randn(shape, generator=fixed_draw(SIDE, "meco@pruner")).to(probe.inputs)
    return _sum(probe, probe.observed_on("channel_correlations", noise), _smallest)
