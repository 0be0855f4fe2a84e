"""Reads the official NAS-Bench-201 files, v1_0 and v1_1 (`.pth`), the NATS-Bench topology set, whole or a folder, and
small published lists of means.

The official ones hold dictionaries all the way down (the state of the packages' ArchResults and ResultsCount):

    meta_archs   the architecture strings in official order
    arch2infos   index -> "less"/"full" (.pth) or "12"/"200" (NATS-Bench) -> dataset_seed, all_results
    all_results  (official dataset, seed) -> one training: epochs, train_acc1es, train_times, eval_acc1es, ...

Neither torch nor the official packages are needed, and nothing in the file is run. Of each training only the last epoch
is kept, so that memory stays small. Official dataset and evaluation set of each split:

    cifar10          train, test: "cifar10" runs (50,000 images), train and ori-test;
                     valid: "cifar10-valid" runs (25,000 images), x-valid
    cifar10-valid    the runs on 25,000 images alone: train, x-valid, and ori-test as test
    cifar100, imagenet16-120    train, valid = x-valid, test = x-test, valtest = ori-test (valid and test together)

So test accuracy of `cifar10` and of `cifar10-valid` are of differently trained networks; papers use both.
Sources: Dong and Yang 2020 (arXiv 2001.00326), Dong, Liu, Musial and Gabrys 2021 (arXiv 2009.00437).
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import Progress, UserError, listed, repeated
from benchmarks.files.write import digest
from benchmarks.nasbench201.sources import MEANS
from benchmarks.readers.foreign import existing, refusing
from benchmarks.readers.safe_pickle import load_pickle
from benchmarks.readers.torch_files import Watched, is_torch_file, load_torch
from benchmarks.table import MEAN, Table, arch_problems

ARCH_FILE = re.compile(r"([0-9]{1,9})\.pickle\.pbz2")
KIND = "a file of NAS-Bench-201 or NATS-Bench"

Size = str | int | float
NETWORK: Mapping[str, Size] = {"channels": 16, "cells": 5}
OFFICIAL = {
    name: {"train": (name, "train"), "valid": ("cifar10-valid", "x-valid"), "test": (name, "ori-test")}
    for name in ("cifar10", "cifar10-valid")
} | {
    name.lower(): {
        split: (name, kept)
        for split, kept in {"train": "train", "valid": "x-valid", "test": "x-test", "valtest": "ori-test"}.items()
    }
    for name in ("cifar100", "ImageNet16-120")
}
"""dataset -> split -> (official dataset, official evaluation set)."""


@dataclass(frozen=True)
class Training:
    """Results of one training of one architecture after its last epoch."""

    arch: str
    dataset: str
    epochs: int
    seed: int
    accuracy: dict[str, float]
    """Official evaluation set ("train", "x-valid", ...) -> percent after the last epoch."""
    seconds: float


def read_official(
    path: str | Path, expected: Sequence[str] | None = None, complete: bool = True, on_progress: Progress | None = None
) -> list[Table]:
    """Read an official file or folder; return the tables of cifar10, cifar10-valid, cifar100 and imagenet16-120.

    `expected` are the space's strings, whose order becomes the table's; None takes the file's list. With `complete`
    every one must have results; otherwise the table holds those that have.
    Raises UserError for a file of another kind, a truncated or a hostile one, and for architectures that are missing,
    unknown or differ from the list at the head of the file.
    """
    return read_set(path, "201", NETWORK, expected, complete, on_progress)


def read_set(
    path: str | Path, benchmark: str, network: Mapping[str, Size], expected: Sequence[str] | None,
    complete: bool, on_progress: Progress | None,
) -> list[Table]:  # fmt: skip
    """Read a set of results in this form as the tables of a benchmark; `network` are sizes of all its networks."""
    path = Path(path)
    trainings: list[Training] = []
    if path.is_dir():
        archs, checksum = _read_folder(path, trainings, on_progress)
    else:
        existing(path, KIND)
        with refusing(path, KIND):
            with Watched(path, on_progress) as stream:
                read = load_torch if is_torch_file(path) else load_pickle
                content = read(stream, on_dict=thin)
            if path.name in MEANS and isinstance(content, list):
                return [means_of(path, content, expected)]
            archs, checksum = _meta_archs(content, path), digest(path)
            for index, infos in content["arch2infos"].items():
                trainings += trainings_of(archs, index, infos)
    present = {training.arch for training in trainings}
    problems = arch_problems(archs, expected, complete=False)
    if problems := problems or arch_problems([arch for arch in archs if arch in present], expected or archs, complete):
        raise UserError(f"{path}: {'; '.join(problems)}")
    if not present:
        raise UserError(f"{path}: it holds no results")
    order = tuple(arch for arch in expected or archs if arch in present)
    return tables_of(order, trainings, f"official file {path.name}", checksum, benchmark, network)


def means_of(path: Path, content: list, expected: Sequence[str] | None) -> Table:
    """Return the table of a list of test accuracies after 200 epochs, means over seeds in official order, percent.

    They are published as plain numbers (`benchmarks.nasbench201.sources.MEANS`): of the release that RoBoT used, which
    differs by more than 0.01 from other releases for many architectures.
    """
    if expected is None or len(content) != len(expected):
        raise UserError(f"a list of {len(content):,}; expected {len(expected or ()):,} accuracies")
    accuracy = np.array(content, dtype=np.float64).reshape(-1, 1, 1, 1)
    return Table(
        benchmark="201", dataset=MEANS[path.name][0], archs=tuple(expected), splits=("test",), epochs=(200,),
        seeds=(MEAN,), accuracy=accuracy, source=f"test means as RoBoT released them, {path.name}",
        checksum=digest(path), attributes=NETWORK,
    )  # fmt: skip


def thin(training: dict) -> None:
    """Reduce the state of one training to its last epoch, in place; leave other dictionaries alone.

    Doing it twice changes nothing, so dictionaries that several trainings share stay right.
    """
    if "eval_acc1es" not in training or "epochs" not in training:
        return
    last = training["epochs"] - 1
    kept: dict[str, Any] = {key: training.get(key) for key in ("epochs", "train_acc1es", "train_times", "eval_acc1es")}
    _keep(kept["train_acc1es"], lambda epoch: epoch == last)
    _keep(kept["eval_acc1es"], lambda key: key.endswith(f"@{last}"))
    if kept["train_times"]:
        total = sum(kept["train_times"].values())
        kept["train_times"].clear()
        kept["train_times"]["total"] = total
    for value in training.values():
        if isinstance(value, dict) and not any(value is other for other in kept.values()):
            value.clear()
    training.clear()
    training.update(kept)


def _keep(values: dict, wanted: Callable[[Any], bool]) -> None:
    kept = {key: value for key, value in values.items() if wanted(key)}
    values.clear()
    values.update(kept)


def _read_folder(folder: Path, trainings: list[Training], on_progress: Progress | None) -> tuple[list[str], str]:
    """Read meta file and architecture files of a NATS-Bench folder; return its architectures and the sha256 of all."""
    meta = folder / "meta.pickle.pbz2"
    with refusing(folder, "a folder that can be listed"):
        found = [(each, file) for file in folder.iterdir() if (each := ARCH_FILE.fullmatch(file.name))]
    files = sorted((int(each[1]), file) for each, file in found)
    if not meta.is_file() or not files:
        raise UserError(f"{folder}: not a NATS-Bench folder; expected meta.pickle.pbz2 and 000000.pickle.pbz2, ...")
    archs = _meta_archs(load_pickle(meta), meta)
    checksum = hashlib.sha256()
    for done, (index, file) in enumerate(files, start=1):
        with refusing(file, KIND):
            checksum.update(existing(file, KIND).read_bytes())
            trainings += trainings_of(archs, index, load_pickle(file, on_dict=thin))
        if on_progress is not None:
            on_progress(done, len(files))
    return archs, checksum.hexdigest()


def _meta_archs(content: Any, path: Path) -> list[str]:
    """Return the list of architectures at the head of an official file; raise UserError for another kind of file."""
    wanted = ("meta_archs",) if path.name.startswith("meta.") else ("meta_archs", "arch2infos")
    if not isinstance(content, dict) or any(key not in content for key in wanted):
        has = listed(list(content)) if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path}: not a NAS-Bench-201 or NATS-Bench file: expected {' and '.join(wanted)}, found {has}")
    archs = content["meta_archs"]
    if not isinstance(archs, list) or not all(isinstance(arch, str) for arch in archs) or repeated(archs):
        raise UserError(f"{path}: its list of architectures is no list of different strings; get the file again")
    return archs


def trainings_of(archs: Sequence[str], index: int, infos: dict) -> Iterator[Training]:
    """Yield the trainings of one architecture of the file, all budgets, datasets and seeds."""
    if not isinstance(index, int) or not 0 <= index < len(archs):
        raise UserError(f"results of architecture {index!r}, but the file lists {len(archs)}")
    for results in infos.values():
        if results["arch_str"] != archs[index]:
            raise UserError(f"architecture {index} is {results['arch_str']} in its results, {archs[index]} in the list")
        for dataset, seeds in results["dataset_seed"].items():
            for seed in seeds:
                run = results["all_results"][dataset, seed]
                if not _whole(run["epochs"], 1) or not _whole(seed, 0) or not isinstance(dataset, str):
                    raise ValueError(f"a training of {run['epochs']!r} epochs with seed {seed!r} on {dataset!r}")
                last = run["epochs"] - 1
                accuracy = {"train": float(run["train_acc1es"].get(last, np.nan))}
                accuracy |= {key.removesuffix(f"@{last}"): float(value) for key, value in run["eval_acc1es"].items()}
                seconds = float(run["train_times"]["total"]) if run["train_times"] else np.nan
                yield Training(archs[index], dataset, run["epochs"], seed, accuracy, seconds)


def _whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number that fits, such as a budget or a seed."""
    return isinstance(value, (int, np.integer)) and bool(least <= value < 1 << 31)


def tables_of(
    order: tuple[str, ...], trainings: Sequence[Training], source: str, checksum: str, benchmark: str = "201",
    network: Mapping[str, Size] = NETWORK,
) -> list[Table]:  # fmt: skip
    """Return the tables of all datasets that occur; splits without a single value are left out."""
    about = {"benchmark": benchmark, "source": source, "checksum": checksum}
    unknown = {training.dataset for training in trainings} - {d for s in OFFICIAL.values() for d, _ in s.values()}
    if unknown:
        raise UserError(f"{source}: unknown dataset {listed(sorted(unknown))}; is it the size set of NATS-Bench?")
    tables = []
    for dataset, splits in OFFICIAL.items():
        mine = [training for training in trainings if training.dataset in {d for d, _ in splits.values()}]
        if mine:
            tables.append(_table(dataset, order, mine, about, network))
    return tables


def _table(
    dataset: str, order: tuple[str, ...], trainings: Sequence[Training], about: dict[str, str],
    network: Mapping[str, Size],
) -> Table:  # fmt: skip
    """Return the table of one dataset from the trainings that OFFICIAL names for it."""
    splits = OFFICIAL[dataset]
    place = {arch: i for i, arch in enumerate(order)}
    epochs = tuple(sorted({training.epochs for training in trainings}))
    seeds = tuple(sorted({training.seed for training in trainings}))
    accuracy = np.full((len(order), len(splits), len(epochs), len(seeds)), np.nan)
    seconds = np.full((len(order), len(epochs), len(seeds)), np.nan)
    for training in trainings:
        at = place[training.arch], epochs.index(training.epochs), seeds.index(training.seed)
        for i, (official, evaluation) in enumerate(splits.values()):
            if training.dataset == official:
                accuracy[at[0], i, at[1], at[2]] = training.accuracy.get(evaluation, np.nan)
        if training.dataset == splits["train"][0]:
            seconds[at] = training.seconds
    filled = [i for i in range(len(splits)) if np.isfinite(accuracy[:, i]).any()]
    names = [list(splits)[i] for i in filled]
    return Table(
        **about, dataset=dataset, archs=order, splits=tuple(names), epochs=epochs,
        seeds=tuple(str(seed) for seed in seeds), accuracy=accuracy[:, filled],
        attributes={**network} | {f"official_{name}": " ".join(splits[name]) for name in names},
        seconds_per_run=None if np.isnan(seconds).all() else seconds,
    )  # fmt: skip
