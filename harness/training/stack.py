"""K architectures trained at once as one stack, each as it would be alone."""

from collections.abc import Sequence
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.errors import UserError
from benchmarks.spaces.layers import StackedConv2d, allocate
from benchmarks.spaces.space import Space
from harness.inputs.images import Images
from harness.probe.initialise import initialise, stream
from harness.training.recipe import Recipe, network_of
from harness.training.splits import Split, distort, load_splits


def train_stack(
    space: Space, archs: Sequence[str], names: Sequence[str], recipe: Recipe, seed: int, images: Images, device: str
) -> np.ndarray:
    """Train the architectures as one stack; return accuracies in percent, (archs, splits (valid, test)).

    `names` are the canonical strings that seed each architecture's initialisation. Losses are summed over
    architectures, so that each has its own gradients; all see the same images in the same order.
    """
    splits, k = load_splits(images, recipe), len(archs)
    train = splits["train"]
    network = build(space, archs, recipe, images)
    initialise(network, [stream(seed, name, "training") for name in names])
    for module in network.modules():
        if isinstance(module, StackedConv2d):
            module.forward = MethodType(_convolve, module)  # type: ignore[method-assign]
    network.to(device)
    optimiser = torch.optim.SGD(
        network.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay, nesterov=True
    )
    steps = -(-recipe.train_images // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.learning_rate, total_steps=steps * recipe.epochs)
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
    return np.stack([accuracy(network, splits[split], recipe, k) for split in ("valid", "test")], axis=1)


def build(space: Space, archs: Sequence[str], recipe: Recipe, images: Images) -> nn.Module:
    """Return the networks of these architectures for these images as one stack in memory, not initialised."""
    network = space.build(
        [space.index(arch) for arch in archs], **network_of(space, recipe.network), classes=images.classes,
        input_channels=images.shape[0],
    )  # fmt: skip
    allocate(network, "cpu")
    return network


def try_out(space: Space, arch: str, recipe: Recipe, images: Images) -> None:
    """Let one network see one black image; UserError where it cannot."""
    channels, side, width = images.shape
    side, width = (recipe.resolution,) * 2 if recipe.resolution else (side, width)
    if side != width:
        raise UserError(f"{images.source}: images of {side} x {width} pixels; networks take squares, give --resolution")
    network = build(space, [arch], recipe, images).eval()
    initialise(network, [stream(0, arch, "training")])
    try:
        with torch.no_grad():
            network(torch.zeros(1, channels, side, side))
    except RuntimeError as error:
        settings = ",".join(f"{name}={value}" for name, value in recipe.network.items())
        refused = f"takes no images of {side} x {side} pixels ({str(error).splitlines()[0]})"
        raise UserError(f"{space.title} with --network {settings} {refused}: give a larger --resolution") from None


def accuracy(network: nn.Module, split: Split, recipe: Recipe, k: int) -> np.ndarray:
    """Return the percentage of images, each distorted several ways, that each architecture gets right: (archs,).

    BatchNorm is in evaluation mode; the distortions are the same for all seeds and stacks.
    """
    device = next(network.parameters()).device
    copies = recipe.evaluation_copies
    images = torch.cat([distort(split.images, recipe, -1, copy) for copy in range(copies)]).to(device)
    labels = split.labels.repeat(copies).to(device)
    network.eval()
    with torch.no_grad():
        right = sum(
            (network(part.repeat(1, k, 1, 1)).argmax(2) == truth.unsqueeze(1)).sum(0)
            for part, truth in zip(images.split(256), labels.split(256), strict=True)
        )
    return (100 * right / len(labels)).double().cpu().numpy()


def _convolve(layer: StackedConv2d, x: Tensor) -> Tensor:
    """Return what the layer does, without the parts of kernels that reach nothing but padding on small maps.

    A 5x5 depthwise convolution of a 1x1 map is a product, and many times faster as one.
    """
    centre, (step, _), weight = layer.kernel_size[0] // 2, layer.dilation, layer.weight
    reach = min(centre, (max(x.shape[2:]) - 1) // step)
    if reach < centre:
        weight = weight[:, :, centre - reach : centre + reach + 1, centre - reach : centre + reach + 1]
    if reach == 0 < centre and layer.groups == layer.in_channels == layer.out_channels:
        return x * weight.view(1, -1, 1, 1)
    return functional.conv2d(x, weight, None, layer.stride, reach * step, step, layer.groups)
