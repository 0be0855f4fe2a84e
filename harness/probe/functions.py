"""Calls that a network makes without a module: activations, and linear layers by their weight.

`Functions` is active during each forward of a `harness.probe.twin.Twin`. An activation that is called as a function or
a tensor's method (`F.relu(x)`, `x.relu()`, `torch.clamp(x, min=0)`) goes through a module of that type, so that hooks
see it as they see `nn.ReLU`; `F.linear(x, layer.weight, layer.bias)` goes through the layer. What is called in place is
computed beside its input, shown to the hooks, and then written there. Inside an activation's own module nothing is
shown twice.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from harness.probe.layer_rules import PLAIN, is_relu, rule_of

_NAMES = {
    "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "rrelu": nn.RReLU,
    "gelu": nn.GELU, "silu": nn.SiLU, "hardswish": nn.Hardswish, "mish": nn.Mish, "elu": nn.ELU, "selu": nn.SELU,
    "celu": nn.CELU, "hardtanh": nn.Hardtanh, "hardsigmoid": nn.Hardsigmoid, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh,
    "softplus": nn.Softplus, "softsign": nn.Softsign, "logsigmoid": nn.LogSigmoid, "threshold": nn.Threshold,
}  # fmt: skip
_HOMES = (functional, torch, Tensor)
ACTIVATIONS: dict[Any, type[nn.Module]] = {
    getattr(home, word): kind
    for name, kind in _NAMES.items() for word in (name, f"{name}_") for home in _HOMES if hasattr(home, word)
}  # fmt: skip
"""Function -> the module that does the same."""
CLAMPS = {getattr(home, name) for name in ("clamp", "clamp_", "clamp_min", "clamp_min_", "maximum")
          for home in _HOMES if hasattr(home, name)}  # fmt: skip
"""Functions that are a ReLU where the lower end is 0 and the upper one, if any, 6 (ReLU6)."""
SMOOTH = {getattr(home, name): name for name in (
    "softmax", "log_softmax", "layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize",
    "scaled_dot_product_attention", "multi_head_attention_forward", "exp", "erf", "softmin",
) for home in _HOMES if hasattr(home, name)}  # fmt: skip
"""Functions without a module that are not piecewise linear."""
_SIGNATURES = {
    function: inspect.signature(function)
    for function in ACTIVATIONS if inspect.isfunction(function) and "inplace" in inspect.signature(function).parameters
}  # fmt: skip


def _hardsigmoid(x: Tensor) -> Tensor:
    """The same function with a second derivative, which PyTorch's has not."""
    return functional.relu6(x + 3) / 6


def _called(self: nn.Module, x: Tensor, call: Callable[[Tensor], Tensor]) -> Tensor:
    return call(x)


FUNCTIONAL: dict[type[nn.Module], type[nn.Module]] = {
    kind: type(f"Functional{kind.__name__}", (kind,), {"forward": _called, "extra_repr": lambda self: ""})
    for kind in ACTIVATIONS.values()
}
"""Type of activation -> type of the module through which calls of functions go; it has no parameters."""


def functional_modules() -> nn.ModuleDict:
    """Return one module of each type, by the name of the activation."""
    modules = nn.ModuleDict()
    for kind, made in FUNCTIONAL.items():
        module = object.__new__(made)  # without what the activation's own constructor makes
        nn.Module.__init__(module)
        modules[kind.__name__] = module
    return modules


class Seen:
    """What one network showed of itself; shared by all copies of a twin, so that one look serves them."""

    def __init__(self) -> None:
        self.smooth: set[str] = set()
        """Functions that are not piecewise linear."""
        self.elsewhere: set[str] = set()
        """Layers whose weight something else than the layer uses."""
        self.rewritten: set[str] = set()
        """Layers whose output the network changes in place."""
        self.ran: list[str] = []
        """Layers in the order in which they first ran."""
        self.refused = ""
        """Why the output does not serve."""

    def __deepcopy__(self, memo: dict) -> "Seen":
        return self


class Functions(TorchFunctionMode):
    """One forward of a twin."""

    def __init__(
        self, functional_modules: nn.ModuleDict, weights: dict[int, tuple[str, nn.Module]], seen: Seen
    ) -> None:
        super().__init__()
        self.modules = functional_modules
        self.weights = weights
        """Identity of a layer's weight -> the layer's name and the layer."""
        self.seen = seen
        self.inside = 0
        """How many activations are at work."""
        self.layer: nn.Module | None = None
        """The layer that ran last."""

    def watch(self, network: nn.Module) -> None:
        """Put hooks on a twin's modules that tell what is at work, and that let a call by keyword look as others."""
        for module in network.modules():
            rule = rule_of(module)
            if rule is not PLAIN or is_relu(module):
                module.register_forward_pre_hook(_by_place, prepend=True, with_kwargs=True)
            if rule.weights:
                module.register_forward_pre_hook(self._enter_layer)
            elif (rule.activation or is_relu(module)) and type(module) not in FUNCTIONAL.values():
                module.register_forward_pre_hook(self._enter)
                module.register_forward_hook(self._leave)

    def _enter_layer(self, module: nn.Module, _: object) -> None:
        self.layer = module

    def _enter(self, *_: object) -> None:
        self.inside += 1

    def _leave(self, *_: object) -> None:
        self.inside -= 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        kind = None if self.inside else ACTIVATIONS.get(func) or (_clamped(args, kwargs) if func in CLAMPS else None)
        if kind is not None:
            return self._activate(kind, func, args, kwargs)
        if func in SMOOTH and not self.inside:
            self.seen.smooth.add(SMOOTH[func])
        for arg in args:
            if type(arg) is nn.Parameter and id(arg) in self.weights:
                name, module = self.weights[id(arg)]
                if module is not self.layer:
                    if func is functional.linear and _is_call_of(module, args, kwargs):
                        return module(args[0])
                    self.seen.elsewhere.add(name)
        if func is functional.hardsigmoid and not (kwargs.get("inplace") or len(args) > 1):
            return _hardsigmoid(args[0] if args else kwargs["input"])
        return func(*args, **kwargs)

    def _activate(self, kind: type[nn.Module], func: Any, args: Any, kwargs: Any) -> Any:
        in_place = func.__name__.endswith("_")
        if func in _SIGNATURES:
            given = dict(_SIGNATURES[func].bind(*args, **kwargs).arguments)
            in_place = bool(given.pop("inplace", False))
            (_, x), *rest = given.items()
            args, kwargs = (x,), dict(rest)
        elif not args:
            args, kwargs = (kwargs["input"],), {name: value for name, value in kwargs.items() if name != "input"}
        x, module = args[0], self.modules[kind.__name__]
        if rule_of(module).smooth:
            self.seen.smooth.add(kind.__name__)
        call: Callable[[Tensor], Tensor] = partial(
            _with, _beside(func) if func.__name__.endswith("_") else func, args[1:], kwargs
        )
        if func is functional.hardsigmoid:
            call = _hardsigmoid
        if not in_place:
            return module(x, call)
        return written_over(x, module(x if kind is nn.ReLU else x.clone(), call))


def _by_place(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    """Return the arguments of a call by keyword, those with a place at their places."""
    if args or not kwargs:
        return None
    bound = inspect.signature(type(module).forward).bind(module, **kwargs)
    return bound.args[1:], bound.kwargs


def _with(func: Any, args: Any, kwargs: dict, x: Tensor) -> Tensor:
    return func(x, *args, **kwargs)


def _beside(func: Any) -> Any:
    """Return the function that does the same, not in place."""
    name = func.__name__.removesuffix("_")
    return next(getattr(home, name) for home in _HOMES if hasattr(home, name))


def written_over(x: Tensor, y: Tensor) -> Tensor:
    """Write y into x, as an operation in place would; return x."""
    return x.copy_(y)


def _clamped(args: Any, kwargs: dict) -> type[nn.Module] | None:
    """Return ReLU or ReLU6 where a clamp from 0 upwards is one; of `maximum` the other operand is a zero."""
    low, high = [*args[1:], None, None][:2]
    low, high = kwargs.get("min", low), kwargs.get("max", high)
    if isinstance(low, Tensor):
        low = low.item() if low.numel() == 1 and not low.requires_grad else None
    if not isinstance(low, (int, float)) or low != 0:
        return None
    return nn.ReLU if high is None else nn.ReLU6 if high == 6 else None


def _is_call_of(module: nn.Module, args: Any, kwargs: dict) -> bool:
    """Return whether a call of `functional.linear` is what a linear layer does."""
    bias = args[2] if len(args) > 2 else kwargs.get("bias")
    return type(module) is nn.Linear and args[1] is module.weight and bias is module.bias


class InPlace(nn.Module):
    """An activation whose result is written over its input; hooks on `activation` see the input as it was."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        activation.inplace = False  # type: ignore[assignment]  # a flag

    def forward(self, x: Tensor) -> Tensor:
        """(any shape) -> the same tensor, changed."""
        return written_over(x, self.activation(x if type(self.activation) is nn.ReLU else x.clone()))


def beside_input(network: nn.Module) -> None:
    """Let the activations of a copy that work in place show their input to hooks first."""
    made: dict[nn.Module, nn.Module] = {}
    for parent in list(network.modules()):
        for child in parent.children():
            if getattr(child, "inplace", False) and (rule_of(child).activation or is_relu(child)):
                made.setdefault(child, InPlace(child))
        for name, each in list(parent._modules.items()):
            if each is not None and each in made:
                parent._modules[name] = made[each]
