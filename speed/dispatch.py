"""`python -m speed.dispatch`: kernels, bytes and host waits of one stack on a GPU, counted without one.

The stack runs on PyTorch's meta device in place of the GPU: shapes flow, nothing is computed, so full size takes
seconds. Every operation that is no view counts as one kernel, and its bytes are those of the tensors it reads and
writes. What a GPU would have the host wait for counts as a wait: reading a number, copying to the CPU, shapes that
depend on data; a tensor sent to the device counts as an upload. Operations that mix tensors of both are an error, as
CUDA makes them. Eigenvalues count as one kernel, repeated draws of weights once.
"""

import argparse
import sys
from collections import Counter
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, of_space, score_stack
from harness.inputs.draw import gaussian_minibatches
from harness.probe import convolution
from harness.proxies.choose import choose
from speed.command import CommandLine, say, write_json
from speed.networks import connected

aten = torch.ops.aten
READ = {aten._local_scalar_dense.default, aten.equal.default}
SHAPED_BY_DATA = {aten.nonzero.default, aten._unique2.default, aten.masked_select.default}
COPIES = {aten._to_copy.default, aten.copy_.default}
MAY_MIX = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
"""Positions may lie on the CPU; sending them is an upload."""

TOUCHED = {aten.index_select.default: (2, 2), aten.index_add_.default: (2, 2, 2)}
"""Operations that touch a part of a tensor -> the tensors of that size, of those given and returned, once for each time
they are read or written."""


class Dispatch(TorchDispatchMode):
    """Counts what runs inside; the meta device stands for the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()
        """kernels, bytes, waits, uploads."""
        self.waits: Counter[str] = Counter()
        """Operation -> how often the host waits for it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there = [each for each in given if each.is_meta]
        here = [each for each in given if not each.is_meta and each.dim()]
        if there and (func in READ or func in SHAPED_BY_DATA):
            return self._waited(func, args)
        if func in COPIES:
            return self._copied(func, args, kwargs)
        if there and here:
            if func not in MAY_MIX:
                raise RuntimeError(f"{func} mixes tensors of the CPU and of the device")
            self.count["uploads"] += len(here)
        found = func(*args, **kwargs)
        if there or (isinstance(found, Tensor) and found.is_meta):
            self._launched(func, given, found)
        return found

    def _launched(self, func: Any, given: list[Tensor], found: Any) -> None:
        aliases = [result.alias_info for result in func._schema.returns]
        if aliases and all(each is not None and not each.is_write for each in aliases):
            return  # a view
        if func._schema.name.startswith("aten::empty") or func._schema.name == "aten::_unsafe_view":
            return
        self.count["kernels"] += 1
        moved = [*given, *(each for each in tree_leaves(found) if isinstance(each, Tensor))]
        if func in TOUCHED:
            moved = [moved[place] for place in TOUCHED[func]]
        self.count["bytes"] += sum(each.numel() * each.element_size() for each in moved)

    def _waited(self, func: Any, args: Any) -> Any:
        self.count["waits"] += 1
        self.waits[str(func)] += 1
        if func in READ:
            return 1.0 if func is aten._local_scalar_dense.default else True
        if func is aten.nonzero.default:
            return aten.nonzero(torch.zeros(args[0].shape))
        some = args[0].flatten()[:1]
        return (some, some.long(), some.long()) if func is aten._unique2.default else some

    def _copied(self, func: Any, args: Any, kwargs: Any) -> Any:
        source = args[1] if func is aten.copy_.default else args[0]
        device = args[0].device if func is aten.copy_.default else kwargs.get("device") or source.device
        if source.is_meta and torch.device(device).type != "meta":
            self.count["waits"] += 1
            self.waits[str(func)] += 1
            known = (torch.arange(source.numel()) % 10).view(source.shape).to(kwargs.get("dtype") or source.dtype)
            return args[0].copy_(known) if func is aten.copy_.default else known
        if torch.device(device).type == "meta" and not source.is_meta and source.dim():
            self.count["uploads"] += 1
        found = func(*args, **kwargs)
        if torch.device(device).type == "meta":
            self._launched(func, [source], found)
        return found


def count(proxies: str, indices: list[int], network: dict[str, int], batch: int, side: int) -> Dispatch:
    """Return what one stack of NAS-Bench-201's networks needs with these proxies; RuntimeError where one fails."""
    space = space_of("201")
    minibatches = gaussian_minibatches((3, side, side), network["classes"], batch, 2, 0)
    chosen = [replace(each, view=replace(each.view, repeats=1)) for each in choose(proxies) if not each.static]
    as_on_a_gpu = patch.object(convolution, "_by_group", lambda module, x: convolution._grouped(module))
    with as_on_a_gpu, Dispatch() as seen:
        scored = score_stack(
            lambda: allocate(space.build(indices, **network), "meta"), [space.canonical(i) for i in indices],
            chosen, ViewInputs(minibatches, network["classes"], 0, "meta"), seed=0, features=of_space,
        )  # fmt: skip
    raised = {name: reason for name, each in scored.items() for reason in each.reasons.values() if "Error: " in reason}
    if raised:
        raise RuntimeError(f"not counted: {raised}")
    return seen


TEN = "plain,grad_norm,snip,fisher,synflow,jacob_cov,naswot,l2_norm,epe_nas,grasp"


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("dispatch", __doc__)
    line.count("--stack", "networks in the stack", 32)
    line.add_argument("--proxies", default=TEN, help="names (default: the classic ten)")
    line.count("--channels", "channels of the first stage", 16)
    line.count("--cells", "cells in a stage", 5)
    line.count("--batch-size", "samples in the minibatch", 64)
    line.count("--resolution", "height and width of the inputs", 32)
    line.out("results/dispatch.json")
    return line


def main(argv: list[str] | None = None) -> int:
    """Count, print, write; return the exit code."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> bool:
    network = {"channels": given.channels, "cells_per_stage": given.cells, "classes": 10, "input_channels": 3}
    indices = connected(space_of("201"), given.stack)
    seen = count(given.proxies, indices, network, given.batch_size, given.resolution)
    for name, number in sorted(seen.count.items()):
        say(f"{name}: {number:,}, {number / given.stack:,.0f} a network")
    for name, number in seen.waits.most_common():
        say(f"  waits for {name}: {number}")
    write_json(given.out, {"options": vars(given), "count": dict(seen.count), "waits": dict(seen.waits)})
    return False


if __name__ == "__main__":
    sys.exit(main())
