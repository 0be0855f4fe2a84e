"""What of a module's output are the logits, (samples, classes).

A tensor is taken as it is; one number a sample, (samples,) or (samples, 1), is read as the logit of class 1, that of
class 0 being 0, as the binary cross-entropy has it. From several outputs (tuple, list, mapping, dataclass) the one
that `logits=` chooses is taken, without it the one under the key or field `logits` or `out`, else the only one that is
(samples, classes). Everything else is an error that lists what came and names `logits=`.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.errors import UserError

Choice = int | str | Callable[[Any], Any] | None
"""What `logits=` takes: the place in a tuple, a key or field, or a function of what the module returns."""
NAMES = ("logits", "out")


def logits_of(output: Any, samples: int, choice: Choice = None) -> Tensor:
    """Return the logits (samples, classes) among what a module returned. Raises UserError where that is not clear."""
    chosen = _chosen(output, choice, samples)
    if not isinstance(chosen, Tensor):
        parts = _parts(chosen)
        named = [value for key, value in parts.items() if key in NAMES and isinstance(value, Tensor)]
        flat = [value for value in parts.values() if isinstance(value, Tensor) and value.dim() == 2]
        tensors = [value for value in parts.values() if isinstance(value, Tensor)]
        found = named[:1] or (flat if len(flat) == 1 else tensors if len(tensors) == 1 else [])
        if not found:
            raise UserError(
                f"{_came(output, samples)}: name the logits by logits= (a key, a place, or a function of it)"
            )
        chosen = found[0]
    return _as_classes(chosen, samples, output)


def _chosen(output: Any, choice: Choice, samples: int) -> Any:
    if callable(choice):
        return choice(output)
    if choice is None or isinstance(output, Tensor):  # one output in evaluation, several in training
        return output
    parts = _parts(output)
    keys = list(parts)
    if isinstance(choice, int) and not isinstance(output, Mapping) and -len(keys) <= choice < len(keys):
        return parts[keys[choice]]
    if choice not in parts:
        raise UserError(f"logits={choice!r}: {_came(output, samples)}")
    return parts[choice]


def _parts(output: Any) -> dict[Any, Any]:
    """Return the parts of an output by key, field or place."""
    if isinstance(output, Mapping):
        return dict(output)
    if is_dataclass(output):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    if isinstance(output, (tuple, list)):
        names = getattr(output, "_fields", range(len(output)))
        return dict(zip(names, output, strict=True))
    return {}


def _as_classes(logits: Any, samples: int, output: Any) -> Tensor:
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        raise UserError(f"{_came(output, samples)}: expected a tensor of floats (samples, classes)")
    if logits.dim() > 2 and logits.numel() == len(logits) * max(logits.shape[1:]):  # maps of one position
        logits = logits.flatten(1)
    if logits.dim() == 1 and len(logits) == samples:
        logits = logits.unsqueeze(1)
    if logits.dim() != 2 or len(logits) != samples:
        what = f"{_came(output, samples)}, expected (samples, classes)"
        advice = "a sequence or a map has to become one row a sample, such as logits=lambda out: out.mean(1)"
        raise UserError(f"{what}: {advice if logits.dim() > 2 else 'the first axis must be the samples'}")
    return torch.cat([torch.zeros_like(logits), logits], 1) if logits.shape[1] == 1 else logits


def _came(output: Any, samples: int) -> str:
    """Return what a module returned, in words."""
    if isinstance(output, Tensor):
        return f"the model returns {_shape(output, samples)}"
    parts = _parts(output)
    if not parts:
        return f"the model returns {type(output).__name__}"
    return f"the model returns {', '.join(f'{key}: {_shape(value, samples)}' for key, value in parts.items())}"


def _shape(value: Any, samples: int) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    sizes = ["samples" if axis == 0 and size == samples else str(size) for axis, size in enumerate(value.shape)]
    return f"({', '.join(sizes)})"
