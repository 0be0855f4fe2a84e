"""Stored runs compared with published values: verdicts by hand, several runs as one table, the command."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tiny import embed, tiny_table
from toy_runs import toy_run

from benchmarks.errors import UserError
from harness.api import judge
from harness.cli.reproduce import main
from harness.reproduce import recipes, stored_runs
from harness.reproduce.stored_runs import as_markdown, by_proxy, compare, joined


def row(proxy, rho, low, high):
    return {"population": "all", "proxy": proxy, "n": 100, "failed": 0, "rho": rho, "rho_low": low, "rho_high": high,
            "tau_b": rho, "tau_b_low": low, "tau_b_high": high, "regret_1": 1.0, "regret_10": 0.5, "seconds": 0.25,
            "fitted": False, "reference_set": np.nan}  # fmt: skip


@pytest.fixture
def published(tmp_path, monkeypatch):
    path = tmp_path / "published.csv"
    path.write_text(
        "proxy,bench,dataset,population,statistic,value,n,source,note\n"
        "snip,201,cifar10,all,rho,0.6,15625,A (2021),\n"
        "synflow,201,cifar10,all,rho,0.7,15625,A (2021),\n"
        "plain,201,cifar10,all,rho,0.3,15625,A (2021),absolute value\n"
        "zen,201,cifar10,distinct,rho,0.1,9445,A (2021),\n"
        "snip,101,cifar10,all,rho,0.2,423624,A (2021),\n"
    )
    monkeypatch.setattr(recipes, "PUBLISHED", path)
    recipes.published_correlations.cache_clear()
    yield path
    recipes.published_correlations.cache_clear()


def test_verdicts_by_hand(published, monkeypatch):
    """Errors by the intervals: 0.51 in 1.96 standard errors of 0.0046, 0.5 to 0.65 in ones of 0.038."""
    monkeypatch.setattr(stored_runs, "draw_error", lambda *of: 0.001)
    table = pd.DataFrame([row("snip", 0.62, 0.611, 0.629), row("synflow", 0.6, 0.5, 0.65),
                          row("plain", -0.2, -0.23, -0.17), row("zen", 0.1, 0.0, 0.2)])  # fmt: skip
    found = compare(table, "201", "cifar10").set_index("proxy")
    expected = {"snip": "agrees", "synflow": "cannot tell (-0.10)", "plain": "differs (-0.10)"}
    assert found.verdict.to_dict() == expected
    assert found.loc["plain", "value"] == -0.2  # shown with its sign
    line = next(line for line in by_proxy(table, found.reset_index()).splitlines() if line.startswith("| synflow"))
    assert line == ("| synflow | 100 | 0 | 0.600 [0.500, 0.650] | 0.600 [0.500, 0.650] | 1.00 | 0.50 | 0.25"
                    " | rho 0.700 A: cannot tell (-0.10) |")  # fmt: skip
    assert "| snip | all | rho | 0.600 | 0.620 [0.611, 0.629] | 100 | agrees |" in as_markdown(found.reset_index())


def test_over_the_whole_space_the_margin_is_smaller(published, monkeypatch):
    """There is no interval then."""
    monkeypatch.setattr(stored_runs, "draw_error", lambda *of: 0.0)
    table = pd.DataFrame([row("snip", 0.62, np.nan, np.nan), row("synflow", 0.721, np.nan, np.nan),
                          row("plain", -0.304, np.nan, np.nan)])  # fmt: skip
    found = compare(table, "201", "cifar10").set_index("proxy")
    assert found.verdict.to_dict() == {"snip": "agrees", "synflow": "differs (+0.02)", "plain": "agrees"}
    assert "| 0.620 | 100 | agrees |" in as_markdown(found.reset_index())


def test_of_fewer_architectures_their_sampling_error_counts(published, tmp_path):
    run = toy_run(tmp_path, archs=200)
    run.manifest["space_size"] = 200
    rho = spearmanr(run.scores["synflow"].mean(0), run.accuracy).statistic
    table = pd.DataFrame([row("synflow", rho, np.nan, np.nan) | {"n": 200}])
    head, *_ = published.read_text().splitlines()
    lines = [f"synflow,201,cifar10,all,rho,{rho + 0.2},{n},A (2021)," for n in (20, 200)]
    published.write_text("\n".join([head, *lines, ""]))
    found = compare(table, "201", "cifar10", [run])
    assert found.verdict.tolist() == ["cannot tell (-0.20)", "differs (-0.20)"]


def test_runs_become_one_table_and_agree_on_what_both_scored(tmp_path):
    large, small = toy_run(tmp_path, archs=90), toy_run(tmp_path, archs=60)
    small.scores["ntk_cond"] = small.scores["zen"] + 0.0
    table, agreement = joined([large, small])
    n = table[table.population == "all"].set_index("proxy").n
    assert n["synflow"] == 90 and n["ntk_cond"] == 60
    assert not table.duplicated(["population", "proxy"]).any()
    other = small.scores["ntk_cond"].mean(0)
    at = {arch: place for place, arch in enumerate(large.archs)}
    first = np.array([large.scores["synflow"].mean(0)[at[arch]] for arch in small.archs])
    rho = agreement.set_index(["proxy", "other"])["rho"]
    assert rho["synflow", "ntk_cond"] == pytest.approx(spearmanr(first, other).statistic, abs=1e-4)


def test_runs_of_different_targets_are_refused(tmp_path):
    one, other = toy_run(tmp_path), toy_run(tmp_path)
    other.manifest["target"] = {**other.manifest["target"], "dataset": "cifar100"}
    with pytest.raises(UserError, match="different targets"):
        joined([one, other])


def test_every_published_value_can_be_found_again():
    values = pd.read_csv(recipes.PUBLISHED, dtype={"bench": str})
    assert set(values.statistic) == {"rho", "tau_b", "concordance"}
    assert set(values.population) <= {"all", "connected", "distinct"}
    assert values.value.abs().le(1).all() and values.source.notna().all()
    assert not values.duplicated(["proxy", "bench", "dataset", "population", "statistic", "value", "source"]).any()


def test_a_target_without_published_values(published):
    table = pd.DataFrame([row("snip", 0.62, 0.55, 0.69)])
    found = compare(table, "1shot1-1", "cifar10")
    assert found.empty and "| snip | 100 |" in by_proxy(table, found)


def test_the_command_writes_both_tables(published, tmp_path, capsys, monkeypatch):
    table = tiny_table()
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", embed(tmp_path / "embedded"))
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    scores = pd.DataFrame({"arch": table.archs, "snip": np.arange(30.0)})
    for name in ("one", "two"):
        judge(scores.rename(columns={"snip": "synflow"} if name == "two" else {}), "201", out=tmp_path / name)
    published.write_text(published.read_text().replace("cifar10", "digits"))
    assert main(["--run", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 0
    assert "0 of 2 published values agree" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "proxies.md", "published.md", "summary.csv", "agreement.csv",
    }  # fmt: skip
    text = (tmp_path / "out" / "proxies.md").read_text()
    assert "| snip | 30 | 0 | 1.000" in text and "rho 0.600 A: not comparable" in text
    assert main(["--run", str(tmp_path / "one")]) == 0 and (tmp_path / "one" / "published.md").is_file()
    assert main(["macro", "--run", str(tmp_path / "one")]) == 2
    assert "leave TABLE and --list out" in capsys.readouterr().err
