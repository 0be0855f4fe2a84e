"""Published figures beside stored runs: verdicts by hand, and several runs as one table."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from test_report import toy_run

from benchmarks.errors import UserError
from harness import published
from harness.published import as_markdown, by_proxy, compare, joined


def row(proxy, rho, low, high):
    return {"population": "all", "proxy": proxy, "n": 100, "failed": 0, "rho": rho, "rho_low": low, "rho_high": high,
            "tau_b": rho, "tau_b_low": low, "tau_b_high": high, "regret_1": 1.0, "regret_10": 0.5, "seconds": 0.25,
            "fitted": False, "cohort": np.nan}  # fmt: skip


@pytest.fixture
def figures(tmp_path, monkeypatch):
    path = tmp_path / "published.csv"
    path.write_text(
        "proxy,bench,dataset,population,statistic,value,n,source,note\n"
        "snip,201,cifar10,all,rho,0.6,15625,A (2021),\n"
        "synflow,201,cifar10,all,rho,0.7,15625,A (2021),\n"
        "plain,201,cifar10,all,rho,0.3,15625,A (2021),absolute value\n"
        "zen,201,cifar10,distinct,rho,0.1,9445,A (2021),\n"
        "snip,101,cifar10,all,rho,0.2,423624,A (2021),\n"
    )
    monkeypatch.setattr(published, "FIGURES", path)


def test_verdicts_by_hand(figures):
    table = pd.DataFrame([row("snip", 0.62, 0.55, 0.69), row("synflow", 0.6, 0.5, 0.65), row("plain", -0.2, -0.35, 0.0),
                          row("zen", 0.1, 0.0, 0.2)])  # fmt: skip
    found = compare(table, "201", "cifar10").set_index("proxy")
    assert found.verdict.to_dict() == {"snip": "agrees", "synflow": "differs by -0.10", "plain": "agrees"}
    assert found.loc["plain", "ours"] == -0.2  # shown with its sign
    line = next(line for line in by_proxy(table, found.reset_index()).splitlines() if line.startswith("| synflow"))
    assert line == ("| synflow | 100 | 0 | 0.600 [0.500, 0.650] | 0.600 [0.500, 0.650] | 1.00 | 0.50 | 0.25"
                    " | rho 0.700 A: differs by -0.10 |")  # fmt: skip
    assert "| snip | all | rho | 0.600 | 0.620 [0.550, 0.690] | 100 | agrees |" in as_markdown(found.reset_index())


def test_runs_become_one_table_and_agree_on_what_both_scored(tmp_path):
    large, small = toy_run(tmp_path, archs=90), toy_run(tmp_path, archs=60)
    small.scores["ntk_cond"] = small.scores["zen"] + 0.0
    table, agreement = joined([large, small])
    n = table[table.population == "all"].set_index("proxy").n
    assert n["synflow"] == 90 and n["ntk_cond"] == 60
    assert not table.duplicated(["population", "proxy"]).any()
    other = small.scores["ntk_cond"].mean(0)
    at = {arch: place for place, arch in enumerate(large.archs)}
    ours = np.array([large.scores["synflow"].mean(0)[at[arch]] for arch in small.archs])
    assert agreement.loc["synflow", "ntk_cond"] == pytest.approx(spearmanr(ours, other).statistic)


def test_runs_of_different_targets_are_refused(tmp_path):
    one, other = toy_run(tmp_path), toy_run(tmp_path)
    other.manifest["settings"] = {**other.manifest["settings"], "dataset": "cifar100"}
    with pytest.raises(UserError, match="different targets"):
        joined([one, other])


def test_every_figure_can_be_found_again():
    figures = pd.read_csv(published.FIGURES, dtype={"bench": str})
    assert set(figures.statistic) == {"rho", "tau_b", "concordance"}
    assert set(figures.population) <= {"all", "connected", "distinct"}
    assert figures.value.abs().le(1).all() and figures.source.notna().all()
    assert not figures.duplicated(["proxy", "bench", "dataset", "population", "statistic", "value", "source"]).any()


def test_a_target_nobody_published_figures_for(figures):
    table = pd.DataFrame([row("snip", 0.62, 0.55, 0.69)])
    found = compare(table, "1shot1-1", "cifar10")
    assert found.empty and "| snip | 100 |" in by_proxy(table, found)
