"""Ground truth from what is in memory already: objects of the official packages -> tables, without a file.

    nas-bench-201   nas_201_api.NASBench201API                                   cifar10, cifar10-valid, cifar100, ...
    nats-bench      nats_bench.create(..., "tss"), fast mode too                 the same
    nasbench        nasbench.api.NASBench, as used with nasbench_pytorch         cifar10, cifar10-halfway

The objects are read by their attributes, so that none of the packages has to be installed here. They are left as they
are.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import UserError, suggest
from benchmarks.nasbench101.cells import print_cell
from benchmarks.nasbench101.files import REPEATS, SPLITS, official_cell
from benchmarks.nasbench201.files import Training, tables_of, trainings_of
from benchmarks.table import Table, save_tables

PREFIXES = {"cifar10": "final", "cifar10-halfway": "halfway"}
"""Dataset of NAS-Bench-101 -> what its metrics are called."""
METRICS = dict(zip(SPLITS, ("train_accuracy", "validation_accuracy", "test_accuracy"), strict=True))


def from_api(api: Any, dataset: str = "cifar10", *, data: str | Path | None = None) -> Table:
    """Return the table of a dataset from an API object; accuracies in percent, single trainings as seeds.

    data: a folder that also gets all its tables as nasbench201.h5 or nasbench101.h5, for `--data`; a file that is there
    is refused. Raises UserError for another kind of object, and for a dataset that it does not have.
    """
    if hasattr(api, "meta_archs") and hasattr(api, "arch2infos_dict"):
        name, tables = "201", _of_201(api)
    elif hasattr(api, "fixed_statistics") and hasattr(api, "computed_statistics"):
        name, tables = "101", _of_101(api)
    else:
        raise UserError(
            f"a {type(api).__name__} is no API object of NAS-Bench-201, NATS-Bench (topology) or NAS-Bench-101:"
            " expected nas_201_api.NASBench201API, nats_bench.create(..., 'tss') or nasbench.api.NASBench"
        )
    known = {table.dataset: table for table in tables}
    if dataset not in known:
        raise suggest([dataset], known, "dataset of the object")
    if data is not None:
        path = Path(data) / f"nasbench{name}.h5"
        if path.exists():
            raise UserError(f"{path} is there already: leave data out, or name another folder")
        save_tables(path, tables)
    return known[dataset]


def _of_201(api: Any) -> list[Table]:
    """Return the tables of an object of NAS-Bench-201 or NATS-Bench."""
    archs = list(api.meta_archs)
    trainings: list[Training] = []
    for index in range(len(archs)):
        if index not in api.arch2infos_dict and getattr(api, "fast_mode", False):
            api._prepare_info(index)  # reads the file of one architecture
        if index in api.arch2infos_dict:
            trainings += trainings_of(archs, index, _state(api.arch2infos_dict[index]))
    if not trainings:
        raise UserError("the API object holds no results")
    present = {training.arch for training in trainings}
    order = tuple(arch for arch in archs if arch in present)
    marks = [
        (each.arch, each.dataset, each.epochs, int(each.seed), sorted(each.accuracy.items())) for each in trainings
    ]
    return tables_of(order, trainings, f"{type(api).__name__} object", _checksum(marks))


def _state(budgets: Mapping[str, Any]) -> dict[str, dict]:
    """Return the results of one architecture as a file has them, with the total seconds of each training."""
    found = {}
    for label, results in budgets.items():
        runs = {}
        for key, run in results.all_results.items():
            held = run.state_dict()
            times = held.get("train_times") or {}
            total = {"total": sum(times.values())} if times else {}
            last = f"@{held['epochs'] - 1}"
            final = {name: value for name, value in held["eval_acc1es"].items() if name.endswith(last)}
            runs[key] = held | {"train_times": total, "eval_acc1es": final}
        found[label] = {"arch_str": results.arch_str, "dataset_seed": results.dataset_seed, "all_results": runs}
    return found


def _of_101(api: Any) -> list[Table]:
    """Return the tables of an object of NAS-Bench-101: final accuracies and those halfway."""
    fixed, computed = api.fixed_statistics, api.computed_statistics
    hashes = [each for each in fixed if each in computed]
    budgets = sorted({int(epochs) for each in hashes for epochs in computed[each]})
    if not hashes or not budgets:
        raise UserError("the API object holds no results")
    archs = tuple(print_cell(cell) for cell in _cells(fixed[each] for each in hashes))
    tables = []
    for dataset, prefix in PREFIXES.items():
        accuracy = np.full((len(archs), len(SPLITS), len(budgets), REPEATS), np.nan)
        seconds = np.full((len(archs), len(budgets), REPEATS), np.nan)
        for row, each in enumerate(hashes):
            for epochs, trials in computed[each].items():
                for trial, metrics in enumerate(trials[:REPEATS]):
                    at = budgets.index(int(epochs)), trial
                    seconds[row, *at] = metrics[f"{prefix}_training_time"]
                    for split, metric in enumerate(METRICS.values()):
                        accuracy[row, split, *at] = 100 * metrics[f"{prefix}_{metric}"]
        tables.append(Table(
            benchmark="101", dataset=dataset, archs=archs, splits=SPLITS, epochs=tuple(budgets),
            seeds=tuple(str(trial + 1) for trial in range(REPEATS)), accuracy=accuracy, seconds_per_run=seconds,
            source=f"{type(api).__name__} object", checksum=_checksum([archs, accuracy.tolist()]),
        ))  # fmt: skip
    return tables


def _cells(statistics: Any) -> Iterator[Any]:
    """Yield the cells of records with an adjacency matrix and operations; UserError where one is none of the space."""
    for each in statistics:
        matrix = np.asarray(each["module_adjacency"])
        try:
            yield official_cell("".join(str(int(bit)) for bit in matrix.ravel()), ",".join(each["module_operations"]))
        except ValueError as error:
            raise UserError(f"a cell of the API object is none of NAS-Bench-101: {error}") from None


def _checksum(content: Any) -> str:
    """Return a checksum of results, as a file's would be: equal results, equal checksum."""
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()
