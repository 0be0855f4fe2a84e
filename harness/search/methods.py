"""The search methods that can be compared, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from harness.search import evolution, hnas, local, random_pool
from harness.search.task import Trace


@dataclass(frozen=True)
class Method:
    """A search method and what it needs."""

    name: str
    run: Callable[..., Trace]
    """(task, draws, *, queries, and settings of its own with defaults)"""
    guides: str
    """Proxies it works with: "none"; "one": it is run with each by itself; "all": with all together; "metric": with
    each of `--metric`, and with the condition number beside it."""
    paper: str
    walks: bool = False
    """Whether it goes from neighbour to neighbour."""
    slow: bool = False
    """Whether it is left out of "all": its runs do not advance as arrays."""

    @property
    def settings(self) -> dict[str, int | float | str]:
        """Its own settings and their defaults."""
        parameters = inspect.signature(self.run).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


ZERO_COST_NAS = "Abdelfattah et al. 2021, arXiv 2101.08134"
METHODS = {
    each.name: each
    for each in (
        Method("random", random_pool.random, "none", ""),
        Method("local", local.local, "none", "White et al. 2020, arXiv 2005.02960", walks=True),
        Method("evolution", evolution.evolution, "none", "Real et al. 2019, arXiv 1802.01548", walks=True),
        Method("guided-random", random_pool.guided_random, "one", "Mellor et al. 2021, arXiv 2006.04647"),
        Method("warmup-evolution", evolution.warmup_evolution, "one", ZERO_COST_NAS, walks=True),
        Method("guided-evolution", evolution.guided_evolution, "one", ZERO_COST_NAS, walks=True),
        Method("successive", random_pool.successive, "all", ""),
        Method("vote", random_pool.vote, "all", ZERO_COST_NAS),
        Method("hnas", hnas.hnas, "metric", "Shu et al. 2022, arXiv 2201.09785", slow=True),
    )
}
OPTIONS = {
    "population": "architectures alive at a time in evolution",
    "tournament": "of them compared to find a parent (the paper's sample size)",
    "pool": "candidates that a proxy scores before the first query",
    "proposals": "mutations among which a proxy chooses in guided-evolution",
    "keep": "share that goes on to the next proxy in successive",
    "scale": "of the target t = t' scale in hnas; the size of the metric",
    "fresh": "architectures drawn into the pool of hnas before each query",
    "acquisition": "what hnas maximises to choose its next hyper-parameters: ei or ucb",
}
"""Settings of methods, as options of the command line, and what they mean."""
