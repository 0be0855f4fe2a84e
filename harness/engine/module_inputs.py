"""What a user hands to `harness.score`, made into what passes take: model, inputs, labels, blocks.

What cannot serve is one line that says what came, what was expected, and what to do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from benchmarks.errors import UserError, suggest
from harness.probe.named_inputs import NamedInputs


def served_model(model: Any) -> nn.Module:
    """Return the module to be copied. Raises UserError for what is no ordinary module with weights."""
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    if isinstance(model, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise UserError("the model is TorchScript, whose layers cannot be seen: pass the nn.Module it was made from")
    if not isinstance(model, nn.Module):
        what = f"'{model}'" if isinstance(model, str) else f"a {type(model).__name__}"
        raise UserError(f"the model is {what}, expected an nn.Module: build it, or load it, and pass the object")
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UserError(
                f"'{name}' is TorchScript, whose layers cannot be seen: pass the nn.Module it was made from"
            )
        if "quantized" in type(module).__module__:
            raise UserError(f"'{name}' is quantised: pass the model as it was before")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise UserError(f"'{name}' of a lazy layer has no shape yet: run model(inputs) once, then score it")
        if tensor.is_meta:
            raise UserError(
                f"'{name}' is on the meta device, without values: model.to_empty(device='cpu'), then set them"
            )
    return model


def served_inputs(inputs: Any) -> tuple[Tensor | NamedInputs, str]:
    """Return the inputs, floats as float32, and the keyword of `forward` that gets them ("" for the first argument).

    A tensor, an array, or a mapping of these by keyword. Raises UserError for what is empty, not finite, or no numbers.
    """
    if isinstance(inputs, Mapping):
        tensors = {str(name): _tensor(value, f"inputs['{name}']") for name, value in inputs.items()}
        if not tensors:
            raise UserError("inputs is an empty mapping: expected tensors by keyword of the model's forward")
        sizes = {name: len(tensor) for name, tensor in tensors.items()}
        if len(set(sizes.values())) > 1:
            raise UserError(f"inputs of different numbers of samples: {sizes}")
        named = NamedInputs(tensors)
        return (named, "") if len(tensors) > 1 else (named.main, named.name)
    return _tensor(inputs, "inputs"), ""


def _tensor(values: Any, name: str) -> Tensor:
    try:
        x = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    except (TypeError, ValueError) as error:
        raise UserError(f"{name}: expected a tensor or an array, got a {type(values).__name__}") from error
    if x.is_meta:
        raise UserError(f"{name} are on the meta device, which holds no values")
    if x.is_sparse or x.is_quantized or x.is_complex():
        raise UserError(f"{name}: expected a dense tensor of floats or whole numbers, got {x.dtype} ({x.layout})")
    if x.dim() == 0 or x.numel() == 0:
        raise UserError(f"{name} of the shape {tuple(x.shape)}: expected one sample or more on the first axis")
    x = x.detach()
    if x.is_floating_point():
        if wrong := int((~x.isfinite()).sum()):
            raise UserError(f"{name}: {wrong} of {x.numel()} values are NaN or infinite")
        return x.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    if x.dtype == torch.uint8 and x.dim() > 2:
        raise UserError(f"{name} are uint8 images, 0 to 255: normalise them as in training, such as x.float() / 255")
    return x.clone() if x.dtype == torch.bool else x.to(torch.int64, copy=True)


def labels(targets: Any, samples: int, classes: int) -> tuple[Tensor, str]:
    """Return labels (samples,) int64 and "", or no labels and what is wrong with those given."""
    none = torch.empty(0, dtype=torch.int64)
    if targets is None:
        return none, "needs labels, and none are given"
    try:
        y = targets.detach() if isinstance(targets, Tensor) else torch.as_tensor(np.asarray(targets))
    except (TypeError, ValueError):
        return none, f"needs labels: expected class numbers, got a {type(targets).__name__}"
    if y.is_meta or y.is_sparse or y.is_quantized:
        return none, f"needs labels: expected a dense tensor of class numbers, got {y.dtype} ({y.layout}, {y.device})"
    if y.dim() == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dim() != 1 or len(y) != samples:
        hint = ": pass the class numbers, such as targets.argmax(1)" if y.dim() == 2 else ""
        return none, f"needs labels of the shape ({samples},), got {tuple(y.shape)}{hint}"
    if y.is_complex() or not bool((y == y.long()).all()):
        return none, "needs class numbers, the labels are fractions or NaN (regression is not scored)"
    y = y.to(torch.int64, copy=True)
    if bool(((y < 0) | (y >= classes)).any()):
        wrong = sorted(set(y[(y < 0) | (y >= classes)].tolist()))
        shown = ", ".join(map(str, wrong[:3])) + (", ..." if len(wrong) > 3 else "")
        return none, f"needs labels 0 to {classes - 1} for {classes} classes, got {shown}"
    return y, ""


def served_blocks(model: nn.Module, blocks: str | Sequence[str] | None) -> list[str]:
    """Return the names of a module's feature blocks. Raises UserError for those that it has not."""
    if not isinstance(blocks, str | list | tuple | None):
        raise UserError(f"blocks: expected names of modules, as a list or by commas, got a {type(blocks).__name__}")
    if not blocks:
        return []
    names = [word.strip() for word in blocks.split(",")] if isinstance(blocks, str) else [str(each) for each in blocks]
    known = [name for name, _ in model.named_modules() if name]
    if unknown := [name for name in names if name not in known]:
        raise suggest(unknown, known, "block (modules by name, `model.named_modules()`)")
    return names
