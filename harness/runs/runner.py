"""One run from its settings to the stored scores: benchmark -> architectures -> chunks -> store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import benchmarks
from benchmarks import UserError
from benchmarks.benchmark import Benchmark
from harness.engine import ray_cluster
from harness.engine.devices import described
from harness.engine.scorer import Chunk, Scorer
from harness.engine.workers import execute, join
from harness.probe.precision import check_device
from harness.proxies.protocols import PROTOCOLS, seen_under
from harness.proxies.registry import Proxy, choose, registry
from harness.runs.assemble import Scores, assemble
from harness.runs.config import RunConfig
from harness.runs.counts import static_scores
from harness.runs.manifest import embedded_note, provenance
from harness.runs.plan import _default_folder, _devices, _found, _representatives, _rows, _setting, _settings, _workers
from harness.runs.target import target_of, together
from harness.store.parts import Part
from harness.store.store import Store
from harness.store.stored_run import StoredRun, load_run

COMMIT_SECONDS = 5.0
"""Scores are committed to disk at least this often (and at every interrupt)."""


def run(config: RunConfig, *, say=print) -> StoredRun:
    """Score what the config asks for, continuing what its folder holds; return the finished run.

    `say` is told, in a line each, what is done and where results go. Raises UserError for input that cannot be used,
    and KeyboardInterrupt with everything scored committed.
    """
    if config.executor == "ray":
        with ray_cluster.connected() as ray:
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
        "device": described(devices) if ray is None else ray_cluster.described(ray),
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
        execute(chunks, setting, workers)
        if ray is None
        else ray_cluster.execute_on(ray, chunks, setting, config.gpu_share)
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
