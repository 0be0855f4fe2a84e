"""linear_regions@te_nas: how many of 3,000 tiny crops have a ReLU code of their own in a thin network.

A crop is 4 x 4 pixels of the first channel of an image of the minibatch, image and place drawn at random, the same for
every architecture. The network is thinned by zero weights: its first convolution keeps one output channel, the others
the same fraction of theirs (at least one); channels that are left out stay off for all crops and tell none apart.
Weights are Kaiming-normal for the fan-in that is left; training-mode BatchNorm over all crops. A code is which units of
all ReLUs are above zero. Larger is better; no labels. Cost: one forward of 3,000 tiny crops. Source: Chen, Gong and
Wang, "TE-NAS" (ICLR 2021, arXiv 2102.11535). Departures: 4 x 4 pixels, not 3 x 3, so that two halvings leave a pixel;
the network's own depth and stem, where theirs is a shallow one without stem, built for the purpose; one draw, repeats
are left to seeds; equal codes are found by a 63-bit hash. `linear_regions@az_nas` is another count.
"""

import math

import torch
from torch import Tensor, nn

from harness.probe.initialise import stream
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="kaiming_fan_in")
PAPER = "Chen et al. 2021, arXiv 2102.11535"
CROPS, SIDE = 3000, 4


def crops(images: Tensor) -> Tensor:
    """(samples, channels, height, width) -> (CROPS, channels, SIDE, SIDE), all channels but the first zero.

    Raises ValueError for what is no images, or smaller than a crop.
    """
    if images.dim() != 4 or not images.is_floating_point():
        raise ValueError(f"crops images (samples, channels, height, width), got {tuple(images.shape)}")
    samples, _, height, width = images.shape
    if min(height, width) < SIDE:
        raise ValueError(f"needs images of {SIDE} x {SIDE} pixels or more, got {height} x {width}")
    draw = stream(torch.initial_seed(), f"{samples} {height} {width}", "crops")
    ends = (samples, height - SIDE + 1, width - SIDE + 1)
    image, top, left = (torch.randint(end, (CROPS,), generator=draw).to(images.device) for end in ends)
    steps = torch.arange(SIDE, device=images.device)
    rows, columns = (top[:, None] + steps)[:, :, None], (left[:, None] + steps)[:, None]
    cut = torch.zeros(CROPS, images.shape[1], SIDE, SIDE, dtype=images.dtype, device=images.device)
    cut[:, 0] = images[image[:, None, None], 0, rows, columns]
    return cut


def thinned(probe) -> dict[str, Tensor]:
    """Return the convolutions' weights by parameter name: few outputs left, the rest zero, scaled for their inputs."""
    convolutions = [layer for layer in probe.layers if isinstance(layer.module, nn.Conv2d)]
    weights: dict[str, Tensor] = {}
    thickness = 0
    for layer in convolutions:
        weight = layer.weight.unflatten(0, (len(layer.owners), -1)).clone()  # (owners, out, in / groups, k, k)
        inputs = weight.shape[2]
        thickness = thickness or weight.shape[1]
        left = max(1, inputs // thickness) if weights else 1
        weight[:, max(1, weight.shape[1] // thickness) :] = 0
        weights[f"{layer.name}.weight"] = weight.flatten(0, 1) * math.sqrt(inputs / left)
    return weights


@proxy(name="linear_regions@te_nas", view=VIEW, labels=False, cost="F", paper=PAPER)
def linear_regions_te_nas(probe) -> Tensor:
    """Different activation patterns of 3,000 tiny crops in a thin network."""
    hashes, seen = probe.observed_on("code_hashes", crops(probe.inputs), thinned(probe))
    counts = torch.tensor([len(row.unique()) for row in hashes], dtype=torch.float64)
    probe.fail(~seen, "no ReLU module runs")
    return torch.where(seen.cpu(), counts, torch.nan)
