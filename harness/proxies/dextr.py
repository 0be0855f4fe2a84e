"""dextr: S C / (S + C), how well conditioned a network's maps are and how much it bends a circle.

S = log(1 + sum over layers of the smallest over the largest singular value of the first sample's map, a matrix
(channels, positions)). C = log(1 + k), k the mean over 8 points of the extrinsic curvature of the curve that the
outputs run through while the input runs through a circle: with v and a its first and second derivative by the angle,

    k = sqrt((v.v)(a.a) - (v.a)^2) / (v.v)^(3/2)

The circle is sqrt(n) (u cos t + w sin t), u and w orthonormal at random, n input values: its points have mean square
1. Float64: in float32 a few ReLUs switch by rounding, which moves k by 1e-4. Larger is better; no labels. Cost: one
forward of one image, shared with `meco`, and one in forward mode of two times 8 images. Source: Asthana et al., "Dextr"
(TMLR 2025, arXiv 2508.12977, number from memory). Departures: the first sample goes through BatchNorm alone; layers are
convolutions, BatchNorm and activations that return a map, counted once, where the released code takes every module,
containers too; BatchNorm's statistics on the circle are those of the 8 points and constants of the derivative (turning
a full circle does not change them), which makes the network piecewise linear, so that a = -J x with J its Jacobian;
number of points, radius and the mean are our choice; where v vanishes, the output stands still and k does not exist:
NaN, where the released code gives S alone, on another scale, and on any error 12345, the best score of all. Networks
with activation modules that are not piecewise linear give NaN; what a network does without modules must be piecewise
linear too.
"""

import math

import torch
from torch import Tensor

from harness.probe.initialise import fixed_draw
from harness.probe.view import View
from harness.proxies.registry import proxy

POINTS = 8
VIEW = View(batch_size=1, precision="float64")


def circle(like: Tensor) -> tuple[Tensor, Tensor]:
    """Return points of a circle and their derivatives by the angle, each (POINTS, channels, height, width)."""
    shape = like.shape[1:]
    n = shape.numel()
    plane = torch.randn(n, 2, generator=fixed_draw(n, "circle"), dtype=torch.float64)
    u, w = math.sqrt(n) * torch.linalg.qr(plane).Q.T
    angles = 2 * math.pi * torch.arange(POINTS, dtype=torch.float64)[:, None] / POINTS
    points, moves = angles.cos() * u + angles.sin() * w, angles.cos() * w - angles.sin() * u
    return tuple(each.view(POINTS, *shape).to(like.device, like.dtype) for each in (points, moves))


def curvature(v: Tensor, a: Tensor) -> Tensor:
    """(..., classes) first and second derivatives of a curve -> (...); NaN where it stands still."""
    v, a = v.double(), a.double()
    vv, aa, va = (v * v).sum(-1), (a * a).sum(-1), (v * a).sum(-1)
    return (vv * aa - va * va).clamp(min=0).sqrt() / vv**1.5


@proxy(view=VIEW, reads="conditioning", labels=False, cost="F", paper="Asthana et al. 2025, arXiv 2508.12977")
def dextr(probe) -> Tensor:
    """Conditioning of the maps and curvature of the output along a circle."""
    if smooth := probe.not_linear:
        raise LookupError(f"curvature is for piecewise linear networks, not for {', '.join(sorted(smooth))}")
    points, moves = circle(probe.inputs)
    moved = probe.pushforward(torch.cat([points, points]), torch.cat([moves, -points]))
    c = (1 + curvature(*moved.split(POINTS)).mean(0)).log()  # (archs,)
    s = (1 + probe.observed("conditioning")).log()
    score = s * c / (s + c)
    probe.fail(score.isnan(), "neither conditioning nor curvature: both are zero")
    probe.fail(c.isnan(), "the output stands still somewhere along the circle")
    return score
