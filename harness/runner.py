"""One run from its settings to the stored scores: benchmark -> architectures -> chunks -> store."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import benchmarks
from benchmarks import Benchmark, UserError
from benchmarks.sources import data_folder
from harness import cluster
from harness.assemble import Scores, Target, assemble, embedded_note, provenance, static_scores, target_of, together
from harness.config import RunConfig
from harness.devices import described, kind, local, of_workers
from harness.executors import Chunk, Scorer, Setting, execute, join
from harness.inputs import Images, load_images, source_of
from harness.precision import check_device
from harness.protocols import PROTOCOLS, seen_under
from harness.proxies import Proxy, choose, registry
from harness.stacks import find, usual
from harness.store import EXTENDABLE, SINCE, Part, Store, StoredRun, load_run, read_manifest

COMMIT_SECONDS = 5.0
"""Scores are committed to disk at least this often (and at every interrupt)."""
SAMPLE = 1000
"""Architectures scored by default where the ground truth is not the embedded one."""


def run(config: RunConfig, *, say=print) -> StoredRun:
    """Score what the config asks for, continuing what its folder holds; return the finished run.

    `say` is told, in a line each, what is done and where results go. Raises UserError for input that cannot be used,
    and KeyboardInterrupt with everything scored committed.
    """
    if config.executor == "ray":
        with cluster.connected() as ray:
            return _run(config, say, ray)
    return _run(config, say)


def _run(config: RunConfig, say: Callable[[str], None], ray: Any = None) -> StoredRun:
    """Do what `run` says, in processes of this machine or on a Ray cluster."""
    benchmark = benchmarks.load(config.bench, config.dataset, config.data, config.network)
    devices, target, rows = together(
        lambda: _devices(config.devices, ray),
        lambda: target_of(benchmark, config.split, config.epochs, config.reduction),
        lambda: _rows(config, benchmark),
    )
    for device in devices:
        check_device(config.precision, device, here=ray is None)
    proxies = choose(config.proxies)
    setting, protocol = _setting(config, benchmark, devices[0]), PROTOCOLS[config.protocol]
    scorer = Scorer(replace(setting, device="cpu"))
    scorer.inputs_of(0)  # whether the minibatch can be drawn at all
    settings = _settings(config, target, benchmark, setting, len(rows), proxies)
    out = Path(config.out) if config.out else _default_folder(settings)
    networks = np.array(_representatives(benchmark, rows, setting.share))
    workers = _workers(config, devices, setting, ray)
    if config.stack == "auto":
        settings["stack"] = _found(config, settings["stack"], out, setting, networks, workers, ray, say)
    manifest = {
        **provenance(benchmark, target, seen_under(proxies, protocol, setting.batch_size, setting.precision)),
        "settings": settings, "config": asdict(config), "protocol": protocol.sentence(setting.batch_size),
        "device": described(devices) if ray is None else cluster.described(ray),
        "minibatch": scorer.description, "seconds": 0.0,
    }  # fmt: skip
    store = Store(out, manifest, len(benchmark.space), existing=config.existing)
    if benchmark.embedded:
        say(embedded_note(benchmark))
    names = [proxy.name for proxy in proxies if not proxy.static]
    chunks = list(_chunks(store, names, networks, config.seeds, settings["stack"]))
    say(
        f"{benchmark.space.title}, {target.dataset}: {len(rows):,} architectures ({len(set(networks)):,}"
        f" networks) x {len(proxies)} proxies x {config.seeds} seed{'s' * (config.seeds > 1)} -> {out}"
    )
    if chunks and (before := _scored(store, names, networks, config.seeds)):
        say(f"{before:,} of {len(names) * config.seeds * len(set(networks)):,} scores are there already")
    parts = (
        execute(chunks, setting, workers) if ray is None else cluster.execute_on(ray, chunks, setting, config.gpu_share)
    )
    started = time.time()
    try:
        _score(store, parts, sum(len(chunk.index) for chunk in chunks), out)
    finally:
        manifest["seconds"] += time.time() - started
        with contextlib.suppress(UserError):
            store.write_manifest()
    static = [*(proxy for proxy in proxies if proxy.static), *_kept_static(store, proxies)]
    more = _kept(store, names, networks, config.seeds, say)
    given = _spread(store, benchmark, rows, networks, [*names, *more], config.seeds)
    side = setting.resolution or 32
    counts = static_scores(static, benchmark, benchmark.indices[rows], config.seeds, setting.network, side)
    free = np.where(_first(networks), 0.0, np.nan)[None].repeat(config.seeds, 0)
    given = Scores(counts | given.scores, dict.fromkeys(counts, free) | given.seconds, given.failures)
    store.merge(assemble(benchmark, rows, target, given, manifest, out, setting.network, side))
    return load_run(out)


def _devices(asked: str, ray: Any) -> list[str]:
    """Return the devices of this machine, or what kind of them a cluster has."""
    if ray is None:
        return local(asked)
    there = cluster.resources(ray)[1] > 0
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
    found = find(*given) if ray is None else cluster.found_on(ray, config.gpu_share, *given)
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
    return cluster.workers(ray, setting.device, config.gpu_share)


def _first(networks: np.ndarray) -> np.ndarray:
    """(archs,) bool: the first string of each network in the sample, the one its seconds are told of."""
    first = np.zeros(len(networks), dtype=bool)
    first[np.unique(networks, return_index=True)[1]] = True
    return first


def _chunks(store: Store, names: list[str], networks: np.ndarray, seeds: int, stack: int) -> Iterator[Chunk]:
    """Yield what is not done yet. The grid of chunks depends on the order of the sample alone, and a chunk is committed
    whole, so a stack that is scored after an interrupt is the stack it would have been."""
    order = list(dict.fromkeys(networks.tolist()))
    for seed in range(seeds):
        for start in range(0, len(order), stack):
            for index, missing in store.missing(names, seed, tuple(order[start : start + stack])).items():
                yield Chunk(seed, index, missing)


def _scored(store: Store, names: list[str], networks: np.ndarray, seeds: int) -> int:
    """Return how many scores of networks are there."""
    distinct = np.unique(networks)
    return sum(int(store.of(name, seed).done[distinct].sum()) for name in names for seed in range(seeds))


def _score(store: Store, parts: Generator[Part, None, None], total: int, out: Path) -> None:
    """Take parts as they come, committing every few seconds and whatever happens at the end."""
    waiting: list[Part] = []

    def commit() -> None:
        for joined in join(waiting):
            store.commit(joined)
        waiting.clear()

    bar = tqdm(total=total, unit="network", desc=f"scoring into {out}", disable=not total, smoothing=0.05)
    last = time.monotonic()
    try:
        for part in parts:
            waiting.append(part)
            bar.update(len(part.index))
            if time.monotonic() - last > COMMIT_SECONDS:
                commit()
                last = time.monotonic()
    finally:
        bar.close()
        try:
            commit()
        finally:
            parts.close()


def _kept_static(store: Store, proxies: list[Proxy]) -> list[Proxy]:
    """Return the counts that earlier calls on this folder asked for and this one did not."""
    known, named = registry(), {proxy.name for proxy in proxies}
    return [known[n] for n in store.manifest["proxies"] if n not in named and n in known and known[n].static]


def _kept(store: Store, names: list[str], networks: np.ndarray, seeds: int, say) -> list[str]:
    """Return the proxies of earlier calls that are scored on all of this sample; say which are not."""
    others = sorted({name for name, _ in store.cells} - set(names))
    whole = [name for name in others if store.complete(name, seeds, networks)]
    if rest := [name for name in others if name not in whole]:
        say(
            f"kept, but not shown as not scored on all of this sample: {', '.join(rest)}"
            " (name them in --proxies to go on)"
        )
    return whole


def _spread(
    store: Store, benchmark: Benchmark, rows: np.ndarray, networks: np.ndarray, names: list[str], seeds: int
) -> Scores:
    """Give every string of the sample the scores of its network."""
    first, archs = _first(networks), [benchmark.space.archs[i] for i in benchmark.indices[rows]]
    given = Scores({}, {}, [])
    for name in names:
        cells = [store.of(name, seed) for seed in range(seeds)]
        given.scores[name] = np.stack([each.score[networks] for each in cells])
        given.seconds[name] = np.stack([np.where(first, each.seconds[networks], np.nan) for each in cells])
        for seed, position in np.argwhere(~np.isfinite(given.scores[name])):
            reason = cells[seed].reasons.get(int(networks[position]), "not finite")
            given.failures.append((name, int(seed), archs[position], reason))
    return given
