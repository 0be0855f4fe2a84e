"""How long the passes take through the probe that proxies read, and which of PyTorch's operations they spend it in."""

import os
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.spaces.layers import allocate
from harness.inputs.draw import Minibatch
from harness.probe.probe import Probe
from speed.networks import draw_weights
from speed.passes import Watch

READ: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {
    ("gradients", "input_gradients"): (
        ("forward", "outputs"),
        ("loss backward", "gradients"),
        ("jacobian", "input_gradients"),
    ),
    ("gradients", "weight_curvature"): (
        ("forward with a graph", "outputs"),
        ("backward with a graph", "gradients"),
        ("hessian form", "weight_curvature"),
    ),
}
"""Reads -> the passes that one probe with them runs, and the attribute that runs each."""
GROUPS = (  # part of an operation's name -> what it does, first match; the rest are elementwise
    ("convolution", "convolution"), ("conv2d", "convolution"), ("mkldnn", "convolution"), ("addmm", "convolution"),
    ("bmm", "convolution"), ("batch_norm", "batchnorm"), ("threshold", "relu"), ("relu", "relu"),
    ("clamp_min", "relu"), ("pool", "pooling"), ("index", "gathering"), ("copy", "copies"), ("clone", "copies"),
    ("contiguous", "copies"), ("cat", "copies"), ("zero", "copies"), ("fill", "copies"), ("repeat", "copies"),
    ("addcmul", "elementwise"), ("aten::add", "sums of tensors"), ("sum", "reductions"), ("mean", "reductions"),
)  # fmt: skip


def time_passes(
    build: Callable[[], nn.Module], names: Sequence[str], minibatch: Minibatch, device: str, repeats: int,
    profiled: bool = False,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Return by pass: seconds of the stack (median), peak bytes allocated (GPU), and seconds by kind of operation.

    `build` returns the network of the architectures `names`, on the meta device. The layout is the engine's own. With
    `repeats` above 2 the first, which warms up, does not count. Kinds, if `profiled`, divide those seconds as one more
    run under PyTorch's profiler does.
    """
    network = draw_weights(allocate(build(), device), names)
    placed = Minibatch(minibatch.inputs.to(device), minibatch.targets.to(device))
    found: dict[str, dict[str, Any]] = {}
    for reads, passes in READ.items():
        watch, peaks = Watch(device), dict.fromkeys((which for which, _ in passes), 0)
        for _ in range(repeats):
            _run(network, placed, len(names), reads, device, watch.time, peaks)
        shares: dict[str, dict[str, float]] = {}
        if profiled:
            _run(network, placed, len(names), reads, device, partial(_profiled, shares, device), {})
        for which, _ in passes:
            seen = watch.seen[watch.clock][which]
            seconds = statistics.median(seen[1:] if len(seen) > 2 else seen)
            kinds = {kind: share * seconds for kind, share in shares.get(which, {}).items()}
            found[which] = {"seconds": seconds, "peak_bytes": peaks[which], "by_kind": kinds}
    return found


def _run(
    network: nn.Module, minibatch: Minibatch, archs: int, reads: tuple[str, ...], device: str,
    timed: Callable[[str, Callable[[], object]], object], peaks: dict[str, int],
) -> None:  # fmt: skip
    """Run the passes of one probe under `timed(name, function)`; keep the peak memory of each."""
    probe = Probe(network, [minibatch], archs=archs, reads=reads, channels_last=archs == 1 and device == "cpu")
    for which, attribute in READ[reads]:
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats(device)
        timed(which, partial(getattr, probe, attribute))
        if device != "cpu" and which in peaks:
            peaks[which] = max(peaks[which], torch.cuda.max_memory_allocated(device))
    probe.close()


def _profiled(shares: dict[str, dict[str, float]], device: str, which: str, function: Callable[[], object]) -> None:
    """Run a pass under PyTorch's profiler; keep the share of its time by kind of operation."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it prints when it starts and stops
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device != "cpu")
    with profile(activities=activities) as profiler:
        function()
    seconds: dict[str, float] = {}
    for event in profiler.key_averages():
        spent = event.self_cpu_time_total if device == "cpu" else event.self_device_time_total
        if spent and event.key.startswith("aten::"):  # work on a GPU is also listed under the names of its kernels
            kind = next((kind for part, kind in GROUPS if part in event.key), "elementwise")
            seconds[kind] = seconds.get(kind, 0.0) + spent
    whole = sum(seconds.values())  # zero where a GPU does not allow profiling
    shares[which] = {kind: spent / whole for kind, spent in seconds.items()} if whole else {}
