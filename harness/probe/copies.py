"""A private copy of a user's module: fast, and with every weight a plain parameter.

`copied` makes new modules, parameters and buffers; everything else goes through `copy.deepcopy`. Where a copy's weights
are only read, it may share their memory. `plain_weights` replaces what a parametrisation computes (weight and spectral
norm, old and new, pruning, any of `torch.nn.utils.parametrize`) by a parameter of the value it has.
"""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from benchmarks.errors import UserError
from harness.probe.precision import memory_ran_out

CONSTANT = {
    bool, int, float, complex, str, bytes, type(None), type, torch.dtype, torch.device, FunctionType,
    BuiltinFunctionType,
}  # fmt: skip
"""Types of attributes that a copy may share."""
COMPUTED = (WeightNorm, SpectralNorm, prune.BasePruningMethod)
"""Hooks that compute a weight before each forward."""


def copied(model: nn.Module, share: bool = False) -> Any:
    """Return a copy of a module; nothing that happens to it changes the original. What cannot be copied is shared.

    `share`: parameters are new objects over the memory of the old ones, for callers that never write to it. Raises
    UserError for a module that cannot be copied.
    """
    try:
        return _copied(model, share)
    except (TypeError, RuntimeError) as error:
        if memory_ran_out(error):
            raise
        raise UserError(f"the model cannot be copied: {error}") from error


def _copied(model: nn.Module, share: bool) -> Any:
    modules = list(model.modules())
    if any(_copies_itself(type(module)) for module in modules):
        loose = (v for module in modules for v in vars(module).values() if isinstance(v, Tensor) and not v.is_leaf)
        return copy.deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in loose})
    memo: dict[int, Any] = {id(module): object.__new__(type(module)) for module in modules}
    for module in modules:
        for parameter in vars(module)["_parameters"].values():
            if parameter is not None and id(parameter) not in memo:
                memo[id(parameter)] = _parameter(parameter, share)
    for module in modules:
        vars(memo[id(module)]).update({name: _value(value, memo) for name, value in vars(module).items()})
    return memo[id(model)]


def _copies_itself(kind: type) -> bool:
    """Return whether a class says itself how it is copied."""
    own = getattr(kind, "__getstate__", None) is not getattr(nn.Module, "__getstate__", None)
    return hasattr(kind, "__deepcopy__") or (own and not issubclass(kind, nn.RNNBase))


def _parameter(parameter: nn.Parameter, share: bool) -> Tensor:
    if type(parameter) is not nn.Parameter:
        return copy.deepcopy(parameter)
    data = parameter.detach()
    data = data if share else data.clone(memory_format=torch.contiguous_format)
    return nn.Parameter(data, parameter.requires_grad)


def _value(value: Any, memo: dict[int, Any]) -> Any:
    kind: Any = type(value)
    if kind in CONSTANT:
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind in (dict, OrderedDict):
        return kind([(key, _value(each, memo)) for key, each in value.items()]) if value else kind()
    if kind in (list, tuple, set):
        return kind([_value(each, memo) for each in value])
    if kind is Tensor:
        return memo.setdefault(id(value), value.detach().clone())
    try:
        return copy.deepcopy(value, memo)
    except TypeError:  # a lock, a file, a module of Python: there is one of it
        return value


@torch.no_grad()
def plain_weights(network: nn.Module) -> int:
    """Make every computed tensor of a copy a parameter of its present value; return how many numbers fewer than those
    it has are trained (0 unless a parametrisation is of low rank)."""
    fewer = 0
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            fewer += _settle(module)
        for key, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, COMPUTED):
                name = hook._tensor_name if isinstance(hook, prune.BasePruningMethod) else hook.name
                hook.remove(module)
                del module._forward_pre_hooks[key]
                _put_first(module, [name])
    return fewer


def _settle(module: Any) -> int:
    """Undo the parametrisations of one module; return how many numbers fewer than those of its tensors are trained."""
    module.eval()  # spectral norm would go on with its power iteration
    fewer = 0
    parametrised = dict(module.parametrizations.items())
    values = {name: getattr(module, name).detach().clone() for name in parametrised}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module._modules["parametrizations"]
    for name, of in parametrised.items():
        trained = [parameter.numel() for parameter in of.parameters()]
        if trained:
            module.register_parameter(name, nn.Parameter(values[name]))
            fewer += max(values[name].numel() - sum(trained), 0)
        else:
            module.register_buffer(name, values[name])
    _put_first(module, parametrised)
    return fewer


def _put_first(module: nn.Module, names: Iterable[str]) -> None:
    """Put parameters where a plain layer has them, its weight before its bias."""
    own = vars(module)["_parameters"]
    for name in [name for name in own if name not in set(names)]:
        own[name] = own.pop(name)
