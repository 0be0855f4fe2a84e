"""Scores of a benchmark's architectures -> a StoredRun: the target accuracies, the counts and the baselines with
them.

What `harness.run` scored itself and what `harness.evaluate` read go through here alike.
"""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from benchmarks import UserError
from benchmarks.benchmark import Benchmark
from benchmarks.files.sources import data_folder
from benchmarks.spaces.space import Space
from benchmarks.spaces.targets import TargetColumn, read_targets
from harness.engine.scoring import Counts
from harness.probe.initialise import stream
from harness.proxies.protocols import described
from harness.proxies.registry import Proxy
from harness.store.stored_run import StoredRun
from harness.store.version import VERSION

FEWEST = 10
"""Of fewer strings nothing can be said."""


@dataclass(frozen=True)
class Target:
    """Which accuracy is to be predicted."""

    dataset: str
    split: str
    epochs: int
    reduction: str


def together(*checks: Callable[[], Any]) -> list[Any]:
    """Return what each check returns; raise one UserError that says all that is wrong."""
    results, problems = [], []
    for check in checks:
        try:
            results.append(check())
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(dict.fromkeys(problems)))
    return results


def target_of(benchmark: Benchmark, split: str | None, epochs: int | None, reduction: str) -> Target:
    """Return the target; UserError for a split, budget and reduction that the table does not have, all at once, and
    where no architecture has that accuracy. The default split is test, or else valid, or else the first there is."""
    table = benchmark.table
    split = split or next(each for each in ("test", "valid", *table.splits) if each in table.splits)
    together(
        lambda: table.target(split),
        lambda: table.target(table.splits[0], epochs),
        lambda: table.target(table.splits[0], None, reduction),
    )
    target = Target(table.dataset, split, epochs or max(table.epochs), reduction)
    check_known(known_rows(benchmark, target), target, table.source)
    return target


def known_rows(benchmark: Benchmark, target: Target) -> np.ndarray:
    """Return which rows of the table have the accuracy of the target, bool (rows,)."""
    return np.isfinite(benchmark.table.target(target.split, target.epochs, target.reduction))


def check_known(known: np.ndarray, target: Target, source: str) -> None:
    """Raise UserError where no architecture of a source has the accuracy."""
    if not known.any():
        seeds = "" if target.reduction == "mean" else f", {target.reduction} of the seeds"
        raise UserError(
            f"none of the {len(known):,} architectures of {source} has a {target.split} accuracy of '{target.dataset}'"
            f" after {target.epochs} epochs{seeds}"
        )


def static_scores(
    proxies: Sequence[Proxy], benchmark: Benchmark, indices: np.ndarray, seeds: int, network: dict[str, int],
    resolution: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return {proxy: (seeds, archs)} of proxies that need no network, for architectures by index in the space."""
    rows: dict[str, list[np.ndarray]] = {proxy.name: [] for proxy in proxies}
    for counts in counts_by_seed(benchmark, indices, seeds, network, resolution):
        for proxy in proxies:
            rows[proxy.name].append(proxy.score(counts).numpy())
    return {name: np.stack(values) for name, values in rows.items()}


def counts_by_seed(
    benchmark: Benchmark, indices: np.ndarray, seeds: int, network: dict[str, int], resolution: int
) -> Iterator[Counts]:
    """Yield for each seed what static proxies read of architectures by index in the space."""
    space, network = benchmark.space, network | benchmark.trained
    official = space.sizes(resolution=resolution, **network)[:, indices]
    live = space.sizes(resolution=resolution, reachable_only=True, **network)[:, indices]
    counts = [torch.from_numpy(values) for values in (*official, live[0], live[1])]
    for seed in range(seeds):
        draws = [torch.randn(1, generator=stream(seed, space.archs[i], "random"), dtype=torch.float64) for i in indices]
        yield Counts(*(*counts, torch.cat(draws)))


def counts_of(proxies: Sequence[Proxy], benchmark: Benchmark, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Return {proxy: (archs,)} of proxies that need no network, under seed 0, for networks of the benchmark's sizes."""
    found = static_scores(proxies, benchmark, indices, 1, usual_network(benchmark), benchmark.resolution or 32)
    return {name: values[0] for name, values in found.items()}


def usual_network(benchmark: Benchmark) -> dict[str, int]:
    """Return the sizes of the benchmark's networks; of ten classes where the table does not say."""
    sizes = {**benchmark.network, "classes": benchmark.network["classes"] or 10}
    return {name: int(size) for name, size in sizes.items() if size is not None}


def command_line() -> str:
    """Return the command that this process was started by, as a shell takes it."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"python -m {module.name.removesuffix('.__main__')}" if module else Path(sys.argv[0]).name
    return f"{program} {shlex.join(sys.argv[1:])}".rstrip()


def provenance(
    benchmark: Benchmark, target: Target, proxies: Iterable[Proxy], rows: np.ndarray | None = None
) -> dict[str, Any]:
    """Return what a manifest says of any run of some rows of a table (all by default): ground truth, versions,
    machine, proxies."""
    import h5py
    import scipy

    return {
        "command": command_line(),
        "benchmark": benchmark.space.title,
        "target": asdict(target),
        "embedded": benchmark.embedded,
        "table_source": benchmark.table.source,
        "table_checksum": benchmark.table.checksum,
        **sample_facts(benchmark, np.arange(len(benchmark.table)) if rows is None else rows),
        "table_size": len(benchmark.table),
        "versions": {
            "harness": VERSION, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__, "h5py": h5py.__version__,
        },
        "revision": revision(Path(__file__).parent),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "proxies": {
            proxy.name: {
                "summary": proxy.summary, "labels": proxy.labels, "cost": proxy.cost, "fitted": proxy.fitted,
                "paper": proxy.paper, "static": proxy.static, "baseline": proxy.baseline,
                "direction": "larger is better", "view": "" if proxy.static else described(proxy.view),
            }
            for proxy in proxies
        },
    }  # fmt: skip


def embedded_note(benchmark: Benchmark) -> str:
    """Return the line that says that the ground truth is the embedded table."""
    groups = sorted({source.group for source in benchmark.space.sources if source.group})
    real = "for the real benchmark get its files (nas-harness data list) and name their folder in --data"
    if groups:
        real = f"the real one: nas-harness data get {' '.join(groups)}, then the same command again"
    return f"ground truth: the embedded table ({benchmark.table.source}); {real}"


def revision(folder: Path) -> str:
    """Return the git revision of the source, with a mark if it was changed, or "unknown"."""
    describe = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


@dataclass(frozen=True)
class Scores:
    """Scores of the rows of a run, by proxy."""

    scores: dict[str, np.ndarray]
    """(seeds, archs) each, larger is better; NaN or infinite where it failed."""
    seconds: dict[str, np.ndarray]
    """(seeds, archs) each; NaN where not known or shared."""
    failures: list[tuple[str, int, str, str]]
    """(proxy, seed, arch, reason) of every score that is not finite."""


def assemble(
    benchmark: Benchmark, rows: np.ndarray, target: Target, found: Scores, manifest: dict, out: Path,
    network: dict[str, int], resolution: int,
) -> StoredRun:  # fmt: skip
    """Put scores of some rows of the table beside what is known of their architectures."""
    space, indices = benchmark.space, benchmark.indices[rows]
    accuracy = benchmark.table.target(target.split, target.epochs, target.reduction)
    return StoredRun(
        path=out, manifest=manifest, archs=tuple(space.archs[i] for i in indices), index=indices,
        accuracy=accuracy[rows], seed_accuracy=benchmark.table.per_seed(target.split, target.epochs)[rows],
        class_id=space.class_id[indices], connected=space.connected[indices], conv_count=space.conv_count[indices],
        params=space.sizes(resolution=resolution, **network | benchmark.trained)[0][indices],
        scores=found.scores, seconds=found.seconds,
        failures=pd.DataFrame(found.failures, columns=["proxy", "seed", "arch", "reason"]),
        space_best=float(np.nanmax(accuracy)),
    )  # fmt: skip


class Further(NamedTuple):
    """Targets beside the accuracy."""

    columns: list[TargetColumn]
    given: str | None
    """Name of the one that is partialled out and whose tenths are budgets, if any."""


def further_targets(benchmark: Benchmark, target: str | None, given: str | None, data: str | Path | None) -> Further:
    """Return the further targets that are named, `given` among them. UserError."""

    def read(words: str) -> list[TargetColumn]:
        return read_targets(words, benchmark.space, data_folder(data), benchmark.table.dataset)

    alone = read(given) if given else []
    if len(alone) > 1:
        raise UserError(f"--given {given}: several targets, {', '.join(each.name for each in alone[:3])}; name one")
    words = ",".join(filter(None, (target, given)))
    return Further(read(words) if words else [], alone[0].name if alone else None)


def with_targets(run: StoredRun, columns: Sequence[TargetColumn], given: str | None = None) -> StoredRun:
    """Return a run that has further targets beside its accuracy; `given` as for `Further`."""
    if not columns:
        return run
    facts = {
        each.name: {"unit": each.unit, "better": each.better, "source": each.source, "checksum": each.checksum}
        for each in columns
    }
    values = {each.name: each.values[run.index] for each in columns}
    return replace(run, targets=values, manifest=run.manifest | {"targets": facts, "given": given})


def sample_facts(benchmark: Benchmark, rows: np.ndarray) -> dict[str, Any]:
    """Return what a manifest says of the sample: the size of the space, in strings and networks, and the unit drawn.

    The unit is strings, unless the rows or those of a partial table are networks: one string for each of them, the one
    that names its class, or all of its strings.
    """
    space = benchmark.space
    parts = [index for index in (benchmark.indices[rows], benchmark.indices) if len(index) < space.full_size]
    unit = "networks" if any(_are_networks(space, index) for index in parts) else "strings"
    networks = space.full_size - len(space) + len(np.unique(space.class_id))
    return {"space_size": space.full_size, "space_networks": networks, "unit": unit}


def _are_networks(space: Space, index: np.ndarray) -> bool:
    sizes = space.class_sizes(index)
    if len(index) < FEWEST or sizes.max() == 1:
        return False
    strings = np.unique(space.class_id[index], return_counts=True)[1]
    closed = strings.max() > 1 and (1 / sizes).sum() == len(strings)
    return bool(closed or (space.class_id[index] == index).all())
