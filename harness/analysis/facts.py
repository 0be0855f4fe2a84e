"""What a run's manifest says of its proxies, and which of them are baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.store.stored_run import StoredRun

COUNTS = ("params", "flops", "layers", "params_reachable", "flops_reachable")
"""Among these the automatic choice takes the best, the first of equal ones, as what other proxies are compared with."""
BASELINES = (*COUNTS, "random")
"""The baselines of a run whose manifest does not mark them."""


def facts_of(run: StoredRun, proxy: str) -> dict[str, Any]:
    """Return what the manifest says of a proxy; empty where it says nothing."""
    facts = (run.manifest.get("proxies") or {}).get(proxy)
    return facts if isinstance(facts, dict) else {}


def baselines(run: StoredRun) -> tuple[str, ...]:
    """Return the proxies of a run that are baselines (counts and chance), in the run's order."""
    return tuple(name for name in run.scores if facts_of(run, name).get("baseline", name in BASELINES))


def candidates(run: StoredRun) -> list[str]:
    """Return the baselines among which the automatic choice takes the best, the preferred first."""
    known = baselines(run)
    return [name for name in COUNTS if name in known]
