"""`python -m harness.bench.operations`: zc-pt with many masks at once, beside each removal by itself.

One proposal of Zero-Cost-PT on a NAS-Bench-201 supernet in fixed order, naswot, Gaussian noise. Together: all masks of
a step side by side, operations of weight 0 left out, equal masks once, the kernel one matrix product a node. By itself:
a forward for each of the 30 removals with every convolution run, the kernel counted sample pair by sample pair from the
codes of every ReLU. Both have to decide alike. One thread unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from harness.command import Parser, carry_out

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from harness.inputs import Minibatch


def main(argv: list[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    parser = Parser(prog="python -m harness.bench.operations", description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch-size", type=int, default=64, help="samples in a minibatch (default 64)")
    parser.add_argument("--channels", type=int, default=16, help="channels of the first stage (default 16)")
    parser.add_argument("--cells", type=int, default=5, help="cells in a stage (default 5)")
    given = parser.parse_args(argv)
    return carry_out(
        "harness.bench.operations", lambda: print(measure(given.batch_size, given.channels, given.cells)), "stopped"
    )


def measure(batch_size: int, channels: int, cells: int) -> str:
    """Return what both took, in a few lines; wall clock and the CPU time of this process."""
    from benchmarks.layers import allocate
    from benchmarks.nasbench201 import Space201
    from harness.inputs import gaussian_minibatches
    from harness.operations.masks import draw_alphas, mixture
    from harness.operations.perturb import Evaluator
    from harness.operations.search import propose
    from harness.view import initialise, stream

    supernet: Any = allocate(
        Space201().supernet(channels=channels, cells_per_stage=cells, classes=10, input_channels=3), "cpu"
    )
    initialise(supernet, [stream(0, "supernet", "weights")])
    supernet.eval()
    batches = gaussian_minibatches(shape=(3, 32, 32), classes=10, batch_size=batch_size, count=6, seed=0)
    mask, lines, decided = mixture(draw_alphas(6, 5, 0)), [], []
    seconds = {}
    for name, evaluate in (
        ("together", Evaluator(supernet, "naswot", 0, {})),
        ("by itself", lambda masks, minibatch: by_itself(supernet, masks, minibatch)),
    ):
        wall, used = time.perf_counter(), time.process_time()
        decided.append(propose("zc-pt", evaluate, mask, batches.__getitem__, "fixed").operations)
        seconds[name] = time.process_time() - used
        lines.append(f"{name:10s} {time.perf_counter() - wall:8.1f} s, {seconds[name]:8.1f} s of CPU")
    same = "the same cell" if decided[0] == decided[1] else f"DIFFERENT CELLS {decided}"
    return "\n".join([*lines, f"{seconds['by itself'] / seconds['together']:.1f} times faster by CPU time; {same}"])


def by_itself(supernet: Any, masks: Tensor, minibatch: Minibatch) -> np.ndarray:
    """Return naswot of each mask, (masks,), one at a time, by hooks on every ReLU and a count for each pair."""
    import torch

    from harness.operations.masks import Masked

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
    import torch

    found: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, inputs, output: found.append((inputs[0] > 0).flatten(1)))
        for module in network.modules()
        if isinstance(module, torch.nn.ReLU)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


if __name__ == "__main__":
    sys.exit(main())
