"""How far can a zero-cost proxy be trusted? Scores untrained networks and compares with tabular ground truth.

harness.score(model, inputs, targets, proxies="core")    any nn.Module -> {name: score}
harness.correlate(bench="201", ...)                       what `nas-harness run` does -> tables, figures
harness.compare("mine.py", "synflow", bench="all")        proxies head to head
harness.load(folder)                                      a stored run -> the same as correlate
harness.judge(frame, bench="201", ...)                    scores computed elsewhere -> the same as correlate
harness.scores("201", "cifar10")                          scores computed earlier and kept -> DataFrame
@harness.proxy, @harness.module_proxy                     add one's own
"""

import random
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.store.version import VERSION

_HOMES = {
    "score": "harness.api", "correlate": "harness.api", "judge": "harness.api", "load": "harness.api",
    "compare": "harness.api",
    "scores": "harness.cached.kept",
    "proxy": "harness.proxies.registry", "module_proxy": "harness.proxies.registry",
}  # fmt: skip


def _check_neighbour() -> None:
    """Raise ImportError, in one line, where another package `benchmarks` hides the one that belongs to this."""
    home = Path(__file__).resolve().parents[1] / "benchmarks"
    spec = find_spec("benchmarks")
    places = [Path(place).resolve() for place in (spec.submodule_search_locations or [])] if spec else []
    if home not in places:
        found = spec.origin or ", ".join(map(str, places)) if spec else "nothing"
        raise ImportError(
            f"harness needs its own package `benchmarks` ({home}), but this Python finds {found} first: use the command"
            " nas-harness, which looks there last, or start from another folder",
            name=__name__,
        )


_check_neighbour()

if TYPE_CHECKING:
    from harness.api import compare, correlate, judge, load, score
    from harness.cached.kept import scores
    from harness.proxies.registry import module_proxy, proxy

__version__ = VERSION
__all__ = ["compare", "correlate", "judge", "load", "module_proxy", "proxy", "score", "scores"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import harness` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    before = random.getstate()
    value = getattr(import_module(_HOMES[name]), name)
    random.setstate(before)  # rich draws a number when it is imported
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return what there is for users."""
    return [*__all__, "__version__"]
