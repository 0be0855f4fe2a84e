"""A user's module as the probe reads it: a private copy that takes one tensor and returns logits.

In it every weight is a plain parameter (`harness.probe.copies`), attention and recurrent layers are written in linear
layers (`harness.probe.spelled_out`), activations are seen wherever they are called (`harness.probe.functions`), and the
output is (samples, classes) (`harness.probe.logits`). So the same function with the same weights, written in another
way, looks the same to proxies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils import checkpoint

from benchmarks.errors import UserError
from harness.probe.copies import copied, plain_weights
from harness.probe.functions import Functions, Seen, beside_input, functional_modules
from harness.probe.layer_rules import layers_of, rule_of, without_rule
from harness.probe.layers import by_sample
from harness.probe.logits import Choice, logits_of
from harness.probe.named_inputs import NamedInputs
from harness.probe.precision import memory_ran_out
from harness.probe.spelled_out import spell_out


class Refused(Exception):
    """The module's output does not serve: raised to every proxy, and once to the caller as a UserError."""


class Twin(nn.Module):
    """A rewritten copy of a module. `network` is the copy; names of its modules begin with that word."""

    def __init__(self, model: nn.Module, *, keyword: str = "", logits: Choice = None) -> None:
        """`keyword` is the argument of `forward` that gets the input, "" for the first one."""
        super().__init__()
        self.network: nn.Module = copied(model)
        self.fewer = plain_weights(self.network)
        """How many numbers fewer are trained than the weights have."""
        spell_out(self.network)
        beside_input(self.network)
        self.functional = functional_modules()
        self.keyword, self.choice, self.seen = keyword, logits, Seen()
        self.functions: Functions | None = None
        self.samples = 0
        """Of the forward that runs, or ran last."""
        self.network.float()

    def copy(self, share: bool) -> Twin:
        """Return another twin of one that has not run; `share`: over the same weights, for callers that never write to
        them."""
        assert self.functions is None
        return copied(self, share)

    @property
    def channels_last(self) -> bool:
        """Whether passes may run in that layout: two-dimensional convolutions, and no normalisation that is less exact
        there."""
        convolutions = False
        for module in self.network.modules():
            rule = rule_of(module)
            convolutions |= isinstance(module, nn.Conv2d)
            if rule.batch_statistics and not rule.knows(module) and "forward" not in vars(module):
                return False
            if rule.smooth and rule.maps and not rule.activation:
                return False
        return convolutions

    @property
    def left_out(self) -> dict[str, float]:
        """Parameters that no rule knows -> their share of all parameters."""
        total = sum(parameter.numel() for parameter in self.parameters())
        return {
            name.removeprefix("network."): parameter.numel() / total for name, parameter in without_rule(self).items()
        }

    @property
    def ran(self) -> list[str]:
        """Names of layers in the order in which they first ran, as far as that is known."""
        return self.seen.ran

    def arranged(self, values: Tensor, axis: int | None) -> Tensor:
        """Return what flows in the running forward as (samples, channels, ...); `axis` is that of its channels.

        Rows of several samples, such as windows, become positions; what is the same for all samples is repeated.
        Raises ValueError where the samples cannot be told apart.
        """
        shape, samples = tuple(values.shape), self.samples
        if axis == -1:
            values = by_sample(values, samples, axis)
            values = values.movedim(-1, 1) if values.dim() > 2 else values
        elif values.dim() == 1 and len(values) != samples:
            values = values.unsqueeze(0)
        if len(values) == 1:
            return values.expand(samples, *values.shape[1:])
        if len(values) % samples:
            raise ValueError(f"cannot tell the {samples} samples apart in a tensor of the shape {shape}")
        return values if len(values) == samples else values.unflatten(0, (samples, -1)).movedim(1, 2)

    def layout(self, module: nn.Module) -> int | None:
        """Return the axis of the channels in what a module returns: its own, or that of the layer that ran last."""
        axis = rule_of(module).axis(module)
        if axis is None and self.functions is not None and self.functions.layer is not None:
            axis = rule_of(self.functions.layer).axis(self.functions.layer)
        return axis

    @property
    def not_linear(self) -> set[str]:
        """Names of modules and functions, of those that ran so far, that are not piecewise linear."""
        own = {type(module).__name__ for module in self.network.modules() if rule_of(module).smooth}
        return own | self.seen.smooth

    def forward(self, x: Any) -> Tensor:
        """Input -> (samples, classes). Raises Refused for an output that does not serve."""
        if self.functions is None:
            weights = {id(layer.parameter): (layer.name, layer.module) for layer in layers_of(self)}
            self.functions = Functions(self.functional, weights, self.seen)
            self.functions.watch(self.network)
        self.functions.inside, self.functions.layer, self.samples = 0, None, len(x)
        given = x.tensors if isinstance(x, NamedInputs) else {self.keyword: x} if self.keyword else None
        with sdpa_kernel(SDPBackend.MATH), self.functions:  # the fused kernels have no second derivative
            try:
                output = self.network(x) if given is None else self.network(**given)
            except (RuntimeError, ValueError, IndexError, AssertionError) as error:
                if memory_ran_out(error):
                    raise
                raise RuntimeError(f"the model does not run on {_described(x)}: {error}") from error
        try:
            return logits_of(output, len(x), self.choice)
        except UserError as error:
            self.seen.refused = str(error)
            raise Refused(str(error)) from None


def _described(x: Any) -> str:
    shape = "(" + ", ".join(map(str, x.shape)) + ")"
    return f"{', '.join(x.tensors)}" if isinstance(x, NamedInputs) else f"inputs of the shape {shape}"


@contextmanager
def unfused() -> Iterator[None]:
    """Keep transformer layers from their fused evaluation, which no hook sees, and checkpointed parts of a model from
    running again in each backward: they compute as if they were not checkpointed."""
    fast = torch.backends.mha.get_fastpath_enabled()
    real = checkpoint.CheckpointFunction, checkpoint._checkpoint_without_reentrant_generator
    torch.backends.mha.set_fastpath_enabled(False)
    checkpoint.CheckpointFunction, checkpoint._checkpoint_without_reentrant_generator = _Called, _called  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        checkpoint.CheckpointFunction, checkpoint._checkpoint_without_reentrant_generator = real  # type: ignore[misc]
        torch.backends.mha.set_fastpath_enabled(fast)


class _Called:
    """In place of the autograd function of reentrant checkpoints."""

    @staticmethod
    def apply(function: Callable[..., Any], _: bool, *args: Any) -> Any:
        return function(*args)


def _called(*_: Any, **__: Any) -> Iterator[None]:
    """In place of what surrounds the call of the function in other checkpoints."""
    yield
