"""DARTS: weights and architecture parameters of a supernet trained in turn, each on its half of the images.

Each step takes a minibatch of each half: one Adam step for the architecture parameters alpha on the validation loss,
then one SGD step for the weights w on the training loss. Operations are mixed by softmax(alpha).

    first order    dL_valid(w, alpha) / dalpha
    second order   dL_valid(w', alpha) / dalpha, w' = w - rate * s, s SGD's own direction, momentum and decay in it; the
                   first-order term at w' minus rate / (2 step) * d(L_train(w+, alpha) - L_train(w-, alpha)) / dalpha,
                   w+- = w +- step * v, v = dL_valid(w', alpha) / dw', step = 0.01 / |v|

Source: Liu et al. 2019, "DARTS" (arXiv 1806.09055), with its numbers: SGD with momentum 0.9, weight decay 3e-4,
gradients clipped to norm 5, a cosine from the learning rate to a 25th of it, epoch by epoch; Adam with rate 3e-4, betas
0.5 and 0.999, weight decay 1e-3. Departures: BatchNorm has no weights and biases anywhere (there: in operations), the
last, smaller minibatch of an epoch is left out, and BatchNorm's running statistics are those of the weights' steps
alone.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.errors import UserError
from harness.inputs.draw import Minibatch

STEP = 0.01
"""Length of the finite difference of the second order, over the norm of its direction."""
BETAS = (0.5, 0.999)


@dataclass(frozen=True)
class Training:
    """What fixes a trained supernet but its benchmark, images and seed."""

    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 0.025
    order: int = 1
    """1 or 2."""
    images: int = 0
    """How many of the images, both halves together; 0: all."""
    augment: bool = False
    """Random flip and crop."""
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    alpha_rate: float = 3e-4
    alpha_decay: float = 1e-3

    def rate(self, epoch: int) -> float:
        """Return the learning rate of the weights in an epoch, from 0."""
        lowest = self.learning_rate / 25
        return lowest + (self.learning_rate - lowest) * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


class Bilevel:
    """A supernet in training. `network` gets images and weights (1, edges, operations)."""

    def __init__(self, network: Any, alphas: Tensor, training: Training) -> None:
        self.network, self.training = network.train(), training
        self.alphas = alphas.detach().clone().requires_grad_(True)
        self.norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in self.norms:
            norm.requires_grad_(False)
        self.weights = [weight for weight in network.parameters() if weight.requires_grad]
        self.sgd = torch.optim.SGD(
            self.weights, training.learning_rate, training.momentum, weight_decay=training.weight_decay
        )
        self.adam = torch.optim.Adam([self.alphas], training.alpha_rate, BETAS, weight_decay=training.alpha_decay)

    def state(self) -> dict[str, Any]:
        """Return what an interrupted training goes on from, at the end of an epoch."""
        states = {name: getattr(self, name).state_dict() for name in ("network", "sgd", "adam")}
        return states | {"alphas": self.alphas.detach()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        for name in ("network", "sgd", "adam"):
            getattr(self, name).load_state_dict(state[name])
        with torch.no_grad():
            self.alphas.copy_(state["alphas"])

    def loss(self, minibatch: Minibatch, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy of the supernet under a mask, by default the mixture of all operations, and its
        logits, (samples, classes)."""
        mask = self.alphas.softmax(-1) if mask is None else mask
        logits = self.network(minibatch.inputs, mask[None])[0]
        return functional.cross_entropy(logits, minibatch.targets), logits

    def epoch(self, number: int, pairs: Iterator[tuple[Minibatch, Minibatch]]) -> tuple[float, float]:
        """Train on (training, validation); return loss and accuracy, %, of the former. UserError where a loss is
        NaN."""
        for group in self.sgd.param_groups:
            group["lr"] = self.training.rate(number)
        total, right, samples = 0.0, 0, 0
        for train, valid in pairs:
            self.alphas.grad = self.architecture_gradient(train, valid)
            self.adam.step()
            loss, logits = self.loss(train)
            self.descend(loss)
            total += loss.item() * len(train.targets)
            right += int((logits.argmax(1) == train.targets).sum())
            samples += len(train.targets)
            if not math.isfinite(total):
                rate = f"--supernet-lr {self.training.learning_rate:g}"
                raise UserError(f"the loss of the supernet is {loss.item()} in epoch {number + 1}: lower {rate}")
        return total / samples, 100 * right / samples

    def descend(self, loss: Tensor) -> None:
        """Take one step of the weights."""
        self.sgd.zero_grad(set_to_none=True)
        loss.backward(inputs=self.weights)
        nn.utils.clip_grad_norm_(self.weights, self.training.clip)
        self.sgd.step()

    def architecture_gradient(self, train: Minibatch, valid: Minibatch) -> Tensor:
        """Return the gradient in alpha, (edges, operations); weights and BatchNorm's statistics stay as they are."""
        with _statistics_kept(self.norms):
            if self.training.order == 1:
                return torch.autograd.grad(self.loss(valid)[0], self.alphas)[0]
            return self._second_order(train, valid)

    def _second_order(self, train: Minibatch, valid: Minibatch) -> Tensor:
        rate = self.sgd.param_groups[0]["lr"]
        before = [weight.detach().clone() for weight in self.weights]
        gradients = _gradients(self.loss(train)[0], self.weights)
        try:
            with torch.no_grad():
                for weight, gradient in zip(self.weights, gradients, strict=True):
                    weight.sub_(rate * self._direction(weight, gradient))
            *away, first = _gradients(self.loss(valid)[0], [*self.weights, self.alphas])
            length = torch.stack([each.norm() for each in away]).norm().item()
            if length == 0:
                return first
            ends: list[Tensor] = []
            for step in (STEP / length, -STEP / length):
                with torch.no_grad():
                    for weight, start, direction in zip(self.weights, before, away, strict=True):
                        weight.copy_(start + step * direction)
                ends += _gradients(self.loss(train)[0], [self.alphas])
            return first - rate * (ends[0] - ends[1]) * (length / (2 * STEP))
        finally:
            with torch.no_grad():
                for weight, start in zip(self.weights, before, strict=True):
                    weight.copy_(start)

    def _direction(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return what SGD would go along, without clipping."""
        direction = gradient + self.training.weight_decay * weight
        moment = self.sgd.state[weight].get("momentum_buffer")
        return direction if moment is None else direction + self.training.momentum * moment


def _gradients(objective: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(objective, inputs, materialize_grads=True)


@contextmanager
def _statistics_kept(norms: list[nn.BatchNorm2d]) -> Iterator[None]:
    """BatchNorm in training mode leaves its running statistics alone."""
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
