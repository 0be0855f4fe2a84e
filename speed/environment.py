"""Where a benchmark runs: a description of the machine, and true float32 on a fixed number of threads."""

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch

from harness.probe.precision import arithmetic


def machine(threads: int, device: str = "cpu") -> dict[str, str | int | float]:
    """Return what a reader of the numbers has to know about the machine."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    gpu: dict[str, str | int | float] = {}
    if device != "cpu":
        about = torch.cuda.get_device_properties(device)
        gpu = {"gpu": about.name, "gpu_gib": round(about.total_memory / 2**30, 1), "cuda": torch.version.cuda or ""}
    return {
        "cpu": model, "isa": torch.backends.cpu.get_cpu_capability(), "cores": os.cpu_count() or 0, "threads": threads,
        "torch": torch.__version__, "python": platform.python_version(), "load": round(load, 2), **gpu,
    }  # fmt: skip


def described(facts: Mapping[str, object]) -> str:
    """Return the facts about a machine as one line."""
    return "  ".join(f"{key} {value}" for key, value in facts.items())


@contextmanager
def strict_float32(threads: int) -> Iterator[None]:
    """Compute in true float32, without TF32, on this number of threads inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with arithmetic("float32"):
            yield
    finally:
        torch.set_num_threads(before)
