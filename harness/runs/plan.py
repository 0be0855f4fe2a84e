"""MISSING DOC"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import UserError
from benchmarks.benchmark import Benchmark
from benchmarks.files.sources import data_folder
from harness.engine import ray_cluster
from harness.engine.devices import kind, local, of_workers
from harness.engine.scorer import Setting
from harness.engine.stack_size import find, usual
from harness.inputs import Images, load_images, source_of
from harness.proxies.protocols import PROTOCOLS
from harness.proxies.registry import Proxy, choose
from harness.runs.config import RunConfig
from harness.runs.target import Target
from harness.store.store import EXTENDABLE, SINCE
from harness.store.stored_run import read_manifest

SAMPLE = 1000
"""Architectures scored by default where the ground truth is not the embedded one."""


def _devices(asked: str, ray: Any) -> list[str]:
    """Return the devices of this machine, or what kind of them a cluster has."""
    if ray is None:
        return local(asked)
    there = ray_cluster.resources(ray)[1] > 0
    if kind(asked) == "cuda" and not there:
        raise UserError(f"--devices {asked}: the Ray cluster has no GPU; use --devices cpu")
    return ["cuda" if there and asked != "cpu" else "cpu"]


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
        bench=config.bench, proxies=config.proxies, network={k: int(v) for k, v in network.items() if v is not None},
        resolution=benchmark.resolution, inputs=inputs, dataset=benchmark.table.dataset,
        batch_size=config.batch_size or PROTOCOLS[config.protocol].batch_size, protocol=config.protocol,
        balanced=config.balanced, share=config.share and not config.keep_unreachable,
        keep_unreachable=config.keep_unreachable, device=device,
        archs=benchmark.space.archs if benchmark.space.expected is None else None, form=benchmark.space.form,
        precision=config.precision,
    )  # fmt: skip


def _rows(config: RunConfig, benchmark: Benchmark) -> np.ndarray:
    """Return the rows of the table to score: a uniform sample of its strings that a larger one extends."""
    size = len(benchmark.table)
    wanted = config.sample
    if wanted == "auto":
        wanted = "all" if benchmark.embedded else str(min(SAMPLE, size))
    n = size if wanted == "all" else int(wanted)
    if n > size:
        raise UserError(
            f"--sample {n}: the table has {size:,} architectures ({benchmark.table.source}); give {size} or fewer"
        )
    place = np.full(len(benchmark.space), -1)
    place[benchmark.indices] = np.arange(size)
    order = place[benchmark.space.sample(len(benchmark.space), 0)]
    return order[order >= 0][:n]


def _representatives(benchmark: Benchmark, rows: np.ndarray, share: bool) -> list[int]:
    """Return, for each row, the index of the architecture whose network is scored for it."""
    indices = benchmark.indices[rows]
    return [int(i) for i in (benchmark.space.class_id[indices] if share else indices)]


def _stack(config: RunConfig, setting: Setting, benchmark: Benchmark) -> int | str:
    """Return how many architectures run together, "auto" where that has to be found."""
    known, open_ = usual(setting, benchmark.space.together)
    if config.stack == "auto":
        return "auto" if open_ else known
    return int(config.stack)


def _found(
    config: RunConfig, known: int | str, out: Path, setting: Setting, networks: np.ndarray, workers: list[str],
    ray: Any, say: Callable[[str], None],
) -> int:  # fmt: skip
    """Return how many architectures run together: what the folder holds, what is known, or what a probe finds."""
    record = out / "manifest.json"
    if config.existing != "replace" and record.exists():
        return read_manifest(record)["settings"].get("stack", 1)
    if known != "auto":
        return int(known)
    given = (setting, tuple(dict.fromkeys(networks.tolist())), config.seeds, tuple(workers))
    found = find(*given) if ray is None else ray_cluster.found_on(ray, config.gpu_share, *given)
    say(found.why)
    return found.stack


def _settings(
    config: RunConfig, target: Target, benchmark: Benchmark, setting: Setting, n: int, proxies: list[Proxy]
) -> dict:
    """Return the settings that make scores what they are, as plain JSON; a run folder holds one set of them."""
    return {
        **{name: getattr(config, name) for name in ("bench", "seeds", "balanced", "protocol", "keep_unreachable")},
        "precision": config.precision,
        "batch_size": setting.batch_size,
        **asdict(target),
        "inputs": config.inputs,
        "images": setting.inputs.checksum if isinstance(setting.inputs, Images) else setting.inputs,
        "table": benchmark.table.checksum,
        "network": setting.network,
        "resolution": setting.resolution,
        "share": setting.share,
        "stack": _stack(config, setting, benchmark),
        "device_kind": kind(setting.device),
        "sample": n,
        **({"form": setting.form} if setting.form else {}),
        "proxies": [proxy.name for proxy in proxies],
        "own_proxies": {proxy.name: _code(proxy) for proxy in proxies if _own(proxy)},
    }


def _default_folder(settings: dict) -> Path:
    """Return results/NAME with a name of its own for every set of settings that cannot share a folder."""
    fixed = dict(each for each in settings.items() if each[0] not in EXTENDABLE and each not in SINCE.items())
    mark = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return Path("results") / f"{settings['bench']}-{settings['dataset']}-{mark}"


def _own(proxy: Proxy) -> bool:
    """Whether a proxy is a user's."""
    return bool(proxy.source) or not proxy.score.__module__.startswith("harness.")


def _code(proxy: Proxy) -> str:
    """Return a checksum of a user's proxy, so that scores of another version of it are not taken for its own."""
    if proxy.source:
        return proxy.source
    function = inspect.unwrap(proxy.score)
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        text = repr((function.__code__.co_code, function.__code__.co_consts))
    return hashlib.sha256(text.encode()).hexdigest()


def _workers(config: RunConfig, devices: list[str], setting: Setting, ray: Any) -> list[str]:
    """Return the device of each process; a proxy that no file holds is not known in other processes than this one."""
    here_only = [proxy.name for proxy in choose(setting.proxies) if _own(proxy) and not proxy.source]
    if ray is None:
        return devices[:1] if here_only else of_workers(devices, config.workers)
    if here_only:
        raise UserError(f"--executor ray: no file holds {', '.join(here_only)}; put it in one, give FILE.py:NAME")
    return ray_cluster.workers(ray, setting.device, config.gpu_share)
