"""`python -m speed.operations`: zc-pt with many masks at once, compared with one removal at a time.

One proposal of Zero-Cost-PT on a NAS-Bench-201 supernet in fixed order, naswot, Gaussian noise. Together: all masks of
a step in one forward, operations of weight 0 left out, equal masks once, the kernel one matrix product a node. Singly:
a forward for each of the 30 removals with every convolution run, the kernel counted sample pair by sample pair from
the codes of every ReLU. Both must decide alike. One thread unless OMP_NUM_THREADS sets another number.
"""

import sys
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.inputs.draw import Minibatch, gaussian_minibatches
from harness.operations.decide import propose
from harness.operations.scores.perturbation import Evaluator
from harness.operations.supernets.masks import Masked, draw_alphas, mixture
from harness.probe.initialise import initialise, stream
from speed.command import CommandLine


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("operations", __doc__)
    line.count("--batch-size", "samples in a minibatch", 64)
    line.count("--channels", "channels of the first stage", 16)
    line.count("--cells", "cells in a stage", 5)
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    return parser().run(argv, lambda given: print(measure(given.batch_size, given.channels, given.cells)), "stopped")


def measure(batch_size: int, channels: int, cells: int) -> str:
    """Return both times in a few lines; wall time and CPU time of this process."""
    supernet: Any = allocate(
        Space201().supernet(channels=channels, cells_per_stage=cells, classes=10, input_channels=3), "cpu"
    )
    initialise(supernet, [stream(0, "supernet", "weights")])
    supernet.eval()
    batches = gaussian_minibatches(shape=(3, 32, 32), classes=10, batch_size=batch_size, count=6, seed=0)
    mask, lines, decided = mixture(draw_alphas(6, 5, 0)), [], []
    seconds = {}
    for name, evaluate in (
        ("together", Evaluator(supernet, ("naswot",), 0)),
        ("singly", lambda masks, minibatch: singly(supernet, masks, minibatch)),
    ):
        wall, used = time.perf_counter(), time.process_time()
        decided.append(propose("zc-pt", evaluate, mask, batches.__getitem__, "fixed").operations)
        seconds[name] = time.process_time() - used
        lines.append(f"{name:10s} {time.perf_counter() - wall:8.1f} s, {seconds[name]:8.1f} s of CPU")
    same = "the same cell" if decided[0] == decided[1] else f"DIFFERENT CELLS {decided}"
    return "\n".join([*lines, f"{seconds['singly'] / seconds['together']:.1f} times faster by CPU time; {same}"])


def singly(supernet: Any, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
    """Return naswot of each mask, (masks,), one at a time, by hooks on every ReLU and a count for each pair."""
    scores, count = [], len(minibatch.inputs)
    for mask in masks:
        kernel = torch.zeros(count, count, dtype=torch.float64)
        for code in codes(Masked(supernet, mask).eval(), minibatch.inputs):
            for i in range(count):
                for j in range(i, count):
                    kernel[i, j] += (code[i] == code[j]).sum()
                    kernel[j, i] = kernel[i, j]
        scores.append(torch.linalg.slogdet(kernel).logabsdet)
    return torch.stack(scores).numpy()


def codes(network: nn.Module, images: Tensor) -> list[Tensor]:
    """Return which units of each ReLU are on, (samples, units) bool each."""
    found: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, inputs, output: found.append((inputs[0] > 0).flatten(1)))
        for module in network.modules()
        if isinstance(module, nn.ReLU)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


if __name__ == "__main__":
    sys.exit(main())
