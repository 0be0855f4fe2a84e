"""The search methods, by name. A new one is a function in a file of this package and a line in `METHODS`.

A method's settings are its keyword arguments with defaults, their meanings the `Annotated` texts of their types. Each
is an option of the command line.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import get_type_hints

from harness.search.evolution import evolution, guided_evolution, warmup_evolution
from harness.search.hnas import KAPPA, METRICS, hnas
from harness.search.local import local
from harness.search.random_pool import guided_random, random, successive, vote
from harness.search.task import Trace


@dataclass(frozen=True)
class Setting:
    """A setting of a method."""

    default: int | float | str
    meaning: str


@dataclass(frozen=True)
class Method:
    """A search method and what it needs."""

    name: str
    run: Callable[..., Trace]
    """(task, draws, *, queries, and settings with defaults)"""
    guides: str
    """"none"; "one": a search with each proxy; "all": one search with all; "metric": with each of `--metric`."""
    paper: str = ""
    walks: bool = False
    """Whether it goes from neighbour to neighbour."""
    slow: bool = False
    """Whether "all" leaves it out: its runs do not advance as arrays."""
    metrics: tuple[str, ...] = ()
    """Valid values of `--metric`, the default first."""
    companions: tuple[str, ...] = ()
    """Proxies whose scores it takes in addition to the metric."""

    @property
    def meaning(self) -> str:
        """What it does, in one sentence."""
        return (self.run.__doc__ or "").partition("\n")[0].rstrip(".")

    @cached_property
    def settings(self) -> dict[str, Setting]:
        """Its settings by name."""
        hints = get_type_hints(self.run, include_extras=True)
        return {
            each.name: Setting(each.default, hints[each.name].__metadata__[0])
            for each in inspect.signature(self.run).parameters.values()
            if each.default is not inspect.Parameter.empty
        }

    @property
    def defaults(self) -> dict[str, int | float | str]:
        """Its settings' defaults by name."""
        return {name: setting.default for name, setting in self.settings.items()}


ZERO_COST_NAS = "Abdelfattah et al. 2021, arXiv 2101.08134"
METHODS = {
    each.name: each
    for each in (
        Method("random", random, "none"),
        Method("local", local, "none", "White et al. 2020, arXiv 2005.02960", walks=True),
        Method("evolution", evolution, "none", "Real et al. 2019, arXiv 1802.01548", walks=True),
        Method("guided-random", guided_random, "one", "Mellor et al. 2021, arXiv 2006.04647"),
        Method("warmup-evolution", warmup_evolution, "one", ZERO_COST_NAS, walks=True),
        Method("guided-evolution", guided_evolution, "one", ZERO_COST_NAS, walks=True),
        Method("successive", successive, "all"),
        Method("vote", vote, "all", ZERO_COST_NAS),
        Method(
            "hnas", hnas, "metric", "Shu et al. 2022, arXiv 2201.09785", slow=True, metrics=METRICS,
            companions=(KAPPA,),
        ),
    )
}  # fmt: skip
FAST = [name for name, method in METHODS.items() if not method.slow]
OPTIONS = {name: setting for method in METHODS.values() for name, setting in method.settings.items()}
"""Settings of all methods, by name."""
