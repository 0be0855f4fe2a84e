"""The two functions of Python users: `score` any module, `correlate` a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.runs.evaluate_scores import store_scores

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.result import Correlation

import warnings
from collections.abc import Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from benchmarks.registry import GROUPS
from harness.analysis.ensembles import with_ensembles
from harness.analysis.result import Correlation
from harness.analysis.summary import summarise
from harness.engine.counts import Counts
from harness.engine.inputs import ViewInputs
from harness.engine.scoring import plain_copy, score_stack
from harness.inputs.draw import Minibatch
from harness.probe.precision import check_device
from harness.probe.view import seeded, stream
from harness.proxies.protocols import in_precision
from harness.proxies.registry import choose
from harness.runs.config import each_space
from harness.runs.runner import run


@torch.inference_mode(False)
def score(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    proxies: str = "core",
    *,
    blocks: Sequence[str] | None = None,
    seed: int = 0,
    precision: str = "float32",
) -> dict[str, float]:
    """Return {proxy: score} of a module for one minibatch, larger is better; NaN where a proxy failed, with a warning.

    `inputs` (samples, channels, height, width), `targets` (samples,) class numbers; the module returns (samples,
    classes). The given weights are used; a proxy that draws weights by definition (zen) does so on a copy. A proxy with
    several minibatches (zico) splits the given one evenly. `blocks` names modules whose outputs are the feature blocks;
    the last is the map before pooling. `precision` is a mode of `harness.probe.precision`: float32, tf32, bfloat16.

    The module is left as it was: everything happens on copies. Raises UserError for unknown proxies, all at once, and
    for tf32 where the module is not on a CUDA device.
    """
    chosen = in_precision(choose(proxies), precision)
    twin = plain_copy(model)
    inputs, targets = inputs.clone(), targets.clone()  # the model may work in place on what it is given
    count = max(proxy.view.minibatches if proxy.view.inputs == "minibatch" else 1 for proxy in chosen)
    halves = list(zip(inputs.tensor_split(count), targets.tensor_split(count), strict=True)) if count > 1 else []
    device = next((parameter.device for parameter in model.parameters()), inputs.device)
    check_device(precision, device)
    with seeded(seed, device), torch.no_grad():
        classes = twin.eval()(inputs[:2].clone().to(device)).shape[-1]
    results: dict[str, float] = {}
    for proxy in chosen:
        if proxy.static:
            with seeded(seed, device):
                results[proxy.name] = float(proxy.score(_counts(twin, inputs[:1].clone().to(device), seed)))
    for several in (False, True):
        group = [
            p for p in chosen if not p.static and (p.view.inputs == "minibatch" and p.view.minibatches > 1) == several
        ]
        if not group:
            continue
        given = [Minibatch(x, y) for x, y in halves] if several else [Minibatch(inputs, targets)]
        views = ViewInputs(given, classes, seed, device)
        scored = score_stack(
            lambda: plain_copy(model), ["model"], group, views, seed=seed, own_weights=True,
            feature_map=None if not blocks else lambda network, x: _block_output(network, x, blocks[-1]),
            blocks=lambda network: blocks or (),
        )  # fmt: skip
        results |= {name: each.scores.item() for name, each in scored.items()}
        for name, each in scored.items():
            if each.reasons:
                warnings.warn(f"{name} is {results[name]}: {each.reasons[0]}", RuntimeWarning, stacklevel=3)
    return {proxy.name: results[proxy.name] for proxy in chosen}


def _block_output(network: nn.Module, inputs: Tensor, name: str) -> Tensor:
    """Return the output of the module called `name` for these inputs."""
    kept: list[Tensor] = []
    handle = network.get_submodule(name).register_forward_hook(lambda module, _, output: kept.append(output))
    try:
        network(inputs)
    finally:
        handle.remove()
    return kept[-1]


def _counts(model: nn.Module, image: Tensor, seed: int) -> Counts:
    """Count weights, parameter tensors, and multiply-accumulates of convolutions and linear layers of a module."""
    parameters = [parameter for parameter in model.parameters()]
    done: list[int] = []

    def add(module: nn.Conv2d | nn.Linear, _: object, output: Tensor) -> None:
        per_output = module.weight[0].numel()
        bias = output.shape[-1] if isinstance(module, nn.Linear) and module.bias is not None else 0
        done.append(output[0].numel() * per_output + bias)

    handles = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    with torch.no_grad():
        model.eval()(image)
    for handle in handles:
        handle.remove()
    params, flops = sum(p.numel() for p in parameters), sum(done)
    values = [
        torch.tensor([float(value)], dtype=torch.float64) for value in (params, flops, len(parameters), params, flops)
    ]
    noise = torch.randn(1, generator=stream(seed, "model", "random"), dtype=torch.float64)
    return Counts(*(*values, noise))


@overload
def correlate(
    bench: Literal["1shot1", "1shot1-closed", "1shot1-pruned"], *, space: str | None = None, **settings: Any
) -> dict[str, Correlation]: ...
@overload
def correlate(bench: str = "201", **settings: Any) -> Correlation: ...
def correlate(bench: str = "201", *, space: str | None = None, **settings: Any) -> Correlation | dict[str, Correlation]:
    """Do from Python what `python -m harness.run` does; settings are the fields of `harness.runs.config.RunConfig`.

    For a benchmark of several spaces return {key: result}; `space` "1,3" chooses among them.
    """
    found = {}
    for config in each_space(space, bench=bench, **settings):
        stored = with_ensembles(run(config))
        found[config.bench] = Correlation(stored, summarise(stored))
    return found if bench in GROUPS else found[bench]


def judge(
    scores: pd.DataFrame | str | Path,
    bench: str = "201",
    *,
    dataset: str | None = None,
    split: str = "test",
    epochs: int | None = None,
    reduction: str = "mean",
    data: str | None = None,
    out: str | Path | None = None,
    existing: str = "resume",
) -> Correlation:
    """Return the run and the statistics of scores computed elsewhere: a DataFrame, or the path of a CSV file.

    Columns: `arch` or `index`, and one for each proxy, or `proxy` and `score`; `seed` tells several scores of one
    architecture apart. Larger is better; empty, nan or inf is a failure and is counted.
    `out` is the run folder that is written (default: a name of its own under results/); one that holds other scores is
    refused unless `existing="replace"`. Raises UserError, in one line, for whatever cannot be used.
    """  # fmt: skip
    from harness.analysis.ensembles import with_ensembles
    from harness.analysis.result import Correlation
    from harness.analysis.summary import summarise

    stored = with_ensembles(store_scores(
        scores, bench, dataset=dataset, split=split, epochs=epochs, reduction=reduction, data=data, out=out,
        existing=existing,
    ))  # fmt: skip
    return Correlation(stored, summarise(stored))
