"""What each proxy costs on networks of NAS-Bench-201: as the harness reports it, and what it adds to a shared run.

The times published for one proxy at a time are those of AZ-NAS (Lee and Ham, "AZ-NAS: Assembling Zero-Cost Proxies for
Network Architecture Search", CVPR 2024, arXiv 2403.19232): ms per architecture of NAS-Bench-201 on their GPU. They are
cited, not measured here, and on another machine; the order of the proxies can be compared, not the speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from benchmarks.layers import allocate
from harness.bench.floor import network_of, sampled
from harness.bench.passes import Watch
from harness.engine import Scored, ViewInputs, by_view, score_stack
from harness.inputs import gaussian_minibatches
from harness.proxies import Proxy, choose, registry

PUBLISHED: dict[str, tuple[tuple[str, ...], float | None]] = {
    "zen": (("zen@naslib",), 19.9),
    "gradnorm": (("grad_norm",), 28.8),
    "naswot": (("naswot",), 36.9),
    "az": (("az_expressivity", "az_progressivity", "az_trainability"), 42.7),
    "synflow": (("synflow",), 53.4),
    "snip": (("snip",), 326.5),
    "zico": (("zico",), 372.8),
    "grasp": (("grasp",), 395.9),
    "te_nas": (("ntk_cond", "linear_regions@te_nas"), 1311.8),
    "gradsign": (("gradsign@az_nas",), 1823.9),
}
"""AZ-NAS's name -> the proxies here that are meant, and its ms per architecture, one at a time."""
SLOW_ON_A_CPU = ("te_nas", "gradsign")
OTHERS = ("plain", "fisher", "jacob_cov", "l2_norm", "epe_nas")
"""The rest of the classic ten, without published times."""


def rows_of(proxies: str | None, device: str) -> dict[str, tuple[tuple[str, ...], float | None]]:
    """Return {label: (proxies, published ms or None)}: those asked for, or all with published times and the classic."""
    if proxies is not None:
        known = {names[0]: ms for names, ms in PUBLISHED.values() if len(names) == 1}
        named = [proxy.name for proxy in choose(proxies) if not proxy.static]
        return {name: ((name,), known.get(name)) for name in named}
    skipped = SLOW_ON_A_CPU if device == "cpu" else ()
    return {
        **{label: row for label, row in PUBLISHED.items() if label not in skipped},
        **{name: ((name,), None) for name in OTHERS},
    }


def measure(
    proxies: str | None, *, archs: int, batch_size: int, device: str, stack: int, resolution: int,
    channels: int | None, cells: int | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each label: ms per architecture as reported, alone, added to the shared run, and published.

    As reported is what a run folder says, wall time "as if alone": the proxy's passes in the shared run, its formula
    and a network of its own; members of a row that share a view share them, otherwise they add up. Alone is a run of
    the row's proxies by themselves, added the shared run less one without them, both by the clock of the other tables.
    The last row holds the sums of the first two, and what the shared run takes.
    """
    rows = rows_of(proxies, device)
    space, chosen = sampled("201", -(-archs // stack) * stack)
    stacks = [tuple(chosen[start : start + stack]) for start in range(0, len(chosen), stack)]
    settings = network_of("201", space, channels, cells)
    asked = [registry()[name] for names, _ in rows.values() for name in names]
    shape = (settings["input_channels"], resolution, resolution)
    count = max(proxy.view.minibatches for proxy in asked)
    drawn = gaussian_minibatches(shape=shape, classes=10, batch_size=batch_size, count=count, seed=0)
    inputs = ViewInputs(drawn, 10, 0, device)
    watch = Watch(device)

    def score(indices: tuple[int, ...], some: Sequence[Proxy]) -> dict[str, Scored]:
        return score_stack(
            lambda: allocate(space.build(indices, **settings), device), [space.canonical(i) for i in indices], some,
            inputs, seed=0,
            feature_map=lambda network, x: network.features(x),  # type: ignore[operator]  # networks of spaces have both
            blocks=lambda network: network.blocks(),  # type: ignore[operator]
        )  # fmt: skip

    groups = list(by_view(asked).values())
    left_out = {
        _names(rest): rest for group in groups for names, _ in rows.values() if (rest := _without(group, names))
    }
    reported: dict[str, float] = dict.fromkeys((proxy.name for proxy in asked), 0.0)
    score(stacks[0], asked)  # warm up
    for indices in stacks:
        for group in groups:
            for name, scored in watch.time(f"{indices} {_names(group)}", partial(score, indices, group)).items():
                reported[name] += scored.seconds / len(stacks)
        for rest in left_out.values():
            watch.time(f"{indices} {_names(rest)}", partial(score, indices, rest))
        for label, (names, _) in rows.items():
            watch.time(f"{indices} {label}", partial(score, indices, [registry()[name] for name in names]))
    once = watch.medians(watch.clock)

    def seconds(name: str) -> float:
        return sum(once[f"{indices} {name}"] for indices in stacks) / len(chosen)

    def spent(some: Sequence[Proxy]) -> float:
        return seconds(_names(some)) if some else 0.0

    facts = {"stack": stack, "archs": len(chosen)}
    table: list[dict[str, Any]] = []
    for label, (names, published) in rows.items():
        mine = [group for group in groups if len(_without(group, names)) < len(group)]
        told = sum(max(reported[proxy.name] for proxy in group if proxy.name in names) for group in mine)
        added = sum(spent(group) - spent(_without(group, names)) for group in mine)
        table.append(facts | {"label": label, "proxies": names, "as_reported_ms": 1e3 * told,
                              "alone_ms": 1e3 * seconds(label), "added_ms": 1e3 * added,
                              "published_ms": published})  # fmt: skip
    sums = {name: sum(row[name] for row in table) for name in ("as_reported_ms", "alone_ms")}
    whole = 1e3 * sum(spent(group) for group in groups)
    return [*table, facts | sums | {"label": "all together", "proxies": (), "added_ms": whole, "published_ms": None}]


def _without(group: Sequence[Proxy], names: Sequence[str]) -> list[Proxy]:
    return [proxy for proxy in group if proxy.name not in names]


def _names(proxies: Sequence[Proxy]) -> str:
    return ",".join(proxy.name for proxy in proxies)
