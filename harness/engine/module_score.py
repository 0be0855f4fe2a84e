"""The scores of any module for one minibatch: the body of `harness.score`."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.errors import UserError
from harness.engine.module_inputs import labels, served_blocks, served_inputs, served_model
from harness.engine.scoring import Counts, ViewInputs, named, score_stack, unknown
from harness.inputs.draw import Minibatch
from harness.probe.copies import copied
from harness.probe.initialise import stream
from harness.probe.layer_rules import layers_of, rule_of
from harness.probe.logits import Choice
from harness.probe.named_inputs import NamedInputs
from harness.probe.precision import arithmetic, check_device
from harness.probe.twin import Refused, Twin, unfused
from harness.probe.view import View
from harness.proxies.global_state import seeded
from harness.proxies.registry import Proxy


class Scores(dict[str, float]):
    """{proxy: score}, larger is better; NaN or infinite where a proxy failed."""

    def __init__(self) -> None:
        super().__init__()
        self.reasons: dict[str, str] = {}
        """Proxy -> why its score is not finite."""
        self.left_out: dict[str, float] = {}
        """Parameter that no rule of a layer type knows -> its share of all parameters."""


@arithmetic("float32")
def score_module(
    model: Any, inputs: Any, targets: Any, proxies: Sequence[Proxy], *, blocks: str | Sequence[str] | None,
    logits: Choice, strict: bool, seed: int, precision: str,
) -> Scores:  # fmt: skip
    """Return what `harness.score` says; `precision` is the mode that the proxies' views are in.

    Warns of proxies that failed, and of parameters without a rule, in the name of the caller of `harness.score`.
    """
    model, (x, keyword) = served_model(model), served_inputs(inputs)
    device = next((parameter.device for parameter in model.parameters()), x.device)
    check_device(precision, device)
    names = [f"network.{name}" for name in served_blocks(model, blocks)]
    with seeded(seed, device), unfused():
        twin = Twin(model, keyword=keyword, logits=logits)
        scores = Scores()
        scores.left_out = twin.left_out
        _say_left_out(scores.left_out, strict)
        flops, classes, looked = _look(twin, x.to(device))
        y, wrong = labels(targets, len(x), classes)
        weighted = bool(layers_of(twin))
        counts = _counts(twin, flops, seed)
        work = _Work(model, twin, Minibatch(x, y), classes, device, names, seed)  # type: ignore[arg-type]
        work.spare = looked
        for proxy in proxies:
            if proxy.static:
                scores[proxy.name] = float(proxy.score(counts))
            elif reason := _unfit(proxy, x, wrong, weighted):
                scores[proxy.name], scores.reasons[proxy.name] = torch.nan, reason
        for group, parts in _by_minibatches([each for each in proxies if each.name not in scores]):
            for name, value, reason in work.scored(group, parts):
                scores[name] = value
                if reason:
                    scores.reasons[name] = reason
    _say_failed(scores, twin)
    ordered = {proxy.name: scores[proxy.name] for proxy in proxies}
    scores.clear()
    scores.update(ordered)
    return scores


class _Work:
    """One module with its minibatch, and how it is scored."""

    def __init__(
        self, model: nn.Module, twin: Twin, minibatch: Minibatch, classes: int, device: torch.device,
        blocks: list[str], seed: int,
    ) -> None:  # fmt: skip
        self.model, self.twin, self.minibatch, self.classes = model, twin, minibatch, classes
        self.device, self.blocks, self.seed = device, blocks, seed
        self.spare: Twin | None = None
        """A copy of the twin that has run, over its weights."""

    def scored(self, proxies: Sequence[Proxy], parts: int) -> list[tuple[str, float, str]]:
        """Return name, score and reason of proxies that see the minibatch in this many parts. Raises UserError where
        the model's output does not serve."""
        batch = self.minibatch
        split = list(map(Minibatch, batch.inputs.tensor_split(parts), batch.targets.tensor_split(parts)))
        views = ViewInputs(split, self.classes, self.seed, self.device)
        found = []
        for some, build, features in (
            ([proxy for proxy in proxies if not proxy.on_module], self._twin, named(self.blocks)),
            ([proxy for proxy in proxies if proxy.on_module], self._model, unknown),
        ):
            scored = score_stack(
                build, ["model"], some, views, seed=self.seed, own_weights=True, features=features
            )  # fmt: skip
            if self.twin.seen.refused:
                raise UserError(self.twin.seen.refused)
            found += [(name, each.scores.item(), each.reasons.get(0, "")) for name, each in scored.items()]
        return found

    def _twin(self, view: View) -> nn.Module:
        if self.spare is not None and view.init == "default" and not view.absolute_weights:
            spare, self.spare = self.spare, None
            return spare
        return self.twin.copy(share=view.init == "default" and not view.absolute_weights)

    def _model(self, view: View) -> nn.Module:
        return copied(self.model)


def _look(twin: Twin, x: Tensor | NamedInputs) -> tuple[int, int, Twin]:
    """Run a module on one sample, or as many as it needs: return multiply-accumulates of one, classes and the copy that
    ran, and note the order of layers and what is done in place.

    Raises UserError for a module that does not run on the inputs, or whose output does not serve.
    """
    for samples in sorted({1, min(2, len(x)), len(x)}):  # some modules do not bear a single one, some only one number
        network: Twin = twin.copy(share=True).eval()
        twin.seen.refused = ""
        done: list[int] = []
        outputs: list[tuple[str, Tensor, int]] = []
        layers = [(name, module) for name, module in network.named_modules() if rule_of(module).weights]
        handles = [module.register_forward_hook(_counting(name, done, outputs)) for name, module in layers]
        try:
            with torch.no_grad():
                classes = network(x[:samples].clone()).shape[1]
        except Exception as error:
            if samples < len(x):
                continue
            raise _does_not_run(error, x) from error
        finally:
            for handle in handles:
                handle.remove()
        twin.seen.rewritten |= {name for name, output, version in outputs if output._version != version}
        twin.seen.ran += dict.fromkeys(name for name, _, _ in outputs)
        return sum(done) // samples, classes, network
    raise AssertionError


def _counting(name: str, done: list[int], outputs: list[tuple[str, Tensor, int]]) -> Callable[..., None]:
    def hook(module: nn.Module, _: object, output: Tensor) -> None:
        done.append(rule_of(module).multiply_adds(module, output))
        outputs.append((name, output, output._version))

    return hook


def _does_not_run(error: Exception, x: Tensor | NamedInputs) -> UserError:
    if isinstance(error, Refused):
        return UserError(str(error))
    line = str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
    if not line.startswith("the model does not run"):
        line = f"the model does not run: {type(error).__name__}: {line}"
    hint = (
        "" if isinstance(x, NamedInputs) or x.is_floating_point() else " (the inputs are whole numbers, as tokens are)"
    )
    return UserError(line + hint)


OF_WEIGHTS = {"weights", "gradients", "other_gradients", "channel_saliency", "weight_curvature"}
"""Reads that are by layer."""


def _unfit(proxy: Proxy, x: Tensor | NamedInputs, wrong_labels: str, weighted: bool) -> str:
    """Return why a proxy cannot be computed from these inputs and labels; "" where it can. weighted: whether the module
    has weights that proxies know."""
    view = proxy.view
    if not weighted and not proxy.on_module and OF_WEIGHTS & {*proxy.reads}:
        return "needs weights, and no rule of a layer type knows one of the module's"
    own = view.inputs == "minibatch"
    if own and proxy.labels and wrong_labels:
        return wrong_labels
    if own and view.minibatches > len(x):
        return f"compares {view.minibatches} minibatches: needs as many samples, got {len(x)}"
    if not own and (isinstance(x, NamedInputs) or not x.is_floating_point()):
        what = "Gaussian noise" if view.inputs == "gaussian" else "ones"
        have = "several tensors" if isinstance(x, NamedInputs) else "whole numbers"
        return f"replaces the inputs by {what}, which is not defined for {have}"
    return ""


def _by_minibatches(proxies: Sequence[Proxy]) -> list[tuple[list[Proxy], int]]:
    """Return the proxies that see the whole minibatch, and those that need several, which get even parts of it."""
    several = [proxy for proxy in proxies if proxy.view.inputs == "minibatch" and proxy.view.minibatches > 1]
    whole = [proxy for proxy in proxies if proxy not in several]
    count = max((proxy.view.minibatches for proxy in several), default=1)
    return [(group, parts) for group, parts in ((whole, 1), (several, count)) if group]


def _counts(twin: Twin, flops: int, seed: int) -> Counts:
    """Return the counts of one module."""
    sizes = [parameter.numel() for parameter in twin.parameters()]
    params = sum(sizes) - twin.fewer
    values = [torch.tensor([float(each)], dtype=torch.float64) for each in (params, flops, len(sizes), params, flops)]
    noise = torch.randn(1, generator=stream(seed, "model", "random"), dtype=torch.float64)
    return Counts(*(*values, noise))


LEVEL = 5
"""Frames between a warning here and the caller of `harness.score`."""


def _say_left_out(left_out: Mapping[str, float], strict: bool) -> None:
    if not left_out:
        return
    names = list(left_out)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    text = f"no rule of a layer type knows {shown}: {sum(left_out.values()):.2%} of the parameters"
    if strict:
        raise UserError(f"{text}; without strict=True they are left out by proxies of weights")
    warnings.warn(f"{text}, left out by proxies of weights", RuntimeWarning, stacklevel=LEVEL)


def _say_failed(scores: Scores, twin: Twin) -> None:
    """Warn of proxies that failed; where weights are not finite, that is the reason."""
    if not scores.reasons:
        return
    broken = [name for name, p in twin.network.named_parameters() if not bool(p.isfinite().all())]
    for name, reason in scores.reasons.items():
        if broken and not reason.startswith(("needs", "replaces", "compares")):
            reason = scores.reasons[name] = f"the model's {', '.join(broken[:3])} holds NaN or infinite values"
        warnings.warn(f"{name} is {scores[name]}: {reason}", RuntimeWarning, stacklevel=LEVEL)
