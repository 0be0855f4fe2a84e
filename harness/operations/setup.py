"""What operation scores are computed from: a benchmark's table, its supernet, minibatches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmarks.benchmark import Benchmark, load, space_of
from benchmarks.files.sources import data_folder
from benchmarks.spaces.layers import allocate
from benchmarks.spaces.settings import changed, settings_from
from benchmarks.spaces.space import Choices
from harness.engine.devices import single
from harness.inputs.draw import Minibatch, load_images, minibatches, source_of
from harness.inputs.images import Images
from harness.operations.config import OperationsConfig
from harness.operations.supernets.darts import Training
from harness.operations.supernets.masks import draw_alphas, mixture
from harness.probe.initialise import initialise, stream
from harness.runs.assemble import Target, target_of

NEVER = -1e4
"""Architecture parameter of an operation that an edge may not have."""
IMAGES_KEPT = 32_000
"""Images of minibatches held in memory at a time, at most."""


@dataclass(frozen=True, eq=False)
class Setup:
    """One benchmark and target; networks and minibatches are made on demand."""

    config: OperationsConfig
    benchmark: Benchmark
    target: Target
    device: str
    folder: Path
    """What is written goes here."""
    trained: dict[int, Any] = field(default_factory=dict)
    """Trained supernets by seed (`harness.operations.supernets.trained`)."""

    @cached_property
    def choices(self) -> Choices:
        """Of the rows of the table."""
        return self.benchmark.space.choices.of(self.benchmark.indices)

    @cached_property
    def accuracy(self) -> np.ndarray:
        """(table rows,) percent: the target."""
        return self.benchmark.table.target(self.target.split, self.target.epochs, self.target.reduction)

    @cached_property
    def trials(self) -> np.ndarray:
        """(table rows, trials) percent: every single training."""
        return self.benchmark.table.per_seed(self.target.split, self.target.epochs)

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Edges and operations."""
        return len(self.choices.edges), len(self.choices.operations)

    @cached_property
    def images(self) -> Images | str:
        """What minibatches are drawn from."""
        inputs, table = self.config.inputs, self.benchmark.table
        if inputs == "gaussian":
            return inputs
        return load_images(source_of(table) if inputs == "images" else inputs, data_folder(self.config.data))

    @cached_property
    def network(self) -> dict[str, int]:
        """Settings of the networks."""
        classes = self.images.classes if isinstance(self.images, Images) else None
        return self.benchmark.network_settings(classes, settings_from(self.config.network))

    @property
    def side(self) -> int | None:
        """Side of the images that networks see, in pixels."""
        return self.config.resolution or self.benchmark.resolution

    @property
    def training(self) -> Training:
        """Of the supernets that are trained here."""
        c = self.config
        return Training(
            c.supernet_epochs, c.supernet_batch, c.supernet_lr, c.bilevel_order, c.supernet_images, c.augment,
            alpha_rate=c.alpha_lr,
        )  # fmt: skip

    @property
    def histories(self) -> dict[int, pd.DataFrame]:
        """Seed -> the history of its trained supernet, where there is one."""
        return {seed: supernet.history for seed, supernet in self.trained.items()}

    @property
    def facts(self) -> dict[str, Any]:
        """What a manifest says of networks and supernets."""
        return {
            "network": self.network, "edges": list(self.choices.edges), "operations": list(self.choices.operations),
            "supernets": {seed: supernet.about for seed, supernet in self.trained.items()},
        }  # fmt: skip

    def supernet(self, seed: int) -> Any:
        """Return the supernet with the weights of a seed, BatchNorm as it starts, in evaluation mode."""
        network: Any = allocate(self.benchmark.space.supernet(**self.network), self.device)
        with torch.no_grad():
            initialise(network, [stream(seed, "supernet", "weights")], network.scheme)
        if network.dropped and self.device == "cpu":  # depthwise convolutions take two thirds of the time so
            network = network.to(memory_format=torch.channels_last)
        return network.eval()

    def alphas(self, seed: int, number: int = 0) -> Tensor:
        """Return architecture parameters as drawn, (edges, operations); of what an edge may not have so low that its
        softmax is 0."""
        drawn, allowed = draw_alphas(*self.shape, seed, number), self.choices.allowed
        return drawn if allowed is None else drawn.masked_fill(~torch.from_numpy(allowed), NEVER)

    def undecided(self, supernet: Any, seed: int, number: int = 0) -> Tensor:
        """Return the weights of a supernet before any decision, (edges, operations); `number` counts the draws."""
        allowed = self.choices.allowed
        if supernet.summed:
            return torch.ones(self.shape) if allowed is None else torch.from_numpy(allowed).float()
        return mixture(self.alphas(seed, number))

    def minibatches(self, seed: int, count: int) -> Callable[[int], Minibatch]:
        """Return what gives minibatch i of a seed, 0 <= i < count; where there are fewer images they come again."""
        kept = max(1, min(count, IMAGES_KEPT // self.config.batch_size))
        drawn, _ = minibatches(
            self.images, dataset=self.benchmark.table.dataset, folder=data_folder(self.config.data),
            batch_size=self.config.batch_size, count=kept, seed=seed, channels=self.network["input_channels"],
            resolution=self.side, classes=self.network["classes"], augment=self.config.augment,
        )  # fmt: skip
        return lambda i: self.on_device(drawn[i % kept])

    def on_device(self, minibatch: Minibatch) -> Minibatch:
        """Return a minibatch where the networks are."""
        return Minibatch(minibatch.inputs.to(self.device), minibatch.targets.to(self.device))

    @property
    def said(self) -> str:
        """The supernet and the minibatches in a line."""
        source = self.images.source if isinstance(self.images, Images) else "Gaussian noise"
        sizes = ", ".join(f"{name} {size}" for name, size in self.network.items())
        augmented = ", random flip and crop" if self.config.augment else ""
        return f"supernet: {sizes}; {source}; minibatches of {self.config.batch_size}{augmented}"


def set_up(config: OperationsConfig, folder: str | Path = ".") -> Setup:
    """Open the benchmark; UserError where it has no operations on edges, or no such target. `folder` as for `Setup`."""
    benchmark = load(config.bench, config.dataset, config.data, space_of(config.bench).searched)
    target = target_of(benchmark, config.split, config.epochs, "mean")
    setup = Setup(config, benchmark, target, single(config.device), Path(folder))
    changed(benchmark.network, settings_from(config.network), benchmark.space.title)
    _ = setup.choices
    return setup
