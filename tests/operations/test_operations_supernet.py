"""The supernet of NAS-Bench-201 and naswot under many masks: against stand-alone networks and loops over pairs."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from benchmarks.nasbench201.network import Network201
from benchmarks.nasbench201.space import CONV1, CONV3, EDGES, NONE, OPERATIONS, POOL, SKIP, Space201
from benchmarks.nasbench_macro.network import NetworkMacro
from benchmarks.nasbench_macro.space import SpaceMacro
from benchmarks.spaces.layers import allocate
from harness.operations.scores.naswot import naswot_of_masks
from harness.operations.supernets.masks import Masked, discretised, draw_alphas, mixture, one_hot, pruned
from harness.probe.initialise import initialise, stream

SIZES = {"channels": 4, "cells_per_stage": 1, "classes": 10, "input_channels": 1}
CELLS = [
    (CONV3, POOL, CONV1, SKIP, CONV3, NONE),
    (SKIP, CONV1, POOL, CONV3, NONE, CONV1),
    (NONE, NONE, NONE, NONE, NONE, NONE),
    (CONV3,) * 6,
]


@pytest.fixture(scope="module")
def supernet():
    network = allocate(Space201().supernet(**SIZES), "cpu")
    initialise(network, [stream(0, "supernet", "weights")])
    return network.eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def mask_of(cell):
    return one_hot([OPERATIONS.index(operation) for operation in cell], len(OPERATIONS))


def stand_alone(supernet, cell):
    """The network of a cell, literal, with the supernet's weights: found by what they are, not by their order."""
    network = allocate(Network201([cell], **SIZES), "cpu")
    network.stem.load_state_dict(supernet.stem.state_dict())
    network.classifier.load_state_dict(supernet.classifier.state_dict())
    network.last.load_state_dict(supernet.last.state_dict())
    for own, mixed in zip(network.body, supernet.body, strict=True):
        if hasattr(own, "edges"):
            for edge, ends in zip(own.edges, own.ends, strict=True):
                if (name := cell[EDGES.index(ends)]) in (CONV1, CONV3):
                    edge.operation.load_state_dict(mixed.operations[EDGES.index(ends)][name].state_dict())
        else:
            own.load_state_dict(mixed.state_dict())
    return network


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_decided_supernet_is_the_network_of_the_cell(supernet, images, cell, training):
    alone = stand_alone(supernet, cell).train(training)
    supernet.train(training)
    try:
        with torch.no_grad():
            torch.testing.assert_close(supernet(images, mask_of(cell)[None])[0], alone(images)[:, 0])
    finally:
        supernet.eval()
        for module in supernet.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.reset_running_stats()


@pytest.mark.parametrize("blocked", [False, True])
def test_many_masks_are_each_mask_alone(supernet, images, blocked):
    mask = mixture(draw_alphas(6, 5, seed=3))
    masks = torch.cat([pruned(mask, 2), discretised(mask, 4), torch.stack([mask_of(cell) for cell in CELLS])])
    with torch.no_grad():
        together = supernet(images, masks, blocked)
        for own, each in zip(together, masks, strict=True):
            torch.testing.assert_close(own, supernet(images, each[None])[0])
    assert together.std(0).max() > 1e-3


def test_a_mixed_edge_is_the_weighted_sum(supernet, images):
    """A cell by hand: every node the sum of weights times operations of the nodes before."""
    weights = mixture(torch.randn(6, 5, generator=torch.Generator().manual_seed(5)))
    cell, x = supernet.cells()[0], supernet.stem(images)
    nodes = [x]
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for edge, ends in enumerate(EDGES):
            if ends[1] == target:
                node, named = nodes[ends[0]], cell.operations[edge]
                pool = functional.avg_pool2d(node, 3, 1, 1, count_include_pad=False)
                for at, value in ((1, node), (2, named[CONV1](node)), (3, named[CONV3](node)), (4, pool)):
                    total = total + weights[edge, at] * value
        nodes.append(total)
    torch.testing.assert_close(cell(x, weights[None]), nodes[3])


def test_masks_by_hand():
    mask = torch.tensor([[0.2, 0.8], [0.5, 0.5]])
    assert pruned(mask, 0).tolist() == [
        [[0, mask[0, 1].item()], [0.5, 0.5]],
        [[mask[0, 0].item(), 0], [0.5, 0.5]],
    ]
    assert discretised(mask, 1).tolist()[0] == [mask[0].tolist(), [1, 0]]
    alphas = draw_alphas(6, 5, seed=1)
    assert alphas.std() < 3e-3 and torch.equal(alphas, draw_alphas(6, 5, seed=1))
    assert not torch.equal(alphas, draw_alphas(6, 5, seed=1, number=1))
    torch.testing.assert_close(mixture(alphas), torch.full((6, 5), 0.2), atol=2e-3, rtol=0)


def kernel_by_pairs(module, images, *rest):
    """K by its definition: hooks on every ReLU of a module, a count for each pair of samples."""
    codes = []
    handles = [
        each.register_forward_hook(lambda _, inputs, output: codes.append((inputs[0] > 0).flatten(1)))
        for each in module.modules()
        if isinstance(each, torch.nn.ReLU)
    ]
    with torch.no_grad():
        module(images, *rest)
    for handle in handles:
        handle.remove()
    count = len(images)
    return torch.tensor(
        [[sum(int((c[i] == c[j]).sum()) for c in codes) for j in range(count)] for i in range(count)],
        dtype=torch.float64,
    )


@pytest.mark.parametrize("chunk", [None, 1, 3])
def test_naswot_of_masks_is_the_count_over_pairs(supernet, images, chunk):
    mask = mixture(draw_alphas(6, 5, seed=3))
    masks = torch.cat([pruned(mask, 1), discretised(mask, 5)])
    found = naswot_of_masks(supernet, images, masks, chunk)
    for own, each in zip(found, masks, strict=True):
        kernel = kernel_by_pairs(Masked(supernet, each), images)
        assert own.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    assert len(set(found.tolist())) > 4


def test_a_convolution_of_weight_zero_adds_its_units_to_every_entry(supernet):
    """In a cell without a 1x1 convolution on its last edge, node 2 is counted once less, and its units added."""
    x = torch.randn(6, 16, 2, 2, generator=torch.Generator().manual_seed(2))
    cell, ones = supernet.cells()[-1], torch.ones(1, 6, 5)
    without = ones.clone()
    without[0, 5, OPERATIONS.index(CONV1)] = 0
    nodes = {}
    handle = cell.operations[5][CONV3][0].register_forward_hook(lambda _, inputs, y: nodes.update(last=inputs[0]))
    before, after = (kernel_by_pairs(cell, x, mask, True) for mask in (ones, without))
    handle.remove()
    codes = (nodes["last"] > 0).flatten(1).double()
    once = codes @ codes.T + (1 - codes) @ (1 - codes).T
    torch.testing.assert_close(after - before, codes.shape[1] - once)


class ReLUConvBN(torch.nn.Module):
    """The block of the released code, whose input may be set to zero inside."""

    def __init__(self, operation):
        super().__init__()
        self.op = operation

    def forward(self, x, block_input=False):
        return self.op(x * 0 if block_input else x)


def released_kernel(supernet, images, mask):
    """K as the released code counts: its cell and its hooks, on copies of the supernet's layers."""
    body, codes = [], []
    for module in copy.deepcopy(supernet).body:
        if hasattr(module, "operations"):
            module.blocks = torch.nn.ModuleList(
                torch.nn.ModuleDict({name: ReLUConvBN(each) for name, each in named.items()})
                for named in module.operations
            )
            del module.operations
        else:
            module.conv_a, module.conv_b = ReLUConvBN(module.conv_a), ReLUConvBN(module.conv_b)
        body.append(module)
    network = torch.nn.ModuleList([*body, copy.deepcopy(supernet.last)])
    for module in network.modules():
        if "ReLU" in str(type(module)):
            module.register_forward_hook(lambda _, inputs, y: codes.append((inputs[0] > 0).flatten(1).double()))
    x = supernet.stem(images)
    for module in network:
        x = released_cell(module, x, mask) if hasattr(module, "blocks") else module(x)
    return sum(code @ code.T + (1 - code) @ (1 - code).T for code in codes)


def released_cell(cell, x, mask):
    nodes = [x]
    for target in (1, 2, 3):
        parts = []
        for edge, (source, end) in enumerate(EDGES):
            if end == target:
                node, weights = nodes[source], mask[edge]
                parts += [weights[1] * node, weights[4] * cell.pool(node)]
                parts += [weights[at] * cell.blocks[edge][name](node, block_input=bool(weights[at] == 0))
                          for at, name in ((2, CONV1), (3, CONV3))]  # fmt: skip
        nodes.append(sum(parts))
    return nodes[3]


def test_the_released_counting_is_that_of_its_hooks(supernet, images):
    mask = mixture(draw_alphas(6, 5, seed=3))
    masks = torch.cat([pruned(mask, 1), discretised(mask, 5)])
    found = naswot_of_masks(supernet, images, masks, released=True)
    with torch.no_grad():
        for own, each in zip(found, masks, strict=True):
            kernel = released_kernel(supernet, images, each)
            assert own.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    assert (found - naswot_of_masks(supernet, images, masks)).abs().min() > 1


def test_removing_none_changes_no_score(supernet, images):
    for seed in range(3):
        mask = mixture(torch.randn(6, 5, generator=torch.Generator().manual_seed(seed)))
        masks = torch.stack([mask] + [pruned(mask, edge)[0] for edge in range(6)])
        values = naswot_of_masks(supernet, images, masks)
        assert (values == values[0]).all()


def test_the_registry_agrees_in_evaluation_mode(supernet, images):
    """naswot of the registry, on the masked supernet as a module, with BatchNorm as here: another implementation."""
    from harness.engine.scoring import ViewInputs, score_stack
    from harness.inputs.draw import Minibatch
    from harness.proxies.registry import registry

    entry = registry()["naswot"]
    entry = replace(entry, view=replace(entry.view, batchnorm="eval"))
    batch = ViewInputs([Minibatch(images, torch.zeros(6, dtype=torch.int64))], 10, 0)
    mask = pruned(mixture(draw_alphas(6, 5, seed=3)), 3)[2]
    found = score_stack(
        lambda view: copy.deepcopy(Masked(supernet, mask)), ["supernet"], [entry], batch, seed=0, own_weights=True
    )
    assert found["naswot"].scores.item() == pytest.approx(naswot_of_masks(supernet, images, mask[None]).item())


MACRO = {"channels": 2, "head_channels": 8, "classes": 10, "input_channels": 1}


@pytest.fixture(scope="module")
def macro():
    network = allocate(SpaceMacro().supernet(**MACRO), "cpu")
    initialise(network, [stream(0, "supernet", "weights")])
    return network.eval()


@pytest.fixture(scope="module")
def large():
    return torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("arch", ["02101210", "22222222", "01001100"])
def test_a_decided_macro_supernet_is_the_network_of_the_string(macro, large, arch, training):
    alone = allocate(NetworkMacro([arch], **MACRO), "cpu")
    for name in ("stem", "head", "classifier"):
        getattr(alone, name).load_state_dict(getattr(macro, name).state_dict())
    for layer, mixed, digit in zip(alone.body, macro.body, arch, strict=True):
        layer.operations[0].load_state_dict(mixed["012".index(digit)].state_dict())
    mask, mode = one_hot([int(digit) for digit in arch], 3), copy.deepcopy(macro).train(training)
    with torch.no_grad():
        torch.testing.assert_close(mode(large, mask[None])[0], alone.train(training)(large)[:, 0])


def test_many_macro_masks_are_each_mask_alone(macro, large):
    mask = torch.full((8, 3), 1 / 3)
    masks = torch.cat([pruned(mask, 2), discretised(mask, 5)])
    with torch.no_grad():
        for own, blocked, each in zip(macro(large, masks), macro(large, masks, True), masks, strict=True):
            torch.testing.assert_close(own, macro(large, each[None])[0])
            torch.testing.assert_close(own, blocked)
    for value, each in zip(naswot_of_masks(macro, large, masks), masks, strict=True):
        kernel = kernel_by_pairs(Masked(macro, each), large)
        assert value.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    assert torch.equal(naswot_of_masks(macro, large, masks, released=True), naswot_of_masks(macro, large, masks))
    counts = [sum(1 for edge, at, _ in macro.convolutions() if at == operation) for operation in range(3)]
    assert counts == [3, 24, 24]
