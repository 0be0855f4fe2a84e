"""Passes are shared; a score depends on neither stack, order nor neighbours; failures stay alone."""

from __future__ import annotations

import copy
import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import reference_proxies as reference
import torch
from networks import Reference201, Small, copy_from_stack, minibatch
from torch import nn

from benchmarks.benchmark import space_of
from benchmarks.spaces.layers import allocate
from harness.engine.scoring import ViewInputs, of_space, score_adaptively, score_stack
from harness.inputs.draw import Minibatch
from harness.probe.initialise import initialise, stream
from harness.probe.layers import places
from harness.probe.probe import Probe
from harness.probe.twin import Twin
from harness.probe.view import DEFAULT
from harness.proxies.registry import Proxy, registry

TINY = {"channels": 4, "cells_per_stage": 1, "input_channels": 3, "classes": 5}
CLASSIC = ("plain", "grad_norm", "snip", "fisher", "jacob_cov", "naswot", "l2_norm", "epe_nas")
SPACE = space_of("201")


FIRST = (*CLASSIC, "epe_nas@naslib", "grasp", "zico", "synflow", "zen")


def proxies_named(*names: str, precision: str = "float32") -> list[Proxy]:
    """Entries of the registry, two repeats at most, in a precision where they leave it open."""
    views = {name: registry()[name].view for name in names}
    return [
        replace(registry()[name], view=replace(v, precision=max(precision, v.precision), repeats=min(v.repeats, 2)))
        for name, v in views.items()
    ]


def all_proxies(precision: str = "float32") -> list[Proxy]:
    """Every proxy that looks at a network."""
    return proxies_named(
        *(name for name, p in registry().items() if not p.static and not p.source), precision=precision
    )


def first_proxies() -> list[Proxy]:
    return proxies_named(*FIRST)


def view_inputs(*, samples: int = 12, seed: int = 0, targets: torch.Tensor | None = None) -> ViewInputs:
    both = [minibatch(samples, seed=2 * seed + k) for k in range(2)]
    return ViewInputs([Minibatch(x, y if targets is None else targets) for x, y in both], 5, seed)


def build(indices, keep_unreachable: bool = False):
    return allocate(SPACE.build(indices, keep_unreachable=keep_unreachable, **TINY), "cpu")


def score(indices, proxies, *, seed: int = 0, inputs: ViewInputs | None = None, keep_unreachable: bool = False):
    """{proxy: Scored} of one stack."""
    return score_stack(
        lambda: build(indices, keep_unreachable), [SPACE.canonical(i) for i in indices], proxies,
        inputs or view_inputs(seed=seed), seed=seed, features=of_space,
    )  # fmt: skip


CONNECTED = [int(i) for i in SPACE.sample(40, seed=0) if SPACE.connected[i]][:6]
DISCONNECTED = [int(i) for i in np.flatnonzero(~SPACE.connected)[[0, 100, 200]]]


# A score depends on the architecture, the settings and the seed


@pytest.mark.parametrize("precision, tolerance, keep_unreachable", [("float32", 1e-4, False), ("float64", 1e-6, True)])
def test_a_stack_equals_its_members(precision, tolerance, keep_unreachable):
    """Every proxy, disconnected cells among them. What cancels is relative to its absolute terms: plain to snip,
    grasp to the sum of |w * Hg| of the same network written in plain PyTorch; below 1e-6 all is rounding (synflow_bn).
    zico: see its docstring."""
    indices = CONNECTED[:3] + DISCONNECTED[:1]
    proxies = all_proxies(precision)
    together = score(indices, proxies, keep_unreachable=keep_unreachable)
    alone = [score([i], proxies, keep_unreachable=keep_unreachable) for i in indices]
    x, y = minibatch(12)
    for name, scored in together.items():
        for position, index in enumerate(indices):
            one, other = scored.scores[position].item(), alone[position][name].scores.item()
            scale = abs(other)
            if name == "plain":
                scale = alone[position]["snip"].scores.item()
            if name in ("synflow_bn", "synflow@zennas"):
                scale = max(scale, 1.0)  # see its docstring: zero up to rounding where pooling makes maps constant
            if name == "grasp":
                stack = build([index], keep_unreachable)
                initialise(stack, [stream(0, SPACE.canonical(index), "default 0")])
                arch = SPACE.archs[index] if keep_unreachable else SPACE.canonical(index)
                network = copy_from_stack(stack, 0, Reference201(arch, channels=4, cells=1, classes=5)).double().train()
                scale = reference.grasp(network, x.double(), y)[1]
            if name.startswith("gradsign"):  # counts signs, and where 2 x 2 maps are averaged all are rounding
                scale = max(scale, 2 / tolerance)
            if np.isfinite(other):
                loose = 300 if name == "zico" and precision == "float32" else 1
                assert abs(one - other) <= loose * tolerance * max(scale, 1e-6), (name, SPACE.archs[index])
            else:
                assert one == other or (np.isnan(one) and np.isnan(other)), (name, SPACE.archs[index])
            assert (position in scored.reasons) == (0 in alone[position][name].reasons) == (not np.isfinite(other))


def test_same_bits_at_the_same_size_of_stack():
    proxies = first_proxies()
    first = score(CONNECTED[:2], proxies)
    torch.manual_seed(99)
    score(CONNECTED[2:4], proxies, seed=4)
    with torch.no_grad():  # of the caller's; the engine needs gradients all the same
        again = score(CONNECTED[:2], proxies)
    for name, scored in first.items():
        assert torch.equal(scored.scores, again[name].scores), name


def test_place_in_the_stack_does_not_matter():
    proxies = proxies_named(*FIRST, precision="float64")
    forth, back = score(CONNECTED[:3], proxies), score(CONNECTED[2::-1], proxies)
    for name, scored in forth.items():
        torch.testing.assert_close(scored.scores, back[name].scores.flip(0), rtol=1e-6, atol=1e-9, msg=name)


def test_the_other_proxies_do_not_matter():
    """Each by itself gives the bits it gives among all (grasp changes how BatchNorm is differentiated)."""
    everything = score(CONNECTED[:2], first_proxies())
    for proxy in first_proxies():
        assert torch.equal(score(CONNECTED[:2], [proxy])[proxy.name].scores, everything[proxy.name].scores), proxy.name


def test_the_seed_matters_and_nothing_else():
    proxies = first_proxies()
    zero, one = score(CONNECTED[:2], proxies), score(CONNECTED[:2], proxies, seed=1)
    for name, scored in zero.items():
        assert (scored.scores != one[name].scores).all(), name


def test_weights_differ_between_architectures_and_seeds():
    networks = []
    for names in (["a", "b"], ["a", "b"], ["b", "a"], ["a", "c"]):
        network = build(CONNECTED[:1] * 2)
        initialise(network, [stream(0, name, "x") for name in names])
        networks.append(network.stem[0].weight.detach().unflatten(0, (2, -1)))
    assert torch.equal(networks[0], networks[1]) and torch.equal(networks[0].flip(0), networks[2])
    assert torch.equal(networks[0][0], networks[3][0]) and not torch.equal(networks[0][1], networks[3][1])
    assert not torch.equal(networks[0][0], networks[0][1])


def test_labels_are_used_where_it_says_so():
    """The stated fact `labels` is true: other labels change exactly those scores."""
    _, y = minibatch(12)
    usual = score(CONNECTED[:2], all_proxies(), inputs=view_inputs())
    other = score(CONNECTED[:2], all_proxies(), inputs=view_inputs(targets=(y * 2 + torch.arange(12) // 5) % 5))
    for name, scored in usual.items():
        same = torch.equal(scored.scores.nan_to_num(), other[name].scores.nan_to_num())
        assert same != registry()[name].labels, name
    assert not any(entry.labels for entry in registry().values() if entry.static)


# Without a path


@pytest.mark.parametrize("index", DISCONNECTED[:2])
def test_a_network_without_a_path(index):
    """Where the output does not depend on the input: a limit, or NaN or -inf with the reason; never an error."""
    scored = score([index], all_proxies())
    for name, each in scored.items():
        assert each.scores.isfinite().item() == (not each.reasons), name
    for name in ("plain", "grad_norm", "snip", "grasp", "synflow", "zico"):
        assert scored[name].scores.item() == 0
    for name in ("jacob_cov", "epe_nas", "epe_nas@naslib"):
        assert scored[name].scores.isnan() and scored[name].reasons == {0: "a sample's input Jacobian is constant"}
    assert scored["naswot"].scores.isnan() and scored["naswot"].reasons == {0: "no ReLU module reaches the output"}
    for name in ("zen", "zen@naslib"):
        assert scored[name].scores.item() == -np.inf
        assert scored[name].reasons == {0: "the map before pooling does not depend on the input"}
    assert scored["l2_norm"].scores.item() > 0
    assert 0 < scored["fisher"].scores.item() < 0.01  # of the classifier's bias alone


# Passes


class Count(nn.Module):
    """The small network, counting how often its first convolution really runs forward and how often backward."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Small()
        self.counted: Counter = Counter()

    def forward(self, x):
        self.counted["forward"] += 1
        out = self.network(x)
        if out.requires_grad:
            out.register_hook(lambda _: self.counted.update(["backward"]))
        return out


def passes_of(*names: str, reads: tuple[str, ...] | None = None) -> tuple[Counter, dict[str, int]]:
    """(what really ran, what the probe says) for some proxies on one probe."""
    network = Count()
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    chosen = proxies_named(*names)
    wanted = [read for p in chosen for read in p.reads] if reads is None else reads
    probe = Probe(network.train(), view_inputs().of(DEFAULT, 2), reads=wanted)
    for proxy in chosen:
        assert proxy.score(probe).isfinite().all()
    return network.counted, probe.passes


@pytest.mark.parametrize(
    "names, forward, backward",
    [
        (("l2_norm",), 0, 0),
        (("naswot",), 1, 0),
        (("grad_norm",), 1, 1),
        (("jacob_cov",), 1, 1),
        (("plain", "grad_norm", "snip", "fisher", "l2_norm"), 1, 1),
        (CLASSIC, 1, 2),
        (CLASSIC[::-1], 1, 2),
        ((*CLASSIC, "epe_nas@naslib"), 1, 2),
        ((*CLASSIC, "zico"), 2, 3),
        (("zico",), 2, 2),
    ],
)
def test_passes_that_really_run(names, forward, backward):
    ran, _ = passes_of(*names)
    assert (ran["forward"], ran["backward"]) == (forward, backward)


def test_grasp_adds_one_backward_through_the_backward():
    """Its second backward ends in the outputs' gradient too: seen as one more arrival there."""
    with_grasp, passes = passes_of(*CLASSIC, "grasp")
    assert with_grasp["forward"] == 1
    assert passes == {"forward": 1, "backward": 1, "jacobian": 1, "curvature": 1}
    _, passes = passes_of("grasp")
    assert passes == {"forward": 1, "backward": 1, "curvature": 1}


@pytest.mark.parametrize(
    "name", ["grad_norm", "fisher", "naswot", "jacob_cov", "grasp", "zico", "epe_nas@naslib", "plain"]
)
def test_what_was_not_declared_works_and_costs_a_pass(name):
    """Reads that no proxy declared give the same values, by passes of their own."""
    probe = Probe(Twin(Small()).train(), view_inputs().of(DEFAULT, 2), reads=["outputs"])
    (proxy,) = proxies_named(name)
    assert probe.outputs.shape == (12, 1, 5) and probe.passes == {"forward": 1}
    late = proxy.score(probe)
    assert probe.passes["forward"] == 2
    declared = Probe(Twin(Small()).train(), view_inputs().of(DEFAULT, 2), reads=proxy.reads)
    assert torch.equal(proxy.score(declared), late)


def test_undeclared_after_declared():
    """Each read asked for after the others were gathered without it."""
    everything = {p.name: p for p in proxies_named(*CLASSIC, "grasp", "zico")}
    expected = {name: score(CONNECTED[:1], [p])[name].scores for name, p in everything.items()}
    network = build(CONNECTED[:1])
    initialise(network, [stream(0, SPACE.canonical(CONNECTED[0]), "default 0")])
    probe = Probe(network.train(), view_inputs().of(DEFAULT, 2), reads=["gradients"], channels_last=True)
    for name, proxy in everything.items():
        torch.testing.assert_close(proxy.score(probe), expected[name], rtol=1e-6, atol=1e-9, msg=name)


def test_places_that_are_kept_can_be_used_anywhere():
    with torch.inference_mode():
        kept = places((3, 1, 4), torch.device("cpu"))
    assert kept.tolist() == [3, 1, 4] and not kept.is_inference()


def test_no_hook_outlives_its_pass():
    network = Twin(Small()).train()
    network(torch.zeros(2, 3, 8, 8))
    before = [(list(each._forward_hooks), list(each._forward_pre_hooks)) for each in network.modules()]
    reads = ("channel_saliency", "weight_curvature", "relu_agreement")
    probe = Probe(network, view_inputs().of(DEFAULT, 2), reads=reads)
    assert probe.relu_agreement.shape == (1, 12, 12) and probe.passes == {"forward": 1}
    assert before == [(list(each._forward_hooks), list(each._forward_pre_hooks)) for each in network.modules()]
    assert not any("forward" in vars(module) for module in network.modules())
    broken = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(9, 9))
    with pytest.raises(RuntimeError):
        _ = Probe(broken, view_inputs().of(DEFAULT, 1), reads=reads).outputs
    for module in broken.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks and "forward" not in vars(module)


def test_weights_gradients_shapes():
    network = build(CONNECTED)
    initialise(network, [stream(0, str(i), "x") for i in CONNECTED])
    probe = Probe(network.train(), view_inputs().of(DEFAULT, 1), archs=6, reads=("gradients", "channel_saliency"))
    assert probe.outputs.shape == (12, 6, 5) and probe.relu_agreement.shape == (6, 12, 12)
    assert probe.input_gradients.shape == (6, 12, 3 * 8 * 8) and probe.weight_curvature.shape == (6,)
    for layer, gradient, saliency in zip(probe.layers, probe.gradients, probe.channel_saliency, strict=True):
        assert gradient.shape == layer.weight.shape and saliency.shape == (12, layer.weight.shape[0])
        assert not layer.weight.requires_grad
    assert (
        probe.relu_agreement.diagonal(dim1=1, dim2=2).std(1) == 0
    ).all()  # each sample agrees with itself everywhere


# One proxy's failure


def own(function, name: str, **facts) -> Proxy:
    return Proxy(name=name, score=function, view=DEFAULT, reads=facts.get("reads", ()), labels=False, cost="F",
                 paper="", fitted=False, static=False)  # fmt: skip


def broken(probe):
    raise RuntimeError("no such thing\nsecond line")


BROKEN = [
    (broken, "RuntimeError: no such thing"),
    (lambda probe: torch.zeros(7), "ValueError: returned the shape (7,), expected (2,)"),
    (lambda probe: torch.zeros(2, 1), "ValueError: returned the shape (2, 1), expected (2,)"),
    (lambda probe: 3.0, "ValueError: returned the shape (), expected (2,)"),
    (lambda probe: "high", "TypeError: "),
    (lambda probe: torch.full((2,), torch.nan), "the formula gave nan"),
    (lambda probe: torch.full((2,), torch.inf), "the formula gave inf"),
]


@pytest.mark.parametrize("function, reason", BROKEN, ids=[str(k) for k in range(len(BROKEN))])
def test_a_proxy_fails_alone(function, reason):
    others = proxies_named("snip", "naswot", "synflow")
    usual = score(CONNECTED[:2], others)
    beside = score(CONNECTED[:2], [own(function, "mine"), *others])
    failed = beside.pop("mine")
    assert not failed.scores.isfinite().any() and set(failed.reasons) == {0, 1}
    for told in failed.reasons.values():
        assert told.startswith(reason) and "\n" not in told
    for name, scored in usual.items():
        assert torch.equal(scored.scores, beside[name].scores), name


def test_one_architecture_of_a_stack_may_fail():
    mine = own(lambda probe: torch.where(torch.arange(probe.archs) == 1, torch.nan, 1.0), "mine")
    scored = score(CONNECTED[:3], [mine])["mine"]
    assert scored.reasons == {1: "the formula gave nan"} and scored.scores[[0, 2]].tolist() == [1, 1]


def test_a_proxy_that_fails_on_the_whole_stack_is_tried_one_by_one():
    """A raise for one architecture's sake must not cost the others their scores."""
    bad = SPACE.canonical(CONNECTED[1])

    def picky(probe):
        if any(probe.archs > 1 or cell == bad for cell in probe.network.names):
            raise ValueError("not this one")
        return torch.ones(1)

    def named(indices):
        network = build(indices)
        network.names = [SPACE.canonical(i) for i in indices]
        return network

    names = [SPACE.canonical(i) for i in CONNECTED[:3]]
    scored, k = score_adaptively(named, CONNECTED[:3], names, [own(picky, "mine")], view_inputs(), seed=0)
    assert scored["mine"].scores[[0, 2]].tolist() == [1, 1] and scored["mine"].reasons == {
        1: "ValueError: not this one"
    }
    assert k == 3


def test_out_of_memory_halves_the_stack():
    sizes = []

    def limited(indices):
        sizes.append(len(indices))
        if len(indices) > 2:
            raise torch.OutOfMemoryError("a test")
        return build(indices)

    indices = CONNECTED[:5]
    names = [SPACE.canonical(i) for i in indices]
    scored, k = score_adaptively(limited, indices, names, proxies_named("snip", "naswot"), view_inputs(), seed=0)
    expected = score(indices, proxies_named("snip", "naswot"))
    assert k <= 2 and max(sizes) == 5
    for name in expected:
        torch.testing.assert_close(scored[name].scores, expected[name].scores, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("a test"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")]
)
def test_memory_of_a_failed_stack_is_freed_before_its_halves_run(error):
    alive = []

    def watched(indices):
        assert not any(network() is not None for network in alive), "the failed stack is still there"
        network = build(indices)
        alive.append(weakref.ref(network))
        return network

    def greedy(probe):
        assert probe.gradients
        if probe.archs > 1:
            raise type(error)(*error.args)
        return torch.ones(1)

    greedy.__module__ = "harness.proxies.greedy"  # a user's own proxy fails alone
    indices = CONNECTED[:4]
    names = [SPACE.canonical(i) for i in indices]
    scored, k = score_adaptively(watched, indices, names, [own(greedy, "greedy")], view_inputs(), seed=0)
    assert k == 1 and len(alive) == 1 + 2 + 4 and scored["greedy"].scores.tolist() == [1] * 4


def test_a_proxy_for_which_memory_never_suffices_fails_alone():
    def greedy(probe):
        raise torch.OutOfMemoryError("a test")

    greedy.__module__ = "harness.proxies.greedy"
    indices = CONNECTED[:2]
    names = [SPACE.canonical(i) for i in indices]
    proxies = [*proxies_named("snip"), own(greedy, "greedy")]
    scored, _ = score_adaptively(build, indices, names, proxies, view_inputs(), seed=0)
    assert scored["snip"].scores.isfinite().all()
    assert set(scored["greedy"].reasons.values()) == {"memory does not suffice for one network"}


def test_a_failing_network_fails_every_proxy_that_runs_it_with_the_reason():
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(7, 5))
    scored = score_stack(
        lambda: copy.deepcopy(model), ["m"], proxies_named("l2_norm", "snip", "naswot"), view_inputs(), seed=0
    )
    assert scored["l2_norm"].scores.isfinite() and not scored["l2_norm"].reasons
    for name in ("snip", "naswot"):
        assert scored[name].scores.isnan() and "shapes cannot be multiplied" in scored[name].reasons[0]
