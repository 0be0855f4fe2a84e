"""Stages of `speed.gpu` that look inside: a profile of one stack, every view alone, the pieces of passes."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from harness.engine.devices import kind
from harness.engine.scorer import Chunk, Scorer
from harness.engine.scoring import by_view
from harness.proxies.choose import choose
from harness.proxies.own import references
from speed.gpu_job import Job, Keep
from speed.networks import one_of_each_class

LINES = 45
"""Of the profile that are kept."""
COUPLED = 4
"""Largest stack of proxies that take gradients of each sample."""


def run_profile(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """PyTorch's profile of one stack of the fastest size, by time of kernels and by time of the host."""
    scorer, size = Scorer(job.setting), 1 if job.small else job.fastest()
    chosen = one_of_each_class(scorer.space)[:size]
    chunk = Chunk(0, tuple(chosen), scorer.names)
    scorer.score(chunk)
    cuda = kind(job.setting.device) == "cuda"
    start = time.perf_counter()
    with profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda) as profiled:
        scorer.score(chunk)
    result |= {"stack": size, "seconds": time.perf_counter() - start}
    averages = profiled.key_averages()
    for order in [f"self_{'cuda' if cuda else 'cpu'}_time_total", "self_cpu_time_total"]:
        result[order] = averages.table(sort_by=order, row_limit=LINES, max_name_column_width=80)
    keep(result)


def run_views(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Milliseconds a network of every view with all its proxies, in stacks of one size, and minutes for the space."""
    everything = [proxy for proxy in choose("all") if not proxy.static and not proxy.on_module]
    networks = one_of_each_class(Scorer(job.setting).space)
    for (view, _), group in by_view(everything).items():
        coupled = [proxy for proxy in group if proxy.cost == "PS"]
        for some in ([proxy for proxy in group if proxy not in coupled], *([proxy] for proxy in coupled)):
            name = ",".join(proxy.name for proxy in some)
            if some and name not in result and time.monotonic() < stop and not (job.small and len(result) > 1):
                size = min(job.fastest(), COUPLED) if some[0] in coupled else job.fastest()
                result[name] = _view(replace(job.setting, proxies=references(some)), networks[:size], view.repeats)
                keep(result)


def _view(setting: Any, chosen: tuple[int, ...], repeats: int) -> dict[str, Any]:
    scorer = Scorer(setting)
    once = {name: replace(proxy, view=replace(proxy.view, repeats=1)) for name, proxy in scorer.proxies.items()}
    scorer.proxies = once
    cuda = kind(setting.device) == "cuda"
    seconds = []
    for _ in range(2):  # the first warms up
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        scorer.score(Chunk(0, chosen, scorer.names))
        seconds.append(time.perf_counter() - start)
    ms = 1e3 * seconds[-1] / len(chosen)
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    return {"stack": len(chosen), "ms": ms, "repeats": repeats, "minutes": ms * repeats * 9445 / 6e4, "peak_gib": peak}


def run_pieces(job: Job, result: dict[str, Any], keep: Keep, stop: float) -> None:
    """Milliseconds of convolutions in several ways, of eigenvalues here and on the CPU, of draws and uploads."""
    device, small = job.setting.device, job.small
    rows: list[dict[str, Any]] = result.setdefault("rows", [])
    pieces = [*_eigenvalues(device, small), *_uploads(device, small), *_convolutions(device, small)]
    for name, piece in pieces[len(rows) :]:
        if time.monotonic() > stop:
            break
        rows.append({"what": name, "ms": _milliseconds(piece, device)})
        keep(result)


Pieces = list[tuple[str, Callable[[], Any]]]


def _milliseconds(piece: Callable[[], Any], device: str, tries: int = 4) -> float:
    """Return the least time of a piece after two calls that warm up."""
    best = float("inf")
    for number in range(tries + 2):
        if kind(device) == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        piece()
        if kind(device) == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start) if number > 1 else best
    return 1e3 * best


def _eigenvalues(device: str, small: bool) -> Pieces:
    found: Pieces = []
    for n in (8, 16) if small else (16, 32, 33, 64, 128):
        a = torch.randn(32, n, n, dtype=torch.float64, device=device)
        a = a @ a.mT
        found.append((f"eigvalsh, 32 of {n} x {n}", lambda a=a: torch.linalg.eigvalsh(a)))  # type: ignore[misc]
        found.append((f"eigvalsh on the CPU, 32 of {n} x {n}", lambda a=a: torch.linalg.eigvalsh(a.cpu()).to(device)))  # type: ignore[misc]
    return found


def _uploads(device: str, small: bool) -> Pieces:
    count = 2**12 if small else 2**22
    here = torch.empty(count, device=device)
    pageable, pinned = torch.empty(count), torch.empty(count, pin_memory=kind(device) == "cuda")
    generator = torch.Generator().manual_seed(0)
    return [
        ("one addition", lambda: here.add_(1)),
        (f"copy of {count} floats", lambda: here.copy_(pageable)),
        (f"copy of {count} pinned floats", lambda: here.copy_(pinned, non_blocking=True)),
        (f"draw of {count} floats", lambda: pageable.uniform_(-1, 1, generator=generator)),
    ]


def _convolutions(device: str, small: bool) -> Pieces:
    """Of stacks: forward and both gradients by cuDNN (or oneDNN), by a forward convolution, by matrix products."""
    found: Pieces = []
    n = 2 if small else 64
    for k, channels, side, kernel in ((2, 4, 8, 3),) if small else (
        (32, 16, 32, 3), (32, 32, 16, 3), (32, 64, 8, 3), (6, 16, 32, 3), (32, 16, 32, 1), (32, 32, 16, 1),
        (6, 16, 32, 1),
    ):  # fmt: skip
        x = torch.randn(n, k * channels, side, side, device=device)
        w = torch.randn(k * channels, channels, kernel, kernel, device=device)
        found += _ways(f"{k} x {channels} channels, {side} x {side}, kernel {kernel}", x, w, k, kernel // 2)
    return found


def _ways(what: str, x: Tensor, w: Tensor, k: int, padding: int) -> Pieces:
    def gradient(data: bool) -> Tensor:
        given = (x, x, w, None, [1, 1], [padding] * 2, [1, 1], False, [0, 0], k, [data, not data, False])
        return torch.ops.aten.convolution_backward(*given)

    groups = w.view(k, -1, *w.shape[1:])
    rows = x.view(len(x), k, -1, x.shape[2] * x.shape[3])
    found: Pieces = [
        (f"forward, {what}", lambda: functional.conv2d(x, w, padding=padding, groups=k)),
        (f"data gradient, {what}", lambda: gradient(True)),
        (f"weight gradient, {what}", lambda: gradient(False)),
    ]
    if padding:
        turned = groups.transpose(1, 2).flip(3, 4).flatten(0, 1)
        by_forward = (
            f"data gradient by a forward, {what}",
            lambda: functional.conv2d(x, turned, padding=padding, groups=k),
        )
        return [*found, by_forward]
    matrix = groups.flatten(2)
    return [
        *found,
        (f"forward by matrix products, {what}", lambda: matrix @ rows),
        (f"weight gradient by matrix products, {what}", lambda: (rows @ rows.mT).sum(0)),
    ]
