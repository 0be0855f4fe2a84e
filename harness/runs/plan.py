"""What a run does, settled once: the benchmark opened, architectures drawn, proxies and networks fixed, workers chosen.

`plan_run` makes a `Plan` of a `RunConfig`. Runner, workers, store and report read from it; nothing is parsed again.
"""

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import benchmarks
from benchmarks import Benchmark, UserError
from benchmarks.files.sources import data_folder
from harness.engine import ray_cluster
from harness.engine.devices import kind, local, of_workers
from harness.engine.scorer import Scorer, Setting
from harness.engine.stack_size import find
from harness.inputs.draw import load_images, source_of
from harness.inputs.images import Images, key_of
from harness.inputs.official import DATASETS, is_there
from harness.probe.precision import check_device
from harness.proxies.own import references
from harness.proxies.protocols import PROTOCOLS
from harness.proxies.registry import Proxy
from harness.runs.assemble import Further, Target, further_targets, known_rows, target_of, together
from harness.runs.config import RunConfig
from harness.store.store import EXTENDABLE, SHARD, SINCE
from harness.store.stored_run import read_manifest
from harness.store.version import RUNS

SAMPLE = 1000
"""Architectures scored by default where the ground truth is not the embedded one."""


@dataclass(frozen=True, eq=False)
class Plan:
    """One run, everything settled."""

    config: RunConfig
    benchmark: Benchmark
    target: Target
    rows: np.ndarray
    """(archs,) int: rows of the table that are scored, in the order of the sample."""
    networks: np.ndarray
    """(archs,) int: index in the space of the architecture whose network stands for each row."""
    scorer: Scorer
    """Scores in this process; its setting is what a worker has to know."""
    devices: tuple[str, ...]
    workers: tuple[str, ...]
    """Device of each process."""
    settings: dict[str, Any]
    """What makes the scores what they are, as JSON; a folder holds one set of them."""
    out: Path
    further: Further
    """Targets beside the accuracy."""
    note: str = ""
    """What a reader has to know of the minibatches, if anything."""
    ray: Any = None
    """The connected Ray module, where a cluster scores."""

    @property
    def proxies(self) -> tuple[Proxy, ...]:
        """The requested proxies, the baselines first."""
        return self.config.chosen

    @property
    def setting(self) -> Setting:
        """What a worker has to know."""
        return self.scorer.setting

    @property
    def names(self) -> list[str]:
        """Names of those that look at a network."""
        return [proxy.name for proxy in self.proxies if not proxy.static]

    @property
    def seeds(self) -> int:
        """Initialisations and minibatches."""
        return self.config.seeds

    @property
    def stack(self) -> int:
        """Architectures in one stack."""
        return self.settings["stack"]

    @property
    def resolution(self) -> int:
        """Side in pixels of the images that the networks were trained on, for counts."""
        return self.benchmark.resolution or 32

    @property
    def first(self) -> np.ndarray:
        """(archs,) bool: the first string of each network in the sample, the one that carries its seconds."""
        first = np.zeros(len(self.networks), dtype=bool)
        first[np.unique(self.networks, return_index=True)[1]] = True
        return first


def plan_run(config: RunConfig, say: Callable[[str], None], ray: Any = None, scored_on: str = "") -> Plan:
    """Settle everything about a run; UserError, all at once where it can be, for what cannot be used.

    `say` gets a line where the size of a stack had to be found by a probe. `scored_on` is the kind of device where all
    is scored already, so that this machine need not have it.
    """
    benchmark = benchmarks.load(config.bench, config.dataset, config.data, config.network)
    config, note = settled(config, benchmark)
    if note:
        say(note)
    devices, target, rows, further = together(
        lambda: [scored_on] if scored_on else _devices(config.devices, ray),
        lambda: target_of(benchmark, config.split, config.epochs, config.reduction),
        lambda: _sample(config, benchmark),
        lambda: further_targets(benchmark, config.target, config.given, config.data),
    )
    rows = _with_accuracy(config, benchmark, rows, known_rows(benchmark, target), say)
    for device in devices:
        check_device(config.precision, device, here=ray is None and not scored_on)
    setting = _setting(config, benchmark, devices[0])
    scorer = Scorer(setting, config.chosen)
    indices = benchmark.indices[rows]
    networks = benchmark.space.class_id[indices] if setting.share else indices
    settings = settings_of(config, benchmark, setting, len(rows))
    known, open_ = setting.usual_stack(benchmark.space.together)
    settings["stack"] = int(config.stack) if config.stack != "auto" else "auto" if open_ else known
    out = Path(config.out) if config.out else default_folder(settings | asdict(target))
    if config.shard:
        out /= SHARD.format(*config.part)
    workers = _workers(config, devices, setting, ray)
    if config.stack == "auto":  # shards have to agree, so none looks for a size
        usual_one = known if config.shard else settings["stack"]
        settings["stack"] = _stack(config, usual_one, out, scorer, networks, workers, ray, say)
    mine = _mine(config, networks, settings["stack"])
    rows, networks = rows[mine], networks[mine]
    devices = tuple(devices)
    return Plan(
        config, benchmark, target, rows, networks, scorer, devices, workers, settings, out, further, note, ray
    )  # fmt: skip


def settled(config: RunConfig, benchmark: Benchmark) -> tuple[RunConfig, str]:
    """Return the settings with the inputs fixed, and what a reader has to know of that, if anything.

    Without images of the dataset the minibatches are noise, and built-in scores that read labels are left out, as noise
    has none. UserError where no score is left.
    """
    if config.inputs != "auto":
        return config, ""
    key = key_of(benchmark.table.dataset)
    own = benchmark.table.attributes.get("images") or key not in DATASETS
    if own or is_there(key, data_folder(config.data)):
        return replace(config, inputs="images"), ""
    out = [each for each in config.chosen if each.labels and each.view.inputs == "minibatch" and not each.own]
    names = [f"{each.path}:{each.name}" if each.path else each.name for each in config.chosen if each not in out]
    get = "nas-harness data get images" if key == "cifar10" else "docs/data.md says where to get them"
    left = f"; left out, as they read labels: {', '.join(each.name for each in out)}" if out else ""
    note = f"no images of {key} found ({get}): the minibatches are Gaussian noise{left}"
    if not any(not each.static for each in config.chosen if each not in out) and out:
        raise UserError(f"{note}; no other score was named. --inputs gaussian scores them with random labels")
    return replace(config, inputs="gaussian", proxies=",".join(names)), note


def _mine(config: RunConfig, networks: np.ndarray, stack: int) -> np.ndarray:
    """Return which of the sample is scored, bool (archs,): of n parts each takes every n-th stack of networks."""
    part, parts = config.part
    distinct, first, place = np.unique(networks, return_index=True, return_inverse=True)
    order = np.empty(len(distinct), dtype=int)
    order[np.argsort(first)] = np.arange(len(distinct))
    mine = order[place] // stack % parts == part - 1
    if not mine.any():
        count = -(-len(distinct) // stack)
        raise UserError(f"--shard {config.shard}: the sample has {count} stacks of {stack}; make at most {count} parts")
    return mine


def _devices(requested: str, ray: Any) -> list[str]:
    """Return the devices of this machine, or what kind of them a cluster has."""
    if ray is None:
        return local(requested)
    there = ray_cluster.resources(ray)[1] > 0
    if kind(requested) == "cuda" and not there:
        raise UserError(f"--devices {requested}: the Ray cluster has no GPU; use --devices cpu")
    return ["cuda" if there and requested != "cpu" else "cpu"]


def _sample(config: RunConfig, benchmark: Benchmark) -> np.ndarray:
    """Return the rows of the table in a uniform order of which a sample is the beginning; UserError for too many."""
    size = len(benchmark.table)
    if config.sample not in ("auto", "all") and int(config.sample) > size:
        source = benchmark.table.source
        raise UserError(
            f"--sample {config.sample}: the table has {size:,} architectures ({source}); give {size} or fewer"
        )
    place = np.full(len(benchmark.space), -1)
    place[benchmark.indices] = np.arange(size)
    order = place[benchmark.space.sample(len(benchmark.space), 0)]
    return order[order >= 0]


def _with_accuracy(
    config: RunConfig, benchmark: Benchmark, rows: np.ndarray, known: np.ndarray, say: Callable[[str], None]
) -> np.ndarray:
    """Return the sample: the first of the rows that have the accuracy to be predicted; say how many have not."""
    there = rows[known[rows]]
    if gaps := len(rows) - len(there):
        example = benchmark.table.archs[rows[~known[rows]][0]]
        say(f"{gaps:,} of {len(rows):,} architectures of the table lack this accuracy and are not scored, as {example}")
    if config.sample == "all" or (config.sample == "auto" and benchmark.embedded):
        return there
    n = SAMPLE if config.sample == "auto" else int(config.sample)
    if n > len(there) and config.sample != "auto":
        raise UserError(
            f"--sample {n}: only {len(there):,} architectures have this accuracy; give {len(there)} or fewer"
        )
    return there[:n]


def _setting(config: RunConfig, benchmark: Benchmark, device: str) -> Setting:
    """Read the images once and settle what the networks look like."""
    network = dict(benchmark.network)
    inputs: str | Images = config.inputs
    if config.inputs != "gaussian":
        source = source_of(benchmark.table) if config.inputs == "images" else config.inputs
        inputs = load_images(source, data_folder(config.data))
        if network["classes"] is None:
            network["classes"] = inputs.classes
    if network["classes"] is None:
        raise UserError(
            f"how many classes has '{benchmark.table.dataset}'? Give images, as --inputs gaussian cannot say"
        )
    return Setting(
        bench=config.bench, proxies=references(config.chosen),
        network={k: int(v) for k, v in network.items() if v is not None},
        resolution=config.resolution or benchmark.resolution, inputs=inputs, dataset=benchmark.table.dataset,
        batch_size=config.batch_size or PROTOCOLS[config.protocol].batch_size, protocol=config.protocol,
        balanced=config.balanced, share=config.share and not config.keep_unreachable,
        keep_unreachable=config.keep_unreachable, device=device,
        archs=benchmark.space.archs if benchmark.space.expected is None else None, form=benchmark.space.form,
        precision=config.precision, proxy_timeout=config.proxy_timeout,
    )  # fmt: skip


def _workers(config: RunConfig, devices: list[str], setting: Setting, ray: Any) -> tuple[str, ...]:
    """Return the device of each process; a proxy that no file holds is not known in other processes than this one."""
    here_only = [proxy.name for proxy in config.chosen if proxy.own and not proxy.source]
    if ray is None:
        return tuple(devices[:1] if here_only else of_workers(devices, config.workers))
    if here_only:
        raise UserError(f"--executor ray: no file holds {', '.join(here_only)}; put it in one, give FILE.py:NAME")
    return tuple(ray_cluster.workers(ray, setting.device, config.gpu_share))


def _stack(
    config: RunConfig, known: int | str, out: Path, scorer: Scorer, networks: np.ndarray, workers: tuple[str, ...],
    ray: Any, say: Callable[[str], None],
) -> int:  # fmt: skip
    """Return the size of a stack for --stack auto: what the folder holds, what is known, or what a probe finds."""
    record = out / "manifest.json"
    if config.existing != "replace" and record.exists():
        return read_manifest(record)["settings"].get("stack", 1)
    if known != "auto":
        return int(known)
    facts = (tuple(dict.fromkeys(networks.tolist())), config.seeds, workers)
    if ray is None:
        found = find(scorer, *facts)
    else:
        found = ray_cluster.found_on(ray, config.gpu_share, scorer.setting, *facts)
    say(found.why)
    return found.stack


def settings_of(config: RunConfig, benchmark: Benchmark, setting: Setting, n: int) -> dict[str, Any]:
    """Return the settings of a run of `n` architectures as plain JSON, without the size of its stacks."""
    return {
        **{name: getattr(config, name) for name in ("bench", "seeds", "balanced", "protocol", "keep_unreachable")},
        "precision": config.precision,
        "batch_size": setting.batch_size,
        "inputs": config.inputs,
        "images": setting.inputs.checksum if isinstance(setting.inputs, Images) else setting.inputs,
        "table": benchmark.table.checksum,
        "network": setting.network,
        "resolution": setting.resolution,
        "share": setting.share,
        "device_kind": kind(setting.device),
        "sample": n,
        **({"form": setting.form} if setting.form else {}),
        "proxies": [proxy.name for proxy in config.chosen],
        "own_proxies": {proxy.name: _checksum(proxy) for proxy in config.chosen if proxy.own},
    }


def default_folder(settings: dict[str, Any]) -> Path:
    """Return results/runs/NAME, a name for every set of settings and targets that cannot share a folder."""
    fixed = dict(each for each in settings.items() if each[0] not in EXTENDABLE and each not in SINCE.items())
    mark = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return RUNS / f"{settings['bench']}-{settings['dataset']}-{mark}"


def _checksum(proxy: Proxy) -> str:
    """Return a checksum of a user's proxy, so that scores of another version of it are not taken for its scores."""
    if proxy.source:
        return proxy.code
    function = inspect.unwrap(proxy.score)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = repr((function.__code__.co_code, function.__code__.co_consts))
    return hashlib.sha256(text.encode()).hexdigest()
