"""Memory of a long run: `python tests/bench_memory.py [NETWORKS] [PROXIES]` scores networks and prints memory by tenth.

The resident memory of the process that scores must not grow with the number of architectures (after the first tenth,
which loads what is needed and fills PyTorch's pools). Not run by pytest: it takes a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from benchmarks import space_of
from harness.executors import Chunk, Scorer, Setting
from harness.processes import one_thread

GROWTH_MB = 60


def resident_mb() -> float:
    """Return the resident memory of this process in MB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def main(networks: int = 200, proxies: str = "core,grasp,zico", channels: int = 8, resolution: int = 16) -> int:
    """Score the networks one by one; return 1 if memory grew after the first tenth."""
    network = {"channels": channels, "cells_per_stage": 1, "input_channels": 3, "classes": 10}
    setting = Setting(
        bench="201", proxies=proxies, network=network, resolution=resolution, inputs="gaussian", dataset="cifar10",
        batch_size=32, balanced=False, share=True, keep_unreachable=False, device="cpu",
    )  # fmt: skip
    scorer, space = Scorer(setting), space_of("201")
    names = tuple(name for name, proxy in scorer.proxies.items() if not proxy.static)
    indices = np.unique(space.class_id[space.sample(2 * networks, 0)])[:networks]
    by_tenth = []
    with one_thread():
        for done, index in enumerate(np.random.default_rng(0).permutation(indices), start=1):
            scorer.score(Chunk(0, (int(index),), names))
            if done % max(1, networks // 10) == 0:
                by_tenth.append(resident_mb())
                print(f"{done:>6} networks  {by_tenth[-1]:8.1f} MB", flush=True)
    growth = by_tenth[-1] - by_tenth[0]
    print(f"growth after the first tenth: {growth:.1f} MB; {'grows' if growth > GROWTH_MB else 'flat'}")
    return int(growth > GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main(*(kind(word) for kind, word in zip((int, str), sys.argv[1:], strict=False))))
