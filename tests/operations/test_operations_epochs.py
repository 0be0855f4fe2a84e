"""Supernets kept along a training, and what trained scores select from each of them."""

import json

import pandas as pd
import pytest
from test_operations_trained import SMALL

from benchmarks import UserError
from harness.operations import epochs, figure
from harness.operations.compare import compare
from harness.operations.config import OperationsConfig
from harness.operations.decide import Proposal
from harness.operations.epochs import over_epochs, verdicts
from harness.operations.report import markdown
from harness.operations.scores.registry import choose
from harness.operations.scores.trained import STRENGTHS
from harness.operations.search.candidates import Outcome
from harness.operations.search.config import FindConfig
from harness.operations.search.run import find
from harness.operations.setup import set_up
from harness.operations.supernets.darts import Bilevel
from harness.operations.supernets.trained import supernet_of

SETTINGS = SMALL | {"supernet_epochs": 3, "alpha_lr": 0.1, "network": "channels=2,cells_per_stage=1", "held_out": 1,
                    "supernet_images": 32}  # fmt: skip


def trained(folder, **changes):
    return supernet_of(set_up(OperationsConfig(**SETTINGS | changes), folder), 0)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder whose training, interrupted in its third epoch and continued, kept the first two."""
    from tiny import embed

    folder = tmp_path_factory.mktemp("kept")
    original, steps = Bilevel.descend, []

    def interrupted(self, loss):
        steps.append(loss)
        if len(steps) == 3:  # one step an epoch
            raise KeyboardInterrupt
        original(self, loss)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.benchmark.EMBEDDED", embed(folder / "embedded"))
        patch.delenv("NAS_HARNESS_DATA", raising=False)
        with patch.context() as cut:
            cut.setattr(Bilevel, "descend", interrupted)
            with pytest.raises(KeyboardInterrupt):
                trained(folder, supernet_keep="1, 2")
        paths = [folder / f"supernets/epoch{epoch}/seed0.pt" for epoch in (1, 2)]
        before = [path.stat().st_mtime_ns for path in paths]
        trained(folder, supernet_keep="1, 2")
        assert [path.stat().st_mtime_ns for path in paths] == before
    return folder / "supernets"


def test_a_kept_epoch_is_the_supernet_as_it_was(kept, embedded, tmp_path):
    whole = trained(tmp_path, supernet=str(kept)).history
    assert len(whole) == 3
    for epoch in (1, 2):
        own = trained(tmp_path, supernet=str(kept / f"epoch{epoch}"))
        assert own.history.equals(whole.head(epoch)) and own.training.epochs == 3
        assert own.mask[0, 1].item() == pytest.approx(whole["1<-0 skip_connect"][epoch - 1])


def test_what_cannot_be_kept_is_one_line(kept, embedded, tmp_path):
    with pytest.raises(UserError, match="--supernet-keep 3: .*has 3 epochs and .*epoch3 was not kept; leave it out"):
        trained(kept.parent, supernet_keep="2,3")
    (tmp_path / "supernets/epoch2").mkdir(parents=True)
    (tmp_path / "supernets/epoch2/seed0.pt").write_bytes((kept / "epoch2/seed0.pt").read_bytes())
    with pytest.raises(UserError, match="alpha_rate 0.1, not 0.2.: give the same ones, or another folder"):
        trained(tmp_path, supernet_keep="2", alpha_lr=0.2)
    assert not (tmp_path / "supernets/seed0.pt").exists()  # before a step of training
    for wrong in ("0", "4", "1,,2", "x"):
        with pytest.raises(UserError, match="--supernet-keep '.*': expected epochs from 1 to 3, by commas"):
            OperationsConfig(**SETTINGS, supernet_keep=wrong)
    with pytest.raises(UserError, match="is for a training: with --supernet leave it out"):
        OperationsConfig(**SETTINGS, supernet_keep="1", supernet=str(kept))


def test_a_rule_selects_what_its_search_finds_in_each_supernet(kept, embedded, tmp_path, monkeypatch):
    config, told = OperationsConfig(**SETTINGS, scores="ostr:taylor1", supernet=str(kept), along=True), []
    monkeypatch.setattr(epochs, "verdicts", lambda *given: ["withstood"])  # the digits' cells have no accuracies
    found = compare(config, told.append, tmp_path)
    cells = found.epochs.set_index(["score", "epoch"])["operations"]
    assert list(cells.index) == [(rule, epoch) for rule in ("darts", "ostr:taylor1") for epoch in (1, 2, 3)]
    assert cells["darts"].tolist() == found.training[0]["operations"].tolist()
    base = OperationsConfig(**SETTINGS, supernet=str(kept / "epoch1"))
    assert find(FindConfig(base, "ostr-darts", score="ostr:taylor1")).runs["operations"][0] == cells["ostr:taylor1", 1]
    assert found.epochs["skip_edges"].tolist() == [each.count("skip_connect") for each in cells]
    assert found.epochs["weightless_edges"].tolist() == [6 - each.count("nor_conv") for each in cells]
    assert told[-1] == found.manifest["notes"][-1] == "withstood" and "Along the training" in markdown(found)
    again = set_up(config, tmp_path), choose("ostr:taylor1"), range(1), told.append
    monkeypatch.setattr(epochs, "discretise", None)  # what was selected is kept
    assert over_epochs(*again).equals(found.epochs)
    (tmp_path / "supernets/cells.json").write_text("damaged")
    with pytest.raises(TypeError):
        over_epochs(*again)


def test_each_score_has_the_search_that_decides_by_it(monkeypatch, tmp_path):
    """Magnitude too; with the order of edges of that search."""
    asked = []

    def search(candidates, config, seed):
        asked.append((config.by, config.method, config.order))
        return Outcome([Proposal([], (0,) * 6)], 0)

    monkeypatch.setattr(epochs, "discretise", search)
    (tmp_path / "seed0.pt").touch()
    setup = set_up(OperationsConfig(**SETTINGS), tmp_path)
    for rule in STRENGTHS:
        epochs._selected(setup, rule, 0, tmp_path / "seed0.pt")
    methods = dict(zip(("darts", "darts-pt", "disc-acc"), ("fixed", "random", "random"), strict=True))
    assert asked == [
        (rule, rule if rule in methods else "ostr-darts", methods.get(rule, "fixed")) for rule in STRENGTHS
    ]


def test_epochs_of_another_training_are_refused(kept, embedded, tmp_path):
    trained(tmp_path, supernet_epochs=1, alpha_lr=0.2)
    (tmp_path / "supernets/epoch1").mkdir()
    (tmp_path / "supernets/epoch1/seed0.pt").write_bytes((kept / "epoch1/seed0.pt").read_bytes())
    setup = set_up(OperationsConfig(**SETTINGS, supernet=str(tmp_path / "supernets")), tmp_path)
    with pytest.raises(UserError, match="epoch1/seed0.pt is not an epoch of the training that .* is the end of"):
        over_epochs(setup, choose("ostr:taylor1"), range(1), print)


def frame(accuracies):
    """Return two seeds' rows after epochs 10 and 50 of {rule: accuracies after 50}."""
    return pd.DataFrame([
        {"score": rule, "seed": seed, "epoch": epoch, "rank": 1.0, "operations": "", "skip_edges": 2 * seed,
         "weightless_edges": 6 - seed, "accuracy": value if epoch == 50 else 93.0}
        for rule, values in accuracies.items() for seed, value in enumerate(values) for epoch in (10, 50)
    ])  # fmt: skip


def cells(first, second):
    return {"darts": (first, second), "ostr": (93.0, 80.0), "removal": (94.0, 94.5)}


@pytest.mark.parametrize("accuracies, said", [
    (cells(54.3, 62.8), "after 50 epochs magnitude selects operations without weights on 6; 5 of 6 edges (skip on 0;"
     " 2), cells of 54.30; 62.80 %: worse than the median of all (90.75 %) with 2 of 2 seeds; of these better than the"
     " median: ostr with 1 (93.00; 80.00 %), removal with 2 (94.00; 94.50 %)"),
    (cells(91.0, 62.8), "with 1 of 2 seeds; of these better than the median: ostr with 0 (80.00 %), removal with 1"
     " (94.50 %)"),
    (cells(90.75, 91.0), "worse than the median of all (90.75 %) with 0 of 2 seeds"),
], ids=["both", "one", "none"])  # fmt: skip
def test_the_verdict_by_hand(accuracies, said):
    before, last = verdicts(frame(accuracies), 6, 90.75)
    assert last.endswith(said) and before.startswith("after 10 epochs") and before.endswith("with 0 of 2 seeds")


def test_no_verdict_without_rules_or_accuracies():
    alone, unknown = {"darts": (54.3, 54.3)}, {"ostr": (float("nan"),) * 2}
    assert verdicts(frame(alone), 6, 90.75) == []
    assert len(verdicts(frame(alone | unknown), 6, 90.75)) == 1  # after 10 epochs they have accuracies


def test_the_figure_is_drawn_again_from_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.report.figures.FORMATS", ("svg",))
    monkeypatch.setattr(figure, "write_figures", lambda *parts: {})
    for name in ("scores", "agreement"):
        (tmp_path / f"{name}.csv").write_text("a,b\n1,2\n")
    frame(cells(54.3, 62.8)).to_csv(tmp_path / "epochs.csv", index=False)
    manifest = {"kind": "operations", "edges": [], "operations": [], "accuracies": {"median cell": 90.75}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert figure.redraw(tmp_path, manifest)["figures/epochs.svg"].stat().st_size > 5_000
