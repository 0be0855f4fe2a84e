"""One committed piece of a run: the scores of some architectures under one seed."""

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.errors import UserError


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


def read_part(path: Path) -> Part:
    """Return one committed part; UserError where the file is broken."""
    try:
        with np.load(path, allow_pickle=False) as file:
            reasons = tuple({int(k): str(v) for k, v in pairs} for pairs in json.loads(str(file["reasons"])))
            proxies = tuple(str(name) for name in file["proxies"])
            return Part(int(file["seed"]), proxies, file["index"], file["scores"], file["seconds"], reasons)
    except (
        OSError,
        EOFError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise UserError(f"{path} cannot be read ({error}): delete it, its scores will be computed again") from error
