"""The networks of a model zoo (timm, torchvision), scored one after the other: what is scored, what failed and why.

Networks have their packages' random weights (nothing is downloaded), inputs are Gaussian noise of the size that each
network was made for, labels are drawn. Both packages are optional: `pip install nas-proxy-harness[zoo]`.
"""

import importlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import torch
from torch import nn

from benchmarks.errors import UserError
from harness.engine.module_score import score_module
from harness.inputs.draw import gaussian_minibatches
from harness.proxies.registry import Proxy

SIDE = 224
"""Pixels of a square image where a zoo does not say."""


@dataclass(frozen=True)
class ZooScore:
    """What came of one network."""

    network: str
    seconds: float
    scores: dict[str, float] = field(default_factory=dict)
    """{proxy: score}; empty where the network could not be scored at all."""
    failed: dict[str, str] = field(default_factory=dict)
    """Proxy -> why its score is not finite."""
    error: str = ""
    """Why the network could not be built, or scored at all."""


@dataclass(frozen=True)
class Zoo:
    """How a package lists and builds its networks."""

    names: Callable[[Any], list[str]]
    build: Callable[[Any, str], nn.Module]

    def shape(self, model: Any) -> tuple[int, int, int]:
        """Return the channels, height and width that a network was made for."""
        wanted = getattr(model, "default_cfg", {}).get("input_size") or (3, SIDE, SIDE)
        return tuple(wanted)


ZOOS = {
    "timm": Zoo(lambda timm: timm.list_models(), lambda timm, name: timm.create_model(name, pretrained=False)),
    "torchvision": Zoo(
        lambda package: package.models.list_models(module=package.models),
        lambda package, name: package.models.get_model(name, weights=None),
    ),
}
"""Package -> how its networks are had."""


def zoo_names(package: str, pattern: str = "*", limit: int | None = None) -> list[str]:
    """Return the names of a zoo's networks that match, such as "resnet*,vit_*". UserError where there are none."""
    listed = ZOOS[package].names(_imported(package))
    found = [name for name in listed if any(fnmatch(name, word.strip()) for word in pattern.split(","))]
    if not found:
        raise UserError(f"no network of {package} is called like '{pattern}'; it has {len(listed)}: {listed[:5]}, ...")
    return found[:limit]


def _imported(package: str) -> Any:
    try:
        found = importlib.import_module(package)
        if package == "torchvision":
            importlib.import_module("torchvision.models")
    except ImportError as error:
        raise UserError(f"{package} is not installed ({error}): pip install {package}") from error
    return found


def score_zoo(
    package: str, names: Sequence[str], proxies: Sequence[Proxy], *, batch_size: int = 8, side: int | None = None,
    seed: int = 0,
) -> Iterator[ZooScore]:  # fmt: skip
    """Give what came of each network, in the order of names; one that cannot be built or run does not stop the rest."""
    zoo, module = ZOOS[package], _imported(package)
    for name in names:
        start = time.monotonic()
        try:
            torch.manual_seed(seed)
            scores = _scored(zoo, zoo.build(module, name), proxies, batch_size, side, seed)
            yield ZooScore(name, time.monotonic() - start, dict(scores), scores.reasons)
        except Exception as error:
            line = (f"{error}".strip().splitlines() or [""])[0]
            told = line if isinstance(error, UserError) else f"{type(error).__name__}: {line}"
            yield ZooScore(name, time.monotonic() - start, error=told[:300])


def _scored(zoo: Zoo, model: nn.Module, proxies: Sequence[Proxy], batch_size: int, side: int | None, seed: int) -> Any:
    channels, height, width = zoo.shape(model)
    shape = (channels, side or height, side or width)
    (batch,) = gaussian_minibatches(shape, 2, batch_size, 1, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return score_module(
            model, batch.inputs, batch.targets, proxies, blocks=None, logits=None, strict=False, seed=seed,
            precision="float32",
        )  # fmt: skip


def summary(found: Sequence[ZooScore]) -> str:
    """Return the counts of a zoo in lines: networks and cells scored, and the reasons, the most frequent first."""
    cells = [value for each in found for value in each.scores.values()]
    finite = sum(map(math.isfinite, cells))
    seconds = sum(each.seconds for each in found)
    none = [each for each in found if each.error]
    reasons: dict[str, int] = {}
    for each in found:
        for reason in each.failed.values():
            reasons[reason] = reasons.get(reason, 0) + 1
    lines = [f"{len(found) - len(none)} of {len(found)} networks scored in {seconds:.0f} s; "
             f"{finite} of {len(cells)} scores are finite"]  # fmt: skip
    lines += [f"  {each.network}: not scored: {each.error}" for each in none]
    lines += [f"  {count} x {reason}" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1])]
    return "\n".join(lines)
