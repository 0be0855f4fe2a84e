"""What users hand to `harness.score`: models, inputs, labels, outputs, blocks; served, or refused in one line."""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from networks import Small, minibatch
from torch import nn
from torch.nn.utils import parametrize

import harness
from benchmarks import UserError

X, Y = minibatch(12)
NAMES = "snip,naswot,jacob_cov"


def scored(model=None, x=X, y=Y, names=NAMES, **more):
    """The scores that are not counts; warnings are looked at elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = harness.score(Small() if model is None else model, x, y, names, **more)
    return {name: found[name] for name in names.split(",")}


@pytest.fixture(scope="module")
def usual():
    return scored()


# Inputs


@pytest.mark.parametrize(
    "served",
    [
        lambda x: x.double(), lambda x: x.numpy(), lambda x: x.numpy().astype(np.float64),
        lambda x: x.to(memory_format=torch.channels_last), lambda x: {"x": x}, lambda x: x.clone().requires_grad_(),
    ],
    ids=["float64", "NumPy", "NumPy float64", "channels last", "by keyword", "with a gradient"],
)  # fmt: skip
def test_inputs_that_are_served(served, usual):
    assert scored(x=served(X)) == pytest.approx(usual, rel=1e-5)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_inputs_of_less_precision(kind):
    assert scored(x=X.to(kind)) == scored(x=X.to(kind).float())


@pytest.mark.parametrize(
    "x, told",
    [
        (X[:0], r"inputs of the shape \(0, 3, 8, 8\): expected one sample or more"),
        (X.masked_fill(X > 2, torch.nan), r"inputs: \d+ of 2304 values are NaN or infinite"),
        ((X * 9).to(torch.uint8), "uint8 images, 0 to 255: normalise"),
        (X.long(), r"whole numbers, as tokens are"),
        (X[:, :2], r"the model does not run on inputs of the shape \(12, 2, 8, 8\): .*channels"),
        ("photo.png", "inputs: expected a tensor or an array, got a str"),
        ({"x": X, "mask": torch.ones(3)}, r"different numbers of samples: \{'x': 12, 'mask': 3\}"),
        ({}, "an empty mapping"),
        (X.to_sparse(), "expected a dense tensor"),
    ],
)
def test_inputs_that_are_refused(x, told):
    with pytest.raises(UserError, match=told) as refused:
        harness.score(Small(), x, Y, NAMES)
    assert "\n" not in str(refused.value)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.fc = nn.Embedding(9, 6), nn.Linear(6, 5)

    def forward(self, ids, mask=None):
        x = self.embedding(ids).relu()
        return self.fc((x if mask is None else x * mask.unsqueeze(2)).mean(1))


def test_tokens_and_masks():
    ids = torch.randint(9, (12, 4), generator=torch.Generator().manual_seed(0))
    plain = harness.score(Tokens(), ids, Y, "snip,zico,gradsign,naswot")
    assert all(map(math.isfinite, plain.values()))
    assert plain["params"] == 9 * 6 + 6 * 5 + 5 and plain["flops"] == 6 * 5 + 5
    masked = harness.score(Tokens(), {"ids": ids, "mask": torch.ones(12, 4)}, Y, "snip,zico,gradsign,naswot")
    assert masked == pytest.approx(plain)
    half = torch.ones(12, 4) * (torch.arange(4) < 2)
    first = harness.score(Tokens(), {"ids": ids, "mask": half}, Y, "zico")["zico"]
    assert first != plain["zico"] and harness.score(Tokens(), {"ids": ids.numpy()}, Y, "zico")["zico"] == plain["zico"]
    with pytest.warns(RuntimeWarning) as told:
        assert math.isnan(harness.score(Tokens(), ids, Y, "jacob_cov,synflow,zen")["jacob_cov"])
    text = " | ".join(str(each.message) for each in told)
    assert "needs the gradient of the inputs, which are whole numbers" in text and "replaces the inputs by ones" in text


# Models


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_models_of_other_precision(kind):
    model = Small().to(kind)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert scored(model) == pytest.approx(scored(Small().to(kind).float()), rel=1e-6)
    assert all(torch.equal(value, before[name]) and value.dtype == before[name].dtype
               for name, value in model.state_dict().items())  # fmt: skip


def test_models_in_other_layouts_or_wrapped(usual):
    assert scored(Small().to(memory_format=torch.channels_last)) == pytest.approx(usual, rel=1e-5)
    assert scored(torch.compile(Small())) == usual


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model, told",
    [
        (lambda: torch.jit.trace(Small(), X[:2]), "TorchScript, whose layers cannot be seen"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.Linear(144, 5)), "'0.weight' of a lazy layer"),
        (lambda: Small().to("meta"), "on the meta device, without values"),
        (lambda: "model.pth", "the model is 'model.pth', expected an nn.Module"),
        (lambda: Small().state_dict(), "the model is a OrderedDict, expected an nn.Module"),
        (lambda: nn.Sequential(Small(), nn.Linear(9, 9)), r"the model does not run on inputs of the shape \(12, 3"),
    ],
)
def test_models_that_are_refused(model, told):
    with pytest.raises(UserError, match=told) as refused:
        harness.score(model(), X, Y, NAMES)
    assert "\n" not in str(refused.value)


class Table(nn.Module):
    """A parameter of its own beside layers."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.scale = Small(), nn.Parameter(torch.ones(5))

    def forward(self, x):
        return self.small(x) * self.scale


def test_parameters_without_a_rule_are_named_once(usual):
    with pytest.warns(RuntimeWarning, match="no rule of a layer type knows scale: 0.32% of the parameters") as told:
        scores = harness.score(Table(), X, Y, NAMES)
    assert len(told) == 1 and scores["snip"] == pytest.approx(usual["snip"], rel=1e-5)
    assert scores.left_out == {"scale": pytest.approx(5 / (scores["params"]))}
    with pytest.raises(UserError, match=r"knows scale: 0.32% of the parameters; without strict=True"):
        harness.score(Table(), X, Y, NAMES, strict=True)
    assert harness.score(Small(), X, Y, NAMES, strict=True).left_out == {}


def test_a_parametrised_weight_counts_what_is_trained():
    class LowRank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Parameter(torch.randn(12, 2)), nn.Parameter(torch.randn(2, 96))

        def forward(self, _):
            return self.a @ self.b

    model = Small()
    plain = harness.score(model, X, Y, "l2_norm")
    parametrize.register_parametrization(model.hidden, "weight", LowRank(), unsafe=True)
    model.hidden.parametrizations.weight.original.requires_grad_(False)
    low = harness.score(model, X, Y, "l2_norm")
    assert low["flops"] == plain["flops"] and low["params"] == plain["params"]  # original, A and B are more than enough
    expected = plain["l2_norm"] - Small().hidden.weight.norm().item() + model.hidden.weight.norm().item()
    assert low["l2_norm"] == pytest.approx(expected, rel=1e-5)
    assert parametrize.is_parametrized(model.hidden)


# Labels


@pytest.mark.parametrize(
    "y, told",
    [
        (None, "needs labels, and none are given"),
        (torch.full((12,), -1), "needs labels 0 to 4 for 5 classes, got -1"),
        (torch.full((12,), -100), "got -100"),
        (Y + 1, "needs labels 0 to 4 for 5 classes, got 5"),
        (torch.rand(12), "the labels are fractions or NaN"),
        (nn.functional.one_hot(Y), r"needs labels of the shape \(12,\), got \(12, 5\): pass the class numbers"),
        (Y[:7], r"got \(7,\)"),
        ("cat", "expected class numbers|needs labels"),
    ],
)
def test_labels_are_looked_at_by_those_that_use_them(y, told, usual):
    for names in ("snip,naswot,jacob_cov", "naswot,jacob_cov,snip"):
        with pytest.warns(RuntimeWarning, match=told) as warned:
            scores = harness.score(Small(), X, y, names)
        assert len(warned) == 1 and math.isnan(scores["snip"]) and scores.reasons.keys() == {"snip"}
        assert scores["naswot"] == usual["naswot"] and scores["jacob_cov"] == usual["jacob_cov"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        harness.score(Small(), X, y, "naswot,jacob_cov")


@pytest.mark.parametrize(
    "served", [Y.int(), Y.float(), Y[:, None], Y.to(torch.uint8), Y.numpy(), Y.tolist(), Y.numpy()[:, None]]
)
def test_labels_that_are_served(served, usual):
    assert scored(y=served) == usual


# Outputs

Named = namedtuple("Named", ["aux", "logits"])


@dataclass
class Output:
    loss: None
    logits: torch.Tensor


class Odd(nn.Module):
    def __init__(self, form) -> None:
        super().__init__()
        self.small, self.form = Small(), form

    def forward(self, x):
        return self.form(self.small(x), x, self.training)


@pytest.mark.parametrize(
    "form",
    [
        lambda z, x, _: (z, None), lambda z, x, _: (x, z), lambda z, x, _: [z], lambda z, x, _: {"logits": z, "aux": z},
        lambda z, x, _: OrderedDict(out=z, aux=z), lambda z, x, _: Named(z * 2, z), lambda z, x, _: Output(None, z),
        lambda z, x, training: (z, x) if training else z, lambda z, x, _: z[:, :, None, None],
        lambda z, x, _: z[:, None],
    ],
)  # fmt: skip
def test_logits_that_are_clear(form, usual):
    assert scored(Odd(form)) == pytest.approx(usual, rel=1e-6)


@pytest.mark.parametrize(
    "form, told, logits",
    [
        (lambda z, x, _: (z[:, :4], z), r"returns 0: \(samples, 4\), 1: \(samples, 5\): name the logits by logits=", 1),
        (lambda z, x, _: (z * 2, z), "name the logits by logits=", -1),
        (lambda z, x, _: {"a": z * 2, "b": z}, r"returns a: \(samples, 5\), b:", "b"),
        (lambda z, x, training: (z, z * 2) if training else z, "name the logits by logits=",
         lambda out: out[0] if isinstance(out, tuple) else out),
        (lambda z, x, _: z[:, None].expand(-1, 3, -1), r"returns \(samples, 3, 5\), expected \(samples, classes\): a "
         "sequence or a map", lambda out: out.mean(1)),
        (lambda z, x, _: z.T, "the first axis must be the samples", lambda out: out.T),
        (lambda z, x, _: z.argmax(1), "expected a tensor of floats", None),
        (lambda z, x, _: None, "the model returns NoneType", None),
        (lambda z, x, _: {"a": z}, "logits='c'", "c"),
    ],
)  # fmt: skip
def test_logits_that_are_not(form, told, logits, usual):
    with pytest.raises(UserError, match=told):
        harness.score(Odd(form), X, Y, NAMES, logits="c" if logits == "c" else None)
    if logits not in (None, "c"):
        assert scored(Odd(form), logits=logits) == pytest.approx(usual, rel=1e-6)


@pytest.mark.parametrize("place", [0, -2])
def test_a_place_serves_where_evaluation_has_one_output(place, usual):
    """Defect: refused, as the look at the module in evaluation has no tuple."""
    assert scored(Odd(lambda z, x, training: (z, z * 2) if training else z), logits=place) == pytest.approx(
        usual, rel=1e-6
    )


def test_one_output_is_the_logit_of_class_1():
    model = Odd(lambda z, x, _: z[:, 0])
    binary = scored(model, y=(Y > 1).float())
    column = scored(Odd(lambda z, x, _: z[:, :1]), y=Y > 1)
    assert binary == column and all(map(math.isfinite, binary.values()))
    plain = Odd(lambda z, x, _: z[:, 0]).train()
    weights = [m.weight for m in plain.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    loss = nn.functional.binary_cross_entropy_with_logits(plain(X), (Y > 1).float())
    by_hand = sum((w * g).abs().sum().item() for w, g in zip(weights, torch.autograd.grad(loss, weights), strict=True))
    assert binary["snip"] == pytest.approx(by_hand, rel=1e-4)
    with pytest.warns(RuntimeWarning, match="regression is not scored"):
        assert math.isnan(harness.score(model, X, torch.rand(12), "snip")["snip"])


# Blocks


def test_blocks():
    usual = scored(names="zen@naslib", blocks=["body"])
    assert scored(names="zen@naslib", blocks="body") == usual and math.isfinite(usual["zen@naslib"])
    assert scored(names="az_progressivity", blocks="body.norm, body") == scored(
        names="az_progressivity", blocks=("body.norm", "body")
    )
    with pytest.raises(UserError, match="'bdy' .did you mean body"):
        harness.score(Small(), X, Y, "zen@naslib", blocks="bdy")


# Nothing comes of nothing


def reason(names, x=X, y=Y, model=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = harness.score(Small() if model is None else model, x, y, names)
    assert not any(math.isfinite(scores[name]) for name in names.split(","))
    return scores.reasons


def test_every_nan_has_its_own_reason():
    broken = Small()
    broken.classifier.weight.data[0, 0] = torch.nan
    told = reason("zico,snip,l_swag,grad_norm", model=broken)
    assert set(told.values()) == {"the model's classifier.weight holds NaN or infinite values"}
    assert set(reason("zico,l_swag", X[:1], Y[:1]).values()) == {"compares 2 minibatches: needs as many samples, got 1"}
    alike = X[:1].expand(12, -1, -1, -1)
    told = reason("zico,l_swag", alike, torch.zeros(12, dtype=torch.long))
    assert all("no gradient varies between the minibatches" in each for each in told.values())
    assert all("needs two or more" in each for each in reason("jacob_cov,jacob_logdet", X[:1], Y[:1]).values())
    told = reason("epe_nas,epe_nas@naslib", X[:5], torch.arange(5))
    assert set(told.values()) == {"no class has two samples in the minibatch"}
    assert "same code" in reason("naswot", alike)["naswot"]


@pytest.mark.parametrize(
    "named, told",
    [
        ({"seed": "2"}, "seed '2': expected a whole number"),
        ({"seed": 2**63}, "expected a whole number of 64 bits"),
        ({"precision": 1}, "unknown precision: '1'"),
        ({"blocks": nn.ReLU()}, "blocks: expected names of modules, as a list or by commas, got a ReLU"),
        ({"blocks": np.zeros(3)}, "got a ndarray"),
        ({"inputs": X.to("meta")}, "inputs are on the meta device"),
        ({"proxies": 3}, "unknown proxy: '3'"),
    ],
)
def test_arguments_of_another_type(named, told):
    with pytest.raises(UserError, match=told):
        harness.score(**{"model": Small(), "inputs": X, "targets": Y, "proxies": "snip"} | named)


def test_labels_without_values_serve_no_proxy_that_reads_them():
    with pytest.warns(RuntimeWarning):
        found = harness.score(Small(), X, Y.to("meta"), "snip,naswot")
    assert list(found.reasons) == ["snip"] and "a dense tensor of class numbers" in found.reasons["snip"]
