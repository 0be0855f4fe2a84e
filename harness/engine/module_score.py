"""The scores of any module for one minibatch: the body of `harness.score`."""

import warnings
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from harness.engine.scoring import Counts, ViewInputs, named, plain_copy, score_stack
from harness.inputs.draw import Minibatch
from harness.probe.layer_rules import rule_of
from harness.probe.precision import check_device
from harness.probe.view import seeded, stream
from harness.proxies.registry import Proxy


@torch.inference_mode(False)
def score_module(
    model: nn.Module, inputs: Tensor, targets: Tensor, proxies: Sequence[Proxy], *,
    blocks: Sequence[str] | None, seed: int, precision: str,
) -> dict[str, float]:  # fmt: skip
    """Return {proxy: score} as `harness.score` says; `precision` is the mode that the proxies' views are in.

    Warns of proxies that failed, in the name of the caller of `harness.score`.
    """
    inputs, targets = inputs.clone(), targets.clone()  # the model may work in place on what it is given
    device = next((parameter.device for parameter in model.parameters()), inputs.device)
    check_device(precision, device)
    twin = plain_copy(model)
    with seeded(seed, device), torch.no_grad():
        classes = twin.eval()(inputs[:2].clone().to(device)).shape[-1]
    results: dict[str, float] = {}
    for proxy in proxies:
        if proxy.static:
            with seeded(seed, device):
                results[proxy.name] = float(proxy.score(_counts(twin, inputs[:1].clone().to(device), seed)))
    for group, minibatches in _by_minibatches(proxies, inputs, targets):
        views = ViewInputs(minibatches, classes, seed, device)
        build, features = partial(plain_copy, model), named(blocks)
        scored = score_stack(build, ["model"], group, views, seed=seed, own_weights=True, features=features)
        for name, each in scored.items():
            results[name] = each.scores.item()
            if each.reasons:
                warnings.warn(f"{name} is {results[name]}: {each.reasons[0]}", RuntimeWarning, stacklevel=4)
    return {proxy.name: results[proxy.name] for proxy in proxies}


def _by_minibatches(
    proxies: Sequence[Proxy], inputs: Tensor, targets: Tensor
) -> list[tuple[list[Proxy], list[Minibatch]]]:
    """Return the proxies that see the whole minibatch, and those that need several, which get even parts of it."""
    several = [proxy for proxy in proxies if proxy.view.inputs == "minibatch" and proxy.view.minibatches > 1]
    whole = [proxy for proxy in proxies if not proxy.static and proxy not in several]
    count = max((proxy.view.minibatches for proxy in several), default=1)
    parts = map(Minibatch, inputs.tensor_split(count), targets.tensor_split(count))
    return [(group, found) for group, found in ((whole, [Minibatch(inputs, targets)]), (several, list(parts))) if group]


def _counts(model: nn.Module, image: Tensor, seed: int) -> Counts:
    """Count weights, parameter tensors, and multiply-accumulates of the layers that have a rule."""
    sizes = [parameter.numel() for parameter in model.parameters()]
    done: list[int] = []

    def add(module: nn.Module, _: object, output: Tensor) -> None:
        done.append(rule_of(module).multiply_adds(module, output))

    handles = [module.register_forward_hook(add) for module in model.modules() if rule_of(module).weights]
    try:
        with torch.no_grad():
            model.eval()(image)
    finally:
        for handle in handles:
            handle.remove()
    params, flops = sum(sizes), sum(done)
    values = [torch.tensor([float(each)], dtype=torch.float64) for each in (params, flops, len(sizes), params, flops)]
    noise = torch.randn(1, generator=stream(seed, "model", "random"), dtype=torch.float64)
    return Counts(*(*values, noise))
