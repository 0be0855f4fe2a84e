"""How far can a zero-cost proxy be trusted? Scores untrained networks and compares with tabular ground truth.

harness.score(model, inputs, targets, proxies="core")    any nn.Module -> {name: score}
harness.correlate(bench="201", ...)                       what the command line does -> DataFrames
harness.judge(frame, bench="201", ...)                    scores computed elsewhere -> the same
harness.scores("201", "cifar10")                          scores computed earlier and kept -> DataFrame
@harness.proxy, @harness.module_proxy                     add one's own
"""

from typing import Any

from harness.store.version import VERSION

__version__ = VERSION
__all__ = ["correlate", "judge", "module_proxy", "proxy", "score", "scores"]

_HOMES = {
    "score": "harness.api", "correlate": "harness.api", "judge": "harness.api",
    "scores": "harness.cached.kept",
    "proxy": "harness.proxies.registry", "module_proxy": "harness.proxies.registry",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import on first use, so that `import harness` stays fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
