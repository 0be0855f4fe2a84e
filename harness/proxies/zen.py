"""zen: log d + sum over BatchNorm layers of log sqrt(mean over channels of the running variance), mean of 32 repeats.

Weights are N(0, 1), inputs x Gaussian noise, batch 16; d is the mean over samples of the L1 distance between the maps
before pooling of x and of x + 0.01 z, z Gaussian. The running variance is the buffer after those two passes (momentum
0.1, started at 1), as in the authors' code, not the variance of a batch. Larger is better; no data, no labels.
Source: Lin et al., "Zen-NAS" (ICCV 2021, arXiv 2102.01063). Departure: residual connections are kept, as everywhere
outside the authors' own space. `zen@naslib` is one repeat, as NASLib and NAS-Bench-Suite-Zero run it.
"""

from dataclasses import replace

from torch import Tensor

from harness.probe.layer_rules import rule_of
from harness.probe.layers import owners_of, places
from harness.probe.view import View
from harness.proxies.registry import proxy

VIEW = View(init="normal", inputs="gaussian", batch_size=16, minibatches=2, repeats=32)
PAPER = "Lin et al. 2021, arXiv 2102.01063"
MIX = 1e-2


def zen_score(probe) -> Tensor:
    """(archs,) of one draw of weights and noise."""
    x, z = (minibatch.inputs for minibatch in probe.minibatches)
    for module in probe.network.modules():
        if rule_of(module).batch_statistics and module.running_var is not None:
            module.reset_running_stats()  # other proxies of this view may have run passes of theirs
    first = probe.feature_map(x)
    distance = (first - probe.feature_map(x + MIX * z)).abs()
    distance = distance.unflatten(1, (probe.archs, -1)).flatten(2).sum(2).mean(0).double()
    score = distance.log()
    for module in probe.network.modules():
        if rule_of(module).batch_statistics:
            if module.running_var is None:
                raise LookupError("needs BatchNorm that tracks running statistics")
            owners = owners_of(module)
            spread = module.running_var.view(len(owners), -1).double().mean(1).sqrt().log()
            score = score.index_add(0, places(owners, score.device), spread)
    probe.fail(distance == 0, "the map before pooling does not depend on the input")
    return score


@proxy(view=VIEW, labels=False, cost="F", keeps="batchnorm", paper=PAPER)
def zen(probe) -> Tensor:
    """Sensitivity of the features to noise, corrected for BatchNorm; 32 repeats."""
    return zen_score(probe)


@proxy(
    name="zen@naslib", view=replace(VIEW, repeats=1), labels=False, cost="F", keeps=("batchnorm", "repeats"),
    paper=PAPER,
)  # fmt: skip
def zen_naslib(probe) -> Tensor:
    """zen with a single repeat."""
    return zen_score(probe)
