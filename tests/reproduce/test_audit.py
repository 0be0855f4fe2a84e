"""The audit of published gains: what is a stated gain, its noise by hand, and what is said where nothing is known."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness.analysis.plan import gap_of
from harness.analysis.populations import population_of, share_of_space
from harness.reproduce import audit
from harness.reproduce.draws import draw_error

HEAD = "proxy,bench,dataset,population,statistic,value,n,source,note\n"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "published.csv"
    monkeypatch.setattr(audit, "PATH", path)
    return path


def test_every_difference_to_the_best_is_a_stated_gain_with_its_noise(table: Path, digits_tasks: dict) -> None:
    table.write_text(HEAD + "".join(
        f"{proxy},201,digits,all,rho,{value},500,a paper,mean of 4 runs\n"
        for proxy, value in (("synflow", "0.6"), ("snip", "0.55"), ("flops", "0.21"), ("unheard", "0.5"))
    ))  # fmt: skip
    (run,) = digits_tasks["201 digits"]
    found = audit.audit(digits_tasks).set_index("other")
    assert set(found["best"]) == {"synflow"} and list(found.index) == ["snip", "flops", "unheard"]
    gap = gap_of(population_of(run, "all", share_of_space(run)), 1.0, 15625, "synflow", "snip")
    sampling = gap.deviation * math.sqrt(1 / 500 - 1 / 15625)
    draws = math.hypot(draw_error(["synflow"], "rho", 500, 4), draw_error(["snip"], "rho", 500, 4))
    noise = math.sqrt(sampling**2 + draws**2 + 2 * 0.01**2 / 12)
    assert found.loc["snip", "noise"] == pytest.approx(noise)
    assert found.loc["snip", "verdict"] == ("within noise" if 1.96 * noise > 0.05 else "beyond noise")
    assert found.loc["flops", "verdict"] == "beyond noise" and found.loc["flops", "assumed"] == ""
    assert found.loc["unheard", "assumed"] == "sampling, draws"


def test_a_whole_space_has_no_sampling_error_and_an_unknown_n_no_verdict(table: Path, digits_tasks: dict) -> None:
    rows = [("synflow", 0.6002, 15625), ("flops", 0.6, 15625), ("synflow", 0.61, ""), ("flops", 0.2, "")]
    table.write_text(HEAD + "".join(f"{name},201,digits,all,tau_b,{value},{n},p,\n" for name, value, n in rows))
    found = audit.audit(digits_tasks)
    assert found.loc[0, "sampling"] == 0 and found.loc[0, "draws"] == draw_error(["synflow"], "tau_b", 15625)
    assert found["verdict"].tolist() == ["within noise", "n not stated"]


def test_each_published_gain_is_named() -> None:
    groups = audit.published()
    assert len(groups) > 60 and sum(len(values) - 1 for values in groups.values()) > 250
    assert all((key[1], key[3]) in audit.SIZES for key in groups)
