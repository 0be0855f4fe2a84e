"""AZ-NAS: four scores of the feature blocks (stem, cells, reductions), from one forward and one backward on noise.

With H_l the entropy -sum p log(p + 1e-8) of p, the eigenvalues of the channels' covariance in block l's map over
samples and positions, divided by their sum:

    az_expressivity    sum over blocks of H_l
    az_progressivity   min over consecutive blocks of H_l - H_(l-1)
    az_trainability    mean over consecutive blocks of 2 - s - 1 / (s + 1e-6), s the largest singular value of
                       g^T v / n: v has random signs in the shape of block l, g is its pull-back (vector-Jacobian
                       product) to block l - 1, rearranged by pixel-unshuffle where block l is smaller,
                       n = samples * positions of block l
    az_complexity      FLOPs, as the benchmark counts them

Larger is better; no labels. Cost: one forward, and pull-backs that make up one backward. Kaiming-normal weights
(fan-in), 64 Gaussian images, training-mode BatchNorm. Source: Lee and Ham, "AZ-NAS" (CVPR 2024, arXiv 2403.19232);
their aggregate is `az_nas` in `harness.proxies.ensembles`. Where a block hands its gradient on unchanged, trainability
is minus infinity, as theirs: a cell of NAS-Bench-201 that does nothing is a bad cell. On NAS-Bench-Macro an identity is
a layer left out, a thing their spaces do not have, and it is in nearly every network: a block that a module lists in
its `identities` is none, and its neighbours are consecutive. Departures: that; float64 from the map on; the signs v are
the same for all architectures; a map that is constant gives NaN where they write minus infinity, and so does
trainability where no path leads through a block (by the formula it is near -1e6).
"""

import torch
from torch import Tensor
from torch.nn import functional

from harness.probe.linalg import eigvalsh, svdvals
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="kaiming_fan_in", inputs="gaussian", batch_size=64)
PAPER = "Lee and Ham 2024, arXiv 2403.19232"
PAPER_TE = "Chen et al. 2021, arXiv 2102.11535"


def entropies(probe) -> Tensor:
    """Return H of every block, (archs, blocks) float64; NaN where a map is constant."""
    found = []
    for maps in probe.block_maps:
        columns = maps.double().permute(1, 2, 0, 3, 4).flatten(2)  # (archs, channels, samples * positions)
        columns = columns - columns.mean(2, keepdim=True)
        eigenvalues = eigvalsh(columns @ columns.transpose(1, 2) / columns.shape[2])
        total = eigenvalues.sum(1, keepdim=True)
        p = torch.where(total > 1e-30, eigenvalues / total, torch.nan)
        found.append(-(p * (p + 1e-8).log()).sum(1))
    probe.fail(torch.stack(found, 1).isnan().any(1), "a block's map is constant")
    return torch.stack(found, 1)


def _missing(probe) -> Tensor:
    """(archs, blocks) bool: where a block is the identity by the choice of the architecture, so that it is none."""
    missing = torch.zeros(probe.archs, len(probe.blocks), dtype=torch.bool, device=probe.inputs.device)
    for position, name in enumerate(probe.blocks):
        missing[list(getattr(probe.network.get_submodule(name), "identities", ())), position] = True
    return missing


@proxy(view=VIEW, reads="block_maps", labels=False, cost="F", paper=PAPER)
def az_expressivity(probe) -> Tensor:
    """Entropy of the features' principal components, summed over blocks."""
    return entropies(probe).masked_fill(_missing(probe), 0).sum(1)


@proxy(view=VIEW, reads="block_maps", labels=False, cost="F", paper=PAPER)
def az_progressivity(probe) -> Tensor:
    """Smallest gain of that entropy from one block to the next."""
    of_blocks = entropies(probe)
    if of_blocks.shape[1] < 2:
        raise LookupError("compares consecutive feature blocks: name two or more in blocks=")
    return of_blocks.diff(dim=1).masked_fill(_missing(probe)[:, 1:], torch.inf).amin(1)  # its map is the one before


@proxy(view=VIEW, reads="block_maps", labels=False, paper=PAPER)
def az_trainability(probe) -> Tensor:
    """How near to one the largest singular value of each block's mean Jacobian is."""
    maps = probe.block_maps
    if len(maps) < 2:
        raise LookupError("compares consecutive feature blocks: name two or more in blocks=")
    terms, broken = [], []
    for position in range(1, len(maps)):
        drawn = torch.randint(2, maps[position][:, :1].shape, dtype=torch.int8) * 2 - 1  # on the CPU, -1 or 1
        v = drawn.to(maps[position]).expand_as(maps[position])
        g = probe.block_pullback(position, v)
        terms.append(_trainability(g, v))
        broken.append(~(g != 0).transpose(0, 1).flatten(1).any(1))
    missing = _missing(probe)[:, 1:]
    score = torch.stack(terms, 1).masked_fill(missing, 0).sum(1) / (~missing).sum(1)
    probe.fail(score.isinf(), "a block hands its gradient on unchanged: minus infinity by definition")
    no_path = torch.stack(broken, 1).any(1)
    probe.fail(no_path, "a block hands no gradient on")
    return score.masked_fill(no_path, torch.nan)


def _trainability(g: Tensor, v: Tensor) -> Tensor:
    """(archs,) float64 of the pull-back g of v, each (samples, archs, channels, height, width) of its own block."""
    same = torch.zeros(g.shape[1], dtype=torch.bool, device=g.device)
    if g.shape == v.shape:
        same = (g == v).transpose(0, 1).flatten(1).all(1)
    if g.shape[3:] != v.shape[3:]:
        g = functional.pixel_unshuffle(g, g.shape[3] // v.shape[3])
    rows, signs = (each.double().permute(1, 2, 0, 3, 4).flatten(2) for each in (g, v))  # (archs, channels, places)
    s = svdvals(rows @ signs.transpose(1, 2) / signs.shape[2]).amax(1)
    return torch.where(same, -torch.inf, 2 - s - 1 / (s + 1e-6))


@proxy(static=True, cost="S", paper=PAPER)
def az_complexity(counts) -> Tensor:
    """FLOPs, as the benchmark counts them."""
    return counts.flops


@proxy(name="linear_regions@az_nas", view=VIEW, reads="relu_kernels", labels=False, cost="F", paper=PAPER_TE)
def linear_regions_az_nas(probe) -> Tensor:
    """How many of 64 noise images have a code of their own over all ReLUs; at most 64.

    TE-NAS (Chen, Gong and Wang, ICLR 2021) counts linear regions with 3,000 crops of 1 x 3 x 3 on a thin network; this
    is what AZ-NAS's repository puts into its `te_nas`: the network itself, on its own minibatch of noise.
    """
    samples = len(probe.inputs)
    differ = probe.sums(((owners, units - kernel) for owners, kernel, units in probe.relu_kernels), samples, samples)
    earlier = torch.ones(samples, samples, dtype=torch.bool, device=differ.device).tril(-1)
    return samples - ((differ == 0) & earlier).any(2).sum(1).double()
