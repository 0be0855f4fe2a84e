"""One run from its settings to the stored scores: plan -> chunks of architectures -> store."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import UserError
from benchmarks.errors import quiet, say
from benchmarks.options import as_toml
from harness.engine import ray_cluster
from harness.engine.devices import described
from harness.engine.scorer import Chunk, execute, join, score_counts
from harness.probe.precision import arithmetic
from harness.proxies.own import tracebacks
from harness.proxies.protocols import PROTOCOLS
from harness.proxies.registry import Proxy, registry
from harness.runs.assemble import (
    Scores,
    assemble,
    counts_by_seed,
    embedded_note,
    provenance,
    static_scores,
    with_targets,
)
from harness.runs.config import RunConfig
from harness.runs.plan import Plan, plan_run
from harness.store.parts import Part
from harness.store.store import Store
from harness.store.stored_run import StoredRun, load_run

COMMIT_SECONDS = 5.0
"""Scores are committed to disk at least this often (and at every interrupt)."""
ESTIMATE_AFTER, LONG = 3.0, 60.0
"""Seconds of scoring after which the rest is estimated; seconds of it that are worth a line."""


@arithmetic("float32")
def run(config: RunConfig, *, say: Callable[[str], None] = say, dry_run: bool = False) -> StoredRun:
    """Score what the settings request, continuing what the folder holds; return the finished run.

    The folder keeps the proxies of earlier calls; the run that is returned has those that were requested, unless
    `config.all_stored`. dry_run: users' own proxies are tried on one network first; one that fails ends the run.

    `say` gets a line for each step: what is done and where results go. Raises UserError for input that cannot be used,
    and KeyboardInterrupt with everything scored committed.
    """
    cluster: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
    if config.executor == "ray":
        cluster = ray_cluster.connected()
    with cluster as ray:
        return carry_out(plan_run(config, say, ray), say, dry_run=dry_run)


def carry_out(
    plan: Plan, say: Callable[[str], None], adopt: Sequence[Path] = (), facts: dict[str, Any] | None = None,
    dry_run: bool = False,
) -> StoredRun:  # fmt: skip
    """Score what a plan lacks and store it; return the run.

    With folders to adopt, their scores are taken over, and it is a UserError where they are not all; `facts` of them
    go into the manifest.
    """
    config, manifest = plan.config, _manifest(plan, facts or {})
    with Store(plan.out, manifest, len(plan.benchmark.space), existing=config.existing) as store:
        if dry_run:
            _try_own(plan, store)
        store.write_text("config.toml", as_toml("run", config.as_json() | {"out": None}))
        for folder in adopt:
            store.adopt(folder)
        if adopt:
            _check_complete(plan, store)
        _score(plan, store, say)
        scores = collect(plan, store, say)
        found = assemble(
            plan.benchmark, plan.rows, plan.target, scores, store.manifest, plan.out, plan.setting.network,
            plan.resolution,
        )  # fmt: skip
        store.merge(with_targets(found, *plan.further))
    whole = load_run(plan.out)
    return whole if config.all_stored else whole.of([proxy.name for proxy in plan.proxies])


def _check_complete(plan: Plan, store: Store) -> None:
    """Raise UserError where scores of the plan are not in the store."""
    all_of_them = len(plan.names) * plan.seeds * len(set(plan.networks.tolist()))
    if lacking := all_of_them - store.count(plan.names, plan.seeds, plan.networks):
        raise UserError(
            f"{lacking:,} of {all_of_them:,} scores are in none of the folders: repeat the commands that did not"
            " finish, with their --shard, then merge again"
        )


def _manifest(plan: Plan, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a run before it is scored. UserError where its minibatch cannot be drawn."""
    plan.scorer.inputs_of(0)
    protocol = PROTOCOLS[plan.config.protocol]
    return {
        **provenance(plan.benchmark, plan.target, plan.scorer.proxies.values(), plan.rows),
        "settings": plan.settings, "config": plan.config.as_json(),
        "protocol": protocol.sentence(plan.setting.batch_size),
        "device": facts.get("device") or _described(plan), "minibatch": plan.scorer.description, "seconds": 0.0,
        **({"input_note": plan.note} if plan.note else {}),
    } | facts  # fmt: skip


def _described(plan: Plan) -> str:
    """Return what computes, for a reader."""
    return described(plan.devices) if plan.ray is None else ray_cluster.described(plan.ray)


def _score(plan: Plan, store: Store, say: Callable[[str], None]) -> None:
    """Score what the store lacks, and add the seconds that it took to the manifest, whatever happens."""
    if plan.benchmark.embedded:
        say(embedded_note(plan.benchmark))
    stacks = plan.scorer.stacks(plan.stack).items()
    chunks = [each for stack, names in stacks for each in _chunks(store, names, plan.networks, plan.seeds, stack)]
    networks = len(set(plan.networks.tolist()))
    say(
        f"{plan.benchmark.space.title}, {plan.target.dataset}: {len(plan.rows):,} architectures ({networks:,} networks)"
        f" x {len(plan.proxies)} proxies x {plan.seeds} seed{'s' * (plan.seeds > 1)} -> {plan.out}"
    )
    if chunks and (before := store.count(plan.names, plan.seeds, plan.networks)):
        say(f"{before:,} of {len(plan.names) * plan.seeds * networks:,} scores are there already")
    if plan.ray is None:
        parts = execute(chunks, plan.scorer, plan.workers)
    else:
        parts = ray_cluster.execute_on(plan.ray, chunks, plan.setting, plan.config.gpu_share)
    started = time.monotonic()
    try:
        _commit_all(store, parts, sum(len(chunk.index) for chunk in chunks), plan.out, say)
    finally:
        store.manifest["seconds"] += time.monotonic() - started
        with contextlib.suppress(UserError):
            store.write_manifest()


def _try_own(plan: Plan, store: Store) -> None:
    """Score one network with each of the user's own proxies that has no scores yet; nothing of it is kept.

    Raises UserError for those that fail, after printing their tracebacks.
    """
    tested = {name for name, seed in store.cells if store.of(name, seed).done.any()}
    names = [proxy.name for proxy in plan.proxies if proxy.own and not proxy.static and proxy.name not in tested]
    sizes = plan.benchmark.space.conv_count[plan.networks]
    network = int(plan.networks[int(np.argsort(sizes, kind="stable")[len(sizes) // 2])])  # of middle size
    with tracebacks():
        parts = list(execute([Chunk(0, (network,), (name,)) for name in names], plan.scorer, plan.workers[:1]))
    wrong = [(part.proxies[0], part.reasons[0].get(0, "")) for part in parts if not np.isfinite(part.scores).any()]
    if wrong:
        said = "; ".join(f"{name}: {reason}" for name, reason in wrong)
        raise UserError(f"tried on one network, {plan.benchmark.space.archs[network]}, before the run: {said}")


def _chunks(store: Store, names: Sequence[str], networks: np.ndarray, seeds: int, stack: int) -> Iterator[Chunk]:
    """Yield what is not done yet. The grid of chunks depends on the order of the sample alone, and a chunk is committed
    whole, so a stack that is scored after an interrupt is the stack it would have been."""
    order = list(dict.fromkeys(networks.tolist()))
    for seed in range(seeds):
        for start in range(0, len(order), stack):
            for index, missing in store.missing(names, seed, tuple(order[start : start + stack])).items():
                yield Chunk(seed, index, missing)


def _commit_all(
    store: Store, parts: Generator[Part, None, None], total: int, out: Path, say: Callable[[str], None]
) -> None:
    """Take parts as they come, committing every few seconds and whatever happens at the end."""
    waiting: list[Part] = []

    def commit() -> None:
        for joined in join(waiting):
            store.commit(joined)
        waiting.clear()

    bar = tqdm(total=total, unit="network", desc=f"scoring into {out}", disable=quiet() or not total, smoothing=0.05)
    start = last = time.monotonic()
    done, told = 0, False
    try:
        for part in parts:
            waiting.append(part)
            done += len(part.index)
            bar.update(len(part.index))
            if not told and (spent := time.monotonic() - start) > ESTIMATE_AFTER:
                told = True
                if (left := spent * (total / done - 1)) > LONG:
                    say(f"about {left / 60:.0f} min to go, from the first {done:,} of {total:,} networks")
            if time.monotonic() - last > COMMIT_SECONDS:
                commit()
                last = time.monotonic()
    finally:
        bar.close()
        try:
            commit()
        finally:
            parts.close()


def collect(plan: Plan, store: Store, say: Callable[[str], None]) -> Scores:
    """Return the counts and the scores of all proxies that are done on the whole sample; `say` names the others."""
    static = [*(proxy for proxy in plan.proxies if proxy.static), *_earlier_counts(plan, store)]
    facts = (plan.benchmark, plan.benchmark.indices[plan.rows], plan.seeds, plan.setting.network, plan.resolution)
    counts = static_scores([proxy for proxy in static if not proxy.own], *facts)
    own, failures = _own_counts(plan, [proxy for proxy in static if proxy.own], facts)
    counts |= own
    free = np.where(plan.first, 0.0, np.nan)[None].repeat(plan.seeds, 0)
    scored = _by_string(plan, store, [*plan.names, *_earlier_proxies(plan, store, say)])
    return Scores(counts | scored.scores, dict.fromkeys(counts, free) | scored.seconds, failures + scored.failures)


def _own_counts(
    plan: Plan, proxies: list[Proxy], facts: tuple
) -> tuple[dict[str, np.ndarray], list[tuple[str, int, str, str]]]:
    """Return the scores of users' own static proxies, and their failures."""
    scores: dict[str, list[np.ndarray]] = {proxy.name: [] for proxy in proxies}
    failures = []
    for seed, counts in enumerate(counts_by_seed(*facts) if proxies else ()):
        for name, (values, reason) in score_counts(proxies, counts, plan.setting.proxy_timeout).items():
            scores[name].append(values)
            why = reason or "the formula is not finite"
            archs = (plan.benchmark.space.archs[facts[1][at]] for at in np.flatnonzero(~np.isfinite(values)))
            failures += [(name, seed, arch, why) for arch in archs]
    return {name: np.stack(values) for name, values in scores.items()}, failures


def _earlier_counts(plan: Plan, store: Store) -> list[Proxy]:
    """Return the counts that earlier calls on this folder requested and this one did not."""
    known, named = registry(), {proxy.name for proxy in plan.proxies}
    return [known[n] for n in store.manifest["proxies"] if n not in named and n in known and known[n].static]


def _earlier_proxies(plan: Plan, store: Store, say: Callable[[str], None]) -> list[str]:
    """Return the proxies of earlier calls that are scored on all of this sample; say which are not."""
    others = sorted({name for name, _ in store.cells} - set(plan.names))
    whole = [name for name in others if store.complete(name, plan.seeds, plan.networks)]
    if rest := [name for name in others if name not in whole]:
        say(
            f"kept, but not shown as not scored on all of this sample: {', '.join(rest)}"
            " (name them in --proxies to go on)"
        )
    return whole


def _by_string(plan: Plan, store: Store, names: list[str]) -> Scores:
    """Give every string of the sample the scores of its network."""
    archs = [plan.benchmark.space.archs[i] for i in plan.benchmark.indices[plan.rows]]
    found = Scores({}, {}, [])
    for name in names:
        cells = [store.of(name, seed) for seed in range(plan.seeds)]
        found.scores[name] = np.stack([each.score[plan.networks] for each in cells])
        found.seconds[name] = np.stack([np.where(plan.first, each.seconds[plan.networks], np.nan) for each in cells])
        for seed, position in np.argwhere(~np.isfinite(found.scores[name])):
            reason = cells[seed].reasons.get(int(plan.networks[position]), "not finite")
            found.failures.append((name, int(seed), archs[position], reason))
    return found
