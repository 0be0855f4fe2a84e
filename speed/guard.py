"""`python -m speed.guard`: what it costs that users' own proxies are guarded, in a run of the classic proxies.

Full-size NAS-Bench-201 networks are scored with the classic proxies and users' own ones, each the L1 norm of the
gradients. The processor time of the guard (`harness.engine.guard.call` less the call itself) is divided by all of it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.engine import guard, scoring
from harness.engine.processes import few_collections, one_thread
from harness.engine.scoring import ViewInputs, of_space, score_stack
from harness.inputs.draw import gaussian_minibatches
from harness.proxies.choose import choose
from harness.proxies.registry import Proxy, collecting, proxy
from speed.command import CommandLine, numbers, write_json
from speed.environment import machine
from speed.networks import connected


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("guard", __doc__)
    line.count("--archs", "connected architectures", 3)
    line.sizes("--own", "numbers of users' own proxies", "1,4")
    line.count("--batch-size", "samples in the minibatch", 64)
    line.count("--channels", "channels of the first stage", 16)
    line.count("--cells", "cells in a stage", 5)
    line.count("--resolution", "pixels on a side", 32)
    line.out("results/guard.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> None:
    found = []
    with one_thread(), few_collections():  # as a run does
        for own in numbers(given.own):
            sizes = {"channels": given.channels, "cells_per_stage": given.cells, "classes": 10}
            total, guarded = measure(own, given.archs, given.batch_size, given.resolution, sizes)
            found.append({"own proxies": own, "seconds": total, "guard": guarded, "share": guarded / total})
            print(f"{own} own: {guarded:.3f} of {total:.3f} s, {100 * guarded / total:.2f} %")
    write_json(given.out, {"archs": given.archs, "batch_size": given.batch_size, "machine": machine(1), "runs": found})
    print(f"written: {given.out}")


def measure(own: int, archs: int, batch_size: int, resolution: int, sizes: dict[str, int]) -> tuple[float, float]:
    """Return the processor seconds of scoring, and those of the guard, with so many own proxies."""
    space = Space201()
    proxies = [each for each in choose("core") if not each.static] + own_proxies(own)
    batches = gaussian_minibatches((3, resolution, resolution), 10, batch_size, 1, 0)
    inputs = ViewInputs(batches, 10, 0)
    spent = 0.0

    def timed(each: Proxy, probe: Any, compute: Callable) -> Any:
        nonlocal spent
        inner = 0.0

        def inside() -> Any:
            nonlocal inner
            start = time.process_time()
            try:
                return compute()
            finally:
                inner = time.process_time() - start

        start = time.process_time()
        try:
            return guard.call(each, probe, inside)
        finally:
            spent += time.process_time() - start - inner

    chosen = connected(space, archs + 1)
    with patch.object(scoring, "call", timed):
        for number, index in enumerate(chosen):
            if number == 1:  # the first warms up
                spent, begin = 0.0, time.process_time()
            build = lambda index=index: allocate(space.build([index], **sizes), "cpu")  # noqa: E731
            score_stack(build, [space.canonical(index)], proxies, inputs, seed=0, features=of_space)
    return time.process_time() - begin, spent


def own_proxies(count: int) -> list[Proxy]:
    """Return proxies such as users write."""
    with collecting() as added:
        for number in range(count):

            def own(probe: Any) -> Any:
                return probe.total(gradient.abs() for gradient in probe.gradients)

            proxy(own, reads="gradients", name=f"own_{number}")
    return list(added.values())


if __name__ == "__main__":
    sys.exit(main())
