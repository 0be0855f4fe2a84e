"""The minibatches that each view of a network sees."""

from collections.abc import Sequence

import torch

from harness.inputs.draw import Minibatch, gaussian_minibatches, ones
from harness.probe.view import View


class ViewInputs:
    """The minibatches of each view for one seed: the run's own, noise, or ones. The same for every architecture."""

    def __init__(
        self, minibatches: Sequence[Minibatch], classes: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.minibatches = minibatches
        self.classes = classes
        self.seed = seed
        self.device = device

    def of(self, view: View, count: int, repeat: int = 0) -> list[Minibatch]:
        """Return `count` minibatches for one repeat of a view, on the device, in the view's precision."""
        own = self.minibatches[0].inputs
        if view.inputs == "ones":
            chosen = [ones(tuple(own.shape[1:]), view.batch_size or len(own))]
        elif view.inputs == "gaussian":
            size = view.batch_size or len(own)
            chosen = gaussian_minibatches(
                shape=tuple(own.shape[1:]),
                classes=self.classes,
                batch_size=size,
                count=count,
                seed=1000 * self.seed + repeat,
            )
        else:
            first = slice(view.batch_size)
            chosen = [Minibatch(m.inputs[first], m.targets[first]) for m in self.minibatches[:count]]
        dtype = stored_dtype(view)
        return [Minibatch(m.inputs.to(self.device, dtype), m.targets.to(self.device)) for m in chosen]


def stored_dtype(view: View) -> torch.dtype:
    """Return the type of weights and inputs; the modes of less than 32 bits are those of computation alone."""
    return torch.float64 if view.precision == "float64" else torch.float32
