"""What the command line says: the settings of a comparison of operation scores."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.errors import UserError, suggest

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class OperationsConfig:
    """Which scores on which benchmark; the names are the options of the command line."""

    bench: str = "201"
    scores: str = "default"
    reference: str | None = None
    dataset: str | None = None
    split: str = "test"
    epochs: int | None = None
    seeds: int = 1
    first_seed: int = 0
    batch_size: int = 64
    inputs: str = "images"
    augment: bool = False
    along: bool = False
    """Whether zc-pt and disc-zc go through the search in fixed order, all undecided edges scored at each step."""
    data: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        wrong = [
            f"--{name.replace('_', '-')} {getattr(self, name)}: expected {least} or more"
            for name, least in (("seeds", 1), ("first_seed", 0), ("batch_size", 2))
            if getattr(self, name) < least
        ]
        if self.device not in DEVICES:
            wrong.append(str(suggest([self.device], DEVICES, "value of --device")))
        if wrong:
            raise UserError("; ".join(wrong))
