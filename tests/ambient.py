"""States of PyTorch in which a user's own code may call the harness."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

AROUND = ("no_grad", "inference_mode", "autocast", "default dtype", "default device", "device block")


@contextlib.contextmanager
def around(name: str) -> Iterator[None]:
    """Be in a state inside the block."""
    with contextlib.ExitStack() as stack:
        if name == "no_grad":
            stack.enter_context(torch.no_grad())
        elif name == "inference_mode":
            stack.enter_context(torch.inference_mode())
        elif name == "autocast":
            stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        elif name == "default dtype":
            stack.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_default_dtype(torch.float64)
        elif name == "default device":
            stack.callback(torch.set_default_device, None)
            torch.set_default_device("meta")
        else:
            stack.enter_context(torch.device("meta"))
        yield


def settings() -> tuple:
    """What the states differ in."""
    return (
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(), torch.get_default_device(),
    )  # fmt: skip
