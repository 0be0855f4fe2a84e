"""Architectures x proxies -> scores: builds a stack for each view, lets the proxies read one shared probe.

The engine knows no accuracies. What one proxy raises is caught at one place and becomes NaN with the reason; running
out of memory halves the stack; anything else that goes wrong is the engine's own error and stops the run.
"""

import gc
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from harness.engine.guard import call
from harness.engine.processes import in_worker
from harness.inputs.draw import Minibatch, gaussian_minibatches, ones
from harness.probe.batchnorm import of_each_sample
from harness.probe.initialise import initialise, stream
from harness.probe.layer_rules import batchnorms, rule_of
from harness.probe.observer import memory_ran_out
from harness.probe.precision import arithmetic
from harness.probe.probe import Probe
from harness.probe.twin import Twin
from harness.probe.view import View
from harness.proxies.global_state import seeded
from harness.proxies.own import plain, said
from harness.proxies.registry import Proxy

Features = Callable[[Any], tuple[Callable[[Tensor], Tensor] | None, Sequence[str]]]
"""Network -> the function that gives its map before pooling (None: not known), and the names of the modules whose
outputs are the feature blocks, in order."""


def unknown(network: nn.Module) -> tuple[None, tuple[str, ...]]:
    """Neither is known."""
    return None, ()


def of_space(network: Any) -> tuple[Callable[[Tensor], Tensor], Sequence[str]]:
    """Those of the networks of spaces (`benchmarks.spaces.layers.StackedNetwork`)."""
    return network.features, network.blocks()


def named(blocks: Sequence[str] | None) -> Features:
    """Return the features of a module whose blocks a user names; the last is the map before pooling."""
    return (lambda network: (partial(_output_of, blocks[-1], network), blocks)) if blocks else unknown


def _output_of(name: str, network: nn.Module, inputs: Tensor) -> Tensor:
    """Return what the module called `name` returns when the network gets these inputs."""
    kept: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda module, _, output: kept.append(output))
    try:
        network(inputs)
    finally:
        handle.remove()
    return kept[-1]


@dataclass(frozen=True, eq=False)
class ViewInputs:
    """The minibatches of each view for one seed: the run's own, noise, or ones. The same for every architecture."""

    minibatches: Sequence[Minibatch]
    classes: int
    seed: int
    device: torch.device | str = "cpu"

    def of(self, view: View, count: int, repeat: int = 0) -> list[Minibatch]:
        """Return `count` minibatches for one repeat of a view, on the device, in the view's precision."""
        own = self.minibatches[0].inputs
        if view.inputs == "ones":
            chosen = [ones(tuple(own.shape[1:]), view.batch_size or len(own))]
        elif view.inputs == "gaussian":
            size, seed = view.batch_size or len(own), 1000 * self.seed + repeat
            chosen = gaussian_minibatches(tuple(own.shape[1:]), self.classes, size, count, seed)
        else:
            first = slice(view.batch_size)
            chosen = [Minibatch(m.inputs[first], m.targets[first]) for m in self.minibatches[:count]]
        dtype = stored_dtype(view) if chosen[0].inputs.is_floating_point() else chosen[0].inputs.dtype
        return [Minibatch(m.inputs.to(self.device, dtype), m.targets.to(self.device)) for m in chosen]


def stored_dtype(view: View) -> torch.dtype:
    """Return the type of weights and inputs; the modes of less than 32 bits are those of computation alone."""
    return torch.float64 if view.precision == "float64" else torch.float32


@dataclass(frozen=True)
class Counts:
    """What static proxies read; each (archs,) float64."""

    params: Tensor
    flops: Tensor
    tensors: Tensor
    params_reachable: Tensor
    flops_reachable: Tensor
    noise: Tensor


@dataclass(frozen=True)
class Scored:
    """What one proxy gave for one stack."""

    scores: Tensor
    """(archs,) float64, larger is better; NaN or infinite where it failed."""
    seconds: float
    """Per architecture, as if the proxy were computed alone: the passes it used, and its formula."""
    reasons: dict[int, str]
    """Position in the stack -> why the score is not finite."""


def as_seen(network: nn.Module, view: View) -> nn.Module:
    """Put a network (a copy) into a view's BatchNorm mode, precision and sign of weights; return it."""
    network.train(view.batchnorm != "eval")
    if view.batchnorm == "one":
        for module in batchnorms(network):
            module.forward = partial(of_each_sample, module)  # of this copy alone
    if view.batchnorm == "off":
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if rule_of(child).batch_statistics:
                    setattr(parent, name, nn.Identity())
    tensors = (*network.parameters(), *network.buffers())
    if any(tensor.is_floating_point() and tensor.dtype != stored_dtype(view) for tensor in tensors):
        network.to(stored_dtype(view))
    if view.absolute_weights:
        with torch.no_grad():
            for tensor in network.state_dict().values():
                if tensor.is_floating_point():
                    tensor.abs_()
    return network


REPLACING = {"one": 1, "off": 2}
"""BatchNorm modes that change the modules of a network, in the order in which one network can take them on."""


def by_view(proxies: Iterable[Proxy]) -> dict[tuple[View, bool], list[Proxy]]:
    """Group proxies that can share a probe; model-level proxies are kept apart.

    Views that change a network for good come last, so that one network can be put into them one after the other. Users'
    own proxies come last in their group.
    """
    groups: dict[tuple[View, bool], list[Proxy]] = {}
    for proxy in sorted(proxies, key=lambda proxy: (REPLACING.get(proxy.view.batchnorm, 0), proxy.own)):
        groups.setdefault((proxy.view, proxy.on_module), []).append(proxy)
    return groups


def score_stack(
    build: Callable[..., nn.Module], names: Sequence[str], proxies: Sequence[Proxy], inputs: ViewInputs, *, seed: int,
    own_weights: bool = False, features: Features = unknown, spent: dict[str, float] | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Score one stack with proxies that are not static; return what each gave, by name.

    `build` returns the stack's network, uninitialised; with `own_weights` it takes a view. `names` are the strings that
    seed each architecture. `features` says where a network keeps its feature blocks. `spent` collects the passes that
    ran and their seconds, over all views.
    """
    results: dict[str, Scored] = {}
    network: nn.Module | None = None
    drawn: dict[str, Tensor] = {}  # for the views that want the same weights
    building = 0.0
    groups = by_view(proxies)
    wanted = Counter(_draw(view, repeat) for view, _ in groups for repeat in range(view.repeats))
    for (view, _), group in groups.items():
        count = max(proxy.view.minibatches for proxy in group)
        given = [_Tally(len(names)) for _ in group]
        preparing = 0.0 if own_weights or network is None else building
        for repeat in range(view.repeats):
            start = time.perf_counter()
            if network is None or (own_weights and (not repeat or view.init == "default")):
                # a network whose weights are drawn again serves one view after the other
                network = build(view) if own_weights else build()
                building = time.perf_counter() - start
            if not (own_weights and view.init == "default"):
                draw = _draw(view, repeat)
                streams = [stream(seed, name, draw) for name in names]
                numbers = initialise(network, streams, view.init, drawn.pop(draw, None))
                wanted[draw] -= 1
                if wanted[draw]:
                    drawn[draw] = numbers
            feature_map, blocks = features(network)
            probe = Probe(
                as_seen(network, view), inputs.of(view, count, repeat), archs=len(names),
                reads=[read for proxy in group for read in proxy.reads], objective=view.objective,
                precision=view.precision, feature_map=feature_map, blocks=blocks,
                channels_last=len(names) == 1 and torch.device(inputs.device).type == "cpu"
                and (network.channels_last if isinstance(network, Twin) else not own_weights),
            )  # fmt: skip
            preparing += time.perf_counter() - start
            with closing(probe):
                for proxy, tally in zip(group, given, strict=True):
                    with seeded(seed, probe.inputs.device), arithmetic(view.precision, probe.inputs.device):
                        tally.add(proxy, probe)
            if spent is not None:
                for name, seconds in probe.seconds.items():
                    spent[name] = spent.get(name, 0.0) + seconds
        for proxy, tally in zip(group, given, strict=True):
            results[proxy.name] = tally.result(view.repeats, preparing)
    return results


def _draw(view: View, repeat: int) -> str:
    """Return the purpose that seeds the weights of a view."""
    return f"{view.init} {repeat}"


def scores_of(proxy: Proxy, probe: Any, archs: int) -> tuple[Tensor, dict[int, str]]:
    """Return what a proxy gives for a probe (or Counts), and why not; what it does wrong is its failure alone."""

    def compute() -> Tensor:
        scores = torch.as_tensor(proxy.score(probe)).detach().to("cpu", torch.float64).as_subclass(Tensor)
        if scores.shape != (archs,):
            raise ValueError(f"returned the shape {tuple(scores.shape)}, expected ({archs},)")
        return scores

    try:
        scores = call(proxy, probe, compute) if proxy.own else compute()
        return scores, {at: plain(reason) for at, reason in getattr(probe, "reasons", {}).items()}
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt) and not in_worker()  # workers get none
        if interrupted or (not proxy.own and memory_ran_out(error)):
            raise
        return torch.full((archs,), torch.nan, dtype=torch.float64), dict.fromkeys(range(archs), said(error))


class _Tally:
    """Adds up a proxy's scores over repeats."""

    def __init__(self, archs: int) -> None:
        self.archs = archs
        self.total = torch.zeros(archs, dtype=torch.float64)
        self.seconds = 0.0
        self.reasons: dict[int, str] = {}

    def add(self, proxy: Proxy, probe: Probe) -> None:
        before = dict(probe.seconds)
        start = time.perf_counter()
        with probe.reading() as used:
            scores, reasons = scores_of(proxy, probe, self.archs)
        own = time.perf_counter() - start - sum(probe.seconds.values()) + sum(before.values())
        self.seconds += own + sum(probe.seconds.get(name, 0.0) for name in used)
        self.total += scores
        for position in (~scores.isfinite()).nonzero().flatten().tolist():
            self.reasons.setdefault(position, reasons.get(position, f"the formula gave {scores[position].item()}"))

    def result(self, repeats: int, preparing: float) -> Scored:
        return Scored(self.total / repeats, (self.seconds + preparing) / self.archs, self.reasons)


def score_adaptively(
    build: Callable[[Sequence[int]], nn.Module], indices: Sequence[int], names: Sequence[str], proxies: Sequence[Proxy],
    inputs: ViewInputs, *, seed: int, features: Features = unknown,
) -> tuple[dict[str, Scored], int]:  # fmt: skip
    """Score a stack, halving it while memory does not suffice, and one by one where a proxy fails on the whole of it.

    Return what each proxy gave and the largest stack that was run.
    """
    k = len(indices)
    single = [proxy for proxy in proxies if proxy.on_module and k > 1]
    stacked = [proxy for proxy in proxies if proxy not in single]
    results = _unless_memory_ran_out(
        lambda: score_stack(lambda: build(indices), names, stacked, inputs, seed=seed, features=features)
    )

    def divided(size: int, some: Sequence[Proxy]) -> tuple[dict[str, Scored], int]:
        pieces = [slice(start, start + size) for start in range(0, k, size)]
        parts = [
            score_adaptively(build, indices[piece], names[piece], some, inputs, seed=seed, features=features)
            for piece in pieces
        ]
        sizes = [len(names[piece]) for piece in pieces]
        joined = {proxy.name: _joined([scored[proxy.name] for scored, _ in parts], sizes) for proxy in some}
        return joined, max(largest for _, largest in parts)

    if results is None and k > 1:
        return divided((k + 1) // 2, proxies)
    if results is None and len(proxies) > 1:
        results = {}
        for proxy in proxies:  # one of them may need less than all
            results |= divided(1, [proxy])[0]
    elif results is None:
        nan, why = torch.full((1,), torch.nan, dtype=torch.float64), {0: "memory does not suffice for one network"}
        results = {proxies[0].name: Scored(nan, 0.0, why)}
    if k > 1:
        single += [proxy for proxy in stacked if len(results[proxy.name].reasons) == k]  # perhaps one is the cause
    return results | (divided(1, single)[0] if single else {}), k


def _unless_memory_ran_out(score: Callable[[], dict[str, Scored]]) -> dict[str, Scored] | None:
    """Return the scores; None where memory does not suffice, and then all that the attempt held is freed."""
    try:
        return score()
    except Exception as error:
        if not memory_ran_out(error):
            raise
    gc.collect()  # the error is gone, and with it the frames that hold the network and its graph
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return None


def _joined(parts: Sequence[Scored], sizes: Sequence[int]) -> Scored:
    """Put the results of consecutive stacks together."""
    reasons: dict[int, str] = {}
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        reasons |= {start + position: reason for position, reason in part.reasons.items()}
        start += size
    seconds = sum(part.seconds * size for part, size in zip(parts, sizes, strict=True)) / start
    return Scored(torch.cat([part.scores for part in parts]), seconds, reasons)
