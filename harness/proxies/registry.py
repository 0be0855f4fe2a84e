"""What a proxy is, which there are, and which of them a list of names means."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.errors import UserError, suggest
from harness.probe.view import DEFAULT, View
from harness.proxies.ensembles import ENSEMBLES

COSTS = {
    "S": "static: no pass over data",
    "F": "forward only",
    "FB": "one forward and one backward",
    "2FB": "two forwards and backwards",
    "HVP": "a Hessian-vector product",
    "PS": "per-sample gradients",
}


CORE = (
    "params", "flops", "layers", "random", "l2_norm", "plain", "grad_norm", "snip", "fisher", "synflow", "jacob_cov",
    "naswot", "epe_nas",
)  # fmt: skip
"""The default list: cheap, well known, one forward and two backwards for all that are not counts."""


BASELINES = ("params", "flops", "layers", "random")
"""Always in the table."""


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
    """A function of (model, inputs, targets) that is called for each architecture by itself."""
    source: str = ""
    """sha256 of the file of a user's own proxy."""
    keeps: tuple[str, ...] = ()
    """Fields of the view that are part of its definition though they are as usual: no protocol changes them."""

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.score.__doc__ or "").strip().split("\n")[0]


NO_PROXIES = ("__main__", "ensembles", "protocols", "registry")
"""Modules of this package that hold no proxies."""
_registry: dict[str, Proxy] = {}


def proxy(
    function: Callable | None = None,
    *,
    view: View = DEFAULT,
    reads: str | Iterable[str] = (),
    labels: bool | None = None,
    cost: str = "FB",
    paper: str = "",
    fitted: bool = False,
    static: bool = False,
    keeps: str | Iterable[str] = (),
    name: str | None = None,
) -> Callable:
    """Register a function of a probe as a proxy. Usable bare, `@proxy`, or with facts, `@proxy(reads="gradients")`.

    `labels` defaults to whether the view's objective is the loss and gradients are read. `keeps` names fields of the
    view that no protocol may change, though they are as usual. `name` is for variants such as `zen@naslib`, whose
    function cannot be called so. Raises UserError when the name is taken.
    """

    def register(score: Callable) -> Callable:
        wanted = (reads,) if isinstance(reads, str) else tuple(reads)
        uses = bool(set(wanted) - {"weights", "outputs", "features", "relu_agreement", "input_gradients"})
        entry = Proxy(
            name=name or score.__name__,
            score=score,
            view=view,
            reads=wanted,
            cost=cost,
            paper=paper,
            fitted=fitted,
            labels=(uses and view.objective == "loss") if labels is None else labels,
            static=static,
            keeps=(keeps,) if isinstance(keeps, str) else tuple(keeps),
        )
        _add(entry)
        return score

    return register(function) if function is not None else register


def module_proxy(function: Callable | None = None, *, labels: bool = True, paper: str = "") -> Callable:
    """Register research code as it is usually written: a function (model, inputs, targets) -> float.

    It is called for each architecture by itself, on an ordinary module of its own that it may change.
    """

    def register(score: Callable) -> Callable:
        @wraps(score)
        def on_probe(probe: Any) -> Any:
            import torch

            return torch.tensor([float(score(*each)) for each in probe.modules()], dtype=torch.float64)

        _add(Proxy(name=score.__name__, score=on_probe, view=DEFAULT, reads=("weights",), labels=labels, cost="FB",
                   paper=paper, fitted=False, static=False, on_module=True))  # fmt: skip
        return score

    return register(function) if function is not None else register


def _add(entry: Proxy) -> None:
    old = _registry.get(entry.name)
    again = old and not old.source and old.score.__module__ == entry.score.__module__  # a cell that is run again
    if old and (not again or old.score.__module__.startswith("harness.")):
        raise UserError(f"a proxy named '{entry.name}' exists already: give yours another name")
    _registry[entry.name] = entry


@cache
def _load_builtin() -> None:
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name not in NO_PROXIES:
            importlib.import_module(f"{__package__}.{module.name}")


def registry() -> dict[str, Proxy]:
    """Return every proxy by name, in the order they were registered."""
    _load_builtin()
    return dict(_registry)


def choose(text: str) -> list[Proxy]:
    """Return the proxies that a comma-separated list names: names, `core`, `all`, `FILE.py:NAME` of a user's own, or an
    ensemble, which stands for its members.

    The baselines come first whether named or not. UserError lists all unknown names at once.
    """
    known = registry()
    names: list[str] = list(BASELINES)
    unknown = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        if word == "core":
            names += CORE
        elif word == "all":
            names += [name for name, entry in known.items() if not entry.source]
        elif ".py:" in word:
            names.append(load_file(word))
        elif word in known:
            names.append(word)
        else:
            unknown.append(word)
    if unknown:
        names += [member for word in unknown if word in ENSEMBLES for member in ENSEMBLES[word].members]
        unknown = [word for word in unknown if word not in ENSEMBLES]
    if unknown:
        raise suggest(unknown, [*known, *ENSEMBLES, "core", "all", "FILE.py:NAME"], "proxy")
    known = registry()
    return [known[name] for name in dict.fromkeys(names)]


def load_file(word: str) -> str:
    """Register the proxy NAME of a user's own file, `FILE.py:NAME`; return its name."""
    import hashlib
    from dataclasses import replace

    file, _, name = word.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise UserError(
            f"no file '{file}' for the proxy '{word}': expected FILE.py:NAME, a file with a decorated function"
        )
    source = hashlib.sha256(path.read_bytes()).hexdigest()
    if name in _registry and _registry[name].source == source:
        return name
    held = registry()
    home = f"harness_own_{path.stem}"  # no name that an installed module may have
    for other in [each for each, entry in held.items() if entry.source and entry.score.__module__ == home]:
        del _registry[other]  # the same file, read for another of its proxies or before it was edited
    module = sys.modules[home] = ModuleType(home)  # dataclasses look their module up
    module.__file__ = str(path)
    try:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)  # the user's own code, named by the user
        added = {each: entry for each, entry in _registry.items() if entry is not held.get(each)}
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"'{file}' could not be run: {type(error).__name__}: {error}") from error
    finally:
        _registry.clear()
        _registry.update(held)
    if name not in added:
        raise UserError(
            f"'{file}' registers no proxy named '{name}' (it registers: {', '.join(sorted(added)) or 'none'});"
            " decorate the function with @harness.proxy or @harness.module_proxy"
        )
    _registry[name] = replace(added[name], source=source)
    return name
