"""Users' own proxies that do what they must not. The test runs them together and expects the score or the reason below.

`good_first` and `good_last` behave; their scores, and those of built-in proxies, must stay as they are.
"""

import contextlib
import copy
import ctypes
import functools
import math
import os
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import torch
from torch import nn

import harness

outputs = harness.proxy(reads=("outputs", "gradients"), labels=False)


def score(probe):
    return probe.outputs.double().sum((0, 2))


@outputs
def good_first(probe):
    return probe.total(probe.gradients) + score(probe)


# State of the process: the score counts, nothing is left behind


@outputs
def default_dtype(probe):
    torch.set_default_dtype(torch.float64)
    return score(probe)


@outputs
def default_device(probe):
    torch.set_default_device("meta")
    return score(probe)


@outputs
def grad_mode(probe):
    torch.set_grad_enabled(False)
    return score(probe)


@outputs
def inference_mode(probe):
    inference_mode.kept = torch.inference_mode()
    inference_mode.kept.__enter__()
    return score(probe)


@outputs
def threads(probe):
    torch.set_num_threads(3)
    return score(probe)


@outputs
def flags(probe):
    torch.backends.mkldnn.set_flags(False)
    torch.backends.cudnn.deterministic = True
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)
    torch.autocast("cpu", torch.bfloat16).__enter__()
    return score(probe)


@outputs
def seeds(probe):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    return score(probe)


@outputs
def noise(probe):
    return score(probe) + random.random() + np.random.rand() + torch.rand(()).item()


@outputs
def warning_filters(probe):
    warnings.simplefilter("error")
    return score(probe)


@outputs
def patched_torch(probe):
    torch.relu = nn.functional.conv2d = lambda *given, **named: given[0]
    torch.Tensor.sum = lambda self, *given, **named: self
    return score(probe)


@outputs
def patched_modules(probe):
    nn.Conv2d.forward = lambda self, x: x * 0
    nn.BatchNorm2d.__call__ = lambda self, x: x
    nn.modules.module.register_module_forward_hook(lambda module, given, output: output * 2)
    return probe.total(probe.gradients)


@outputs
def patched_numpy(probe):
    np.isfinite = np.stack = math.sqrt = lambda *given, **named: None
    return score(probe)


@outputs
def patched_constants(probe):
    torch.float64 = torch.float16
    np.pi = math.inf = 3.0
    torch.contiguous_format = torch.channels_last
    torch.default_generator, torch.backends = torch.Generator(), None
    return score(probe)


@outputs
def patched_copying(probe):
    copy.deepcopy = functools.partial = lambda *given: None
    return score(probe)


@outputs
def saved_tensors(probe):
    for _ in range(2 if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks") else 0):  # PyTorch 2.8
        torch.autograd.graph.saved_tensors_hooks(lambda x: x * 0, lambda x: x).__enter__()
    torch.backends.opt_einsum.enabled = False
    return score(probe)


@outputs
def environment(probe):
    os.environ["OMP_NUM_THREADS"] = "7"
    os.environ.pop("PATH", None)
    os.chdir("/")
    sys.stdout = sys.stderr = None
    return score(probe)


@outputs
def signals(probe):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.alarm(1)
    return score(probe)


@outputs
def module_mode(probe):
    probe.network.eval()
    return score(probe) + probe.logits().double().sum((0, 2))


@outputs
def hooks(probe):
    for module in probe.network.modules():
        module.register_forward_hook(lambda module, given, output: output * 2)
        module.forward_of_mine = module.forward
    return score(probe)


@outputs
def own_backward(probe):
    probe.loss().backward()
    for layer in probe.layers:
        layer.parameter.requires_grad_(False)
    return score(probe)


# Values that others read: the proxy fails


@outputs
def gradients_in_place(probe):
    for gradient in probe.gradients:
        gradient.abs_()
    return score(probe)


@outputs
def gradients_by_data(probe):
    probe.gradients[0].data.zero_()
    return score(probe)


@outputs
def gradients_by_numpy(probe):
    probe.gradients[0].numpy()[:] = 0
    return score(probe)


@outputs
def list_of_gradients(probe):
    probe.gradients[0] = torch.zeros_like(probe.gradients[0])
    return score(probe)


@outputs
def weights_in_place(probe):
    for layer in probe.layers:
        layer.weight.abs_()
    return score(probe)


@outputs
def weights_by_data(probe):
    for parameter in probe.network.parameters():
        parameter.data = torch.ones_like(parameter)
    return score(probe)


@outputs
def inputs_in_place(probe):
    probe.inputs.data.mul_(0)
    return score(probe)


@outputs
def targets_in_place(probe):
    probe.targets.zero_()
    return score(probe)


@outputs
def outputs_in_place(probe):
    return probe.outputs.zero_().double().sum((0, 2))


@outputs
def probe_itself(probe):
    probe.layers.clear()
    probe.archs = 7
    return score(probe)


# Exceptions and results: the proxy fails


@outputs
def leaves(probe):
    sys.exit(0)


class Own(BaseException):
    def __str__(self):
        raise ValueError


@outputs
def own_exception(probe):
    raise Own


@outputs
def interrupts(probe):
    raise KeyboardInterrupt


@outputs
def no_memory(probe):
    raise torch.OutOfMemoryError("CUDA out of memory\0")


@outputs
def subclass(probe):
    class Odd(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, kinds, given=(), named=None):
            raise RuntimeError("odd")

    return score(probe).as_subclass(Odd)


# The process ends, or never comes back: the proxy fails


@outputs
def exits(probe):
    os._exit(0)


@outputs
def crashes(probe):
    ctypes.string_at(0)


@outputs
def loops(probe):
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.1)


@outputs
def leaves_a_thread(probe):
    threading.Thread(target=torch.set_default_dtype, args=(torch.float64,)).start()
    threading.Thread(target=time.sleep, args=(600,)).start()
    return score(probe)


@outputs
def forks(probe):
    if child := os.fork():
        os.waitpid(child, 0)
    return score(probe)


@harness.proxy(static=True, cost="S")
def static_raises(counts):
    raise Own


@harness.proxy(static=True, cost="S")
def static_exits(counts):
    os._exit(0)


@harness.proxy(static=True, cost="S")
def static_in_place(counts):
    return counts.params.zero_()


@outputs
def good_last(probe):
    return probe.total(probe.gradients) + score(probe)
