"""Scores that somebody submits, and re-scores of some of their architectures by the proxy that came with them.

Which architectures and which seeds is drawn from the system's randomness when it happens, so nobody knows them before:
half are those with the highest submitted scores, which decide what is picked, the others uniform. The file of the proxy
is run as `harness.run` runs it, in a process of its own; it is code, to be read before it is run.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import benchmarks
from benchmarks.errors import UserError
from harness.engine.scorer import Chunk, execute
from harness.proxies.registry import Proxy, registry
from harness.runs.assemble import static_scores, usual_network
from harness.runs.config import RunConfig
from harness.runs.evaluate_scores import judged
from harness.runs.kept_runs import COUNTS
from harness.runs.plan import Plan, plan_run
from harness.store.stored_run import StoredRun

LEAST = 50
"""Architectures that have to be submitted."""


@dataclass(frozen=True)
class Rescored:
    """Submitted scores and re-scores of a hidden sample."""

    run: StoredRun
    """The submitted scores with the accuracies, as runs of kept scores are."""
    proxy: Proxy
    given: np.ndarray
    """(archs,) submitted scores of the hidden sample"""
    again: np.ndarray
    """(seeds, archs) re-scores, NaN where they failed"""
    seeds: tuple[int, ...]
    minibatch: str
    """What the networks saw."""


def rescore(
    scores: str, config: RunConfig, *, archs: int, seeds: int, say: Callable[[str], None] = lambda line: None
) -> Rescored:
    """Re-score a hidden sample of a CSV's architectures by the one proxy that `config` names, as it says.

    UserError for a CSV without a column of the proxy's name, of too few architectures, and for no or several proxies.
    """
    proxy = _proxy_of(config)
    if proxy.name in registry():
        raise UserError(f"a built-in proxy is called '{proxy.name}': give yours another name")
    benchmark = benchmarks.load(config.bench, config.dataset, config.data)
    run = judged(scores, benchmark, scores, split=config.split, counts=COUNTS)
    if proxy.name not in run.scores:
        columns = ", ".join(sorted(set(run.scores) - {*registry()})) or "none of a proxy"
        raise UserError(f"{scores}: no column '{proxy.name}', the name of the proxy; columns: {columns}")
    if len(run.archs) < LEAST:
        raise UserError(f"{scores}: {len(run.archs)} architectures; expected {LEAST} or more")
    plan = plan_run(replace(config, sample="10", stack="1"), say)
    places = hidden_sample(run.scores[proxy.name].mean(axis=0), archs)
    drawn = tuple(secrets.randbelow(2**31) for _ in range(seeds))
    say(f"re-scoring {len(places)} hidden architectures by {proxy.name} under {seeds} hidden seeds")
    again, seconds = _scored(plan, proxy, run.index[places], drawn)
    if not np.isfinite(again).any():
        raise UserError(f"{config.proxies}: no re-score is finite, so there is nothing to compare with")
    whole = run.of([name for name in run.scores if name in registry() or name == proxy.name])
    facts = {
        "family": benchmark.space.view_of or config.bench, "kept": "submitted", "protocol": config.protocol,
        "cost": {proxy.name: float(np.nanmean(seconds))} if np.isfinite(seconds).any() else {},
        "batch_size": plan.setting.batch_size, "scored": {"revision": run.manifest["revision"]},
        "proxies": run.manifest["proxies"] | {proxy.name: {"summary": proxy.summary, "fitted": proxy.fitted}},
    }  # fmt: skip
    given = run.scores[proxy.name].mean(axis=0)[places]
    return Rescored(
        replace(whole, manifest=whole.manifest | facts), proxy, given, again, drawn, plan.scorer.description
    )


def _proxy_of(config: RunConfig) -> Proxy:
    own = [proxy for proxy in config.chosen if not proxy.baseline]
    if len(own) != 1:
        raise UserError(f"--proxies {config.proxies}: {len(own)} proxies; expected one, such as FILE.py:NAME")
    return own[0]


def hidden_sample(given: np.ndarray, archs: int) -> np.ndarray:
    """Return places of `archs` architectures at most: half with the highest finite scores, the others at random."""
    generator = np.random.default_rng(secrets.randbits(128))
    known = np.flatnonzero(np.isfinite(given))
    top = known[np.argsort(-given[known], kind="stable")][: archs // 2]
    rest = np.setdiff1d(np.arange(len(given)), top)
    return np.r_[top, generator.choice(rest, min(len(rest), archs - len(top)), replace=False)]


def _scored(plan: Plan, proxy: Proxy, index: np.ndarray, seeds: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and seconds of architectures by index in the space, (seeds, archs) each."""
    found = np.full((2, len(seeds), len(index)), np.nan)
    if proxy.static:
        benchmark = plan.benchmark
        sizes = usual_network(benchmark), benchmark.resolution or 32
        found[0] = static_scores([proxy], benchmark, index, len(seeds), *sizes)[proxy.name]
        return found[0], found[1]
    networks = plan.benchmark.space.class_id[index] if plan.setting.share else index
    chunks = [Chunk(seed, (int(network),), (proxy.name,)) for seed in seeds for network in np.unique(networks)]
    for part in execute(chunks, plan.scorer, plan.workers):
        at = seeds.index(part.seed), np.isin(networks, part.index)
        found[0][at], found[1][at] = part.scores[0, 0], part.seconds[0, 0]
    return found[0], found[1]
