"""The base of observers: quantities of one forward pass, each reduced inside hooks, and only when declared.

A proxy names one in its `reads` and gets it from `probe.observed(name)`. An observer sees every module's output as the
module returns it; what a network later does to it in place does not matter.
"""

from typing import Any

import torch
from torch import Tensor, nn

from harness.probe.context import PassContext
from harness.probe.layer_rules import is_relu
from harness.probe.layers import owned, places
from harness.probe.precision import as_written, memory_ran_out, widened
from harness.probe.twin import Twin


class Observer:
    """One quantity of one forward pass."""

    graph = False
    """Whether the pass has to be differentiable for it."""
    total: Any

    def __init__(self, context: PassContext) -> None:
        self.context = context
        self.handles: list = []
        self.twin = context.network if isinstance(context.network, Twin) else None
        """The network, where it is a user's module."""
        self.error: Exception | None = None
        """What went wrong; raised to proxies that read this quantity, not to others that read the pass."""
        self.start(len(context.inputs))

    def start(self, samples: int) -> None:
        """Make what the quantity is gathered in, `total`; by default zeros (archs, samples, samples) float64."""
        self.total = self.context.zeros(samples, samples)

    def attach(self) -> None:
        """Put the hooks on the network."""
        for module in self.context.network.modules():
            if self.wants(module):
                self.handles.append(module.register_forward_hook(self._hook))

    def detach(self) -> None:
        """Take the hooks off."""
        for handle in self.handles:
            handle.remove()

    def wants(self, module: nn.Module) -> bool:
        """Whether a module's output is looked at; by default that of every ReLU call."""
        return is_relu(module)

    def _hook(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if self.error is None and isinstance(output, Tensor):
            x = inputs[0] if inputs and isinstance(inputs[0], Tensor) else output
            try:
                with torch.no_grad(), as_written(output):
                    x, output = x.detach(), output.detach()
                    if self.twin is not None:
                        axis = self.twin.layout(module)
                        x = self.twin.arranged(x, axis)
                        output = self.twin.arranged(output, axis)
                    self.see(module, widened(x), widened(output))
            except Exception as error:
                if memory_ran_out(error):
                    raise
                self.error = error
        return None

    def see(self, module: nn.Module, x: Tensor, y: Tensor) -> None:
        """Reduce the input of a module, x, and its output, y; of a user's module both are (samples, channels, ...)."""

    def is_map(self, y: Tensor) -> bool:
        """Whether an output has positions; in a stack that of a linear layer has not."""
        return y.dim() == 4 if self.twin is None else y.dim() > 2 and y[0, 0].numel() > 1

    def gathered(self) -> object:
        """Return the quantity, or the exception that stopped it."""
        try:
            return self.error or self.result()
        except Exception as error:
            if memory_ran_out(error):
                raise
            return error

    def result(self) -> object:
        """Return the quantity, or raise what a proxy that reads it shall fail with."""
        return self.total


def add(total: Tensor, owners: tuple[int, ...], values: Tensor) -> None:
    """Add (owners, ...) to (archs, ...) at the owners' places."""
    total.index_add_(0, places(owners, total.device), values)


def rows_of(module: nn.Module, values: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """(samples, owners * channels, ...) -> owners, and (owners, samples, units)."""
    owners, parts = owned(module, values)
    return owners, parts.flatten(2).transpose(0, 1)
