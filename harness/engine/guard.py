"""Users' own proxies, kept from changing what other proxies read, and named where they end the process they run in.

Around each call of a user's own proxy the state of the process is recorded and put back
(`harness.proxies.global_state`), and so are the network and the probe. Whatever the call changed there is undone, and
passes that ran in the meantime run again for whoever reads them. A proxy that changed values which others read
(weights, inputs, gradients, any quantity of the probe) fails with that reason. A worker process tells its parent which
proxy is at work, and ends when a call takes too long; `harness.engine.scorer.Rescue` says how the run goes on then.
"""

from __future__ import annotations

import _thread
import faulthandler
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn

from harness.engine.processes import note
from harness.probe.probe import Probe
from harness.proxies.global_state import unchanged
from harness.proxies.namespaces import Contents
from harness.proxies.registry import Proxy

LARGE = 2**22
"""Elements of a quantity from which on it is compared by its version and a checksum, not by a copy."""
PATIENCE = 0.5
"""Seconds that threads of a proxy have to end after it."""
INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class Tampering(Exception):
    """A proxy changed what others read."""

    def __init__(self, proxy: str, what: list[str]) -> None:
        super().__init__(f"{proxy} changed {', '.join(what)} in place, which other proxies read: work on a copy")


class LeftThreads(Exception):
    """A proxy left threads running."""

    def __init__(self, proxy: str, names: list[str]) -> None:
        super().__init__(f"{proxy} left threads running ({', '.join(names)}): join them before it returns")


_limit: float | None = None
"""Seconds that a call of a user's own proxy may take in this process, 0: for ever; None: it must not end it."""


def expendable(seconds: float) -> None:
    """Let users' own proxies end this process, which does the work of another one: when a call takes longer than this
    (0: never), or leaves threads running."""
    global _limit
    _limit = seconds


def call(proxy: Proxy, probe: Any, compute: Callable[[], Tensor]) -> Tensor:
    """Return what `compute` does, a call of a user's own proxy, after which everything is as it was before.

    Raises what it raises, Tampering, and LeftThreads. May end an expendable process.
    """
    watch = None if proxy.on_module or proxy.static else _watch(probe)
    threads, count = set(threading.enumerate()), _thread._count()
    found: list[str] = []
    try:
        with _named(proxy.name), unchanged(torch.initial_seed()) as changed:
            result = _in_one_process(compute)
    finally:
        left = _left(threads, count)
        if watch is not None:
            found = watch.undo(probe, bool(changed))
    if left:
        error = LeftThreads(proxy.name, left)
        if _limit is None:
            raise error
        note((proxy.name, str(error), 0.0))
        os._exit(1)  # what they do later would change other scores
    if found:
        raise Tampering(proxy.name, found)
    return result


def _in_one_process(compute: Callable[[], Tensor]) -> Tensor:
    """Return what `compute` does; where it has forked, the child ends here."""
    process = os.getpid()
    try:
        return compute()
    finally:
        if os.getpid() != process:
            os._exit(0)


@contextmanager
def _named(proxy: str) -> Iterator[None]:
    """Let the parent know which proxy is at work since when; end an expendable process when it takes too long."""
    if _limit is None:
        yield
        return
    note((proxy, "", time.monotonic()))
    with open(os.devnull, "w") as nowhere:
        if _limit:
            faulthandler.dump_traceback_later(_limit, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            note(None)


def _left(before: set[threading.Thread], count: int) -> list[str]:
    """Return the names of threads that were started and still run, after they had some time to end."""
    until = time.monotonic() + PATIENCE
    while _thread._count() > count and time.monotonic() < until:
        time.sleep(0.01)
    more = _thread._count() - count
    new = [each for each in threading.enumerate() if each not in before]
    known = [each for each in new if _home(each).startswith(("tqdm.", "torch."))]  # monitors and compilers
    names = [each.name for each in new if each not in known]
    return names or ["without a name"] * max(0, more - len(known))


def _home(thread: threading.Thread) -> str:
    """Return the module whose code a thread runs."""
    run = getattr(thread, "_target", None) or type(thread)
    return str(getattr(run, "__module__", ""))


class _Marks:
    """Tensors as they were: versions, shapes, and a copy of all values, or their checksums where they are many."""

    def __init__(self, tensors: list[Tensor], limit: float = math.inf) -> None:
        self.tensors = tensors
        self.copied = sum(each.numel() for each in tensors) <= limit
        self.facts, self.values = self._facts(), self._values()

    def _facts(self) -> list[tuple]:
        return [(-1 if t.is_inference() else t._version, t.shape, t.dtype, t.requires_grad) for t in self.tensors]

    def _values(self) -> dict[torch.dtype, Tensor]:
        """Return the bits of all tensors of a type in a row, or the sum of the bits of each."""
        found: dict[torch.dtype, list[Tensor]] = {}
        for tensor in self.tensors:
            found.setdefault(tensor.dtype, []).append(tensor.detach().reshape(-1))
        if self.copied:
            return {dtype: _bits(torch.cat(each)) for dtype, each in found.items()}
        return {dtype: torch.stack([_bits(t).sum(dtype=torch.int64) for t in each]) for dtype, each in found.items()}

    @property
    def unchanged(self) -> bool:
        """Whether all have the versions and values that they had."""
        return [fact[:3] for fact in self._facts()] == [fact[:3] for fact in self.facts] and self._same_values()

    def _same_values(self) -> bool:
        now = self._values()
        return now.keys() == self.values.keys() and all(torch.equal(now[each], self.values[each]) for each in now)

    def restore(self) -> None:
        """Give the tensors their values. Versions stay, so that graphs which hold the tensors stay usable."""
        if self._same_values():
            return
        place = dict.fromkeys(self.values, 0)
        for tensor, (_, shape, dtype, _) in zip(self.tensors, self.facts, strict=True):
            start, width = place[dtype], 2 if dtype.is_complex else 1
            place[dtype] = start + width * shape.numel()
            _set(tensor, self.values[dtype][start : place[dtype]], shape, dtype)

    def restore_flags(self) -> bool:
        """Give the tensors no `.grad`, and `requires_grad` as it was; say whether that had changed."""
        changed = False
        for tensor, (*_, flag) in zip(self.tensors, self.facts, strict=True):
            if tensor.requires_grad != flag:
                tensor.requires_grad_(flag)
                changed = True
            if tensor.is_leaf and tensor.grad is not None:
                tensor.grad = None
        return changed

    def renew(self) -> None:
        """Take the versions as they are now."""
        self.facts = self._facts()


def _bits(tensor: Tensor) -> Tensor:
    """Return a tensor's values as integers."""
    tensor = torch.view_as_real(tensor).reshape(-1) if tensor.is_complex() else tensor
    return tensor.view(INTEGERS[tensor.element_size()]) if tensor.is_floating_point() else tensor


def _set(tensor: Tensor, bits: Tensor, shape: torch.Size, dtype: torch.dtype) -> None:
    """Give a tensor the values of these bits."""
    value = bits.view(dtype).reshape(shape)
    if tensor.shape != shape or tensor.dtype != dtype:
        tensor.data = value.clone()
    else:
        tensor.data.copy_(value)


class _Kept(dict):
    """The quantities of a probe; remembers how each was when it came."""

    def __init__(self, content: dict) -> None:
        super().__init__()
        self.marks: dict[str, _Marks] = {}
        for name, value in content.items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self.marks[name] = _Marks(_tensors(value), LARGE)

    def clear(self) -> None:
        super().clear()
        self.marks.clear()

    def changed(self) -> list[str]:
        """Return the names of quantities that are not as they came."""
        return [name for name, marks in self.marks.items() if not self._as_it_came(name, marks)]

    def _as_it_came(self, name: str, marks: _Marks) -> bool:
        now = _tensors(self.get(name))
        return len(now) == len(marks.tensors) and all(map(is_, now, marks.tensors)) and marks.unchanged


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in nested lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [each for item in value for each in _tensors(item)] if isinstance(value, list | tuple) else []


def _watch(probe: Probe) -> _Watch:
    """Return what is known of a probe, recorded before the first call of a user's own proxy."""
    if probe.watch is None:
        probe.watch = _Watch(probe)
    return probe.watch


PASSING = ("passes", "seconds", "reasons", "phase", "watch", "_used", "_gathered", "_graph", "_hooks", "_gradients")
"""Attributes of a probe that change while it is read."""


class _Watch:
    """The network and the probe as they were."""

    def __init__(self, probe: Probe) -> None:
        modules = list(probe.network.modules())
        self.modules = _Modules(modules)
        self.weights = _Marks(_tensors_of(modules, "_parameters"))
        self.buffers = _Marks(_tensors_of(modules, "_buffers"))
        self.inputs = _Marks([each for batch in probe.minibatches for each in (batch.inputs, batch.targets)])
        self.attributes = {name: value for name, value in vars(probe).items() if name not in PASSING}
        self.lists = [(value, list(value)) for value in self.attributes.values() if isinstance(value, list)]
        probe._gathered = self.kept = _Kept(probe._gathered)

    def undo(self, probe: Probe, forget: bool) -> list[str]:
        """Put everything back; return what was changed of that which others read. `forget`: all passes run again, not
        only where something was changed."""
        found = self.kept.changed() if probe._gathered is self.kept else ["its quantities"]
        found += ["the probe"] * self._put_back(probe)
        forget |= self.modules.put_back()
        for name, marks in (("weights", self.weights), ("inputs", self.inputs)):
            if not marks.unchanged:
                found.append(name)
                marks.restore()
            forget |= marks.restore_flags()
        self.buffers.restore()  # forwards change them
        if found or forget:
            self._forget(probe)
        return found

    def _put_back(self, probe: Probe) -> bool:
        """Undo changes of the probe itself; say whether there were any."""
        now = {name: value for name, value in vars(probe).items() if name not in PASSING}
        changed = now.keys() != self.attributes.keys() or any(now[n] is not v for n, v in self.attributes.items())
        for name in now.keys() - self.attributes.keys():
            delattr(probe, name)
        vars(probe).update(self.attributes)
        for value, content in self.lists:
            if len(value) != len(content) or not all(map(is_, value, content)):
                changed, value[:] = True, content
        return changed

    def _forget(self, probe: Probe) -> None:
        """Let passes run again, on tensors as they are now."""
        self.kept.clear()
        probe._gathered = self.kept
        probe._graph = probe._hooks = probe._gradients = None
        self.weights.renew()
        self.inputs.renew()


class _Modules:
    """The attributes of a network's modules, and what is in those that are dictionaries."""

    def __init__(self, modules: list[nn.Module]) -> None:
        own = [vars(module) for module in modules]
        inner = [each for attributes in own for each in attributes.values() if isinstance(each, dict)]
        self.empty = [each for each in inner if not each]  # most: hooks
        self.filled = Contents([*own, *filter(None, inner)])

    def put_back(self) -> bool:
        """Undo changes (hooks, modes, a forward of its own, other weights); say whether there were any."""
        more = any(self.empty)
        if more:
            for each in self.empty:
                each.clear()
        changed = self.filled.changed()
        for at in changed:
            now = self.filled.dictionaries[at]
            now.clear()
            now.update(self.filled.before[at])
        return more or bool(changed)


def _tensors_of(modules: list[nn.Module], kind: str) -> list[Tensor]:
    """Return the parameters or buffers ("_parameters", "_buffers") of modules, each once."""
    found = (tensor for module in modules for tensor in vars(module)[kind].values() if tensor is not None)
    return list({id(tensor): tensor for tensor in found}.values())
