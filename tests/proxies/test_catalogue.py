"""The catalogue says what the proxies say, and its page is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli import proxies as command
from harness.proxies.ensembles import ENSEMBLES
from harness.proxies.registry import registry
from harness.report import catalogue

AGAIN = "run `python -m harness.proxies --markdown` and commit what it writes"


@pytest.fixture(scope="module")
def found() -> list[catalogue.Entry]:
    return catalogue.entries()


def test_the_page_is_what_the_docstrings_and_results_say(found: list[catalogue.Entry]):
    assert catalogue.PAGE.read_text("utf-8") == catalogue.markdown(found), AGAIN


def test_every_proxy_and_ensemble_is_told_with_its_facts(found: list[catalogue.Entry]):
    built_in = {name for name, each in registry().items() if each.score.__module__.startswith("harness.")}
    assert {entry.name for entry in found} == built_in | ENSEMBLES.keys()
    known = {entry.name: entry for entry in found}
    zen, snip, te_nas = known["zen"], known["snip"], known["te_nas"]
    assert (zen.cost, zen.labels, zen.fitted, zen.home) == ("F", False, False, "zen")
    assert zen.view == "weights N(0, 1), Gaussian noise, 16 samples, 2 minibatches, mean of 32 draws"
    assert snip.labels and snip.view == "usual" and "1810.02340" in snip.paper and snip.text.startswith("snip: ")
    assert known["params"].view == "counts of the architecture, no network"
    assert te_nas.summary == f"Ensemble of {', '.join(ENSEMBLES['te_nas'].members)}: sum of relative ranks."
    lines = catalogue.listing(found).splitlines()
    assert len(lines) == len(found) + 4
    fitted = [line for line in lines if "(fitted to accuracies)" in line]
    assert len(fitted) == sum(entry.fitted for entry in found)


def test_names_give_everything_and_unknown_ones_are_told_together(
    found: list[catalogue.Entry], capsys: pytest.CaptureFixture[str]
):
    assert command.main(["snip", "zen@naslib", "snip"]) == 0
    said = capsys.readouterr().out
    assert said.count("snip\n====\n") == 1 and "zen@naslib\n==========\nzen with a single repeat." in said
    assert "cost: one forward and one backward; uses labels" in said and "larger is better" in said
    assert command.main(["snipp", "zenn"]) == 2
    error = capsys.readouterr().err
    assert "'snipp'" in error and "'zenn'" in error and error.count("\n") == 1


def test_measured_figures_come_from_the_first_results_there_are(found: list[catalogue.Entry], tmp_path: Path):
    assert "## Measured" not in catalogue.markdown(found, tmp_path)
    head = "population,proxy,tau_b,tau_b_low,tau_b_high,rho,rho_low,rho_high,n,failed,seconds\n"
    old, new = tmp_path / "201-cifar10", tmp_path / "201-cifar10-all"
    old.mkdir()
    (old / "summary.csv").write_text(head + "all,zen,0.1,,,0.2,,,10,0,3.0\n")
    assert "| zen | 0.100 | 0.200 | 10 | 0 | 3 | – |" in catalogue.markdown(found, tmp_path)
    new.mkdir()
    (new / "summary.csv").write_text(
        head
        + "all,zen,0.3,0.25,0.35,0.4,0.3,0.5,1000,2,0.5\nall,snip,0.5,,,0.6,,,1000,0,1\ndistinct,plain,1,,,1,,,9,0,1\n"
    )
    (new / "agreement.csv").write_text(
        "population,proxy,other,rho\nall,zen,zen,1\nall,zen,snip,0.7\nall,zen,plain,-0.9\nall,zen,fisher,0.8\n"
        "connected,zen,params,0.99\nall,zen,grasp,\n"
    )
    page = catalogue.markdown(found, tmp_path)
    snip, zen = [line for line in page.splitlines() if line.startswith(("| snip | 0", "| zen | 0"))]
    assert snip == "| snip | 0.500 | 0.600 | 1,000 | 0 | 1 | – |"
    assert zen == "| zen | 0.300 [0.25, 0.35] | 0.400 [0.30, 0.50] | 1,000 | 2 | 0.5 | fisher 0.80, snip 0.70 |"
    assert "(../results/tables/201-cifar10-all)" in page and "| plain | 1" not in page


def test_the_page_can_only_be_written_in_a_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(catalogue, "PAGE", tmp_path / "docs" / "proxies.md")
    assert command.main(["--markdown"]) == 2
    assert "clone of the repository" in capsys.readouterr().err
