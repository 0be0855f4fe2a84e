"""What `harness.bench.layers` times and counts: stacked convolutions, whole forwards, gathering against masks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.layers import Take, allocate
from harness.bench.ceilings import best
from harness.bench.counts import layers_of, totals
from harness.bench.floor import network_of, sampled
from harness.bench.layers import WIDTHS
from harness.view import initialise, stream

Convolve = Callable[[Tensor, Tensor, int], Tensor]
"""(samples, K * channels, height, width), (K * channels, channels, 3, 3), K -> like the first."""


def grouped(x: Tensor, weight: Tensor, k: int) -> Tensor:
    """One grouped convolution: what the harness runs."""
    return functional.conv2d(x, weight, padding=1, groups=k)


def unfolded(x: Tensor, weight: Tensor, k: int) -> Tensor:
    """A batched matrix product, a matrix for each sample and architecture, over patches laid out side by side."""
    n, _, height, width = x.shape
    patches = functional.unfold(x.reshape(n * k, -1, height, width), 3, padding=1).view(n, k, -1, height * width)
    return torch.matmul(weight.view(1, k, weight.shape[0] // k, -1), patches).reshape(n, -1, height, width)


def looped(x: Tensor, weight: Tensor, k: int) -> Tensor:
    """A convolution for each architecture, put together again."""
    parts = zip(x.chunk(k, 1), weight.chunk(k, 0), strict=True)
    return torch.cat([functional.conv2d(each, w, padding=1) for each, w in parts], 1)


WAYS: dict[str, tuple[Convolve, bool]] = {
    "grouped": (grouped, False),
    "grouped, last": (grouped, True),
    "unfolded bmm": (unfolded, False),
    "loop": (looped, False),
    "loop, last": (looped, True),
}
"""Name -> how it runs, and whether with channels last."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def measure(
    stacks: Sequence[int],
    *,
    batch_size: int,
    shrink: int,
    device: str,
    seconds: float,
    compiled: Sequence[int],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return the rows of all three tables; what did not fit into the seconds is told in "cut".

    `compiled` are the stacks that torch.compile is tried on, last, as it takes minutes.
    """
    stop = time.monotonic() + seconds
    result: dict[str, Any] = {"convolutions": [], "forwards": [], "cut": ""}
    result["masks"] = [masks(k, batch_size) for k in stacks]
    ways = [(way, k) for k in stacks for way in ("as it is", "CUDA graph")]
    for channels, pixels in WIDTHS:
        for k in stacks:
            for precision in PRECISIONS:
                if time.monotonic() < stop:
                    sizes = channels // shrink, pixels // shrink
                    result["convolutions"] += convolutions(*sizes, k, batch_size, precision, device)
                    say(f"{channels} channels, K = {k}, {precision}")
                else:
                    result["cut"] = f"cut off after {seconds:.0f} s"
    for way, k in [*ways, *(("torch.compile", k) for k in compiled)]:
        if time.monotonic() < stop:
            result["forwards"].append(forward(way, k, batch_size, shrink, device))
            say(f"forward, K = {k}, {way}")
        else:
            result["cut"] = f"cut off after {seconds:.0f} s"
    return result


def convolutions(
    channels: int, pixels: int, k: int, batch_size: int, precision: str, device: str
) -> list[dict[str, Any]]:
    """Return ms per architecture of forward and backward, for each way that gives what the grouped convolution does."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch_size, k * channels, pixels, pixels, generator=generator).to(device, PRECISIONS[precision])
    weight = torch.randn(k * channels, channels, 3, 3, generator=generator).to(device, PRECISIONS[precision])
    expected = grouped(x, weight, k).float()
    facts = {"channels": channels, "pixels": pixels, "stack": k, "precision": precision}
    rows = []
    for way, (convolve, last) in WAYS.items():
        layout = torch.channels_last if last else torch.contiguous_format
        given = x.contiguous(memory_format=layout).requires_grad_(True)
        w = weight.contiguous(memory_format=layout).requires_grad_(True)
        output = convolve(given, w, k)
        off = ((output.detach().float() - expected).norm() / expected.norm()).item()
        assert off < (1e-4 if precision == "float32" else 2e-2), f"{way} is not the same convolution: {off}"
        u = torch.ones_like(output)

        def backward(output: Tensor = output, to: tuple = (given, w), u: Tensor = u) -> object:
            return torch.autograd.grad(output, to, u, retain_graph=True)

        def alone(convolve: Convolve = convolve, given: Tensor = given, w: Tensor = w) -> object:
            with torch.no_grad():
                return convolve(given, w, k)

        for which, function in (("forward", alone), ("backward", backward)):
            rows.append(facts | {"way": way, "pass": which, "ms": 1e3 * best(function, device, tries=3) / k})
    return rows


def forward(way: str, k: int, batch_size: int, shrink: int, device: str) -> dict[str, Any]:
    """Return ms per architecture of the forward of one stack without gradients, or why it was skipped."""
    facts: dict[str, Any] = {"way": way, "stack": k}
    space, chosen = sampled("201", k)
    settings = network_of("201", space, 16 // shrink, None if shrink == 1 else 1)
    network = allocate(space.build(chosen, **settings), device)
    initialise(network, [stream(0, space.canonical(i), "default 0") for i in chosen])
    x = torch.randn(batch_size, k * 3, 32 // shrink, 32 // shrink, generator=torch.Generator().manual_seed(0))
    x = x.to(device)
    start = time.perf_counter()
    try:
        with torch.no_grad():
            run = PREPARED[way](network, x)
            run()
            return facts | {"prepared": time.perf_counter() - start, "ms": 1e3 * best(run, device, tries=3) / k}
    except Exception as error:  # a way that this machine does not have is no reason to stop
        return facts | {"skipped": f"skipped: {type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"}


def _as_it_is(network: nn.Module, x: Tensor) -> Callable[[], object]:
    return lambda: network(x)


def _compiled(network: nn.Module, x: Tensor) -> Callable[[], object]:
    compiled = torch.compile(network)
    return lambda: compiled(x)


def _graph(network: nn.Module, x: Tensor) -> Callable[[], object]:
    if not x.is_cuda:
        raise RuntimeError("CUDA graphs need a GPU")
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            network(x)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        network(x)
    return graph.replay


PREPARED = {"as it is": _as_it_is, "torch.compile": _compiled, "CUDA graph": _graph}


def masks(k: int, batch_size: int) -> dict[str, Any]:
    """Return FLOPs and bytes of a forward with every operation on all edges of every cell, over those of gathering.

    The rest of the network is the same. Masks' own products and sums are left out. "gathering" is what the copies that
    pick channels out (read, written) and put them back (two reads, a write) add to the bytes of the layers.
    """
    space, chosen = sampled("201", k)
    settings = network_of("201", space, None, None)
    shape = (batch_size, 3, 32, 32)

    def counted(arch: str) -> tuple[int, int]:
        return totals(layers_of(space.build([space.index(arch)], **settings), shape), "forward")

    def everywhere(operation: str) -> str:
        edges = [[f"{operation}~{source}" for source in range(node)] for node in (1, 2, 3)]
        return "+".join("|" + "|".join(node) + "|" for node in edges)

    base = counted(everywhere("skip_connect"))
    every = [counted(everywhere(name)) for name in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")]
    masked = [base[i] + sum(each[i] - base[i] for each in every) for i in range(2)]
    network = space.build(chosen, **settings)
    copied: list[int] = []

    def watch(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, Take) and module.positions is not None:
            copied.append(4 * 5 * output.numel())

    for module in network.modules():
        if isinstance(module, Take):
            module.register_forward_hook(watch)
    flops, moved = totals(layers_of(network, (batch_size, 3 * k, 32, 32)), "forward")
    return {
        "stack": k,
        "flops": k * masked[0] / flops,
        "bytes": k * masked[1] / moved,
        "gathering": sum(copied) / moved,
    }
