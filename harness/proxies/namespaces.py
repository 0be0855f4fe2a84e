"""Modules and classes whose functions and constants a user's code may replace: recorded before it, put back after it.

PyTorch is imported by the functions that need it.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import copy
import functools
import itertools
import math
import operator
import random
import sys
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from operator import is_
from types import ModuleType
from typing import Any

import numpy as np


class Contents:
    """Dictionaries and the objects that are in them; identity is looked at first, as most are as they were."""

    def __init__(self, dictionaries: Iterable) -> None:
        self.dictionaries = list(dictionaries)
        self.before = [dict(each) for each in self.dictionaries]
        self._values = self._now()

    def _now(self) -> list:
        return list(chain.from_iterable(each.values() for each in self.dictionaries))

    def changed(self) -> list[int]:
        """Return the places of those that hold other objects now."""
        if _equal(self._now(), self._values):
            return []
        pairs = enumerate(zip(self.dictionaries, self.before, strict=True))
        return [
            at
            for at, (now, old) in pairs
            if now.keys() != old.keys() or not all(map(is_, map(now.get, old), old.values()))
        ]


def _equal(now: list, values: list) -> bool:
    try:
        return now == values
    except Exception:  # of arrays and tensors that are others now, which have no one answer
        return False


class Namespaces:
    """Modules and classes, and what is `_fixed` in them as it is."""

    def __init__(self, spaces: Sequence[Any]) -> None:
        self.spaces = spaces
        self.contents = Contents(map(vars, spaces))

    def record(self) -> None:
        """Take them as they are."""
        if self.contents.changed():
            self.contents = Contents(map(vars, self.spaces))

    def put_back(self) -> list[str]:
        """Undo patches; return where there were any. Names that a module got since then stay: imports make them; so do
        values that are not `_fixed`."""
        return [f"functions of {self.spaces[at].__name__}" for at in self.contents.changed() if self._put_back(at)]

    def _put_back(self, at: int) -> bool:
        of, old, now = self.spaces[at], self.contents.before[at], vars(self.spaces[at])
        patched = [name for name, value in old.items() if now.get(name) is not value and _fixed(value)]
        added = list(now.keys() - old.keys()) if isinstance(of, type) else []
        for name in patched:
            setattr(of, name, old[name])
        for name in added:
            delattr(of, name)
        return bool(patched or added)


def _fixed(value: Any) -> bool:
    """Return whether a value in a module or class is code or a constant, not something that a module keeps."""
    of_torch = type(value).__module__ in ("torch", "torch._C")  # dtypes, formats of memory, generators
    return callable(value) or of_torch or isinstance(value, float | ModuleType | property | staticmethod | classmethod)


@lru_cache(maxsize=1)
def namespaces(loaded: int) -> Namespaces:
    """Return the modules and classes that a user's code may patch; made again when more are `loaded`."""
    import torch
    from torch import linalg, nn

    modules: list[Any] = [
        torch, nn, nn.functional, nn.init, torch.autograd, torch.autograd.functional, linalg, torch.special,
        torch.func, torch.random, torch.cuda, torch._C._nn, torch._VF, np, np.linalg, np.random, math, random, time,
        builtins, collections, copy, functools, itertools, operator, contextlib,
    ]  # fmt: skip
    modules += [m for name, m in sys.modules.items() if name.split(".")[0] in ("harness", "benchmarks")]
    classes = [each for each in vars(nn).values() if isinstance(each, type)]
    return Namespaces([each for each in [*modules, torch.Tensor, *dict.fromkeys(classes)] if _patchable(each)])


def _patchable(each: Any) -> bool:
    return isinstance(each, type | ModuleType) and hasattr(each, "__dict__")
