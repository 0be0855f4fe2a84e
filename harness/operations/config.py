"""What the command line says: the settings of a comparison of operation scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import UserError, suggest

DEVICES = ("auto", "cpu", "cuda")
STATISTICS = ("batch", "running")
"""Where BatchNorm's mean and variance come from when a trained supernet is evaluated."""
ORDERS = ("fixed", "reverse", "random", "global-operation", "global-edge", "global-operation-once", "global-edge-once")
"""In which edges may be decided; `harness.operations.decide` says what they are."""
LEAST = {"seeds": 1, "first_seed": 0, "batch_size": 2, "supernet_epochs": 1, "supernet_batch": 2, "supernet_images": 0,
         "held_out": 1}  # fmt: skip


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
    network: str = ""
    """Settings of the networks that are not those of the table, such as channels=8,cells_per_stage=1."""
    supernet: str | None = None
    """Checkpoint of a trained supernet, or a folder of them; None: trained where a score needs one."""
    supernet_epochs: int = 50
    supernet_batch: int = 64
    supernet_lr: float = 0.025
    alpha_lr: float = 3e-4
    """Learning rate of the architecture parameters."""
    supernet_images: int = 0
    """Images that supernets are trained on, both halves together; 0: all."""
    bilevel_order: int = 1
    """1 or 2: of DARTS."""
    held_out: int = 16
    """Minibatches of the second half on which trained supernets are evaluated, at most."""
    statistics: str = "batch"
    """BatchNorm's in that: batch or running."""
    data: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        wrong = [
            f"--{name.replace('_', '-')} {getattr(self, name)}: expected {least} or more"
            for name, least in LEAST.items()
            if getattr(self, name) < least
        ]
        for name in ("supernet_lr", "alpha_lr"):
            if not 0 < getattr(self, name) < math.inf:
                wrong.append(f"--{name.replace('_', '-')} {getattr(self, name)}: expected a number above 0")
        if self.bilevel_order not in (1, 2):
            wrong.append(f"--bilevel-order {self.bilevel_order}: expected 1 or 2")
        if self.statistics not in STATISTICS:
            wrong.append(str(suggest([self.statistics], STATISTICS, "value of --statistics")))
        if self.supernet and not Path(self.supernet).exists():
            wrong.append(f"--supernet {self.supernet}: there is no such file or folder")
        if self.supernet and Path(self.supernet).is_file() and self.seeds > 1:
            wrong.append(
                f"--supernet {self.supernet} is the checkpoint of one seed: leave --seeds out, or give a folder"
            )
        if self.device not in DEVICES:
            wrong.append(str(suggest([self.device], DEVICES, "value of --device")))
        if wrong:
            raise UserError("; ".join(wrong))
