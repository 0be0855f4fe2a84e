"""Operation scores of an untrained supernet, the search that decides edges by them, and the command line."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional

from benchmarks import UserError
from benchmarks.nasbench201.space import CONV1, CONV3, OPERATIONS, Space201
from benchmarks.spaces.layers import allocate
from harness.cli.operations import main
from harness.inputs.draw import Minibatch
from harness.operations.config import ORDERS, OperationsConfig
from harness.operations.decide import Proposal, propose
from harness.operations.scores.naswot import naswot_of_masks
from harness.operations.scores.perturbation import Evaluator, perturb
from harness.operations.scores.registry import SCORES, choose
from harness.operations.scores.saliency import KINDS, weight_saliency, zeros, zeros_global, zeros_iterative
from harness.operations.search.candidates import Candidates, validate
from harness.operations.setup import set_up
from harness.operations.supernets.masks import draw_alphas, mixture
from harness.probe.initialise import initialise, stream

SIZES = {"channels": 4, "cells_per_stage": 1, "classes": 10, "input_channels": 1}


@pytest.fixture(scope="module")
def supernet():
    network = allocate(Space201().supernet(**SIZES), "cpu")
    initialise(network, [stream(0, "supernet", "weights")])
    return network.eval()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(1)
    return Minibatch(torch.randn(6, 1, 8, 8, generator=generator), torch.arange(6))


def by_loop(supernet, mask, kind, edge, batch):
    """zc-pt and disc-zc of one edge, a mask at a time."""
    scores = []
    for operation in range(5):
        changed = mask.clone()
        if kind == "zc-pt":
            changed[edge, operation] = 0
        else:
            changed[edge] = torch.eye(5)[operation]
        score = naswot_of_masks(supernet, batch.inputs, changed[None]).item()
        scores.append(-score if kind == "zc-pt" else score)
    return scores


@pytest.mark.parametrize("kind", ["zc-pt", "disc-zc"])
def test_perturbation_is_each_mask_by_itself(supernet, batch, kind):
    mask, evaluate = mixture(draw_alphas(6, 5, seed=2)), Evaluator(supernet, ("naswot",), 0)
    scores = perturb(kind, evaluate, mask, [1, 4], batch)
    for edge in (1, 4):
        np.testing.assert_allclose(scores[edge], by_loop(supernet, mask, kind, edge, batch), rtol=1e-9)
    assert np.isnan(scores[[0, 2, 3, 5]]).all() and np.isfinite(scores[[1, 4]]).all()
    assert evaluate.evaluations == {"zc-pt": 9, "disc-zc": 10}[kind]  # without none on two edges is one mask


@pytest.mark.parametrize("proxy", ["snip", "synflow", "grad_norm", "jacob_cov"])
def test_any_proxy_and_none_changes_no_score(supernet, batch, proxy):
    """Of the registry: removing `none` leaves the network as it was, whatever looks at it. No sharing of masks here."""
    evaluate = Evaluator(supernet, (proxy,), 0)
    mask = mixture(torch.randn(6, 5, generator=torch.Generator().manual_seed(4)))
    without, without_conv = mask.clone(), mask.clone()
    without[3, 0], without_conv[3, OPERATIONS.index(CONV3)] = 0, 0
    whole, idle, less = (evaluate._by_registry(proxy, each, batch).item() for each in (mask, without, without_conv))
    assert whole == idle and np.isfinite(whole) and less != pytest.approx(whole, rel=1e-6)


def test_snip_of_a_mask_by_autograd(supernet, batch):
    mask, network = mixture(draw_alphas(6, 5, seed=2)), copy.deepcopy(supernet).train().requires_grad_(True)
    functional.cross_entropy(network(batch.inputs, mask[None])[0], batch.targets).backward()
    layers = [m for m in network.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    expected = sum((layer.weight * layer.weight.grad).abs().sum().item() for layer in layers)
    assert Evaluator(supernet, ("snip",), 0)(mask[None], batch)[0] == pytest.approx(expected, rel=1e-5)


def test_singular_kernels_are_counted(supernet):
    same = Minibatch(torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.int64))
    evaluate = Evaluator(supernet, ("naswot",), 0)
    values = perturb("zc-pt", evaluate, mixture(draw_alphas(6, 5, seed=2)), [0], same)
    assert not np.isfinite(values).any() and sum(evaluate.failures.values()) == 5


def saliency_by_differences(supernet, alphas, loss, step=1e-4):
    """|alpha * dL/dalpha| by central differences in float64."""
    found = np.zeros(alphas.shape)
    for edge in range(6):
        for operation in range(5):
            ends = []
            for sign in (1, -1):
                moved = alphas.clone()
                moved[edge, operation] += sign * step
                ends.append(loss(supernet, moved))
            found[edge, operation] = abs(alphas[edge, operation].item() * (ends[0] - ends[1]) / (2 * step))
    return found


def test_zeros_snip_by_differences(supernet, batch):
    network, inputs = copy.deepcopy(supernet).double().train(), batch.inputs.double()
    alphas = 0.5 + torch.rand(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def loss(network, alphas):
        with torch.no_grad():
            return functional.cross_entropy(network(inputs, alphas[None])[0], batch.targets).item()

    expected = saliency_by_differences(network, alphas, loss)
    np.testing.assert_allclose(zeros(supernet, alphas.float(), batch, "snip"), expected, rtol=2e-2, atol=2e-5)
    assert (expected[:, 0] == 0).all() and (expected[:, 1:] > 0).all()


def test_zeros_synflow_by_differences_and_finite(supernet, batch):
    network = copy.deepcopy(supernet).double().train()
    for parameter in network.parameters():
        parameter.data.abs_()
    alphas, image = draw_alphas(6, 5, seed=0), torch.ones(1, 1, 8, 8, dtype=torch.float64)

    def total(network, alphas):
        with torch.no_grad():
            return network(image, alphas[None])[0].sum().item()

    found = zeros(supernet, alphas, batch, "synflow")
    assert np.isfinite(found).all() and found.max() > 0
    np.testing.assert_allclose(
        found, saliency_by_differences(network, alphas.abs().double(), total, 1e-7), rtol=1e-2, atol=1e-6
    )


def test_zeros_grasp_by_a_plain_hessian(supernet, batch):
    network = copy.deepcopy(supernet).train()
    alphas = 0.5 + torch.rand(6, 5, generator=torch.Generator().manual_seed(0))

    def loss(alphas):
        return functional.cross_entropy(network(batch.inputs, alphas[None])[0], batch.targets)

    gradient = torch.autograd.functional.jacobian(loss, alphas).flatten()
    hessian = torch.autograd.functional.hessian(loss, alphas).view(30, 30)
    expected = (alphas.flatten() * (hessian @ gradient)).abs().view(6, 5)
    np.testing.assert_allclose(zeros(supernet, alphas, batch, "grasp"), expected, rtol=1e-3, atol=1e-6)


def test_scoring_leaves_the_supernet_as_it_was(supernet, batch):
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    alphas = draw_alphas(6, 5, seed=0)
    for kind in KINDS:
        zeros(supernet, alphas, batch, kind)
    weight_saliency(supernet, alphas, batch, "snip")
    Evaluator(supernet, ("snip",), 0)(mixture(alphas)[None], batch)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert not supernet.training and all(p.dtype == torch.float32 for p in supernet.parameters())


def test_iterative_rounds(supernet, batch):
    """Each edge gives up one operation a round: the rounds on an edge are 1 to 5, `none` goes first."""
    rounds = zeros_iterative(supernet, draw_alphas(6, 5, seed=0), batch, "snip")
    np.testing.assert_equal(np.sort(rounds, 1), np.tile(np.arange(1.0, 6), (6, 1)))
    assert (rounds[:, 0] == 1).all()


def test_weight_saliency_by_hand(supernet, batch):
    network, alphas = copy.deepcopy(supernet).train().requires_grad_(True), draw_alphas(6, 5, seed=0)
    functional.cross_entropy(network(batch.inputs, alphas[None])[0], batch.targets).backward()
    found = weight_saliency(supernet, alphas, batch, "snip")
    mean = weight_saliency(supernet, alphas, batch, "snip", mean=True)
    weights = [cell.operations[2][CONV1][1].weight for cell in network.cells()]
    at = OPERATIONS.index(CONV1)
    expected = sum((w * w.grad).abs().sum().item() for w in weights)
    assert found[2, at] == pytest.approx(expected, rel=1e-4)
    assert mean[2, at] == pytest.approx(expected / sum(w.numel() for w in weights), rel=1e-4)
    assert (found[:, [0, 1, 4]] == 0).all()


class Additive:
    """An evaluator whose S is the sum of a worth of each (edge, operation) times its weight: answers by hand."""

    def __init__(self, worth):
        self.worth = torch.tensor(worth)

    def __call__(self, masks, minibatch):
        return (masks * self.worth).sum((1, 2)).double().numpy()


WORTH = [[0.0, 5, 1], [0, 1, 9], [7, 0, 6]]


@pytest.mark.parametrize("kind", ["zc-pt", "disc-zc"])
@pytest.mark.parametrize("order", ORDERS)
def test_every_order_finds_the_best_of_a_sum_and_keeps_positions(kind, order):
    generator = np.random.default_rng(0)
    found = propose(kind, Additive(WORTH), torch.full((3, 3), 1 / 3), lambda i: i, order, generator)
    assert found.operations == (1, 2, 0)
    assert sorted(step.edge for step in found.steps) == [0, 1, 2]


def decided_in(order, seed=1):
    generator = np.random.default_rng(seed)
    found = propose("zc-pt", Additive(WORTH), torch.full((3, 3), 1 / 3), lambda i: i, order, generator)
    return [step.edge for step in found.steps]


def test_the_orders_by_hand():
    """Best operations are worth 5, 9, 7; means 2, 10/3, 13/3, and zc-pt compares them as losses."""
    assert decided_in("fixed") == [0, 1, 2] and decided_in("reverse") == [2, 1, 0]
    assert decided_in("global-operation") == decided_in("global-operation-once") == [1, 2, 0]
    assert decided_in("global-edge") == decided_in("global-edge-once") == [2, 1, 0]
    assert {decided_in("random", seed)[0] for seed in range(40)} == {0, 1, 2}
    with pytest.raises(UserError, match="did you mean fixed"):
        decided_in("fixe")


def test_every_edge_scores_all_and_decides_the_same():
    one, every = (
        propose("zc-pt", Additive(WORTH), torch.full((3, 3), 1 / 3), lambda i: i, "fixed", every_edge=flag)
        for flag in (False, True)
    )
    assert one.operations == every.operations
    assert [int(np.isfinite(step.scores).all(1).sum()) for step in every.steps] == [3, 2, 1]
    assert [int(np.isfinite(step.scores).all(1).sum()) for step in one.steps] == [1, 1, 1]


def test_validation_sums_over_minibatches_and_scores_equal_proposals_once(embedded):
    setup = set_up(OperationsConfig(bench="201", batch_size=8))
    candidates = Candidates(setup)
    cells = [(3, 3, 3, 3, 3, 3), (1, 0, 0, 1, 0, 2), (3, 3, 3, 3, 3, 3)]
    places = [candidates.place(Proposal(cell, ())) for cell in cells]
    best, sums = validate(candidates, places, ["naswot"], 2, seed=0)
    single = [validate(candidates, places[:2], ["naswot"], 1, seed=0)[1]]
    assert sums[0] == sums[2] != sums[1] and best == int(sums.argmax())
    assert (sums[:2] > single[0]).all()


def test_names_of_scores():
    assert [score.name for score in choose("table, zc-pt:synflow,disc-zc")][-2:] == ["zc-pt:synflow", "disc-zc"]
    assert {"zeros-snip", "zeros-synflow-iterative", "weights-snip-mean"} <= SCORES.keys()
    with pytest.raises(UserError, match="'zeros-snp' .did you mean zeros-snip.*'zc-pt:nothing'"):
        choose("zeros-snp,zc-pt:nothing")
    with pytest.raises(UserError, match="zico needs several minibatches"):
        choose("zc-pt:zico")
    with pytest.raises(UserError, match="params counts the string"):
        choose("disc-zc:params")


def test_the_command_line(embedded, tmp_path, capsys):
    out = tmp_path / "found"
    scores = "table,zc-pt,zeros-synflow"
    assert main(["--bench", "201", "--scores", scores, "--seeds", "2", "--batch-size", "8", "--along",
                 "--out", str(out)]) == 0  # fmt: skip
    told = capsys.readouterr()
    assert "rho between scores" in told.out and "zeros-synflow" in told.out and "30 of 15,625" in told.err
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["kind"] == "operations" and manifest["reference"] == "best-acc@trials"
    values = pd.read_csv(out / "scores.csv")
    assert len(values) == 30 * (4 + 2 * 2) and set(values["seed"]) == {0, 1}
    along = pd.read_csv(out / "along.csv")
    assert along.groupby("seed")["edges"].apply(list).tolist() == [[6, 5, 4, 3, 2, 1]] * 2
    assert {"operations.png", "agreement.svg"} <= {path.name for path in (out / "figures").iterdir()}
    chosen = pd.read_csv(out / "chosen.csv")
    assert (chosen["rank"].dropna() >= 1).all() and chosen["accuracy"].notna().any()
    other = ["--bench", "201", "--scores", "table", "--out", str(out)]
    assert main(other) == 2 and main([*other, "--existing", "replace"]) == 0  # an earlier comparison is replaced


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--bench", "201", "--scores", "best"], "unknown operation score: 'best'"),
        (["--bench", "201", "--seeds", "0"], "--seeds 0: expected 1 or more"),
        (["--bench", "201", "--device", "cpo"], "unknown value of --device: 'cpo' (did you mean cpu?)"),
        (["--bench", "201", "--scores", "table", "--reference", "zc-pt"], "reference among --scores"),
        (["--bench", "201", "--scores", "table", "--along"], "--along is for zc-pt, disc-zc"),
    ],
)
def test_errors_are_one_line(embedded, tmp_path, capsys, arguments, told):
    assert main([*arguments, "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err
    assert told in said.splitlines()[-1] and not (tmp_path / "x").exists()


def test_a_folder_of_something_else_is_left_alone(embedded, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["--bench", "201", "--scores", "table", "--out", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, evaluations",
    [
        (["--method", "zero-cost-pt", "--order", "fixed", "--proposals", "2", "--validations", "1"], None),
        (["--method=disc-zc", "--order", "global-edge", "--proposals", "1"], None),
        (["--method", "freedarts", "--score", "zeros-snip"], 1),
    ],
)
def test_searches_of_the_command_line(embedded, tmp_path, capsys, words, evaluations):
    from harness.cli.search import main as search

    out = tmp_path / "found"
    assert search(["--bench", "201", *words, "--batch-size", "8", "--seeds", "2", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "written to" in told.out and "seed 1:" in told.err
    runs, decisions = pd.read_csv(out / "runs.csv"), pd.read_csv(out / "decisions.csv")
    assert runs["seed"].tolist() == [0, 1] and (runs["params"] > 0).all()
    assert evaluations is None or (runs["evaluations"] == evaluations).all()
    first = decisions[(decisions["seed"] == 0) & (decisions["proposal"] == 0) & decisions["decided"]]
    assert sorted(first["edge"]) == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    if runs["proposals"][0] == 1:
        assert ", ".join(first.sort_values("edge")["operation"]) == runs["operations"][0]
    assert (out / "figures" / "decisions.png").is_file()
    assert json.loads((out / "manifest.json").read_text())["kind"] == "supernet search"


@pytest.mark.parametrize(
    "words, told",
    [
        (["--method", "zero-cost-pt", "--order", "fix"], "unknown value of --order: 'fix'"),
        (["--method", "freedarts", "--score", "naswot"], "unknown --score of freedarts: 'naswot'"),
        (["--method", "zero-cost-pt", "--proposals", "0"], "--proposals 0"),
        (["--method", "zero-cost-pt", "--score", "params"], "params counts the string"),
        (["--method", "zero-cost-pt", "--bench", "101"], "no space of operations on fixed edges"),
    ],
)
def test_errors_of_searches(tmp_path, capsys, words, told):
    from harness.cli.search import main as search

    bench = [] if "--bench" in words else ["--bench", "201"]
    assert search([*bench, *words, "--out", str(tmp_path / "x")]) == 2
    assert told in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_the_benchmark_decides_alike(capsys):
    from speed.operations import main as bench

    assert bench(["--batch-size", "3", "--channels", "2", "--cells", "1"]) == 0
    assert "times faster by CPU time; the same cell" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["fisher", "ntk"])
def test_zeros_fisher_and_ntk_by_a_loop_over_samples(supernet, batch, kind):
    """Each sample's loss, or each of its logits, differentiated by itself; BatchNorm couples the samples."""
    network = copy.deepcopy(supernet).train()
    alphas = (0.5 + torch.rand(6, 5, generator=torch.Generator().manual_seed(0))).requires_grad_(True)
    logits = network(batch.inputs, alphas[None])[0]
    each = functional.cross_entropy(logits, batch.targets, reduction="none") if kind == "fisher" else logits.flatten()
    gradients = (torch.autograd.grad(value, alphas, retain_graph=True)[0] for value in each)
    expected = sum((alphas.detach() * gradient).square() for gradient in gradients)
    found = zeros(supernet, alphas.detach(), batch, kind)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-9)
    assert (found[:, 0] == 0).all() and (found[:, 1:] > 0).all()


def test_global_rounds(supernet, batch):
    """30 operations, 6 to be left: after rounds 1, 2, 3 about 30 / 5^(t / 4) are: 20, 13, 9. All of `none` go first."""
    rounds = zeros_global(supernet, draw_alphas(6, 5, seed=0), batch, "snip")
    assert [int((rounds > at).sum()) for at in range(5)] == [30, 20, 13, 9, 6]
    assert (rounds[:, 0] == 1).all() and ((rounds == 5).sum(1) == 1).all()
