"""A part of a run's scores, as a worker returns it and as it is committed; without pandas: a worker starts sooner."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.readers.foreign import read_arrays, refusing


@dataclass(frozen=True)
class Part:
    """Scores of some architectures (by class representative) under one seed: (proxies, archs)."""

    seed: int
    proxies: tuple[str, ...]
    index: np.ndarray
    scores: np.ndarray
    seconds: np.ndarray
    reasons: tuple[dict[int, str], ...]
    """By proxy: position -> reason."""


PART = ("seed", "proxies", "index", "scores", "seconds", "reasons")


def read_part(path: Path, size: int | None = None) -> Part:
    """Return one committed part; UserError where the file is broken, or has an index beyond a space of `size`."""
    advice = "delete it, its scores will be computed again"
    held = read_arrays(path, PART, "scores of a run", advice)
    with refusing(path, "scores of a run", advice):
        index, proxies = held["index"], tuple(str(name) for name in held["proxies"])
        reasons = tuple({int(k): str(v) for k, v in pairs} for pairs in json.loads(str(held["reasons"])))
        if index.ndim != 1 or index.dtype.kind not in "iu" or (index < 0).any() or (index >= (size or np.inf)).any():
            raise ValueError(f"indices of architectures that cannot be: {index.dtype} of shape {index.shape}")
        for name in ("scores", "seconds"):
            if held[name].shape != (len(proxies), len(index)) or held[name].dtype.kind not in "fiu":
                raise ValueError(f"{name} are {held[name].dtype} of shape {held[name].shape}")
        if len(reasons) != len(proxies) or any(not 0 <= at < len(index) for row in reasons for at in row):
            raise ValueError("reasons that belong to no score")
        if held["seed"].shape != () or held["seed"].dtype.kind not in "iu":
            raise ValueError("a seed that is no whole number")
        return Part(int(held["seed"]), proxies, index, held["scores"], held["seconds"], reasons)
