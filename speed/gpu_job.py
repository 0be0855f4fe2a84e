"""What the stages of `speed.gpu` have in common: their names and times, the settings, the results so far."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engine.scorer import Setting
from speed.networks import setting_201
from speed.speed import SETS

STAGES = {
    "stacks": 100, "profile": 25, "agreement": 40, "full": 600, "views": 60, "pieces": 45, "alone": 60, "ceilings": 20,
    "floor": 90, "precision": 90,
}  # fmt: skip
"""Stage -> its time limit in seconds (none if small), in the order they run; the clock of the whole limits all."""
AIM = 8.0
"""Ratio to reach: stacks over one network and one proxy at a time."""
Keep = Callable[[dict[str, Any]], None]
"""Writes the result of a stage so far."""


@dataclass(frozen=True)
class Job:
    """What is measured and where the results go; every stage gets it."""

    setting: Setting
    """NAS-Bench-201 with the classic ten on Gaussian noise."""
    small: bool
    """Tiny networks and few of them."""
    data: str | None
    """Folder with accuracies and images."""
    out: Path

    @property
    def stacks(self) -> tuple[int, ...]:
        """Sizes that are timed."""
        return (1, 2, 4) if self.small else (1, 8, 32, 64)

    @property
    def archs(self) -> int:
        """Architectures that are scored at most with each size."""
        return 4 if self.small else 256

    def done(self, stage: str) -> dict[str, Any]:
        """Return what a stage has written so far."""
        path = self.out / f"{stage}.json"
        return json.loads(path.read_text())["result"] if path.exists() else {}

    def rates(self) -> dict[int, float]:
        """Return size of stack -> architectures a second, of the sizes that the stage stacks has timed."""
        return {int(size): row["rate"] for size, row in self.done("stacks").items() if "rate" in row}

    def fastest(self) -> int:
        """Return the size with the highest rate; 32 if none was timed."""
        rates = self.rates()
        return max(rates, key=lambda size: rates[size]) if rates else 32


def setting_of(device: str, small: bool) -> Setting:
    """Return how the stages score networks."""
    sizes = {"channels": 4, "cells": 1, "resolution": 8} if small else {"channels": 16, "cells": 5, "resolution": 32}
    return setting_201(",".join(SETS["ten"]), **sizes, batch_size=8 if small else 64, device=device)
