"""The supernets of NAS-Bench-1Shot1: against the one-shot networks of architectures."""

import copy

import pytest
import torch
from test_operations_supernet import kernel_by_pairs

from benchmarks.layers import allocate
from benchmarks.nasbench1shot1 import PARENTS, Space1Shot1
from benchmarks.nasbench1shot1_network import NetworkOneShot
from benchmarks.nasbench101_cells import OPERATIONS, Cell, pruned
from harness.operations.masks import Masked, decided, draw_alphas, mixture, removed
from harness.operations.naswot import naswot_of_masks
from harness.view import initialise, stream

SIZES = {"channels": 2, "stacks": 2, "modules": 2, "classes": 10, "input_channels": 1}


def supernet_of(space):
    network = allocate(Space1Shot1(space).supernet(**SIZES), "cpu")
    initialise(network, [stream(0, "supernet", "weights")])
    return network.eval()


@pytest.fixture(scope="module")
def supernets():
    return {space: supernet_of(space) for space in PARENTS}


@pytest.fixture(scope="module")
def images():
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def drawn(space, seed):
    """Operations of all blocks and the sources of every vertex, drawn; blocks may lead nowhere."""
    generator, fed = torch.Generator().manual_seed(seed), PARENTS[space]
    operations = torch.randint(3, (len(fed) - 2,), generator=generator).tolist()
    sources = [sorted(torch.randperm(v, generator=generator)[: fed[v]].tolist()) for v in range(1, len(fed))]
    return operations, sources


def mask_of(supernet, operations, sources):
    chosen = torch.zeros(supernet.blocks + 1, supernet.blocks + 1)
    for row, feeding in enumerate(sources):
        chosen[row, feeding] = 1
    return supernet.whole(torch.nn.functional.one_hot(torch.tensor(operations), 3).float(), chosen)


def stand_alone(supernet, operations, sources):
    """The network of the pruned cell with the supernet's weights; what it leaves out of maps is left out of them."""
    edges = tuple(sorted((s, v) for v, feeding in enumerate(sources, start=1) for s in feeding))
    cell = pruned(Cell(tuple(OPERATIONS[at] for at in operations), edges))
    last = supernet.blocks + 1
    used, grew = {last}, True
    while grew:
        more = used | {s for v in used if v for s in sources[v - 1]}
        used, grew = more, more != used
    kept = sorted(used)  # vertices of the supernet by vertex of the cell
    assert len(kept) == cell.vertices
    places = [block for block in sources[-1] if block]
    network = allocate(NetworkOneShot([cell], supernet.blocks, **SIZES), "cpu")
    network.stem.load_state_dict(supernet.stem.state_dict())
    network.classifier.load_state_dict(supernet.classifier.state_dict())

    def channels(width):
        return torch.cat([torch.arange(width) + (block - 1) * width for block in places])

    def copied(own, mixed, inputs=None, outputs=None):
        state = {}
        for name, value in mixed.state_dict().items():
            if outputs is not None and value.dim():
                value = value[outputs]
            state[name] = value[:, inputs] if inputs is not None and value.dim() == 4 else value
        own.load_state_dict(state)

    inputs = None
    for own, mixed in zip(network.body, supernet.body, strict=True):
        if not hasattr(mixed, "projections"):
            continue
        module, width = own.cells[0], mixed.projections[0][0].out_channels
        for vertex, projection in module.projections.items():
            at = kept[int(vertex)] - 1
            copied(projection, mixed.projections[at], inputs, channels(width) if at + 1 == last else None)
        for vertex, operation in module.operations.items():
            block = kept[int(vertex)] - 1
            operation.load_state_dict(mixed.operations[block][OPERATIONS[operations[block]]].state_dict())
        inputs = channels(width)
    copied(network.last.cells[0], supernet.last, inputs)
    return network


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("space", PARENTS)
def test_a_decided_supernet_is_the_network_of_the_cell(supernets, images, space, training):
    supernet = copy.deepcopy(supernets[space]).train(training)
    through, loose = 0, 0
    for seed in range(8):
        operations, sources = drawn(space, seed)
        alone = stand_alone(supernets[space], operations, sources).train(training)
        mask = mask_of(supernet, operations, sources)[None]
        with torch.no_grad():
            for blocked in (False, True):
                torch.testing.assert_close(supernet(images, mask, blocked)[0], alone(images)[:, 0])
        through += 0 in sources[-1]
        loose += len({s for feeding in sources for s in feeding}) < len(sources)
    assert through and loose, "no cell whose input feeds its output, or none with a loose end, was drawn"


@pytest.mark.parametrize("space", PARENTS)
def test_many_masks_are_each_mask_alone(supernets, images, space):
    supernet = supernets[space]
    mask = supernet.whole(mixture(draw_alphas(supernet.blocks, 3, seed=3)))
    masks = torch.cat([removed(mask, 2), removed(mask, len(mask) - 1), mask_of(supernet, *drawn(space, 1))[None]])
    with torch.no_grad():
        for own, blocked, each in zip(supernet(images, masks), supernet(images, masks, True), masks, strict=True):
            torch.testing.assert_close(own, supernet(images, each[None])[0])
            torch.testing.assert_close(own, blocked)
    found = naswot_of_masks(supernet, images, masks)
    for value, each in zip(found, masks, strict=True):
        kernel = kernel_by_pairs(Masked(supernet, each), images)
        assert value.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    assert len(set(found.tolist())) > 5


@pytest.mark.parametrize("space", PARENTS)
def test_without_rows_of_sources_all_feed(supernets, images, space):
    supernet = supernets[space]
    alphas = mixture(draw_alphas(supernet.blocks, 3, seed=3))
    masks = decided(alphas, 0)
    with torch.no_grad():
        plain = supernet(images, masks)
        both = supernet(images, torch.stack([supernet.whole(each) for each in masks]))
    torch.testing.assert_close(plain, both)
    sources = supernet.all_sources()
    assert sources[0].tolist()[:2] == [1, 0] and sources[-1].tolist() == [pytest.approx(1 / len(sources))] * len(
        sources
    )
    assert sources[1].tolist()[:3] == ([1, 1, 0] if space == 1 else [0.5, 0.5, 0])
    assert [sum(1 for b, o, _ in supernet.convolutions() if (b, o) == (0, at)) for at in range(3)] == [4, 4, 0]
