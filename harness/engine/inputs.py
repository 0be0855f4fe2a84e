"""The minibatches that each view of a network sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from harness.inputs.draw import Minibatch, gaussian_minibatches, ones
from harness.probe.view import View


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
        dtype = stored_dtype(view)
        return [Minibatch(m.inputs.to(self.device, dtype), m.targets.to(self.device)) for m in chosen]


def stored_dtype(view: View) -> torch.dtype:
    """Return the type of weights and inputs; the modes of less than 32 bits are those of computation alone."""
    return torch.float64 if view.precision == "float64" else torch.float32
