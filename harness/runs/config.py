"""What a run is asked for. Stops at `harness.runs.runner.run`: nothing below it takes a config."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import UserError
from benchmarks.errors import suggest
from benchmarks.registry import GROUPS, expand, known, unknown_benchmark
from harness.engine import devices
from harness.probe.precision import PRECISIONS
from harness.proxies.protocols import PROTOCOLS

CHOICES = {
    "executor": ("local", "ray"),
    "existing": ("resume", "replace", "refuse"),
    "precision": PRECISIONS,
    "protocol": tuple(PROTOCOLS),
    "split": ("train", "valid", "test", "valtest"),
}
"""Options with a fixed set of words."""


@dataclass(frozen=True)
class RunConfig:
    """The settings of `python -m harness.run`, one field each; raises UserError that names everything wrong at once."""

    bench: str
    """Key of the benchmark."""
    dataset: str | None = None
    """Dataset of the ground truth; None is the first there is, or the embedded digits."""
    network: str | None = None
    """Which networks stand for the architectures, where a benchmark has several; None is those that were trained."""
    split: str = "test"
    """Which accuracy is the target."""
    epochs: int | None = None
    """Training budget of the target; None is the largest."""
    reduction: str = "mean"
    """How the target's seeds become one accuracy: mean, max or a seed label."""
    proxies: str = "core"
    """Comma-separated names, core, all, FILE.py:NAME."""
    sample: str | int = "auto"
    """Number of architectures drawn uniformly, or all; auto is all of an embedded table and 1,000 of another."""
    seeds: int = 1
    """Each seed changes initialisation and minibatch."""
    batch_size: int | None = None
    """Samples in the minibatch; None is the protocol's number, usually 64."""
    balanced: bool = False
    """Equal numbers of each class in the minibatch, up to one."""
    inputs: str = "images"
    """images, gaussian, or the path of an .npz or a folder of images."""
    protocol: str = "default"
    """A key of harness.proxies.protocols.PROTOCOLS: how the authors of a code base look at networks."""
    data: str | None = None
    """Folder of ground truth and images; None is the environment variable NAS_HARNESS_DATA."""
    devices: str = "auto"
    """auto (all GPUs, or the CPU where there is none), cpu, cuda (all GPUs) or a list such as cuda:0,cuda:2."""
    precision: str = "float32"
    """A word of harness.probe.precision.PRECISIONS: how exactly passes are computed."""
    stack: str | int = "auto"
    """Architectures run together; auto is what a short probe finds, or what the folder holds."""
    workers: int = 0
    """Processes of one thread each: on the CPU (0 is one for each core), or for each GPU (0 is one)."""
    executor: str = "local"
    """local, processes of this machine, or ray: a Ray cluster that is there already."""
    gpu_share: float = 1.0
    """The part of a GPU that a worker of a Ray cluster has."""
    existing: str = "resume"
    """What to do where the output folder holds a run: resume, replace or refuse."""
    share: bool = True
    """Score one architecture for each class of equivalent ones and share its score."""
    keep_unreachable: bool = False
    """Build networks with the operations that lie on no input-output path."""
    out: str | None = None
    """Run folder; None is a name of its own under results/."""

    def __post_init__(self) -> None:
        problems: list[str] = []
        if self.bench not in known():
            problems.append(str(unknown_benchmark(self.bench)))
        for name, valid in CHOICES.items():
            if getattr(self, name) not in valid:
                problems.append(str(suggest([getattr(self, name)], valid, f"value of --{name}")))
        for name, least in (("seeds", 1), ("batch_size", 1), ("workers", 0)):
            if (value := getattr(self, name)) is not None and value < least:
                problems.append(f"--{name.replace('_', '-')} {getattr(self, name)}: expected {least} or more")
        for name, words in (("sample", ("auto", "all")), ("stack", ("auto",))):
            value = str(getattr(self, name))
            object.__setattr__(self, name, value)
            if value not in words and not (value.isdecimal() and int(value) > 0):
                problems.append(f"--{name} '{value}': expected a whole number above 0 or {' or '.join(words)}")
        if self.stack not in ("auto", "1") and self.protocol in PROTOCOLS and PROTOCOLS[self.protocol].own_minibatch:
            problems.append(
                f"--stack {self.stack}: under the protocol {self.protocol} each architecture has a minibatch of its"
                " own, so they run one at a time; leave --stack out"
            )
        if not 0 < self.gpu_share <= 1:
            problems.append(f"--gpu-share {self.gpu_share}: expected more than 0 and at most 1")
        if self.epochs is not None and self.epochs < 1:
            problems.append(f"--epochs {self.epochs}: expected 1 or more")
        if wrong := devices.problem(self.devices):
            problems.append(wrong)
        if self.inputs not in ("images", "gaussian") and not Path(self.inputs).exists():
            problems.append(
                f"--inputs '{self.inputs}': expected images, gaussian, or the path of an .npz file or a folder"
            )
        try:
            self._check_proxies()
        except UserError as error:
            problems.append(str(error))
        if problems:
            raise UserError("; ".join(problems))

    def _check_proxies(self) -> None:
        from harness.proxies.registry import choose

        choose(self.proxies)


def each_space(spaces: str | None = None, *, bench: str, out: str | None = None, **settings: Any) -> list[RunConfig]:
    """Return the settings of a benchmark, or of each space of one that has several (`spaces` "1,3": of these).

    With several spaces, `out` is a folder of run folders named by their keys. `device` is taken for `devices`. Raises
    UserError as RunConfig does.
    """
    if "device" in settings:
        settings["devices"] = settings.pop("device")
    several = bench in GROUPS
    return [
        RunConfig(bench=key, out=str(Path(out) / key) if out and several else out, **settings)
        for key in expand(bench, spaces)
    ]
