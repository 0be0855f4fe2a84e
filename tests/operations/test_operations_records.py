"""Records of supernet searches and of operation scores: complete, and enough to add one."""

import inspect
from pkgutil import resolve_name

import pytest

from benchmarks import UserError
from harness.operations.config import ORDERS, OperationsConfig
from harness.operations.decide import Proposal, Step
from harness.operations.scores.registry import GROUPS, SCORES, OperationScore, choose, named
from harness.operations.search.candidates import Outcome
from harness.operations.search.config import FindConfig
from harness.operations.search.methods import METHODS, Method, asked
from harness.operations.search.run import find
from harness.proxies.registry import registry

BASE = {"bench": "201", "batch_size": 8, "network": "channels=2,cells_per_stage=1"}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_a_search_is_carried_out_by_what_its_record_names(method):
    assert len(inspect.signature(resolve_name(method.function)).parameters) == 3
    assert method.order in ("", *ORDERS) and not (method.proposals and method.trained)
    for score in method.scores:
        assert (score in registry()) if method.any_proxy else SCORES[score].source != "table"
        assert method.any_proxy or (SCORES[score].source == "trained") == method.trained
    config = FindConfig(OperationsConfig(**BASE), method.name)
    assert config.by == method.scores[0] and config.order == (method.order or "random")


def everywhere_skip(candidates, config, seed):
    """A search of a user's: the skip connection on each edge."""
    edges, operations = candidates.setup.shape
    score = SCORES[config.by].compute(candidates.setup, seed).values
    return Outcome([Proposal((1,) * edges, tuple(Step(score, edge, 1) for edge in range(edges)))], edges * operations)


def test_a_new_search_is_a_function_and_a_record(embedded, monkeypatch, tmp_path):
    mine = Method("mine", "skip everywhere", "nobody 2026", f"{__name__}:everywhere_skip", ("zeros-snip",), order="")
    monkeypatch.setitem(METHODS, "mine", mine)
    assert asked(["--method", "mine"])
    found = find(FindConfig(OperationsConfig(**BASE), "mine"), folder=tmp_path)
    assert found.runs["operations"][0] == ", ".join(["skip_connect"] * 6) and found.runs["evaluations"][0] == 30
    assert any("mine by zeros-snip: skip everywhere (nobody 2026)" in note for note in found.manifest["notes"])
    with pytest.raises(UserError, match="unknown --score of mine: 'naswot'"):
        FindConfig(OperationsConfig(**BASE), "mine", score="naswot")


def test_groups_follow_the_records(monkeypatch):
    assert len(GROUPS["table"]) == 4 and set(GROUPS["all"]).isdisjoint(GROUPS["trained"])
    assert set(GROUPS["default"]) <= set(GROUPS["all"]) and set(GROUPS["all"]) | set(GROUPS["trained"]) == set(SCORES)
    assert {name for name, score in SCORES.items() if score.along} == {"zc-pt", "disc-zc", "tenas"}
    assert named("zc-pt:synflow").along.proxies == ("synflow",) and "synflow" in named("zc-pt:synflow").meaning
    assert named("tenas:synflow") is None and named("zeros-snip:synflow") is None
    monkeypatch.setitem(SCORES, "mine", OperationScore("mine", "of a user", lambda setup, seed: None))
    assert [score.name for score in choose("mine,table")] == ["mine", *GROUPS["table"]]
