"""What tests of a family of proxies need: our scores, a plain network with the same weights, common properties."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from networks import Bare, Reference201, Small, copy_from_stack, minibatch
from torch import Tensor, nn

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import Scored, ViewInputs, of_space, score_stack
from harness.inputs.draw import Minibatch
from harness.probe.initialise import initialise, stream
from harness.probe.twin import Twin
from harness.proxies.registry import Proxy, registry

TINY = {"channels": 4, "cells_per_stage": 1, "input_channels": 3, "classes": 5}
FULL = 1462
"""A cell with every operation on its paths."""
STACK = (1462, 7000, 333)
"""Connected cells of different operations."""


def disconnected() -> int:
    """Index of a cell without a path from input to output."""
    space = space_of("201")
    return next(i for i in range(len(space)) if not space.connected[i])


def given(samples: int = 12, labels: Tensor | None = None) -> ViewInputs:
    """Two minibatches of noise for seed 0, five classes."""
    pairs = [minibatch(samples, seed=seed) for seed in (0, 1)]
    return ViewInputs([Minibatch(x, y if labels is None else labels) for x, y in pairs], 5, 0)


def stack_of(indices: Sequence[int], **sizes) -> nn.Module:
    """Our network of these cells, weights not drawn."""
    return allocate(space_of("201").build(list(indices), **TINY | sizes), "cpu")


def _seen(names: Sequence[str], view: dict | None) -> list[Proxy]:
    return [replace(p, view=replace(p.view, **view or {})) for p in (registry()[name] for name in names)]


def scores_201(
    names: Sequence[str], indices: Sequence[int] = (FULL,), *, inputs: ViewInputs | None = None,
    view: dict | None = None, **sizes,
) -> dict[str, Scored]:  # fmt: skip
    """Our scores of a stack of 201 cells; cell 1462 has the weights of 'model'. `view` changes views."""
    proxies = _seen(names, view)
    called = ["model" if i == FULL else str(i) for i in indices]
    return score_stack(
        lambda: stack_of(indices, **sizes), called, proxies, inputs or given(), seed=0,
        features=of_space,
    )  # fmt: skip


def scores_of(
    model: nn.Module, names: Sequence[str], *, inputs: ViewInputs | None = None, blocks: Sequence[str] = (),
    view: dict | None = None,
) -> dict[str, Scored]:  # fmt: skip
    """Our scores of an ordinary module with its own weights, or those its view draws."""
    proxies = _seen(names, {"precision": "float64"} | (view or {}))
    return score_stack(
        lambda view: Twin(model), ["model"], proxies, inputs or given(), seed=0, own_weights=True,
        features=lambda network: (None, [f"network.{name}" for name in blocks]),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One network: our scores of it, and the plain one with the same weights in float64, in training mode."""

    label: str
    plain: nn.Module
    ours: object
    """(names, changes of the view) -> {name: Scored}, in float64."""
    blocks: tuple[str, ...]


def cases(init: str = "default", repeat: int = 0) -> list[Case]:
    """The small network, the one without BatchNorm, and a 201 cell, with the weights of one draw of a view."""
    found = []
    for model, blocks in ((Small(), ("body.first", "body.norm", "body")), (Bare(), ("layers.1", "layers.3"))):
        plain = copy.deepcopy(model)
        if init != "default":
            initialise(plain, [stream(0, "model", f"{init} {repeat}")], init)
        found.append(Case(
            type(model).__name__, _ready(plain),
            lambda names, model=model, blocks=blocks, **view: scores_of(model, names, blocks=blocks, view=view), blocks,
        ))  # fmt: skip
    ours = stack_of([FULL])
    initialise(ours, [stream(0, "model", f"{init} {repeat}")], init)
    reference = copy_from_stack(ours, 0, Reference201(space_of("201").canonical(FULL), channels=4, cells=1, classes=5))
    double = {"precision": "float64"}
    blocks = ("stem", "body.0", "body.1", "body.2", "body.3", "body.4")
    found.append(Case("201", _ready(reference), lambda names, **view: scores_201(names, view=double | view), blocks))
    return found


def _ready(model: nn.Module) -> nn.Module:
    model = model.double().train()
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return model


def score(scored: dict[str, Scored], name: str) -> float:
    """The score of a stack of one."""
    return scored[name].scores.item()


def check_properties(
    names: Sequence[str], tolerance: float = 1e-4, scales: dict[str, float] | None = None, view: dict | None = None
) -> None:
    """A stack scores as its members alone; a score repeats; labels matter only where declared.

    `scales` gives what errors are relative to where terms cancel.
    """
    stacked = scores_201(names, STACK, view=view)
    alone = [scores_201(names, [i], view=view) for i in STACK]
    others = given(labels=(minibatch(12)[1] + torch.arange(12) // 4) % 5)
    relabelled = scores_201(names, STACK, inputs=others, view=view)
    with_labels = [name for name in names if registry()[name].labels]
    again = relabelled | (scores_201(with_labels, STACK, view=view) if with_labels else {})
    for name in names:
        assert not stacked[name].reasons, (name, stacked[name].reasons)
        assert stacked[name].scores.equal(again[name].scores), f"{name} does not repeat, or changes with labels"
        unused = name in with_labels and stacked[name].scores.equal(relabelled[name].scores)
        assert not unused, f"{name}: labels unused"
        one = torch.cat([each[name].scores for each in alone])
        scale = one.abs().clamp(min=(scales or {}).get(name, 1e-12))
        error = ((stacked[name].scores - one).abs() / scale).max().item()
        assert error <= tolerance, f"{name}: {stacked[name].scores.tolist()} is not {one.tolist()}"
        assert len(set(stacked[name].scores.tolist())) > 1 or name.startswith("linear_regions"), f"{name} is constant"


def check_declared(names: Sequence[str]) -> None:
    """What a reader must find of a proxy: direction, paper, cost, a first line."""
    import sys

    for name in names:
        entry = registry()[name]
        text = sys.modules[entry.score.__module__].__doc__
        assert "Larger is better" in text, name
        assert entry.summary and (entry.static or "arXiv" in entry.paper), name


def close(ours: float, expected: float, tolerance: float = 1e-6, scale: float | None = None) -> bool:
    """Whether two numbers agree, relative to the scale of what was summed."""
    if math.isinf(expected):
        return ours == expected
    scale = abs(expected) if scale is None else scale
    return math.isfinite(expected) and abs(ours - expected) <= tolerance * max(scale, 1e-12)
