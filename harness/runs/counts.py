"""Scores that need no network: counts of the architectures, and noise."""

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.benchmark import Benchmark
from harness.engine.counts import Counts
from harness.probe.view import stream
from harness.proxies.registry import Proxy


def static_scores(
    proxies: Sequence[Proxy],
    benchmark: Benchmark,
    indices: np.ndarray,
    seeds: int,
    network: dict[str, int],
    resolution: int,
) -> dict[str, np.ndarray]:
    """Return {proxy: (seeds, archs)} of proxies that need no network, for architectures by index in the space."""
    space = benchmark.space
    official = space.sizes(resolution=resolution, **network)[:, indices]
    live = space.sizes(resolution=resolution, reachable_only=True, **network)[:, indices]
    counts = [torch.from_numpy(values) for values in (*official, live[0], live[1])]
    rows: dict[str, list[np.ndarray]] = {proxy.name: [] for proxy in proxies}
    for seed in range(seeds):
        draws = [torch.randn(1, generator=stream(seed, space.archs[i], "random"), dtype=torch.float64) for i in indices]
        for proxy in proxies:
            rows[proxy.name].append(proxy.score(Counts(*(*counts, torch.cat(draws)))).numpy())
    return {name: np.stack(values) for name, values in rows.items()}


def counts_of(proxies: Sequence[Proxy], benchmark: Benchmark, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Return {proxy: (archs,)} of proxies that need no network, under seed 0, for networks of the benchmark's sizes."""
    sizes = {**benchmark.network, "classes": benchmark.network["classes"] or 10}
    network = {name: int(size) for name, size in sizes.items() if size is not None}
    found = static_scores(proxies, benchmark, indices, 1, network, benchmark.resolution or 32)
    return {name: values[0] for name, values in found.items()}
