"""naswot: log |det K|, where K[i, j] counts the ReLU units that are on for both of samples i and j or off for both.

The sum runs over the ReLUs that reach the output, each with its input's sign pattern. Larger is better; no labels.
Source: Mellor et al. "Neural architecture search without training" (ICML 2021, arXiv 2006.04647), whose code takes
every module with ReLU in its class name (ReLU6, LeakyReLU, ...) and counts it when the backward pass visits it.
Departures: other activations that open above zero (GELU, SiLU, Hardswish, ELU, ...) count as well, with the sign of
their input, though they never clip, and so do those that a network calls as functions; the determinant is taken in
float64. Two samples with the same code in every unit make K singular: the score is -inf, kept as computed and counted
as failed.
"""

import torch
from torch import Tensor

from harness.proxies.registry import proxy

PAPER = "Mellor et al. 2021, arXiv 2006.04647"
ALIKE = "two samples have the same code in every ReLU"


def log_determinant(probe, kernel: Tensor, singular: str, empty: str = "no ReLU module runs") -> Tensor:
    """(archs, samples, samples) -> (archs,); NaN where there is nothing, minus infinity where singular; with why."""
    nothing = ~(kernel != 0).flatten(1).any(1)
    score = torch.linalg.slogdet(kernel).logabsdet
    probe.fail(score.isinf(), singular)
    probe.fail(nothing, empty)
    return torch.where(nothing, torch.nan, score)


@proxy(reads="relu_agreement", cost="F", paper=PAPER)
def naswot(probe) -> Tensor:
    """Log-determinant of the Hamming kernel of activation patterns."""
    return log_determinant(probe, probe.relu_agreement, ALIKE, "no ReLU module reaches the output")
