"""random: a draw from N(0, 1), what a proxy is worth that knows nothing. Larger is better by decree."""

from torch import Tensor

from harness.proxies.registry import proxy


@proxy(static=True, cost="S", baseline=True)
def random(counts) -> Tensor:
    """Normal noise, seeded by architecture and seed."""
    return counts.noise
