"""Seconds that all statistics with intervals take: `python tests/bench_stats.py [ARCHS] [PROXIES] [RESAMPLES]`.

Made-up scores with the structure of NAS-Bench-201 (15,625 strings in 9,445 classes, scores shared within a class, a
few tied ones, accuracies of two decimals), three populations. Prints wall and processor seconds, the load before, and
peak memory.
"""

import os
import resource
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.summary import summarise


def made_up_run(archs: int = 15_625, proxies: int = 20, seed: int = 0) -> SimpleNamespace:
    """A stand-in for a stored run of a whole space; proxies: params, flops, layers and noisy versions of the truth."""
    rng = np.random.default_rng(seed)
    class_id = np.sort(rng.integers(0, max(2, archs * 3 // 5), archs))
    quality = rng.normal(size=archs)[class_id]
    accuracy = np.round(88 + 3 * quality + 0.3 * rng.normal(size=archs), 2).clip(10, 100)
    params = np.round(quality + rng.normal(size=archs)[class_id], 0) / 10 + 1
    scores = {"params": params, "flops": np.round(params * 20), "layers": np.round(params * 5)}
    for number in range(proxies - len(scores)):
        scores[f"proxy_{number:02d}"] = quality + (0.2 + 0.2 * number) * rng.normal(size=archs)[class_id]
    return SimpleNamespace(
        manifest={"space_size": archs},
        archs=tuple(f"arch-{number}" for number in range(archs)),
        index=np.arange(archs),
        accuracy=accuracy,
        seed_accuracy=accuracy[:, None] + rng.normal(size=(archs, 3)) * 0.2,
        class_id=class_id,
        connected=rng.random(archs) > 341 / 15_625,
        params=params,
        conv_count=rng.integers(0, 7, archs),
        scores={name: score[None, :] for name, score in scores.items()},
        seconds={},
    )


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:]]
    archs, proxies, resamples = sizes + [15_625, 20, 1000][len(sizes) :]
    run, load = made_up_run(archs, proxies), os.getloadavg()[0]
    wall, processor = time.perf_counter(), time.process_time()
    summarise(run, resamples=resamples, intervals="always")
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{archs} architectures x {proxies} proxies x 3 populations, {resamples} resamples: {wall:.1f} s wall,")
    print(f"{processor:.1f} s processor, peak memory {memory:.0f} MiB, load before {load:.1f}")
