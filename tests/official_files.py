"""Small files in the structure of the official NAS-Bench-201 and NATS-Bench releases, written with their packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

DATASETS = ("cifar10-valid", "cifar10", "cifar100", "ImageNet16-120")
EVALUATIONS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
SEEDS = (777, 888, 999)
BUDGETS = {"less": 12, "full": 200}


def _curve(draw: np.random.Generator, epochs: int, low: float, high: float) -> dict[int, float]:
    return {i: float(value) for i, value in enumerate(draw.uniform(low, high, epochs))}


def _run(package: ModuleType, draw: np.random.Generator, arch: str, dataset: str, seed: int, epochs: int, old: bool):
    """One training, as the packages' ResultsCount holds it; `old` as release v1_0: last epochs only, no times."""
    run = package.ResultsCount(
        dataset,
        None,
        _curve(draw, epochs, 10, 100),
        _curve(draw, epochs, 0, 3),
        0.1,
        15.5,
        {"channel": 16, "num_cells": 5, "arch_str": arch, "class_num": 10},
        seed,
        epochs,
        None,
    )
    if old:
        for i, name in enumerate(EVALUATIONS[dataset]):
            kept = range(epochs) if i == 0 else [epochs - 1]
            run.update_OLD_eval(
                name, {e: float(draw.uniform(10, 95)) for e in kept}, {e: float(draw.uniform(0, 3)) for e in kept}
            )
        return run
    run.update_train_info(
        *(_curve(draw, epochs, 10, 100) for _ in range(2)), _curve(draw, epochs, 0, 3), _curve(draw, epochs, 5, 20)
    )
    keys = [f"{name}@{epoch}" for name in EVALUATIONS[dataset] for epoch in range(epochs)]
    run.update_eval(*({key: float(draw.uniform(1, 95)) for key in keys} for _ in range(3)))
    run.update_latency([0.01, 0.02])
    return run


def document(
    package: ModuleType,
    archs: Sequence[str],
    budgets: dict[str, int] = BUDGETS,
    release: str = "v1_1",
    datasets: Sequence[str] = DATASETS,
    evaluated: Sequence[int] | None = None,
) -> dict:
    """Return the dictionary an official file holds; architecture i has 3, 2 or 1 seeds in turn."""
    draw = np.random.default_rng(0)
    infos = {}
    evaluated = list(range(len(archs))) if evaluated is None else list(evaluated)
    for index in evaluated:
        infos[index] = {}
        for label, epochs in budgets.items():
            results = package.ArchResults(index, archs[index])
            for dataset in ("cifar10-valid",) if (release, epochs) == ("v1_0", 12) else datasets:
                for seed in SEEDS[: 3 - index % 3] if epochs == 200 else SEEDS[:1]:
                    run = _run(package, draw, archs[index], dataset, seed, epochs, release == "v1_0")
                    results.update(dataset, seed, run)
            infos[index][label] = results.state_dict()
    return {
        "meta_archs": list(archs),
        "total_archs": len(archs),
        "arch2infos": infos,
        "evaluated_indexes": evaluated,
    }


def write_pth(path: Path, content: dict, legacy: bool = True) -> Path:
    """Write as torch.save did in 2020 (`legacy`) or does now (a zip archive)."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def write_nats_folder(folder: Path, content: dict, pickle_save) -> Path:
    """Write the folder form: a meta file and one file per architecture, named as in the official archive."""
    folder.mkdir()
    pickle_save({key: content[key] for key in ("meta_archs", "total_archs")}, str(folder / "meta.pickle"))
    for index, infos in content["arch2infos"].items():
        pickle_save(infos, str(folder / f"{index:06d}.pickle"))
    return folder
