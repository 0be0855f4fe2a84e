"""What a run's store holds -> the scores of every string of its sample, earlier calls' proxies and counts included."""

from collections.abc import Callable

import numpy as np

from harness.proxies.registry import Proxy, registry
from harness.runs.assemble import Scores
from harness.runs.counts import static_scores
from harness.runs.plan import Plan
from harness.store.store import Store


def collect(plan: Plan, store: Store, say: Callable[[str], None]) -> Scores:
    """Return the counts and the scores of all proxies that are done on the whole sample; `say` names the others."""
    static = [*(proxy for proxy in plan.proxies if proxy.static), *_earlier_counts(plan, store)]
    counts = static_scores(
        static, plan.benchmark, plan.benchmark.indices[plan.rows], plan.seeds, plan.setting.network, plan.resolution
    )
    free = np.where(plan.first, 0.0, np.nan)[None].repeat(plan.seeds, 0)
    scored = _by_string(plan, store, [*plan.names, *_earlier_proxies(plan, store, say)])
    return Scores(counts | scored.scores, dict.fromkeys(counts, free) | scored.seconds, scored.failures)


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
