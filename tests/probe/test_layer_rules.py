"""The registry of layer types: each rule against what PyTorch computes; a subclass is not taken for its base."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmarks.spaces.layers import StackedBatchNorm2d, StackedConv2d, StackedLinear, StackedReLU, allocate
from harness.probe.layer_rules import RULES, batchnorms, layers_of, refuse_coupled, reset, rule_of, without_rule

LAYERS = {
    "convolution": (nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (5, 4, 7, 6)),
    "same padding": (nn.Conv2d(4, 6, (3, 2), padding="same", padding_mode="reflect"), (5, 4, 7, 6)),
    "dilated": (nn.Conv2d(4, 6, 3, dilation=2, bias=False), (5, 4, 7, 6)),
    "one dimension": (nn.Conv1d(4, 6, 3, stride=2, padding=1, groups=2), (5, 4, 7)),
    "three dimensions": (nn.Conv3d(4, 6, (1, 3, 2), padding=(0, 1, 0)), (5, 4, 3, 4, 5)),
    "linear": (nn.Linear(4, 6), (5, 4)),
    "linear on positions": (nn.Linear(4, 6, bias=False), (5, 3, 4)),
}


@pytest.fixture(params=LAYERS)
def used(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A layer in float64, an input, and a gradient of its output."""
    layer, shape = LAYERS[request.param]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, dtype=torch.float64)
    layer = layer.double()
    return layer, x, torch.randn(layer(x).shape, generator=generator, dtype=torch.float64)


def test_rows_are_the_gradients_of_single_samples(used):
    layer, x, u = used
    rule = rule_of(layer)
    rows, bias = rule.weight_rows(layer, x, u), rule.by_channel(layer, u)
    for n in range(len(x)):
        wanted = torch.autograd.grad(layer(x[n : n + 1]), list(layer.parameters()), u[n : n + 1])
        torch.testing.assert_close(rows[n], wanted[0])
        if layer.bias is not None:
            torch.testing.assert_close(bias[n], wanted[1])


def test_leading_entries_are_those_of_the_rows(used):
    layer, x, u = used
    rule = rule_of(layer)
    first = rule.leading_input(layer, x, layer(x)) * rule.leading_gradient(layer, u)
    torch.testing.assert_close(first.sum((1, 2)), rule.weight_rows(layer, x, u).flatten(1)[:, 0])


def test_output_without_bias_and_sums_over_positions(used):
    layer, x, _ = used
    rule, y = rule_of(layer), layer(x)
    bare = (
        functional.linear(x, layer.weight)
        if isinstance(layer, nn.Linear)
        else layer._conv_forward(x, layer.weight, None)
    )
    torch.testing.assert_close(rule.without_bias(layer, y), bare)
    channels_last = y if isinstance(layer, nn.Linear) else y.movedim(1, -1)
    torch.testing.assert_close(rule.by_channel(layer, y), channels_last.reshape(5, -1, 6).sum(1))


def test_multiply_adds_by_hand():
    assert rule_of(nn.Conv2d(4, 6, 3, groups=2)).multiply_adds(
        nn.Conv2d(4, 6, 3, groups=2), torch.zeros(1, 6, 5, 5)
    ) == 6 * 25 * (2 * 9 + 1)
    assert rule_of(nn.Linear(4, 6)).multiply_adds(nn.Linear(4, 6), torch.zeros(1, 6)) == 4 * 6 + 6


def test_a_subclass_has_its_bases_rule_but_is_not_known_exactly():
    class Standardised(nn.Conv2d):
        pass

    module = Standardised(3, 4, 1)
    assert rule_of(module) is RULES[nn.Conv2d] and not rule_of(module).knows(module)
    assert rule_of(module).second_order(module, lambda: False) is None
    plain = nn.Conv2d(3, 4, 1)
    assert rule_of(plain).knows(plain)
    plain.forward = lambda x: x  # type: ignore[method-assign]
    assert not rule_of(plain).knows(plain)
    for stacked in (StackedConv2d((0, 1), 2, 3, 1), StackedLinear((0, 1), 2, 3), StackedBatchNorm2d((0, 1), 2)):
        assert rule_of(stacked).knows(stacked)
    assert rule_of(nn.SyncBatchNorm(3)).batch_statistics and not rule_of(nn.SyncBatchNorm(3)).knows(nn.SyncBatchNorm(3))


def test_activations():
    assert rule_of(StackedReLU((0,))).activation and not rule_of(nn.LeakyReLU()).smooth
    assert rule_of(nn.GELU()).smooth and rule_of(nn.Softplus()).maps
    for other in (nn.MultiheadAttention(4, 2), nn.Flatten(), nn.MaxPool2d(2)):
        assert not rule_of(other).activation and not rule_of(other).weights and not rule_of(other).maps


def test_layers_are_in_module_order_with_their_owners():
    inner = StackedConv2d((0, 2), 2, 3, 1)
    network = nn.Sequential(nn.Sequential(inner, StackedBatchNorm2d((0, 2), 3), inner), nn.Flatten(), nn.Linear(6, 2))
    allocate(network, "cpu")
    assert [(each.name, each.tensor, each.owners) for each in layers_of(network)] == [
        ("0.0", "weight", (0, 2)), ("2", "weight", (0,)),
    ]  # fmt: skip
    assert layers_of(network)[0].parameter is inner.weight and not layers_of(network)[0].weight.requires_grad


def test_batchnorm_couples_until_something_replaces_its_statistics():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4, track_running_stats=False))
    assert batchnorms(network) == [network[1], network[2]]
    with pytest.raises(ValueError, match="coupled by batch statistics"):
        refuse_coupled(network.eval())  # the last one has no running statistics
    network[2].forward = lambda x: x  # type: ignore[method-assign]
    refuse_coupled(network)
    with pytest.raises(ValueError, match="coupled by batch statistics"):
        refuse_coupled(network.train())


def test_reset_gives_batchnorm_its_defaults_alone():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    before = network[0].weight.clone()
    with torch.no_grad():
        network[1].weight.fill_(3)
        network[1].running_mean.fill_(3)
    reset(network)
    assert (network[1].weight == 1).all() and (network[1].running_mean == 0).all() and network[0].weight.equal(before)


@pytest.mark.parametrize("kind", [nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d])
def test_transposed_convolutions(kind):
    layer, x = kind(4, 6, 3, stride=2, groups=2).double(), torch.randn(5, 4, *[3] * int(kind.__name__[-2]))
    rule, y = rule_of(layer), layer(x.double())
    rows = rule.weight_rows(layer, x.double(), torch.ones_like(y))
    for n in range(5):
        (wanted,) = torch.autograd.grad(layer(x[n : n + 1].double()).sum(), layer.weight)
        torch.testing.assert_close(rows[n], wanted)
    assert rule.out_channels(layer) == 6 and rule.per_channel(layer) == layer.weight.numel() // 6


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.LayerNorm(4), (5, 3, 4)), (nn.RMSNorm(4), (5, 3, 4)), (nn.GroupNorm(2, 4), (5, 4, 3, 3)),
        (nn.LayerNorm((4, 3)), (5, 4, 3)), (nn.BatchNorm1d(4).eval(), (5, 4)),
        (nn.BatchNorm3d(4).eval(), (5, 4, 2, 2, 2)),
    ],
)  # fmt: skip
def test_leading_entries_of_normalisations(layer, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    layer, rule = layer.double(), rule_of(layer)
    u = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    first = rule.leading_input(layer, x, layer(x)) * rule.leading_gradient(layer, u)
    for n in range(5):
        (wanted,) = torch.autograd.grad(layer(x[n : n + 1]), layer.weight, u[n : n + 1])
        assert first[n].sum().item() == pytest.approx(wanted.flatten()[0].item())


def test_parameters_without_a_rule_and_shared_weights():
    class Custom(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)
            self.scale = nn.Parameter(torch.ones(4))

    network = nn.Sequential(Custom(), nn.PReLU(), nn.LayerNorm(4), nn.MultiheadAttention(4, 2))
    assert without_rule(network).keys() == {"0.scale", "3.in_proj_weight", "3.in_proj_bias"}
    tied = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6))
    tied[1].weight = tied[0].weight
    assert [layer.name for layer in layers_of(tied)] == ["0"] and layers_of(tied)[0].channels == 4
