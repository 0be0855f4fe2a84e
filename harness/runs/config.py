"""The settings of a run as a user gives them; `harness.runs.plan` settles the rest."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.benchmark import GROUPS, expand, known, unknown_benchmark
from benchmarks.errors import UserError, joined
from benchmarks.options import option, problems
from harness.engine import devices
from harness.probe.precision import PRECISIONS
from harness.proxies.choose import choose
from harness.proxies.protocols import PROTOCOLS
from harness.proxies.registry import Proxy

EXISTING = ("resume", "replace", "refuse")
"""What may be done where an output folder holds a run."""

TARGET_HELP = (
    "further targets, by commas: robust:NAME, hardware:NAME, latency:NAME (a group alone: all of it), FILE.csv:COLUMN,"
    " or all"
)
GIVEN_HELP = "a target such as latency:1080ti_32: its partial rho, and what a score loses on a budget of it"


@dataclass(frozen=True)
class RunConfig:
    """The settings of `python -m harness.run`, an option each; raises UserError that names everything wrong at once."""

    bench: str = option(help="key of the benchmark")
    dataset: str | None = option(
        None, help="dataset of the ground truth (default: the first there is, otherwise the embedded digits)"
    )
    network: str | None = option(
        None,
        help="1shot1: 101, the cell's network there (default), or oneshot, that of the searches; darts: search"
        " (default: 16 channels, 8 cells), cifar (36, 20), imagenet (48, 14), swap (that of SWAP-NAS)",
    )
    split: str | None = option(
        None,
        help="accuracy to predict: test (default; valid where the table has no test), valid, train",
        choices=("train", "valid", "test", "valtest"),
    )
    epochs: int | None = option(None, help="training budget of that accuracy (default: the largest)", least=1)
    reduction: str = option("mean", help="over the accuracy's seeds: mean (default), max, or a seed label")
    target: str | None = option(None, help=TARGET_HELP)
    given: str | None = option(None, help=GIVEN_HELP)
    proxies: str = option(
        "core", help="core (default), all, or names separated by commas; FILE.py:NAME for one of your own"
    )
    sample: str | int = option(
        "auto",
        help="architectures, drawn uniformly: a number or all (default: all of an embedded table, 1,000 of another)",
    )
    seeds: int = option(1, help="initialisations and minibatches", least=1, most=10_000)
    batch_size: int | None = option(
        None, help="samples in the minibatch (default: the protocol's, usually 64)", least=1, most=100_000
    )
    balanced: bool = option(False, help="draw equal numbers of each class, up to one")
    inputs: str = option(
        "auto",
        help="auto (default: images, or where there are none Gaussian noise, for scores that read no labels), images,"
        " gaussian, an .npz file or a folder of images",
    )
    resolution: int | None = option(
        None, help="side in pixels that the minibatch is resized to (default: as the networks were trained)", least=1
    )
    protocol: str = option(
        "default", help=f"whose conventions to score under: {', '.join(PROTOCOLS)}", choices=tuple(PROTOCOLS)
    )
    data: str | None = option(
        None,
        help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA, otherwise what data get"
        " fetched)",
    )
    devices: str = option(
        "auto", help="auto (default), cpu, cuda (all GPUs) or a list: cuda:0,cuda:2", also=("--device",)
    )
    precision: str = option(
        "float32", help=f"of the passes: {', '.join(PRECISIONS)}; tf32: CUDA only", choices=PRECISIONS
    )
    stack: str | int = option(
        "auto", help="architectures in one stack: a number, or auto (default: a short probe, or what the folder holds)"
    )
    workers: int = option(
        0, help="processes on a CPU (default: one for each core) or for each GPU (default: one)", least=0, most=1_000
    )
    proxy_timeout: float = option(
        300.0, help="seconds that a call of a proxy of your own may take, of one stack (default 300; 0: for ever)",
        least=0, most=10**6,
    )  # fmt: skip
    executor: str = option(
        "local",
        help="local: processes here (default); ray: a cluster started by `ray start`",
        choices=("local", "ray"),
    )
    gpu_share: float = option(1.0, help="part of a GPU for each worker of a Ray cluster", above=0, most=1)
    shard: str | None = option(
        None, help="i/n: score the i-th of n parts of the sample into a folder in --out; `nas-harness merge` joins them"
    )
    existing: str = option(
        "resume", help="if the output folder holds a run: resume (default), replace, refuse", choices=EXISTING
    )
    all_stored: bool = option(False, help="show the proxies of earlier calls on the folder too, not these alone")
    share: bool = option(True, help="score every string separately, equivalent ones too")
    keep_unreachable: bool = option(False, help="build operations that lie on no input-output path")
    out: str | None = option(None, help="run folder (default: one for each set of settings, under results/runs/)")
    chosen: tuple[Proxy, ...] = field(init=False, repr=False, compare=False)
    """What `proxies` names, the baselines first."""

    def __post_init__(self) -> None:
        for name, value in self.as_json().items():
            if isinstance(value, np.generic):
                object.__setattr__(self, name, value.item())
        for name in (
            "bench",
            "sample",
            "stack",
            "proxies",
            "devices",
            "reduction",
        ):  # from Python lists and numbers too
            object.__setattr__(self, name, joined(getattr(self, name)))
        if self.target is not None:
            object.__setattr__(self, "target", joined(self.target))
        found = [*problems(self), *self._others()]
        try:
            object.__setattr__(self, "chosen", tuple(choose(self.proxies)))
        except UserError as error:
            found.append(str(error))
        if found:
            raise UserError("; ".join(found))

    def _others(self) -> Iterator[str]:
        """Yield what is wrong with options that are neither a number nor one of a few words."""
        if self.bench not in known():
            yield str(unknown_benchmark(self.bench))
        for name, words in (("sample", ("auto", "all")), ("stack", ("auto",))):
            value = getattr(self, name)
            if value not in words and not (value.isdecimal() and len(value) < 10 and int(value) > 0):
                yield f"--{name} '{value}': expected a whole number above 0 or {' or '.join(words)}"
        if self.shard is not None and not re.fullmatch(r"[1-9]\d{0,5}/[1-9]\d{0,5}", self.shard):
            yield f"--shard '{self.shard}': expected i/n, such as 3/8 for the third of eight parts"
        elif self.shard and (part := self.part)[0] > part[1]:
            yield f"--shard {self.shard}: there are {part[1]} parts, 1 to {part[1]}"
        if self.stack not in ("auto", "1") and self.protocol in PROTOCOLS and PROTOCOLS[self.protocol].own_minibatch:
            yield (
                f"--stack {self.stack}: under the protocol {self.protocol} each architecture has a minibatch of its"
                " own, so they run one at a time; leave --stack out"
            )
        if wrong := devices.problem(self.devices):
            yield wrong
        if self.inputs not in ("auto", "images", "gaussian") and not os.path.exists(self.inputs):
            yield f"--inputs '{self.inputs}': expected auto, images, gaussian, or the path of an .npz file or a folder"

    @property
    def part(self) -> tuple[int, int]:
        """Which part of how many parts of the sample is scored, from 1."""
        i, n = (self.shard or "1/1").split("/")
        return int(i), int(n)

    def as_json(self) -> dict[str, Any]:
        """Return the options by name, as a manifest keeps them."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}


def each_space(spaces: str | None = None, *, bench: str, out: str | None = None, **settings: Any) -> list[RunConfig]:
    """Return the settings of a benchmark, or of each space of one that has several (`spaces` "1,3": of these).

    With several spaces, `out` is a folder of run folders named by their keys. `device` is taken for `devices`. Raises
    UserError as RunConfig does.
    """
    if "device" in settings:
        settings["devices"] = settings.pop("device")
    several = str(bench) in GROUPS
    return [
        RunConfig(bench=key, out=str(Path(out) / key) if out and several else out, **settings)
        for key in expand(bench, spaces)
    ]
