"""`python -m speed.cost`: the time of all proxies together, compared with the bare passes that they need.

For each full-size NAS-Bench-201 network and each view: `harness.engine.scoring.score_stack` with all proxies of the
view, and the distinct passes of that view in plain PyTorch, without hooks (forward, loss backward, Jacobian backward,
Hessian product, forwards for other minibatches and repeats). Passes that exist here only (per-sample Gram matrices,
gradients of single entries, pullbacks through blocks) count with their measured time. One process, by turns; inputs
are Gaussian noise.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.engine.processes import one_thread
from harness.engine.scoring import ViewInputs, as_seen, by_view, of_space, score_stack
from harness.inputs.draw import gaussian_minibatches
from harness.probe.initialise import initialise, stream
from harness.probe.layer_rules import layers_of
from harness.probe.view import View
from harness.proxies.choose import choose
from harness.proxies.registry import Proxy
from speed.command import CommandLine, write_json
from speed.environment import machine
from speed.networks import connected


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("cost", __doc__)
    line.add_argument("--proxies", default="all", help="as for harness.run (default all)")
    line.count("--archs", "connected architectures", 3)
    line.count("--batch-size", "samples in the minibatch", 64)
    line.count("--channels", "channels of the first stage", 16)
    line.count("--cells", "cells in a stage", 5)
    line.out("results/cost.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> None:
    with one_thread():
        measured = measure(given.proxies, given.archs, given.batch_size, given.channels, given.cells)
    print(report(measured, given.archs))
    facts = {"archs": given.archs, "batch_size": given.batch_size, "machine": machine(1)}
    write_json(given.out, facts | {"views": measured})
    print(f"written: {given.out}")


def measure(proxies: str, archs: int, batch_size: int, channels: int, cells: int) -> list[dict[str, Any]]:
    """Return for each view: its proxies, seconds of all together and of its bare passes, seconds by proxy and pass."""
    space = Space201()
    chosen = connected(space, archs)
    scored = [proxy for proxy in choose(proxies) if not proxy.static]
    count = max(proxy.view.minibatches for proxy in scored)
    batches = gaussian_minibatches(shape=(3, 32, 32), classes=10, batch_size=batch_size, count=count, seed=0)
    inputs = ViewInputs(batches, 10, 0)
    groups = [group for (_, on_module), group in by_view(scored).items() if not on_module]
    totals = [_empty(group) for group in groups]
    with tqdm(total=len(chosen) * len(groups), unit="view", desc="measuring") as bar:
        for index in chosen:

            def build(index: int = index) -> nn.Module:
                return allocate(space.build([index], channels=channels, cells_per_stage=cells, classes=10), "cpu")

            for group, total in zip(groups, totals, strict=True):
                _one(build, space.canonical(index), group, inputs, total)
                bar.update()
    return totals


def _empty(group: Sequence[Proxy]) -> dict[str, Any]:
    view = group[0].view
    changed = {k: v for k, v in vars(view).items() if v != vars(type(view)())[k]}
    return {
        "view": changed,
        "proxies": {proxy.name: 0.0 for proxy in group},
        "together": 0.0,
        "bare": 0.0,
        "passes": {},
    }


def _one(build: Callable[[], nn.Module], name: str, group: Sequence[Proxy], inputs: ViewInputs, total: dict) -> None:
    """Add the times of one network under one view."""
    spent: dict[str, float] = {}
    start = time.perf_counter()
    found = score_stack(
        build, [name], group, inputs, seed=0, spent=spent,
        features=of_space,
    )  # fmt: skip
    total["together"] += time.perf_counter() - start
    for proxy, scored in found.items():
        total["proxies"][proxy] += scored.seconds
    bare = _bare(build, name, group, inputs, set(spent))
    for each, seconds in spent.items():
        total["passes"][each] = total["passes"].get(each, 0.0) + seconds
        total["bare"] += bare.get(each, seconds)


def _bare(
    build: Callable[[], nn.Module], name: str, group: Sequence[Proxy], inputs: ViewInputs, passes: set[str]
) -> dict[str, float]:
    """Return the seconds of the passes of a view in plain PyTorch, all repeats."""
    view: View = group[0].view
    count = max(proxy.view.minibatches for proxy in group)
    taken: dict[str, float] = {}
    network = build()
    initialise(network, [stream(0, name, f"{view.init} 0")], view.init)
    network = as_seen(network, view)
    weights = [layer.parameter for layer in layers_of(network)]
    graph = bool(passes & {"backward", "jacobian", "curvature"})
    first, *others = inputs.of(view, count)
    x = first.inputs.clone().requires_grad_(graph)

    def timed(which: str, function: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = function()
        taken[which] = taken.get(which, 0.0) + (time.perf_counter() - start) * view.repeats
        return result

    def objective(outputs: Any, targets: Any) -> Any:
        return outputs.sum() if view.objective == "sum" else functional.cross_entropy(outputs[:, 0], targets)

    def gradient(of: Any, to: Any, create_graph: bool = False) -> Any:
        return torch.autograd.grad(of, to, retain_graph=True, create_graph=create_graph, allow_unused=True)

    with torch.set_grad_enabled(graph):
        outputs = timed("forward", lambda: network(x))
    if "curvature" in passes:
        flowing = timed("backward", lambda: gradient(objective(outputs, first.targets), weights, create_graph=True))
        inner = sum((g * g.detach()).sum() for g in flowing if g is not None)
        timed("curvature", lambda: gradient(inner, weights) if torch.is_tensor(inner) and inner.requires_grad else None)
    elif "backward" in passes:
        timed("backward", lambda: gradient(objective(outputs, first.targets), weights))
    if "jacobian" in passes:
        timed("jacobian", lambda: gradient(outputs.sum(), [x]))
    if "other minibatches" in passes:
        timed("other minibatches", lambda: [gradient(objective(network(m.inputs), m.targets), weights) for m in others])
    if "feature map" in passes:
        with torch.no_grad():
            timed("feature map", lambda: [network(m.inputs) for m in (first, *others)])
    return taken


def report(measured: Sequence[dict[str, Any]], archs: int) -> str:
    """Return the accounting as text: ms for each architecture."""
    lines = [f"{'together':>9}{'bare passes':>13}{'ratio':>7}   ms for each architecture, by view"]
    for each in sorted(measured, key=lambda one: -one["together"]):
        view = ", ".join(f"{key} {value}" for key, value in each["view"].items()) or "default"
        passes = ", ".join(f"{name} {1e3 * s / archs:.0f}" for name, s in each["passes"].items())
        lines.append(_line(each["together"] / archs, each["bare"] / archs, f"{view}: {', '.join(each['proxies'])}"))
        lines.append(f"{'':32}passes with hooks: {passes}")
    together, bare = (sum(each[key] for each in measured) / archs for key in ("together", "bare"))
    lines.append(_line(together, bare, "all proxies together" + (" (aim: below 2)" if bare else "")))
    return "\n".join(lines)


def _line(together: float, bare: float, what: str) -> str:
    return f"{1e3 * together:9.0f}{1e3 * bare:13.0f}{together / bare if bare else float('nan'):7.2f}   {what}"


if __name__ == "__main__":
    sys.exit(main())
