"""Networks in the style of the model zoos, each by every proxy: a score, or a reason that names the cause."""

from __future__ import annotations

import math
import random
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import everything_of
from zoo import attention, convolutional, mobile

from harness.engine.module_score import score_module
from harness.proxies.registry import registry

NETWORKS = {**convolutional.NETWORKS, **mobile.NETWORKS, **attention.NETWORKS}
IMAGES = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TOKENS = torch.randint(1, 20, (8, 6), generator=torch.Generator().manual_seed(0))
INPUTS = {"text_transformer": TOKENS, "bert": {"input_ids": TOKENS, "attention_mask": torch.ones(8, 6)}}
CAUSES = (
    r"name the modules that give (them|feature blocks) in blocks=", r"no ReLU", r"two samples have the same code in",
    r"replaces the inputs by (Gaussian noise|ones), which is not defined for (whole numbers|several tensors)",
    r"curvature is for piecewise linear networks, not for \w+", r"the model does not run on inputs of the shape \(",
    r"gradients of single samples are not known for a \w+", r"needs the gradient of the inputs, which are whole",
    r"Expected more than 1 value per channel when training, got", r"samples are alike", r"a gradient is below -1",
    r"the kernel is singular", r"synflow is zero: no path", r"crops images|replaces an image",
    r"in no layer does the saliency vary", r"samples respond alike",
)  # fmt: skip
"""What a proxy may say; nothing else may come of a network that runs."""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_proxy_gives_a_score_or_names_the_cause(name):
    torch.manual_seed(0)
    model = NETWORKS[name]()
    proxies = [replace(each, view=replace(each.view, repeats=1)) for each in registry().values()]
    before = everything_of(model)
    generators = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = score_module(
            model, INPUTS.get(name, IMAGES), torch.arange(8) % 4, proxies, blocks=None, logits=None, strict=False,
            seed=0, precision="float32",
        )  # fmt: skip
    assert scores.keys() == registry().keys()
    failed = {proxy: scores.reasons.get(proxy, "") for proxy, score in scores.items() if not math.isfinite(score)}
    assert failed == scores.reasons
    assert not {p: reason for p, reason in failed.items() if not any(re.search(cause, reason) for cause in CAUSES)}
    assert sum(map(math.isfinite, scores.values())) >= 37
    after = everything_of(model)
    assert after.keys() == before.keys()
    for key, value in before.items():
        same = torch.equal(value, after[key]) if isinstance(value, torch.Tensor) else value == after[key]
        assert same, key
    assert torch.equal(torch.get_rng_state(), generators[0]) and random.getstate() == generators[1]
    assert np.random.get_state()[1].tolist() == generators[2]
    assert torch.backends.mha.get_fastpath_enabled()


def test_there_are_fifty():
    assert len(NETWORKS) >= 50
