"""What a user's code can change for all that runs after it in the same process: recorded before it, put back after it.

Settings of PyTorch, NumPy and Python, generators, the environment, the folder, signal handlers, and the functions of
PyTorch, NumPy, Python's basic modules and this project (`harness.proxies.namespaces`). Generators start from a seed, so
that what a user's code draws is the same in every process.

PyTorch is imported by the functions that need it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.probe.precision import arithmetic
from harness.proxies.namespaces import namespaces

if TYPE_CHECKING:
    import torch


class Setting(NamedTuple):
    """One thing that a process has once, and how to put it back."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


@contextmanager
def unchanged(seed: int) -> Iterator[list[str]]:
    """Let user code run inside the block; behind it the state of the process is as before.

    Generators of PyTorch, NumPy and Python start from `seed` inside. After the block the list names what was changed.
    """
    changed: list[str] = []
    settings = (*_of_python(), *_of_torch())  # with functions as they are now, whoever replaces them inside
    before = [setting.read() for setting in settings]
    spaces = namespaces(len(sys.modules))
    spaces.record()
    states = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with seeded(seed):
            yield changed
    finally:
        for setting, value in zip(settings, before, strict=True):
            if not _put_back(setting, value):
                changed.append(setting.name)
        changed += spaces.put_back()
        random.setstate(states[0])
        np.random.set_state(states[1])


@contextmanager
def seeded(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Start PyTorch's global generators (CPU and device) from a seed; behind the block they are as before."""
    import torch

    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every other device too, for good
        for each in cuda:
            with torch.cuda.device(each):
                torch.cuda.manual_seed(seed)
        yield


def _put_back(setting: Setting, value: Any) -> bool:
    """Give a setting its value; say whether it had it. One that cannot be read or written keeps no other from it."""
    with contextlib.suppress(Exception):
        if setting.read() == value:
            return True
    with contextlib.suppress(Exception):
        setting.write(value)
    return False


def load(run: Callable[[], None]) -> None:
    """Run the code of a user's file, which leaves the state of the process as it is."""
    with unchanged(0), arithmetic("float32"):
        run()


def _attributes(of: Any, *names: str) -> Iterator[Setting]:
    """Yield attributes of an object that are settings."""
    for name in names:
        if hasattr(of, name):
            yield Setting(f"{of.__name__}.{name}", partial(getattr, of, name), partial(setattr, of, name))


def _of_python() -> Iterator[Setting]:
    yield Setting("the environment", lambda: dict(os.environ), _set_environment)
    yield Setting("the working directory", _folder, _set_folder)
    yield Setting("the warnings filters", lambda: list(warnings.filters), _set_filters)
    yield from _attributes(sys, "stdout", "stderr", "excepthook")
    yield Setting("sys.path", lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path))
    yield Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Setting("the trace function", sys.gettrace, sys.settrace)
    yield Setting("the profile function", sys.getprofile, sys.setprofile)
    yield Setting("garbage collection", gc.isenabled, lambda on: gc.enable() if on else gc.disable())
    yield Setting("NumPy's error state", np.geterr, lambda state: np.seterr(**state))
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM, signal.SIGCHLD):
            yield Setting(number.name, partial(signal.getsignal, number), partial(signal.signal, number))
        yield Setting("the alarm", lambda: signal.getitimer(signal.ITIMER_REAL)[0] > 0, lambda _: signal.alarm(0))


def _of_torch() -> Iterator[Setting]:
    import torch
    from torch.autograd import forward_ad
    from torch.nn.modules import module
    from torch.utils import _python_dispatch

    backends = torch.backends
    yield Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype)
    yield Setting("the default device", torch.get_default_device, _set_device)
    yield Setting("grad mode", torch.is_grad_enabled, torch.set_grad_enabled)
    yield Setting("inference mode", torch.is_inference_mode_enabled, _set_inference)
    yield Setting("the number of threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting(
        "deterministic algorithms",
        lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
        lambda mode: torch.use_deterministic_algorithms(mode[0], warn_only=mode[1]),
    )
    yield Setting("float32 precision", _precision, lambda _: None)  # `arithmetic` puts it back
    yield from _attributes(backends.cudnn, "enabled", "benchmark", "deterministic")
    yield from _attributes(backends.mkldnn, "enabled", "deterministic")
    yield from _attributes(torch.utils.deterministic, "fill_uninitialized_memory")
    yield from _attributes(backends.opt_einsum, "enabled", "strategy")
    yield Setting(
        "anomaly detection",
        lambda: (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        lambda mode: torch.autograd.set_detect_anomaly(*mode),
    )
    yield Setting("flushing of denormal numbers", lambda: _SMALLEST * _ONE == 0, torch.set_flush_denormal)
    for kind in ("cpu", "cuda"):
        for what in ("enabled", "dtype"):
            read = torch.is_autocast_enabled if what == "enabled" else torch.get_autocast_dtype
            write = torch.set_autocast_enabled if what == "enabled" else torch.set_autocast_dtype
            yield Setting(f"autocast on {kind} ({what})", partial(read, kind), partial(write, kind))
    yield Setting("the cache of autocast", torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled)
    yield Setting("blocks of autocast", _autocast_depth, _leave_autocast)
    if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):  # from PyTorch 2.8 on
        yield Setting("hooks of saved tensors", _saved_hooks, _leave_saved_hooks)
    if torch.cuda.is_initialized():
        yield Setting("the current CUDA device", torch.cuda.current_device, torch.cuda.set_device)
        yield Setting("the current CUDA stream", torch.cuda.current_stream, torch.cuda.set_stream)
    yield Setting("dual numbers", lambda: forward_ad._current_level, lambda _: forward_ad.exit_dual_level())
    for name in sorted(name for name, value in vars(module).items() if name.startswith("_global") and value == {}):
        hooks = getattr(module, name)
        yield Setting(f"global hooks ({name})", hooks.copy, partial(_refill, hooks))
    for what, pop, depth in (
        ("functions", torch.overrides._pop_mode, torch._C._len_torch_function_stack),
        ("dispatch", _python_dispatch._pop_mode, torch._C._len_torch_dispatch_stack),
    ):
        yield Setting(f"modes of {what}", depth, partial(_pop, pop, depth))


_SMALLEST, _ONE = 5e-324, 1.0


def _refill(hooks: dict, content: dict) -> None:
    hooks.clear()
    hooks.update(content)


def _precision() -> tuple:
    import torch

    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:  # set in a way that these cannot say
        return ("mixed",)


def _pop(pop: Callable[[], object], depth: Callable[[], int], least: int) -> None:
    while depth() > least:
        pop()


def _autocast_depth() -> int:
    import torch

    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


def _leave_autocast(depth: int) -> None:
    """Leave blocks that were entered, or enter those that were left; weights that outlive a block are forgotten."""
    import torch

    while _autocast_depth() > depth:
        torch.autocast_decrement_nesting()
    while _autocast_depth() < depth:
        torch.autocast_increment_nesting()
    torch.clear_autocast_cache()


def _saved_hooks() -> tuple | None:
    import torch

    return torch._C._autograd._top_saved_tensors_default_hooks(False)


def _leave_saved_hooks(before: tuple | None) -> None:
    """Take away the hooks that were added."""
    import torch

    while _saved_hooks() not in (None, before):
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _set_device(device: Any) -> None:
    import torch

    torch.set_default_device(None if device.type == "cpu" else device)


_modes: list = []


def _set_inference(on: bool) -> None:
    import torch

    _modes.append(torch.inference_mode(on))  # it holds while it is alive
    _modes[-1].__enter__()


def _set_environment(names: dict[str, str]) -> None:
    for name in os.environ.keys() - names.keys():
        del os.environ[name]
    os.environ.update(names)


def _folder() -> str:
    with contextlib.suppress(OSError):  # it may have been deleted
        return os.getcwd()
    return ""


def _set_folder(folder: str) -> None:
    if folder:
        os.chdir(folder)


def _set_filters(filters: list) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    getattr(warnings, "_filters_mutated", lambda: None)()  # what was decided by the others is forgotten
