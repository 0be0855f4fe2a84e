"""K architectures trained at once as one stack, each as it would be alone."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.layers import StackedConv2d, allocate
from harness.inputs import Images
from harness.training.recipe import Recipe, distort, load_splits, network_of
from harness.view import initialise, stream

if TYPE_CHECKING:
    from benchmarks.space import Space


def train_stack(
    space: Space, archs: Sequence[str], names: Sequence[str], recipe: Recipe, seed: int, images: Images, device: str
) -> np.ndarray:
    """Train the architectures as one stack; return accuracies in percent, (archs, splits (valid, test)).

    `names` are the canonical strings that seed each architecture's initialisation. Losses are summed over
    architectures, so that each has its own gradients; all see the same images in the same order.
    """
    splits, k = load_splits(images, recipe), len(archs)
    train = splits["train"]
    network = space.build(
        [space.index(arch) for arch in archs], **network_of(space, recipe.network), classes=images.classes,
        input_channels=train.images.shape[1],
    )  # fmt: skip
    allocate(network, "cpu")
    initialise(network, [stream(seed, name, "training") for name in names])
    _spare_padding(network)
    network.to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = -(-recipe.train_images // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps * recipe.epochs)
    held_out = {}
    for split in ("valid", "test"):
        rounds = [distort(splits[split].images, recipe, -1, copy) for copy in range(recipe.evaluation_copies)]
        held_out[split] = torch.cat(rounds).to(device), splits[split].labels.repeat(recipe.evaluation_copies).to(device)
    for epoch in range(recipe.epochs):
        inputs = distort(train.images, recipe, seed, epoch)
        order = torch.randperm(len(inputs), generator=stream(seed, f"round {epoch}", "order"))
        network.train()
        for batch in order.split(recipe.batch_size):
            logits = network(inputs[batch].repeat(1, k, 1, 1).to(device))  # (samples, archs, classes)
            labels = train.labels[batch].to(device).repeat_interleave(k)
            loss = functional.cross_entropy(logits.flatten(0, 1), labels, reduction="sum") / len(batch)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return np.stack([accuracy(network, *held_out[split], k) for split in ("valid", "test")], axis=1)


def accuracy(network: nn.Module, images: Tensor, labels: Tensor, k: int) -> np.ndarray:
    """Return the percentage of images each architecture gets right, BatchNorm in evaluation mode: (archs,)."""
    network.eval()
    with torch.no_grad():
        right = sum(
            (network(part.repeat(1, k, 1, 1)).argmax(2) == truth.unsqueeze(1)).sum(0)
            for part, truth in zip(images.split(256), labels.split(256), strict=True)
        )
    return (100 * right / len(labels)).double().cpu().numpy()


def _spare_padding(network: nn.Module) -> None:
    """Let convolutions leave out the parts of their kernels that reach nothing but padding on small maps.

    The results are the same. A 5x5 depthwise convolution of a 1x1 map is a product, and many times faster as one.
    """
    for module in network.modules():
        if isinstance(module, StackedConv2d):
            module.forward = MethodType(_convolve, module)  # type: ignore[method-assign]


def _convolve(layer: StackedConv2d, x: Tensor) -> Tensor:
    centre, weight = int(layer.padding[0]), layer.weight
    reach = min(centre, max(x.shape[2:]) - 1)
    if reach < centre:
        weight = weight[:, :, centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    if reach == 0 < centre and layer.groups == layer.in_channels == layer.out_channels:
        return x * weight.view(1, -1, 1, 1)
    return functional.conv2d(x, weight, None, layer.stride, reach, 1, layer.groups)
