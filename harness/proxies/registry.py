"""What a proxy is, and which there are: a function with the decorator `proxy` in a module of this package is one."""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from harness.probe.view import DEFAULT, View

COSTS = {
    "S": "static: no pass over data",
    "F": "forward only",
    "FB": "one forward and one backward",
    "2FB": "two forwards and backwards",
    "HVP": "a Hessian-vector product",
    "PS": "per-sample gradients",
}
CORE = (
    "params", "flops", "layers", "params_reachable", "flops_reachable", "random", "l2_norm", "plain", "grad_norm",
    "snip", "fisher", "synflow", "jacob_cov", "naswot", "epe_nas",
)  # fmt: skip
"""The default list: cheap, well known, one forward and two backwards for all that are not counts. Its baselines, every
count among them, are in every table: what a proxy is compared with is the best of all counts."""


@dataclass(frozen=True)
class Proxy:
    """One zero-cost proxy and what a reader must know of it."""

    name: str
    """Registry key, label and command-line word."""
    score: Callable[[Any], Any]
    """Probe (or Counts, if static) -> (archs,), larger is better."""
    view: View
    """How it looks at a network; proxies with equal views share passes."""
    reads: tuple[str, ...]
    """What it reads from the probe (harness.probe.passes.READS)."""
    labels: bool
    """Whether it uses the labels of the minibatch."""
    cost: str
    """A key of COSTS."""
    paper: str
    """Authors, year, arXiv."""
    fitted: bool
    """Whether constants in it were tuned on accuracies of a benchmark."""
    static: bool
    """Computed from counts of the architecture string, without a network."""
    on_module: bool = False
    """A model-level proxy: a function of (model, inputs, targets), called separately for each architecture."""
    baseline: bool = False
    """Whether it is a count or chance, what every other proxy is compared with."""
    source: str = ""
    """sha256 of the file of a user's own proxy."""
    path: str = ""
    """That file."""
    code: str = ""
    """Checksum of what it consists of in that file."""
    function: str = ""
    """Name of its function, where that is not its own."""
    keeps: tuple[str, ...] = ()
    """Fields of the view that are part of its definition though they have default values: no protocol changes them."""

    @property
    def own(self) -> bool:
        """Whether it is a user's."""
        return bool(self.source) or not (self.score.__module__ or "").startswith("harness.")

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.score.__doc__ or "").strip().split("\n")[0]


_registry: dict[str, Proxy] = {}


def proxy(
    function: Callable | None = None, *, view: View = DEFAULT, reads: str | Iterable[str] = (),
    labels: bool | None = None, cost: str = "FB", paper: str = "", fitted: bool = False, static: bool = False,
    baseline: bool = False, keeps: str | Iterable[str] = (), name: str | None = None,
) -> Callable:  # fmt: skip
    """Register a function of a probe as a proxy. Usable bare, `@proxy`, or with facts, `@proxy(reads="gradients")`.

    `labels` defaults to whether the view's objective is the loss and gradients are read. `keeps` names fields of the
    view that no protocol may change, though they have default values. `name` is for variants such as `zen@naslib`,
    whose function cannot be called so. Raises UserError when the name is taken.
    """

    def register(score: Callable) -> Callable:
        wanted = (reads,) if isinstance(reads, str) else tuple(reads)
        uses = bool(set(wanted) - {"weights", "outputs", "features", "relu_agreement", "input_gradients"})
        _add(Proxy(
            name=name or score.__name__, function=score.__name__, score=score, view=view, reads=wanted,
            cost=cost, paper=paper, fitted=fitted,
            labels=(uses and view.objective == "loss") if labels is None else labels, static=static, baseline=baseline,
            keeps=(keeps,) if isinstance(keeps, str) else tuple(keeps),
        ))  # fmt: skip
        return score

    return register(function) if function is not None else register


def module_proxy(
    function: Callable | None = None, *, labels: bool = True, paper: str = "", name: str | None = None
) -> Callable:
    """Register a model-level proxy: a function (model, inputs, targets) -> float.

    It is called separately for each architecture, with an ordinary module that it may change. `name` is what it is
    called in tables, by default as the function.
    """

    def register(score: Callable) -> Callable:
        @wraps(score)
        def on_probe(probe: Any) -> Any:
            import torch

            return torch.tensor([float(score(*each)) for each in probe.modules()], dtype=torch.float64)

        _add(Proxy(name=name or score.__name__, function=score.__name__, score=on_probe, view=DEFAULT,
                   reads=("weights",), labels=labels, cost="FB",
                   paper=paper, fitted=False, static=False, on_module=True))  # fmt: skip
        return score

    return register(function) if function is not None else register


def _add(entry: Proxy) -> None:
    old = _registry.get(entry.name)
    again = old and old.score.__module__ == entry.score.__module__  # a cell that is run again
    if old and (not again or old.score.__module__.startswith("harness.")):
        raise UserError(f"a proxy named '{entry.name}' exists already: give yours another name")
    _registry[entry.name] = entry


@cache
def _load_builtin() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name != "__main__":
            importlib.import_module(f"{__package__}.{module.name}")


def registry() -> dict[str, Proxy]:
    """Return every proxy by name, in the order they were registered."""
    _load_builtin()
    return dict(_registry)


def baselines() -> tuple[str, ...]:
    """Return the names of the baselines in every table."""
    known = registry()
    return tuple(name for name in CORE if known[name].baseline)


@contextmanager
def collecting() -> Iterator[dict[str, Proxy]]:
    """Give a dictionary that holds, after the block, the proxies that were registered inside; they do not stay."""
    before = registry()
    added: dict[str, Proxy] = {}
    try:
        yield added
    finally:
        added |= {name: entry for name, entry in _registry.items() if entry is not before.get(name)}
        _registry.clear()
        _registry.update(before)
