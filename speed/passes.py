"""What `speed.speed` times: the shared side, the proxies one at a time, and the bare passes, taking turns."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.engine.processes import few_collections
from harness.engine.scoring import ViewInputs, score_stack
from harness.inputs.draw import Minibatch, gaussian_minibatches
from harness.probe.probe import Probe
from harness.proxies.registry import registry
from speed.environment import strict_float32
from speed.networks import connected, draw_weights
from speed.one_by_one import ALONE, LOOSE, TOLERANCE, layers_of, logits, without_batchnorm

CLOCKS = ("cpu", "wall")
T = TypeVar("T")


class Watch:
    """Collects times of both clocks by name; `Watch.time(name, function)` returns what the function does."""

    def __init__(self, device: str = "cpu") -> None:
        """Times on a GPU include its work: it is synchronised before each reading of the clocks."""
        self.device = device
        self.seen: dict[str, dict[str, list[float]]] = {clock: {} for clock in CLOCKS}

    @property
    def clock(self) -> str:
        """The clock to report: CPU time, which other load disturbs least, where one thread of a CPU works."""
        return "cpu" if self.device == "cpu" and torch.get_num_threads() == 1 else "wall"

    def time(self, name: str, function: Callable[[], T]) -> T:
        """Call the function under this name; return what it returns."""
        self._wait()
        before = time.process_time(), time.perf_counter()
        result = function()
        self._wait()
        after = time.process_time(), time.perf_counter()
        for clock, start, stop in zip(CLOCKS, before, after, strict=True):
            self.seen[clock].setdefault(name, []).append(stop - start)
        return result

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize(self.device)

    def medians(self, clock: str) -> dict[str, float]:
        """Return seconds by name, the median of each."""
        return {name: statistics.median(values) for name, values in self.seen[clock].items()}


def measure(
    sets: Mapping[str, Sequence[str]], *, archs: int, batch_size: int, threads: int, repeats: int, seed: int,
    network: dict[str, Any], resolution: int, say: Callable[[str], None],
) -> list[dict]:  # fmt: skip
    """Return for each architecture: its string, seconds by clock (building, shared, alone, passes), what disagrees."""
    space = Space201()
    chosen = connected(space, archs, seed)
    minibatches = gaussian_minibatches(
        shape=(3, resolution, resolution), classes=10, batch_size=batch_size, count=1, seed=seed
    )
    inputs = ViewInputs(minibatches, 10, seed)
    measured = []
    with strict_float32(threads):
        _one(space, chosen[0], sets, inputs, 1, seed, network)  # warm up: kernels, caches, imports
        with few_collections():  # as in a run, for both sides
            for number, index in enumerate(chosen, 1):
                measured.append(_one(space, index, sets, inputs, repeats, seed, network))
                shared = "  ".join(f"{name} {1e3 * s:.0f} ms" for name, s in measured[-1]["cpu"]["shared"].items())
                say(f"{number}/{len(chosen)} {measured[-1]['arch']}  {shared}")
    return measured


def _one(
    space: Space201, index: int, sets: Mapping[str, Sequence[str]], inputs: ViewInputs, repeats: int, seed: int,
    network: dict[str, Any],
) -> dict:  # fmt: skip
    """Measure one architecture; the sides take turns within each repeat."""
    name, known = space.canonical(index), registry()
    building, shared, alone, passes = Watch(), Watch(), Watch(), Watch()
    inside: dict[str, list[float]] = {which: [] for which in sets}
    names = dict.fromkeys(proxy for proxies in sets.values() for proxy in proxies)
    extra = ("naswot_forward",) if "naswot" in names else ()

    def build() -> nn.Module:
        return allocate(space.build([index], classes=10, **network), "cpu")

    def ready() -> nn.Module:
        return draw_weights(build(), [name], seed)

    disagree: set[str] = set()
    for _ in range(repeats):
        ours: dict[str, float] = {}
        for which, proxies in sets.items():
            spent: dict[str, float] = {}
            chosen = [known[proxy] for proxy in proxies]
            found = shared.time(which, partial(score_stack, build, [name], chosen, inputs, seed=seed, spent=spent))
            ours |= {proxy: float(scored.scores[0]) for proxy, scored in found.items()}
            inside[which].append(sum(spent.values()) / shared.seen["wall"][which][-1])
        original = building.time("building", ready)
        for proxy in (*names, *extra):
            score, scale = alone.time(proxy, partial(_alone, ALONE[proxy], original, inputs.minibatches[0]))
            if proxy in ours and not same(score, ours[proxy], scale, LOOSE.get(proxy, TOLERANCE)):
                disagree.add(f"{proxy} ({ours[proxy]:.6g} shared, {score:.6g} alone)")
        _bare(copy.deepcopy(original), inputs.minibatches[0].inputs, inputs.minibatches[0].targets, passes)
    result: dict = {"arch": space.archs[index], "disagree": sorted(disagree)}
    result["inside"] = {which: statistics.median(values) for which, values in inside.items()}
    for clock in CLOCKS:
        result[clock] = {
            **building.medians(clock), "shared": shared.medians(clock), "alone": alone.medians(clock),
            "passes": passes.medians(clock),
        }  # fmt: skip
    return result


def _alone(proxy: Callable[..., tuple[float, float]], original: nn.Module, minibatch: Minibatch) -> tuple[float, float]:
    return proxy(copy.deepcopy(original), minibatch.inputs, minibatch.targets)


def same(one: float, other: float, scale: float, tolerance: float) -> bool:
    """Return whether two scores agree, relative to the size of what was summed; failed on both sides is the same."""
    if not (math.isfinite(one) and math.isfinite(other)):
        return not math.isfinite(one) and not math.isfinite(other)
    return abs(one - other) <= tolerance * max(scale, abs(other))


def _bare(network: nn.Module, inputs: Tensor, targets: Tensor, watch: Watch) -> None:
    """Time every distinct pass without hooks: plain PyTorch, then as the shared side runs it."""
    weights = [layer.weight for layer in layers_of(network)]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for weight in weights:
        weight.requires_grad_(True)
    _plain_passes(network, inputs, targets, weights, watch)
    last = inputs.contiguous(memory_format=torch.channels_last)
    _first_order_passes(network, last, targets, weights, watch, ", channels last")
    watch.time("ours with curvature", partial(_curvature, network, inputs, targets))
    twin = without_batchnorm(copy.deepcopy(network))
    ones = torch.ones(1, *inputs.shape[1:], dtype=torch.float64)
    to = [layer.weight for layer in layers_of(twin)]
    watch.time("synflow", lambda: _gradient(logits(twin, ones).sum(), to))


def _first_order_passes(
    network: nn.Module, inputs: Tensor, targets: Tensor, weights: list[Tensor], watch: Watch, layout: str = ""
) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor | None, ...]]:
    """Time the passes; return inputs, outputs, loss and its gradients."""
    x = inputs.clone().requires_grad_(True)

    def forward() -> tuple[Tensor, Tensor]:
        outputs = logits(network, x)
        return outputs, functional.cross_entropy(outputs, targets)

    outputs, loss = watch.time("forward" + layout, forward)
    fixed = watch.time("loss backward" + layout, lambda: _gradient(loss, weights))
    watch.time("jacobian" + layout, lambda: _gradient(outputs.sum(), [x]))
    return x, outputs, loss, fixed


def _plain_passes(network: nn.Module, inputs: Tensor, targets: Tensor, weights: list[Tensor], watch: Watch) -> None:
    x, outputs, loss, fixed = _first_order_passes(network, inputs, targets, weights, watch)
    watch.time("full backward", lambda: _gradient(outputs.sum(), [x, *weights]))
    flowing = watch.time("graph backward", lambda: _gradient(loss, weights, graph=True))
    inner = sum((f * g).sum() for f, g in zip(fixed, flowing, strict=True) if f is not None and g is not None)
    if torch.is_tensor(inner) and inner.requires_grad:
        watch.time("double backward", lambda: _gradient(inner, weights))
    else:  # nothing but the classifier's bias has a gradient
        watch.time("double backward", lambda: None)


def _gradient(of: Tensor, to: Sequence[Tensor], graph: bool = False) -> tuple[Tensor | None, ...]:
    return torch.autograd.grad(of, to, retain_graph=True, create_graph=graph, allow_unused=True)


def _curvature(network: nn.Module, inputs: Tensor, targets: Tensor) -> None:
    """Forward, loss backward and Hessian form as the probe runs them."""
    probe = Probe(network, [Minibatch(inputs, targets)], reads=("gradients", "weight_curvature"), channels_last=True)
    assert probe.weight_curvature is not None
    probe.close()
