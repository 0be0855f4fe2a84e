"""NAS-Bench-1Shot1: its supernets against the one-shot networks of architectures, and the inputs of each vertex."""

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from test_operations_supernet import kernel_by_pairs

from benchmarks import UserError
from benchmarks.nasbench1shot1.graphs import PARENTS
from benchmarks.nasbench1shot1.network import NetworkOneShot
from benchmarks.nasbench1shot1.space import Space1Shot1
from benchmarks.nasbench101.cells import OPERATIONS, Cell
from benchmarks.nasbench101.cells import pruned as without_loose_ends
from benchmarks.spaces.layers import allocate
from benchmarks.spaces.supernet import MixedNetwork
from harness.cli.search import main as search
from harness.operations.config import OperationsConfig
from harness.operations.decide import Proposal
from harness.operations.scores.naswot import naswot_of_masks
from harness.operations.search import trained as trained_search
from harness.operations.search.candidates import Candidates
from harness.operations.search.config import FindConfig
from harness.operations.search.run import find
from harness.operations.setup import set_up
from harness.operations.supernets.masks import Masked, discretised, draw_alphas, mixture, pruned
from harness.operations.vertex_inputs import VertexInputs, all_inputs, best, printed, select_inputs
from harness.probe.initialise import initialise, stream

SMALL = ["--network", "channels=2,modules=1"]
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
    cell = without_loose_ends(Cell(tuple(OPERATIONS[at] for at in operations), edges))
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
    masks = torch.cat([pruned(mask, 2), pruned(mask, len(mask) - 1), mask_of(supernet, *drawn(space, 1))[None]])
    with torch.no_grad():
        for own, blocked, each in zip(supernet(images, masks), supernet(images, masks, True), masks, strict=True):
            torch.testing.assert_close(own, supernet(images, each[None])[0])
            torch.testing.assert_close(own, blocked)
    found = naswot_of_masks(supernet, images, masks)
    for value, each in zip(found, masks, strict=True):
        kernel = kernel_by_pairs(Masked(supernet, each), images)
        assert value.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    assert len(set(found.tolist())) > 5


class Released(torch.nn.Module):
    """The released network: every operation runs on what its block receives, whatever its weight."""

    def __init__(self, supernet, mask):
        super().__init__()
        self.supernet, self.mask = supernet, mask

    def forward(self, images):
        x = self.supernet.stem(images)
        for module in self.supernet.body:
            x = self.cell(module, x) if hasattr(module, "projections") else module(x)
        return self.supernet.last(x)

    def cell(self, cell, x):
        states, inputs = [], self.supernet.all_inputs()
        for block, named in enumerate(cell.operations):
            received = sum(
                w * each for w, each in zip(inputs[block], [cell.projections[block](x), *states], strict=False)
            )
            states.append(sum(w * each(received) for w, each in zip(self.mask[block], named.values(), strict=True)))
        kept = torch.cat([w * each for w, each in zip(inputs[-1][1:], states, strict=True)], 1)
        return inputs[-1][0] * cell.projections[-1](x) + kept


def test_in_the_released_code_convolutions_of_weight_zero_see_their_input(supernets, images):
    """The ReLU of the block at the end counts twice."""
    supernet, last = supernets[1], []
    mask = mixture(draw_alphas(supernet.blocks, 3, seed=3))
    masks = torch.cat([pruned(mask, 2), discretised(mask, 1)])
    found = naswot_of_masks(supernet, images, masks, released=True)
    assert not supernet.fed and (found - naswot_of_masks(supernet, images, masks)).abs().min() > 1e-3
    hook = supernet.last[0].register_forward_hook(lambda _, inputs, y: last.append((inputs[0] > 0).flatten(1).double()))
    for own, each in zip(found, masks, strict=True):
        last.clear()
        kernel = kernel_by_pairs(Released(supernet, each), images)
        kernel += last[0] @ last[0].T + (1 - last[0]) @ (1 - last[0]).T
        assert own.item() == pytest.approx(torch.linalg.slogdet(kernel).logabsdet.item(), rel=1e-9)
    hook.remove()


@pytest.mark.parametrize("space", PARENTS)
def test_without_rows_of_sources_all_feed(supernets, images, space):
    supernet = supernets[space]
    alphas = mixture(draw_alphas(supernet.blocks, 3, seed=3))
    masks = discretised(alphas, 0)
    with torch.no_grad():
        plain = supernet(images, masks)
        both = supernet(images, torch.stack([supernet.whole(each) for each in masks]))
    torch.testing.assert_close(plain, both)
    sources = supernet.all_inputs()
    assert sources[0].tolist()[:2] == [1, 0] and sources[-1].tolist() == [pytest.approx(1 / len(sources))] * len(
        sources
    )
    assert sources[1].tolist()[:3] == ([1, 1, 0] if space == 1 else [0.5, 0.5, 0])
    assert [sum(1 for b, o, _ in supernet.convolutions() if (b, o) == (0, at)) for at in range(3)] == [4, 4, 0]


def worth_of(supernet, worth):
    """S is the sum of worths of sources by (vertex, source), times their weights: answers by hand."""

    def evaluate(masks, minibatch):
        return np.array([
            sum(each[supernet.blocks + v - 1, s].item() * value for (v, s), value in worth.items()) for each in masks
        ])  # fmt: skip

    return evaluate


@pytest.mark.parametrize("order", ["fixed", "reverse", "random"])
def test_inputs_are_selected_by_vertex_whatever_the_order(supernets, order):
    """Space 2: one of two for block 2, two of three for block 3, two of four for block 4, three of five at the end."""
    worth = {(2, 1): 1, (3, 0): 3, (3, 2): 1, (4, 1): 2, (4, 3): 2, (5, 0): 1, (5, 2): 5, (5, 4): 1, (5, 1): 0.5}
    generator = np.random.default_rng(1)
    found = select_inputs(worth_of(supernets[2], worth), supernets[2], (0, 0, 0, 0), lambda i: i, order, generator)
    assert all_inputs(PARENTS[2], found) == ((0,), (1,), (0, 2), (1, 3), (0, 2, 4))
    assert [each.vertex for each in found][-1] == 5 and printed(PARENTS[2], found) == "01,12,03,23,14,34,05,25,45"
    assert found[-1].scores.tolist() == pytest.approx(
        [-9 - (7.5 - w) / 5 for w in (1, 0.5, 5, 0, 1)]
    )  # the others: 1+4+4
    decided_in = [each.vertex for each in found]
    assert decided_in == {"fixed": [2, 3, 4, 5], "reverse": [4, 3, 2, 5]}.get(order, decided_in)
    assert best(np.array([np.nan, 1, 2, 2]), 2) == (2, 3)
    with pytest.raises(UserError, match="1 of 2 candidate inputs"):
        best(np.array([np.nan, 1]), 2)


def test_the_place_of_a_cell_without_loose_ends():
    space = Space1Shot1(1).with_network("oneshot")
    every = space.every()
    assert every.population == "pruned" and every.form == "oneshot" and every.every() is every
    whole = every.place((0, 1, 2, 0), [(0,), (0, 1), (1, 2), (0, 3), (2, 4)])
    assert every.archs[whole] == "conv3x3,conv1x1,maxpool3x3,conv3x3|01,02,04,12,13,23,25,34,45"
    loose = every.place((0, 1, 2, 0), [(0,), (0, 1), (1, 2), (0, 1), (0, 2)])
    assert every.archs[loose] == "conv3x3,conv1x1,-,-|01,02,05,12,25"


@pytest.mark.parametrize(
    "words",
    [
        ("zero-cost-pt", "--proposals", "2", "--validations", "1"),
        ("freedarts", "--score", "zeros-ntk-global"),
        ("darts-pt", "--supernet-epochs", "1", "--supernet-images", "16", "--supernet-batch", "4"),
    ],
)
def test_searches_of_the_command_line(monkeypatch, tmp_path, capsys, words):
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    out = tmp_path / "found"
    arguments = ["--bench", "1shot1-1", "--method", *words, "--batch-size", "4", "--out", str(out), *SMALL]
    assert search(arguments) == 0
    decisions, run = pd.read_csv(out / "decisions.csv"), pd.read_csv(out / "runs.csv").iloc[0]
    kept = decisions[(decisions["proposal"] == 0) & decisions["decided"]]
    assert kept["edge"].value_counts().to_dict() == dict.fromkeys([f"block {at}" for at in range(1, 5)], 1) | {
        "into block 3": 2, "into block 4": 2, "into output": 2
    }  # fmt: skip
    assert (
        run["arch"].partition("|")[0].count(",") == 3
        and run["params"] > 0
        and run["vertex_inputs"].startswith("01,02,12")
    )
    assert (out / "figures" / "decisions.png").is_file()


def test_a_cell_is_judged_by_the_table(monkeypatch):
    """A cell of the embedded table by its operations and vertex inputs has the table's accuracy; another has none."""
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    setup = set_up(OperationsConfig(bench="1shot1-1", batch_size=4))
    candidates, row = Candidates(setup), 5
    operations, graph = setup.benchmark.space._literal[setup.benchmark.indices[row]]
    chosen = tuple(0 if name == "-" else OPERATIONS.index(name) for name in operations)
    inputs = tuple(VertexInputs(v, np.zeros(v), tuple(s for s, t in sorted(graph) if t == v)) for v in range(1, 6))
    found = candidates.judge(Proposal(chosen, (), inputs), setup.benchmark, setup.accuracy)
    classes = setup.benchmark.space.class_id[setup.benchmark.indices]
    same = setup.accuracy[classes == classes[row]]
    assert found.accuracy == same[0] and found.rank == 1 + (setup.accuracy > same[0]).sum()


def test_a_tuned_supernet_alone_selects_the_vertex_inputs(monkeypatch, tmp_path):
    """What was tuned decides: nothing after the first tuning looks at the supernet as it was before."""
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    tuned, seen, forward = [], [], MixedNetwork.forward

    def spy(self, *given, **named):
        if tuned:
            seen.append(self is tuned[0])
        return forward(self, *given, **named)

    monkeypatch.setattr(MixedNetwork, "forward", spy)
    monkeypatch.setattr(trained_search, "fine_tune", lambda setup, own, network, mask, name: tuned.append(network))
    base = OperationsConfig(bench="1shot1-1", batch_size=4, network="channels=2,modules=1", supernet_epochs=1,
                            supernet_images=16, supernet_batch=4)  # fmt: skip
    found = find(FindConfig(method="darts", base=base, tuning=1), folder=tmp_path)
    assert found.runs["evaluations"][0] == 3 + 4 + 5  # the candidate inputs of blocks 3 and 4 and of the output
    assert set(seen) == {True}
