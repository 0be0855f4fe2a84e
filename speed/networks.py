"""The networks that are measured: sampled architectures, the sizes of their networks, and drawn weights."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from benchmarks.benchmark import EMBEDDED_DATASET, load
from benchmarks.spaces.space import Space
from harness.engine.scorer import Setting
from harness.probe.initialise import initialise, stream
from harness.proxies.choose import choose
from harness.proxies.own import references

CELLS = {"201": "cells_per_stage", "101": "modules", "1shot1": "modules"}
"""First part of a space's key -> the setting of its networks that --cells changes."""


def connected(space: Space, archs: int, seed: int = 0) -> list[int]:
    """Return connected architectures of a space, drawn with a seed."""
    return [int(i) for i in space.sample(len(space), seed) if space.connected[i]][:archs]


def one_of_each_class(space: Space, seed: int = 0) -> tuple[int, ...]:
    """Return one architecture of each class of equivalent ones, in the order of the sample with a seed."""
    return tuple(dict.fromkeys(int(space.class_id[i]) for i in space.sample(len(space), seed)))


def sampled(bench: str, archs: int) -> tuple[Space, list[int]]:
    """Return a space and connected architectures of it, drawn with seed 0 (101: among those of the embedded table)."""
    space = load(bench, EMBEDDED_DATASET).space
    return space, connected(space, archs)


def network_of(bench: str, space: Space, channels: int | None, cells: int | None) -> dict[str, Any]:
    """Return the settings of the networks that the benchmark trained, with other numbers of channels and cells."""
    network = {**space.network, "classes": 10}
    if channels is not None:
        network["channels"] = channels
        network |= {"head_channels": 8 * channels} if "head_channels" in network else {}
    name = CELLS.get(bench.split("-")[0])
    return network | ({name: cells} if name and cells is not None else {})


def setting_201(
    proxies: str, *, channels: int, cells: int, resolution: int, batch_size: int, device: str
) -> Setting:  # fmt: skip
    """Return the setting that scores networks of NAS-Bench-201 on Gaussian noise."""
    network = {"channels": channels, "cells_per_stage": cells, "input_channels": 3, "classes": 10}
    return Setting(
        bench="201", proxies=references(choose(proxies)), network=network, resolution=resolution,
        inputs="gaussian", dataset="cifar10", batch_size=batch_size, balanced=False, share=True, keep_unreachable=False,
        device=device,
    )  # fmt: skip


def draw_weights(network: nn.Module, names: Sequence[str], seed: int = 0) -> nn.Module:
    """Draw the weights of a stack of these architectures as the default view does; return the network."""
    initialise(network, [stream(seed, name, "default 0") for name in names])
    return network
