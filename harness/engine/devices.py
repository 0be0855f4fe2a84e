"""Which devices compute: the words of `--devices` -> devices of this machine -> one for each worker process."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from benchmarks.errors import UserError

WORDS = ("auto", "cpu", "cuda")
"""auto is all GPUs, or the CPU where there is none; cuda is all GPUs."""


def problem(requested: str) -> str:
    """Return what is wrong with the words themselves, on any machine; empty where nothing is."""
    words = requested.split(",")
    if requested in WORDS or all(re.fullmatch(r"cuda:\d+", word) for word in words):
        return ""
    if "cpu" in words and any(word.startswith("cuda") for word in words):
        return f"--devices {requested}: the CPU or GPUs, not both, as scores of both differ in their last digits"
    return f"--devices '{requested}': expected auto, cpu, cuda (all GPUs) or a list such as cuda:0,cuda:2"


def single(requested: str) -> str:
    """Return one device of this machine for auto, cpu, cuda (the first GPU) or cuda:N; UserError for anything else."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", requested):
        raise UserError(f"--device '{requested}': expected auto, cpu, cuda or cuda:N")
    return local(requested, "--device")[0]


def local(requested: str, option: str = "--devices") -> list[str]:
    """Return the devices of this machine: ["cpu"], or each GPU once. UserError names those that are not there."""
    import torch

    there = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if requested == "cpu" or (requested == "auto" and not there):
        return ["cpu"]
    if not there:
        raise UserError(f"{option} {requested}: this PyTorch sees no CUDA device; use {option} cpu")
    if requested in WORDS:
        return there
    wanted = [f"cuda:{int(word.partition(':')[2])}" for word in dict.fromkeys(requested.split(","))]
    if absent := [device for device in wanted if device not in there]:
        raise UserError(f"{option} {requested}: no {', '.join(absent)} here; there is {', '.join(there)}")
    return list(dict.fromkeys(wanted))


def of_workers(devices: Sequence[str], each: int) -> list[str]:
    """Return the device of each worker process: `each` processes for each GPU (0 is one) or on the CPU (0 is one for
    each core)."""
    if kind(devices[0]) == "cuda":
        return [*devices] * (each or 1)
    return ["cpu"] * (each or max(1, len(os.sched_getaffinity(0))))


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
