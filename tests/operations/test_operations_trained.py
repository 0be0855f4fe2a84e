"""Trained supernets: the bilevel training against autograd, interruption, scores against plain loops, searches."""

import copy
import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch.func import functional_call
from torch.nn import functional

from benchmarks import UserError
from benchmarks.nasbench201.space import Space201
from benchmarks.spaces.layers import allocate
from harness.cli.operations import main
from harness.inputs.draw import Minibatch
from harness.operations.compare import compare
from harness.operations.config import OperationsConfig
from harness.operations.scores.trained import STRENGTHS, first_order, strength
from harness.operations.search.candidates import Candidates
from harness.operations.search.config import FindConfig
from harness.operations.search.run import find
from harness.operations.search.trained import discretise, fine_tune
from harness.operations.setup import set_up
from harness.operations.supernets import darts as bilevel_module
from harness.operations.supernets.darts import Bilevel, Training
from harness.operations.supernets.evaluation import evaluate
from harness.operations.supernets.masks import discretised, draw_alphas, mixture, one_hot, pruned
from harness.operations.supernets.trained import supernet_of
from harness.probe.initialise import initialise, stream

SIZES = {"channels": 2, "cells_per_stage": 1, "classes": 10, "input_channels": 1}


def supernet(dtype=torch.float32, seed=0):
    network = allocate(Space201().supernet(**SIZES), "cpu")
    initialise(network, [stream(seed, "supernet", "weights")])
    return network.to(dtype)


def batch(seed, samples=6, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(samples, 1, 8, 8, generator=generator, dtype=dtype)
    return Minibatch(images, torch.randint(0, 10, (samples,), generator=generator))


@pytest.fixture(scope="module")
def batches():
    return [batch(1), batch(2)]


@pytest.fixture(scope="module")
def network():
    return supernet().eval()


@pytest.fixture(scope="module")
def mask():
    return mixture(torch.randn(6, 5, generator=torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("steps", [0, 2], ids=["without momentum", "with momentum"])
def test_second_order_is_autograd_through_one_step(steps, monkeypatch):
    """With a difference so small that it crosses no kink of a ReLU: in a network of few units each kink is a jump."""
    monkeypatch.setattr(bilevel_module, "STEP", 1e-6)
    train, valid = batch(1, dtype=torch.float64), batch(2, dtype=torch.float64)
    training = Training(order=2, learning_rate=0.1, weight_decay=0.01)
    alphas = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bilevel = Bilevel(supernet(torch.float64), alphas, training)
    for _ in range(steps):
        bilevel.descend(bilevel.loss(train)[0])
    alphas = bilevel.alphas.detach().clone().requires_grad_(True)
    network = copy.deepcopy(bilevel.network)
    names = [name for name, weight in network.named_parameters() if weight.requires_grad]
    now = {name: weight.detach().requires_grad_(True) for name, weight in network.named_parameters()}

    def loss(weights, minibatch):
        logits = functional_call(network, weights, (minibatch.inputs, alphas.softmax(-1)[None]))[0]
        return functional.cross_entropy(logits, minibatch.targets)

    slopes = torch.autograd.grad(loss(now, train), [now[name] for name in names], create_graph=True)
    moments = [bilevel.sgd.state[weight].get("momentum_buffer", 0) for weight in bilevel.weights]
    ahead = now | {
        name: now[name] - 0.1 * (slope + 0.01 * now[name] + 0.9 * moment)
        for name, slope, moment in zip(names, slopes, moments, strict=True)
    }
    (exact,) = torch.autograd.grad(loss(ahead, valid), alphas)
    (first,) = torch.autograd.grad(loss(ahead | {name: ahead[name].detach() for name in names}, valid), alphas)
    found = bilevel.architecture_gradient(train, valid)
    assert (exact - first).norm() > 100 * (exact - found).norm()  # what the second order adds is there
    torch.testing.assert_close(found, exact, rtol=1e-5, atol=1e-7)


def test_architecture_steps_leave_weights_and_statistics():
    bilevel = Bilevel(supernet(), draw_alphas(6, 5, 0), Training(order=2))
    before = {name: value.clone() for name, value in bilevel.network.state_dict().items()}
    bilevel.architecture_gradient(batch(1), batch(2))
    assert all(torch.equal(value, before[name]) for name, value in bilevel.network.state_dict().items())
    bilevel.descend(bilevel.loss(batch(1))[0])
    assert int(bilevel.network.stem[1].num_batches_tracked) == 1


def test_first_order_and_the_rate():
    bilevel = Bilevel(supernet(), torch.zeros(6, 5), Training(epochs=4))
    (expected,) = torch.autograd.grad(bilevel.loss(batch(2))[0], bilevel.alphas)
    torch.testing.assert_close(bilevel.architecture_gradient(batch(1), batch(2)), expected)
    rates = [Training(epochs=4).rate(epoch) for epoch in range(4)]
    np.testing.assert_allclose(
        rates, [0.025, 0.001 + 0.024 * (2 + 2**0.5) / 4, 0.013, 0.001 + 0.024 * (2 - 2**0.5) / 4]
    )


class OnAnAccelerator:
    """Masks of a supernet in training: of use on the CPU only after they were brought there."""

    def __init__(self, masks):
        self.cpu = lambda: masks


def test_masks_may_be_where_the_supernet_is(network, mask, batches):
    """Their places index losses, which are on the CPU."""
    expected = evaluate(network, mask[None], batches)
    found = evaluate(network, OnAnAccelerator(mask[None]), batches)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize("statistics", ["batch", "running"])
def test_evaluation_side_by_side_is_each_mask_by_itself(network, mask, batches, statistics):
    """Masks one after the other in training mode (or evaluation mode), plain means over minibatches."""
    masks = torch.cat([pruned(mask, 2), discretised(mask, 4)])
    loss, accuracy = evaluate(network, masks, batches, statistics, chunk=4)
    plain = copy.deepcopy(network).train(statistics == "batch")
    with torch.no_grad():
        logits = [[plain(each.inputs, one[None])[0] for each in batches] for one in masks]
    expected = [np.mean([functional.cross_entropy(y, b.targets).item() for y, b in zip(own, batches, strict=True)])
                for own in logits]  # fmt: skip
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    right = [np.mean([(y.argmax(1) == b.targets).float().mean().item() for y, b in zip(own, batches, strict=True)])
             for own in logits]  # fmt: skip
    np.testing.assert_allclose(accuracy, 100 * np.array(right), rtol=1e-5)
    assert len(set(loss.tolist())) > 8 and not network.training


def test_a_decided_supernet_is_evaluated_as_the_network_of_the_cell(network, batches):
    from test_operations_supernet import SIZES as LARGER
    from test_operations_supernet import mask_of, stand_alone

    from benchmarks.nasbench201.space import CONV1, CONV3, POOL, SKIP

    larger = allocate(Space201().supernet(**LARGER), "cpu")
    initialise(larger, [stream(0, "supernet", "weights")])
    cell = (CONV3, POOL, CONV1, SKIP, CONV3, CONV1)
    alone = stand_alone(larger, cell).train()
    with torch.no_grad():
        expected = [functional.cross_entropy(alone(each.inputs)[:, 0], each.targets).item() for each in batches]
    assert evaluate(larger, mask_of(cell)[None], batches)[0].item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_first_order_is_the_derivative_towards_each_operation(network, mask, batches):
    """Autograd along w + t (one-hot - w) at t = 0, edge by edge; and the direct change for a small step."""
    found, step = first_order(network, mask, batches), 1e-6
    exact = copy.deepcopy(network).double()
    double = [Minibatch(each.inputs.double(), each.targets) for each in batches]
    for edge in (0, 5):
        for operation in range(5):
            towards = torch.zeros(6, 5, dtype=torch.float64)
            towards[edge] = torch.eye(5, dtype=torch.float64)[operation] - mask[edge]
            small = torch.stack([mask.double() + step * towards, mask.double() - step * towards])
            loss, _ = evaluate(exact, small, double)
            assert found[edge, operation].item() == pytest.approx(
                (loss[0] - loss[1]).item() / (2 * step), rel=1e-3, abs=1e-6
            )
    each = [first_order(network, mask, [one]).abs() for one in batches]
    torch.testing.assert_close(first_order(network, mask, batches, absolute=True), sum(each) / 2)


def test_first_order_by_hooks_on_the_mixed_output(network, mask):
    """<dL/dm, o(x) - m(x)> of edge 3<-2, literally, summed over the cells."""
    minibatch, plain = batch(1), copy.deepcopy(network).train()
    total = torch.zeros(5)
    kept = []
    for cell in plain.cells():

        def forward(x, weights, blocked=False, cell=cell):
            nodes = [x]
            for into in ([(0, 0)], [(1, 0), (2, 1)], [(3, 0), (4, 1), (5, 2)]):
                mixed = []
                for edge, source in into:
                    convolutions = [cell.operations[edge][name](nodes[source]) for name in cell.operations[edge]]
                    branches = [torch.zeros_like(x), nodes[source], *convolutions, cell.pool(nodes[source])]
                    mixed.append(sum(w * o for w, o in zip(mask[edge], branches, strict=True)))
                    if edge == 5:
                        mixed[-1].retain_grad()
                        kept.append((mixed[-1], branches))
                nodes.append(sum(mixed))
            return nodes[3]

        cell.forward = forward
    functional.cross_entropy(plain(minibatch.inputs, mask[None])[0], minibatch.targets).backward()
    for mixed, branches in kept:
        total += torch.stack([(mixed.grad * (o - mixed)).sum().detach() for o in branches])
    torch.testing.assert_close(first_order(network, mask, [minibatch])[5], total, rtol=1e-4, atol=1e-6)
    found = strength("ostr:taylor1", network, mask, [5], [minibatch])[0]
    np.testing.assert_allclose(found[5], -total, rtol=1e-4, atol=1e-6)
    assert np.isnan(found[:5]).all()


def test_scores_by_a_plain_loop(network, mask, batches):
    """Signs and which mask each score looks at; edge 3 alone, the others not a number."""
    found = {kind: strength(kind, network, mask, [3], batches)[0] for kind in STRENGTHS}
    base = evaluate(network, mask[None], batches)[0].item()
    for operation in range(5):
        without, alone = mask.clone(), mask.clone()
        without[3, operation], alone[3] = 0, torch.eye(5)[operation]
        (loss, accuracy), (loss_alone, accuracy_alone) = (evaluate(network, m[None], batches) for m in (without, alone))
        expected = {"darts": mask[3, operation], "darts-pt": -accuracy, "disc-acc": accuracy_alone,
                    "ostr": base - loss_alone, "removal": loss - base}  # fmt: skip
        for kind, value in expected.items():
            assert found[kind][3, operation] == pytest.approx(float(value), rel=1e-4, abs=1e-6), kind
    assert all(np.isnan(np.delete(values, 3, 0)).all() for values in found.values())
    assert found["removal"][3, 0] == 0  # none adds nothing
    each = [np.abs(strength("ostr:taylor1", network, mask, [3], [one])[0][3]) for one in batches]
    np.testing.assert_allclose(found["ostr:taylor1_abs"][3], -np.mean(each, axis=0), rtol=1e-5)


SMALL = {
    "bench": "201",
    "batch_size": 16,
    "supernet_batch": 16,
    "supernet_images": 64,
    "network": "channels=2",
    "held_out": 2,
}


def trained(folder, epochs=2, **changes):
    return supernet_of(set_up(OperationsConfig(**SMALL | {"supernet_epochs": epochs} | changes), folder), 0)


def same(one, other):
    values = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    frames = (each.history.drop(columns="seconds") for each in (one, other))
    return all(torch.equal(a, b) for a, b in values) and torch.equal(one.alphas, other.alphas) and \
        next(frames).equals(next(frames))  # fmt: skip


@pytest.mark.parametrize("order", [1, 2])
def test_an_interrupted_training_ends_as_the_same(embedded, tmp_path, monkeypatch, order):
    whole = trained(tmp_path / "whole", epochs=3, bilevel_order=order)
    original, steps = Bilevel.descend, []

    def interrupted(self, loss):
        steps.append(loss)
        if len(steps) == 4:  # two steps an epoch: in the middle of the second
            raise KeyboardInterrupt
        original(self, loss)

    monkeypatch.setattr(Bilevel, "descend", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "cut", epochs=3, bilevel_order=order)
    monkeypatch.setattr(Bilevel, "descend", original)
    assert len(pd.read_csv(tmp_path / "cut/supernets/seed0.csv")) == 1
    resumed = trained(tmp_path / "cut", epochs=3, bilevel_order=order)
    assert same(whole, resumed) and len(whole.history) == 3
    assert [path.name for path in (tmp_path / "cut/supernets").iterdir() if path.suffix == ".part"] == []


def test_a_training_learns_and_is_told(embedded, tmp_path):
    own = trained(
        tmp_path, epochs=3, supernet_images=480, supernet_lr=0.1, alpha_lr=0.03, network="channels=4", held_out=99
    )
    history = own.history
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0] - 0.2
    assert history["valid_accuracy"].iloc[-1] > 25
    assert own.training.alpha_rate == 0.03 and (own.mask - 0.2).abs().max() > 0.05  # so do architecture parameters
    assert sum(len(each.targets) for each in own.held_out) == 240 and len(own.train_half) == 240
    row = history.iloc[-1]
    assert row["1<-0 skip_connect"] == pytest.approx(own.mask[0, 1].item())
    assert row["skip_edges"] == int((own.mask.argmax(1) == 1).sum())
    assert row["skip_weight"] == pytest.approx(own.mask[:, 1].mean().item())


def test_what_cannot_be_used_is_one_line(embedded, tmp_path, capsys):
    trained(tmp_path, epochs=1)
    with pytest.raises(UserError, match="other settings .epochs 1, not 2.: give the same ones"):
        trained(tmp_path)
    given = trained(tmp_path / "elsewhere", supernet=str(tmp_path / "supernets"))  # as it is, with its own settings
    assert len(given.history) == given.training.epochs == 1 and not (tmp_path / "elsewhere").exists()
    with pytest.raises(UserError, match="channels 2, not 4"):
        trained(tmp_path, supernet=str(tmp_path / "supernets"), network="")
    with pytest.raises(UserError, match="64 images are two halves of 32, and a minibatch is 40"):
        trained(tmp_path / "x", supernet_batch=40)
    with pytest.raises(UserError, match="there is no seed0.pt in it"):
        trained(tmp_path, supernet=str(tmp_path))
    (tmp_path / "supernets/seed0.pt").write_bytes(b"nothing")
    with pytest.raises(UserError, match="truncated or not a checkpoint of a supernet"):
        trained(tmp_path, epochs=1)
    with pytest.raises(UserError, match="not on --inputs gaussian"):
        trained(tmp_path / "x", inputs="gaussian")
    with pytest.raises(UserError, match="--alpha-lr nan: expected a number above 0"):
        OperationsConfig(bench="201", alpha_lr=float("nan"))
    with pytest.raises(UserError, match="--bilevel-order: '3'.*--held-out 0"):
        OperationsConfig(bench="201", bilevel_order=3, held_out=0)
    with pytest.raises(UserError, match="'chanels' .did you mean channels"):
        trained(tmp_path / "x", network="chanels=2")


WORDS = ["--bench", "201", "--network", "channels=2", "--supernet-epochs", "1", "--supernet-images", "64",
         "--supernet-batch", "16", "--batch-size", "16", "--held-out", "1"]  # fmt: skip


def test_the_command_line_trains_once_a_seed(embedded, tmp_path, capsys):
    out = tmp_path / "found"
    assert main([*WORDS, "--scores", "best-acc,darts,ostr", "--seeds", "2", "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert told.err.count("s of training: after 1 epochs") == 2 and "1 epochs of first-order DARTS" in told.err
    assert sorted(path.name for path in (out / "supernets").glob("*.pt")) == ["seed0.pt", "seed1.pt"]
    values = pd.read_csv(out / "scores.csv")
    assert len(values) == 30 * (1 + 2 * 2) and values["value"].notna().groupby(values["score"]).any().all()
    assert (out / "figures/training-seed1.png").exists()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["network"]["channels"] == 2 and manifest["supernets"]["1"]["epochs_done"] == 1
    settings = SMALL | {"held_out": 1, "supernet": str(out / "supernets")}
    again = compare(OperationsConfig(scores="darts", **settings), folder=tmp_path / "again")
    darts = values[(values["score"] == "darts") & (values["seed"] == 0)]["value"].tolist()
    assert again.scores["value"].tolist() == pytest.approx(darts, rel=1e-12)
    assert not (tmp_path / "again").exists()


def test_one_hot_masks_are_decided_everywhere(network, batches):
    loss, _ = evaluate(network, torch.stack([one_hot([0] * 6, 5), one_hot([1] * 6, 5)]), batches)
    assert torch.isfinite(loss).all()


@pytest.mark.parametrize("settings", [
    {"method": "darts"}, {"method": "darts-pt", "tuning": 1}, {"method": "disc-acc", "order": "global-operation"},
    {"method": "ostr-darts"}, {"method": "ostr-darts", "score": "ostr:taylor1"},
], ids=lambda settings: "-".join(map(str, settings.values())))  # fmt: skip
def test_searches_in_a_trained_supernet(trained_once, embedded, settings):
    found = find(FindConfig(base=OperationsConfig(**SMALL, supernet=str(trained_once)), **settings))
    made = found.decisions[found.decisions["decided"]]
    assert len(made) == 6 and ", ".join(made.sort_values("edge")["operation"]) == found.runs["operations"][0]
    assert (made.set_index("step")["score"] == found.decisions.groupby("step")["score"].max()).all()
    assert found.runs["training"][0] > 0 and len(found.training[0]) == 1
    assert settings["method"] not in ("darts", "ostr-darts") or made["edge"].is_monotonic_increasing
    if settings["method"] == "darts":
        own = supernet_of(set_up(OperationsConfig(**SMALL, supernet=str(trained_once))), 0)
        assert made["operation"].tolist() == [own.network.operations[at] for at in own.mask.argmax(1)]


def test_the_command_line_of_a_search(trained_once, embedded, tmp_path, capsys):
    from harness.cli.search import main as search

    out = tmp_path / "found"
    assert search([*WORDS, "--method", "ostr-darts", "--supernet", str(trained_once), "--out", str(out)]) == 0
    assert "epoch 1 of 1" in capsys.readouterr().err
    assert {"decisions.png", "training-seed0.svg"} <= {path.name for path in (out / "figures").iterdir()}


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """Supernets of the embedded digits as the command line of WORDS trains them: folder of checkpoints."""
    from tiny import embed

    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("trained")
        patch.setattr("benchmarks.benchmark.EMBEDDED", embed(folder / "embedded"))
        patch.delenv("NAS_HARNESS_DATA", raising=False)
        trained(folder, epochs=1)
    return folder / "supernets"


def test_tuning_trains_a_copy(trained_once, embedded, tmp_path):
    config = FindConfig(OperationsConfig(**SMALL, supernet=str(trained_once)), "ostr-darts", tuning=1)
    setup = set_up(config.base, tmp_path)
    own = supernet_of(setup, 0)
    before = {name: value.clone() for name, value in own.network.state_dict().items()}
    discretise(Candidates(setup), config, 0)
    assert all(torch.equal(value, before[name]) for name, value in own.network.state_dict().items())
    network, mask = copy.deepcopy(own.network), one_hot([3] * 6, 5)
    fine_tune(setup, own, network, mask, "x")
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert any("nor_conv_3x3.1.weight" in name for name in moved)
    assert not any("nor_conv_1x1.1.weight" in name or "alphas" in name for name in moved)


def test_settings_of_searches(embedded, tmp_path, capsys):
    from harness.cli.search import main as search

    for words, told in (
        (["darts-pt", "--score", "ostr"], "unknown --score of darts-pt: 'ostr'"),
        (["ostr-darts", "--tuning", "-1"], "--tuning -1: expected 0 or more"),
        (["ostr-darts", "--score", "naswot"], "valid: ostr, ostr:taylor1"),
    ):
        assert search(["--bench", "201", "--method", *words, "--out", str(tmp_path / "x")]) == 2
        assert told in capsys.readouterr().err
