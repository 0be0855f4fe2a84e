"""Which devices compute: the words of `--devices` -> devices of this machine -> one for each worker process."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from benchmarks.errors import UserError

WORDS = ("auto", "cpu", "cuda")
"""auto is all GPUs, or the CPU where there is none; cuda is all GPUs."""


def problem(asked: str) -> str:
    """Return what is wrong with the words themselves, whatever this machine has; empty where nothing is."""
    words = asked.split(",")
    if asked in WORDS or all(re.fullmatch(r"cuda:\d+", word) for word in words):
        return ""
    if "cpu" in words and any(word.startswith("cuda") for word in words):
        return f"--devices {asked}: the CPU or GPUs, not both, as scores of both differ in their last digits"
    return f"--devices '{asked}': expected auto, cpu, cuda (all GPUs) or a list such as cuda:0,cuda:2"


def local(asked: str) -> list[str]:
    """Return the devices of this machine: ["cpu"], or each GPU once. UserError names those that are not there."""
    import torch

    there = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if asked == "cpu" or (asked == "auto" and not there):
        return ["cpu"]
    if not there:
        raise UserError(f"--devices {asked}: this PyTorch sees no CUDA device; use --devices cpu")
    if asked in WORDS:
        return there
    wanted = [f"cuda:{int(word.partition(':')[2])}" for word in dict.fromkeys(asked.split(","))]
    if absent := [device for device in wanted if device not in there]:
        raise UserError(f"--devices {asked}: no {', '.join(absent)} here; there is {', '.join(there)}")
    return list(dict.fromkeys(wanted))


def of_workers(devices: Sequence[str], asked: int) -> list[str]:
    """Return the device of each worker process: `asked` processes for each GPU (0 is one) or on the CPU (0 is one for
    each core)."""
    if kind(devices[0]) == "cuda":
        return [*devices] * (asked or 1)
    return ["cpu"] * (asked or max(1, len(os.sched_getaffinity(0))))


def kind(device: str) -> str:
    """Return cpu or cuda."""
    return device.partition(":")[0]


def current(device: str) -> AbstractContextManager:
    """Let a GPU be PyTorch's current one inside the block, so that no other is touched."""
    import torch

    return torch.cuda.device(device) if kind(device) == "cuda" else nullcontext()


def described(devices: Sequence[str]) -> str:
    """Return what computes, for a reader."""
    import platform

    import torch

    if kind(devices[0]) == "cpu":
        return f"CPU {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    names = Counter(torch.cuda.get_device_name(device) for device in devices)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in names.items())
