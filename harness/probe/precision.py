"""Precision modes: how exactly the passes of a view are computed. Formulas stay in float32 and float64 in all of them.

    float32     true float32, on every device: by default PyTorch lets cuDNN's convolutions use TF32
    tf32        convolutions on CUDA read their operands with 10 bits of fraction (TF32, compute capability 8 and more);
                matrix products, which formulas use too, stay in float32. This is what PyTorch does by default
    bfloat16    the network's forward under torch.autocast: weights are kept in float32; convolutions and linear layers
                read and write bfloat16 (7 bits of fraction, the range of float32), so activations and what flows back
                through them are bfloat16; statistics of BatchNorm, gradients of weights, the loss and whatever hooks
                and formulas make of all that are float32 or float64

A mode is the `precision` of a view. It changes views in float32 alone: what a proxy reads in float64 stays so, and so
does a proxy whose `keeps` names its precision. Model-level proxies (`module_proxy`) stay in float32 under bfloat16: it
is not known which of their products are formulas.

PyTorch is imported by the functions that need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


PRECISIONS = ("float32", "tf32", "bfloat16")


def check_device(precision: str, device: str | torch.device, *, here: bool = True) -> None:
    """Raise UserError where a device cannot compute in a mode; of one that is not `here` only the kind is known."""
    import torch

    if precision != "tf32":
        return
    where = torch.device(device)
    if where.type != "cuda":
        raise UserError(f"precision tf32 is for CUDA devices, not for {where.type}: take float32 or bfloat16")
    if here and (have := torch.cuda.get_device_capability(where)) < (8, 0):
        name = torch.cuda.get_device_name(where)
        raise UserError(f"precision tf32 needs compute capability 8.0, {name} has {have[0]}.{have[1]}: take float32")


@contextmanager
def arithmetic(precision: str, device: str | torch.device = "cpu") -> Iterator[None]:
    """Set PyTorch's flags for a view's precision inside the block; behind it they are as before.

    TF32 for convolutions where that is the mode, else nothing that is less exact than float32: not in cuDNN, not in
    matrix products of CUDA, not in oneDNN (`torch.set_float32_matmul_precision("medium")` means bfloat16 there). cuDNN
    takes algorithms that give the same bits every time. What the code around has switched on or off is as when PyTorch
    starts (`_as_started`). Blocks of several threads run one after another.
    Raises UserError as `check_device`.
    """
    import torch

    check_device(precision, device)
    convolutions = "tf32" if precision == "tf32" else "ieee"
    backends = torch.backends
    wanted: list[tuple[Any, str]] = [
        (getattr(of, name), convolutions if of is backends.cudnn else "ieee")
        for of, name in ((backends.cudnn, "conv"), (backends.cudnn, "rnn"), (backends.cuda, "matmul"),
                         (backends.mkldnn, "conv"), (backends.mkldnn, "matmul"))
        if hasattr(getattr(of, name, None), "fp32_precision")
    ]  # fmt: skip
    with _TURN:
        before = [flag.fp32_precision for flag, _ in wanted]
        older = _older_flags()
        repeatable = backends.cudnn.deterministic
        try:
            backends.cudnn.deterministic = True
            backends.cudnn.allow_tf32 = precision == "tf32"
            torch.set_float32_matmul_precision("highest")
            for flag, value in wanted:
                flag.fp32_precision = value
            with _as_started(device):
                yield
        finally:
            backends.cudnn.deterministic = repeatable
            if older is not None:
                backends.cudnn.allow_tf32, matmul = older
                torch.set_float32_matmul_precision(matmul)
            for (flag, _), value in zip(wanted, before, strict=True):
                flag.fp32_precision = value


_TURN = threading.RLock()
"""Held inside `arithmetic`: the flags are the whole process's, as are PyTorch's generators, so threads take turns."""


@contextmanager
def _as_started(device: str | torch.device) -> Iterator[None]:
    """Inside, gradients are recorded, autocast is off, and tensors are made in float32 on the CPU unless code says
    otherwise."""
    import torch

    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in {"cpu", "cuda", torch.device(device).type}:
            if _autocast_on(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_default_dtype, dtype)
        yield


def _older_flags() -> tuple[bool, str] | None:
    """Return what PyTorch before 2.9 has for them; None where the newer ones were set to what these cannot say."""
    import torch

    try:
        return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None


def in_bfloat16(forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    """Return, in float32, what a forward gives when its convolutions and linear layers compute in bfloat16."""
    import torch

    with torch.autocast(inputs.device.type, torch.bfloat16, cache_enabled=False):  # kept weights would outlive a change
        return forward(inputs).float()


def as_written(x: Tensor) -> AbstractContextManager:
    """Let formulas in a hook compute as they are written, whatever precision the forward around them has."""
    import torch

    kind = x.device.type
    return torch.autocast(kind, enabled=False) if _autocast_on(kind) else nullcontext()


def widened(x: Tensor) -> Tensor:
    """Return what flowed in bfloat16 in float32, anything else as it is."""
    import torch

    return x.float() if x.dtype == torch.bfloat16 else x


def computed(x: Tensor) -> Tensor:
    """Return an operand in the precision in which the forward at work computes, where its graph can see the change."""
    import torch

    kind = x.device.type
    wanted = x.dtype == torch.float32 and _autocast_on(kind)
    return x.to(torch.get_autocast_dtype(kind)) if wanted else x


def _autocast_on(kind: str) -> bool:
    """Return whether autocast is on for a kind of device."""
    import torch

    try:
        return torch.is_autocast_enabled(kind)
    except RuntimeError:  # a kind that has none, as meta
        return False


def memory_ran_out(error: BaseException) -> bool:
    """Return whether an error means that there is no memory left, whichever library says so."""
    import torch

    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in text for words in ("out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED"))
    )
