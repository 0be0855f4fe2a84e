"""Protocols: how the authors of a code base look at a network, as data; `--protocol NAME` scores under one of them.

A protocol changes what its authors' code shares among proxies: initialisation, inputs, BatchNorm mode, minibatch and
repeats. What a proxy's own definition fixes stays: every field of its view that differs from the usual view, and those
that it declares (`proxy(keeps=...)`). So synflow sees ones in float64 under any of them, and zen draws from N(0, 1);
`proxies` holds the exceptions that a code base makes for single proxies. Policies for scores that are not finite are
recorded, never applied: here such a score stays as it is, with its reason.

Read from the repositories named in `source`; the published figures of one name differ by up to 0.4 in rho between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from benchmarks.errors import suggest
from harness.probe.precision import PRECISIONS
from harness.probe.view import DEFAULT, View
from harness.proxies.registry import Proxy

EVERY = ("*",)
"""All proxies whose definition does not say otherwise."""


@dataclass(frozen=True)
class Protocol:
    """Named changes to the views of proxies, and how the minibatch is made."""

    name: str
    source: str
    """Whose code this is."""
    init: str = DEFAULT.init
    batchnorm: str = DEFAULT.batchnorm
    repeats: int = DEFAULT.repeats
    batch_size: int = 64
    """Samples in the run's minibatch, unless --batch-size says otherwise."""
    noise: tuple[str, ...] = ()
    """Proxies (variants of a name included) that see Gaussian noise instead of the minibatch, or EVERY."""
    noise_batch: int | None = None
    """Samples of that noise; None is as many as in the minibatch."""
    augment: bool = False
    """Whether images are flipped and cropped at random."""
    own_minibatch: bool = False
    """Whether each architecture gets a minibatch of its own (a shuffled loader): architectures then run one by one."""
    proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Proxy -> fields of its view, where the code makes an exception; these stand above the proxy's definition."""
    not_finite: str = ""
    """What the authors do with such a score: it is ...; empty where they leave it."""
    note: str = ""
    """What else a reader must know."""

    def sentence(self, batch_size: int) -> str:
        """Return one line for people; `batch_size` is the run's own."""
        noise = "Gaussian noise" + (f" of {self.noise_batch}" if self.noise_batch else "")
        seen = [_INITS[self.init], f"{self.batchnorm}-mode BatchNorm"]
        if self.noise != EVERY:
            images = f"minibatch of {batch_size}" + (" flipped and cropped at random" if self.augment else "")
            seen.append(images + (", one for each architecture" if self.own_minibatch else ""))
        if self.noise:
            seen.append(noise + ("" if self.noise == EVERY else f" for {', '.join(self.noise)}"))
        seen += [f"mean of {self.repeats} draws"] if self.repeats > 1 else []
        seen += [f"{name} with {_said(changes)}" for name, changes in self.proxies.items()]
        policy = "a score that is not finite " + (
            f"is {self.not_finite} there, and stays as it is here"
            if self.not_finite
            else "stays as it is, there and here"
        )
        own = [] if self.name == "default" else [policy]
        return f"{self.name} ({self.source}): " + "; ".join([*seen, *own, *filter(None, [self.note])])


_INITS = {
    "default": "PyTorch's initialisation", "normal": "weights N(0, 1)", "kaiming_fan_in": "Kaiming-normal (fan-in)",
    "kaiming_fan_out": "Kaiming-normal (fan-out)",
}  # fmt: skip
_AZ_NOISE = ("naswot", "grad_norm")
_ONE_ZEN = {"zen": {"repeats": 1}}

PROTOCOLS = {
    each.name: each
    for each in (
        Protocol("default", "this harness"),
        Protocol(
            "zero-cost-nas", "Abdelfattah et al. 2021, arXiv 2101.08134", augment=True, own_minibatch=True,
            not_finite="kept (NaN is left out of statistics)",
        ),
        Protocol(
            "suite-zero", "NAS-Bench-Suite-Zero, Krishnakumar et al. 2022, run with NASLib", augment=True,
            own_minibatch=True, proxies=_ONE_ZEN, not_finite="replaced by -1e8",
            note="there each proxy drew weights of its own; 32 samples on TransNAS-Bench-101",
        ),
        Protocol(
            "az-nas", "Lee and Ham 2024, arXiv 2403.19232", init="kaiming_fan_in", noise=_AZ_NOISE,
            proxies={"zen": {"repeats": 1, "batch_size": None}}, not_finite="ranked last",
        ),
        Protocol(
            "vkdnw", "Tybl and Neumann 2025, arXiv 2502.04975", init="kaiming_fan_in", batchnorm="eval",
            noise=_AZ_NOISE, proxies={"zen": {"repeats": 1, "batch_size": None}},
        ),
        Protocol(
            "naswot", "Mellor et al. 2021, arXiv 2006.04647", batch_size=128,
            not_finite="left out with its architecture",
        ),
        Protocol(
            "zen", "Lin et al. 2021, arXiv 2102.01063", init="normal", noise=EVERY, noise_batch=16, repeats=32,
        ),
        Protocol(
            "zico", "Li et al. 2023, arXiv 2301.11300", init="normal", noise=EVERY, noise_batch=16, repeats=32,
            proxies={"zico": {"inputs": "minibatch", "batch_size": None, "repeats": 1}},
            note="how large zico's own two minibatches are is left to its loader there",
        ),
        Protocol(
            "te-nas", "Chen et al. 2021, arXiv 2102.11535", init="kaiming_fan_out", batch_size=72, repeats=3,
            not_finite="taken for 100,000 (a condition number)",
        ),
        Protocol(
            "hnas", "Shu et al. 2022, arXiv 2201.09785", not_finite="taken for 100,000 (a condition number)",
            note="256 samples on NAS-Bench-101",
        ),
    )
}  # fmt: skip
"""By name. `default` changes nothing."""


def seen_under(
    proxies: Sequence[Proxy], protocol: Protocol, batch_size: int, precision: str = "float32"
) -> list[Proxy]:
    """Return proxies with the views they have under a protocol, in a mode of `harness.probe.precision`.

    `batch_size` is the run's: a view of as many samples becomes the run's own, so that equal views share passes.
    """
    seen = [replace(proxy, view=_view(proxy, protocol, batch_size)) for proxy in proxies]
    return in_precision(seen, precision)


def _view(proxy: Proxy, protocol: Protocol, batch_size: int) -> View:
    shared: dict[str, Any] = {each: getattr(protocol, each) for each in ("init", "batchnorm", "repeats")}
    if protocol.noise == EVERY or proxy.name.partition("@")[0] in protocol.noise:
        shared["inputs"] = "gaussian"
        if _free(proxy, "inputs"):
            shared["batch_size"] = protocol.noise_batch
    changes = {each: value for each, value in shared.items() if _free(proxy, each)}
    view = replace(proxy.view, **changes | dict(protocol.proxies.get(proxy.name, {})))
    return replace(view, batch_size=None) if view.batch_size == batch_size else view


def _free(proxy: Proxy, name: str) -> bool:
    """Whether a field of a view is not part of the proxy's definition."""
    return getattr(proxy.view, name) == getattr(DEFAULT, name) and name not in proxy.keeps


def described(view: View) -> str:
    """Return how a view differs from the usual one, in words; "usual" where it does not."""
    return _said({each.name: getattr(view, each.name) for each in fields(View)
                  if getattr(view, each.name) != getattr(DEFAULT, each.name)}) or "usual"  # fmt: skip


def _said(changes: Mapping[str, Any]) -> str:
    batchnorm = {"one": "BatchNorm of each sample alone", "off": "no BatchNorm"}
    words = {
        "init": lambda value: _INITS[value],
        "inputs": lambda value: {"gaussian": "Gaussian noise", "ones": "ones", "minibatch": "the minibatch"}[value],
        "batchnorm": lambda value: batchnorm.get(value, f"{value}-mode BatchNorm"),
        "batch_size": lambda value: "as many samples as the minibatch" if value is None else
        f"{value} sample{'s' * (value > 1)}",
        "minibatches": lambda value: f"{value} minibatches",
        "repeats": lambda value: f"mean of {value} draws" if value > 1 else "one draw",
        "objective": lambda value: "gradients of the sum of outputs" if value == "sum" else "gradients of the loss",
        "absolute_weights": lambda value: "absolute weights",
    }  # fmt: skip
    return ", ".join(words.get(name, str)(value) for name, value in changes.items())


def in_precision(proxies: Sequence[Proxy], precision: str) -> list[Proxy]:
    """Return proxies with the views they have in a mode; UserError for a word that is none."""
    if precision not in PRECISIONS:
        raise suggest([precision], PRECISIONS, "precision")
    return [replace(p, view=replace(p.view, precision=precision)) if _follows(p, precision) else p for p in proxies]


def _follows(proxy: Proxy, precision: str) -> bool:
    own = proxy.static or proxy.view.precision != "float32" or "precision" in proxy.keeps
    return not (own or (precision == "bfloat16" and proxy.on_module))
