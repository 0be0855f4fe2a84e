"""One run from its settings to the stored scores: benchmark -> architectures -> chunks -> store."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import benchmarks
from benchmarks import Benchmark, UserError
from benchmarks.sources import data_folder
from harness.config import RunConfig
from harness.engine import Counts
from harness.executors import Chunk, Setting, default_workers, execute, join, revision
from harness.inputs import Images, load_images
from harness.proxies import Proxy, choose
from harness.store import Store, StoredRun, load_run
from harness.view import stream

COMMIT_SECONDS = 5.0
"""Scores are committed to disk at least this often (and at every interrupt)."""
SAMPLE = 1000
"""Architectures scored by default where the ground truth is not the embedded one."""


def run(config: RunConfig, *, say=print) -> StoredRun:
    """Score what the config asks for, continuing what its folder holds; return the finished run.

    `say` is told, in a line each, what is done and where results go. Raises UserError for input that cannot be used, and
    KeyboardInterrupt with everything scored committed.
    """
    benchmark = benchmarks.load(config.bench, config.dataset, config.data)
    device = _device(config.device)
    proxies = choose(config.proxies)
    setting = _setting(config, benchmark, device)
    rows = _rows(config, benchmark)
    settings = _settings(config, benchmark, setting, len(rows), proxies)
    out = Path(config.out) if config.out else _default_folder(settings)
    manifest = _manifest(config, benchmark, settings, proxies, device)
    store = Store(out, manifest, len(benchmark.space), existing=config.existing)
    if benchmark.embedded:
        say(
            f"ground truth: the embedded table ({benchmark.table.source}); for the real benchmark get its files"
            " (python -m benchmarks lists them) and name their folder in --data"
        )
    kept = sorted(set(store.proxies_before) - {proxy.name for proxy in proxies})
    names = [proxy.name for proxy in proxies if not proxy.static]
    representatives = _representatives(benchmark, rows, config.share)
    chunks = list(_chunks(store, names, representatives, config.seeds, settings["stack"]))
    say(
        f"{benchmark.space.title}, {benchmark.table.dataset}: {len(rows):,} architectures ({len(set(representatives)):,}"
        f" networks) x {len(proxies)} proxies x {config.seeds} seed{'s' * (config.seeds > 1)} -> {out}"
    )
    started = time.time()
    try:
        _score(store, chunks, setting, default_workers(config.workers, device), out)
    finally:
        manifest["seconds"] = manifest.get("seconds", 0.0) + time.time() - started
    stored = _assemble(store, benchmark, rows, proxies, kept, config, out)
    store.write_manifest()
    store.merge(stored)
    return load_run(out)


def _device(asked: str) -> str:
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if asked.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {asked}: this PyTorch sees no CUDA device; use --device cpu")
    return asked


def _setting(config: RunConfig, benchmark: Benchmark, device: str) -> Setting:
    """Read the images once and settle what the networks look like."""
    network = dict(benchmark.network)
    inputs: str | Images = config.inputs
    if config.inputs != "gaussian":
        source = benchmark.table.dataset if config.inputs == "images" else config.inputs
        inputs = load_images(source, data_folder(config.data))
        if network["classes"] is None:
            network["classes"] = inputs.classes
    if network["classes"] is None:
        raise UserError(f"how many classes has '{benchmark.table.dataset}'? Give images, as --inputs gaussian cannot say")
    return Setting(
        bench=config.bench, proxies=config.proxies, network={k: int(v) for k, v in network.items() if v is not None},
        resolution=benchmark.resolution, inputs=inputs, dataset=benchmark.table.dataset, batch_size=config.batch_size,
        balanced=config.balanced, share=config.share and not config.keep_unreachable,
        keep_unreachable=config.keep_unreachable, device=device,
    )  # fmt: skip


def _rows(config: RunConfig, benchmark: Benchmark) -> np.ndarray:
    """Return the rows of the table to score: a uniform sample of its strings that a larger one extends."""
    size = len(benchmark.table)
    wanted = config.sample
    if wanted == "auto":
        wanted = "all" if benchmark.embedded else str(min(SAMPLE, size))
    n = size if wanted == "all" else int(wanted)
    if n > size:
        raise UserError(f"--sample {n}: the table has {size:,} architectures ({benchmark.table.source}); give {size} or fewer")
    place = np.full(len(benchmark.space), -1)
    place[benchmark.indices] = np.arange(size)
    order = place[benchmark.space.sample(len(benchmark.space), 0)]
    return order[order >= 0][:n]


def _representatives(benchmark: Benchmark, rows: np.ndarray, share: bool) -> list[int]:
    """Return, for each row, the index of the architecture whose network is scored for it."""
    indices = benchmark.indices[rows]
    return [int(i) for i in (benchmark.space.class_id[indices] if share else indices)]


def _stack(config: RunConfig, setting: Setting) -> int:
    """Architectures run together: many on a GPU; on a CPU only where one network's maps are small."""
    if config.stack != "auto":
        return int(config.stack)
    if setting.device.startswith("cuda"):
        return 64
    floats = config.batch_size * setting.network.get("channels", 16) * (setting.resolution or 32) ** 2
    return int(np.clip(2**18 // floats, 1, 32))


def _settings(config: RunConfig, benchmark: Benchmark, setting: Setting, n: int, proxies: list[Proxy]) -> dict:
    """Return the settings that make scores what they are, as plain JSON; a run folder holds one set of them."""
    return {
        **{
            name: getattr(config, name)
            for name in ("bench", "split", "reduction", "seeds", "batch_size", "balanced", "protocol", "keep_unreachable")
        },
        "dataset": benchmark.table.dataset,
        "epochs": config.epochs or max(benchmark.table.epochs),
        "inputs": config.inputs,
        "images": setting.inputs.checksum if isinstance(setting.inputs, Images) else setting.inputs,
        "table": benchmark.table.checksum,
        "network": setting.network,
        "resolution": setting.resolution,
        "share": setting.share,
        "stack": _stack(config, setting),
        "device_kind": setting.device.split(":")[0],
        "sample": n,
        "proxies": [proxy.name for proxy in proxies],
        "own_proxies": {proxy.name: proxy.source for proxy in proxies if proxy.source},
    }


def _default_folder(settings: dict) -> Path:
    """Return results/NAME with a name of its own for every set of settings that cannot share a folder."""
    fixed = {key: value for key, value in settings.items() if key not in ("proxies", "sample", "seeds", "own_proxies")}
    mark = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:8]
    return Path("results") / f"{settings['bench']}-{settings['dataset']}-{mark}"


def _manifest(config: RunConfig, benchmark: Benchmark, settings: dict, proxies: list[Proxy], device: str) -> dict:
    import h5py
    import scipy

    from harness import __version__

    return {
        "settings": settings,
        "config": asdict(config),
        "command": " ".join(sys.argv),
        "benchmark": benchmark.space.title,
        "dataset": benchmark.table.dataset,
        "split": config.split,
        "epochs": settings["epochs"],
        "reduction": config.reduction,
        "embedded": benchmark.embedded,
        "table_source": benchmark.table.source,
        "table_checksum": benchmark.table.checksum,
        "space_size": len(benchmark.space),
        "table_size": len(benchmark.table),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(),
        "versions": {
            "harness": __version__, "python": platform.python_version(), "torch": torch.__version__,
            "numpy": np.__version__, "scipy": scipy.__version__, "pandas": pd.__version__, "h5py": h5py.__version__,
        },
        "revision": revision(Path(__file__).parent),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "proxies": {
            proxy.name: {
                "summary": proxy.summary, "labels": proxy.labels, "cost": proxy.cost, "fitted": proxy.fitted,
                "paper": proxy.paper, "direction": "larger is better",
            }
            for proxy in proxies
        },
    }  # fmt: skip


def _processor() -> str:
    return f"CPU {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def _chunks(store: Store, names: list[str], representatives: list[int], seeds: int, stack: int):
    """Yield what is not done yet. The grid of chunks depends on the sample alone, so a resumed stack is the same stack."""
    order = list(dict.fromkeys(representatives))
    for seed in range(seeds):
        for start in range(0, len(order), stack):
            index = tuple(order[start : start + stack])
            if missing := store.missing(names, seed, np.array(index)):
                yield Chunk(seed, index, tuple(missing))


def _score(store: Store, chunks: list[Chunk], setting: Setting, workers: int, out: Path) -> None:
    """Run the chunks, committing every few seconds and whatever happens at the end."""
    waiting, last = [], time.monotonic()
    total = sum(len(chunk.index) for chunk in chunks)
    bar = tqdm(total=total, unit="network", desc=f"scoring into {out}", disable=not chunks, smoothing=0.05)
    parts = execute(chunks, setting, workers)
    try:
        for part in parts:
            waiting.append(part)
            bar.update(len(part.index))
            if time.monotonic() - last > COMMIT_SECONDS:
                ready, waiting = waiting, []
                for joined in join(ready):
                    store.commit(joined)
                last = time.monotonic()
    finally:
        bar.close()
        for joined in join(waiting):
            store.commit(joined)
        parts.close()


def _assemble(
    store: Store, benchmark: Benchmark, rows: np.ndarray, proxies: list[Proxy], kept: list[str], config: RunConfig, out: Path
) -> StoredRun:
    """Spread the scores of networks over the strings of the sample; static counts are each string's own."""
    space, indices = benchmark.space, benchmark.indices[rows]
    share = store.manifest["settings"]["share"]
    representatives = np.array(_representatives(benchmark, rows, share))
    first = np.zeros(len(rows), dtype=bool)
    first[np.unique(representatives, return_index=True)[1]] = True
    sizes = {key: value for key, value in store.manifest["settings"]["network"].items()}
    side = store.manifest["settings"]["resolution"] or 32
    official = space.sizes(resolution=side, **sizes)
    live = space.sizes(resolution=side, reachable_only=True, **sizes)
    scores, seconds, failures = {}, {}, []
    for proxy in proxies:
        if proxy.static:
            scores[proxy.name] = _static(proxy, space, indices, official, live, config.seeds)
            seconds[proxy.name] = np.where(first, 0.0, np.nan)[None].repeat(config.seeds, 0)
    for name in [*(proxy.name for proxy in proxies if not proxy.static), *kept]:
        if (name, 0) not in store.cells:
            continue
        cells = [store.of(name, seed) for seed in range(config.seeds)]
        scores[name] = np.stack([each.score[representatives] for each in cells])
        seconds[name] = np.stack([np.where(first, each.seconds[representatives], np.nan) for each in cells])
        failures += [
            (name, seed, space.archs[index], each.reasons.get(int(representative), "not finite"))
            for seed, each in enumerate(cells)
            for index, representative in zip(indices, representatives, strict=True)
            if not np.isfinite(each.score[representative])
        ]
    target = benchmark.table.target(config.split, config.epochs, config.reduction)
    return StoredRun(
        path=out, manifest=store.manifest, archs=tuple(space.archs[i] for i in indices), index=indices,
        accuracy=target[rows], seed_accuracy=benchmark.table.per_seed(config.split, config.epochs)[rows],
        class_id=space.class_id[indices], connected=space.connected[indices], params=official[0][indices],
        conv_count=space.conv_count[indices], scores=scores, seconds=seconds,
        failures=pd.DataFrame(failures, columns=["proxy", "seed", "arch", "reason"]), space_best=float(np.nanmax(target)),
    )  # fmt: skip


def _static(
    proxy: Proxy, space, indices: np.ndarray, official: np.ndarray, live: np.ndarray, seeds: int
) -> np.ndarray:
    """Return (seeds, archs) scores of a proxy that needs no network."""
    rows = []
    for seed in range(seeds):
        noise = torch.cat([torch.randn(1, generator=stream(seed, space.archs[i], "random"), dtype=torch.float64) for i in indices])
        counts = [torch.from_numpy(values[indices]) for values in (*official, live[0], live[1])]
        rows.append(proxy.score(Counts(*counts, noise)).numpy())
    return np.stack(rows)
