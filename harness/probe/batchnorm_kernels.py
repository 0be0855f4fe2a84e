"""The second derivative of BatchNorm in two kernels, for CUDA devices with Triton.

`harness.probe.batchnorm` has the formulas and their names; there they are about twenty-five kernels, most of them on a
few numbers for each channel. Sums are formed in a fixed order, so the bits repeat.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

PIECES = 16
"""Programs that share a channel's samples; their sums are added up in the second kernel."""
LANES = 1024
"""Positions that a program takes at once, at most."""


def second_derivative(
    grad: Tensor, u: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor, u_xh: Tensor, u_sum: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to u and x, like x.

    grad, u, x: float32 (samples, channels, ...), contiguous. The others: (channels,), float32; u_xh and u_sum are the
    sums of u xh and u.
    """
    samples, channels = x.shape[:2]
    positions = x.numel() // (samples * channels)
    lanes = min(LANES, triton.next_power_of_2(positions))
    sums = x.new_empty(3, PIECES, channels)
    to_u, to_x = torch.empty_like(x), torch.empty_like(x)
    _sums[channels, PIECES](grad, u, x, mean, rstd, sums, samples, channels, positions, PIECES, lanes)
    _combined[(samples * channels,)](
        grad, u, x, weight, mean, rstd, u_xh, u_sum, sums, to_u, to_x, channels, positions, 1 / (samples * positions),
        PIECES, lanes,
    )  # fmt: skip
    return to_u, to_x


@triton.jit
def _sums(
    grad_at, u_at, x_at, mean_at, rstd_at, sums_at, samples, channels, positions,
    PIECES: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Store the sums of G xh, G and G u of a channel over every PIECES-th sample."""
    channel, piece = tl.program_id(0), tl.program_id(1)
    mean, rstd = tl.load(mean_at + channel), tl.load(rstd_at + channel)
    g_xh = tl.zeros((LANES,), tl.float32)
    g_sum = tl.zeros((LANES,), tl.float32)
    g_u = tl.zeros((LANES,), tl.float32)
    for sample in range(piece, samples, PIECES):
        first = (sample * channels + channel).to(tl.int64) * positions
        for start in range(0, positions, LANES):
            place = start + tl.arange(0, LANES)
            inside = place < positions
            g = tl.load(grad_at + first + place, mask=inside, other=0.0)
            x = tl.load(x_at + first + place, mask=inside, other=0.0)
            g_xh += g * ((x - mean) * rstd)
            g_sum += g
            g_u += g * tl.load(u_at + first + place, mask=inside, other=0.0)
    to = sums_at + piece * channels + channel
    tl.store(to, tl.sum(g_xh, 0))
    tl.store(to + PIECES * channels, tl.sum(g_sum, 0))
    tl.store(to + 2 * PIECES * channels, tl.sum(g_u, 0))


@triton.jit
def _combined(
    grad_at, u_at, x_at, weight_at, mean_at, rstd_at, u_xh_at, u_sum_at, sums_at, to_u_at, to_x_at,
    channels, positions, share, PIECES: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Store both gradients for a channel of a sample; `share` is 1 / the elements of a channel."""
    row = tl.program_id(0)
    channel = row % channels
    pieces = sums_at + tl.arange(0, PIECES) * channels + channel
    a = tl.sum(tl.load(pieces), 0) * share
    g_mean = tl.sum(tl.load(pieces + PIECES * channels), 0) * share
    g_u = tl.sum(tl.load(pieces + 2 * PIECES * channels), 0) * share
    b, u_mean = tl.load(u_xh_at + channel) * share, tl.load(u_sum_at + channel) * share
    mean, rstd = tl.load(mean_at + channel), tl.load(rstd_at + channel)
    scale = tl.load(weight_at + channel) * rstd
    along_xh = g_u - g_mean * u_mean - 3 * a * b
    first = row.to(tl.int64) * positions
    for start in range(0, positions, LANES):
        place = start + tl.arange(0, LANES)
        inside = place < positions
        g = tl.load(grad_at + first + place, mask=inside) - g_mean
        u = tl.load(u_at + first + place, mask=inside) - u_mean
        xh = (tl.load(x_at + first + place, mask=inside) - mean) * rstd
        tl.store(to_u_at + first + place, scale * (g - xh * a), mask=inside)
        tl.store(to_x_at + first + place, -scale * rstd * (xh * along_xh + b * g + a * u), mask=inside)
