"""Plans: the formula by hand, the fewest scores by trying all, and resampling as the referee."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy.stats import norm

from harness.analysis.plan import Gap, archs_needed, gap_of, plan, resampled
from harness.analysis.populations import population_of, share_of_space
from harness.cli.plan import main

Z = norm.ppf(0.975) + norm.ppf(0.8)


def test_architectures_by_the_formula() -> None:
    assert Gap(0.1, 0.5, 1000, 0.0, math.inf).archs() == math.ceil((Z * 0.5 / 0.1) ** 2)  # 197
    n = Gap(-0.02, 0.5, 1000, 0.0, 2000).archs()  # (25 z^2 = 4905) of a space of 2,000: 1 / (1/4905 + 1/2000)
    assert n == math.ceil(1 / (1 / (Z * 0.5 / 0.02) ** 2 + 1 / 2000)) and n < 2000
    assert Gap(0.0, 0.5, 1000, 0.0, 2000).archs() == math.inf
    assert Gap(0.1, 0.5, 1000, 0.0, math.inf).archs(0.95) > Gap(0.1, 0.5, 1000, 0.0, math.inf).archs(0.8)


def test_the_range_is_infinite_where_the_difference_may_be_none() -> None:
    assert Gap(0.1, 0.5, 50, 0.0, math.inf).range()[1] == math.inf  # error .071
    low, high = Gap(0.1, 0.5, 1000, 0.0, math.inf).range()  # error .0158
    assert low < 197 < high < math.inf
    assert Gap(0.1, 0.5, 1000, 1.0, math.inf).range() == (197, 197)  # the whole space is at hand


def test_draws_are_planned_for_the_fewest_scores() -> None:
    gap, shared, own = Gap(0.05, 0.6, 1000, 0.0, math.inf), 0.02, 0.4
    found = []
    for draws in range(1, 60):
        for archs in range(10, 2500):
            error = (0.36 - own**2) / archs + own**2 / archs / draws + shared**2 / draws
            if math.sqrt(error) * Z <= 0.05:
                found.append((archs * draws, archs, draws))
                break
    assert gap.archs_and_draws(shared, own) == min(found)[1:]
    assert gap.archs_and_draws(0.0, 0.0) == (gap.archs(), 1)
    assert gap.archs_and_draws(1.0, 0.0) == (math.inf, math.inf)  # a thousand draws are not enough


def test_plans_agree_with_resampling(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    part, share = population_of(run, "all", share_of_space(run)), share_of_space(run)
    for one, other in (("synflow", "snip"), ("l2_norm", "jacob_cov")):
        gap = gap_of(part, share, float(len(run.archs)), one, other)
        needed = resampled(part, one, other, gap.difference, gap.archs(), samples=150, seed=1)
        assert archs_needed(part, one, other, gap) == pytest.approx(needed, rel=0.15)


def test_counts_have_no_draws_and_unmeasured_ones_are_said(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    pairs = [("flops", "layers"), ("synflow", "flops"), ("snip", "flops")]
    found = plan(run, pairs, {"snip": (0.01, 0.3)}.get)
    assert found["draws_measured"].tolist() == [True, False, True]
    assert found.loc[0, "draws"] == 1 and math.isnan(found.loc[1, "draws"])
    assert (found["low"] < found["difference"]).all() and (found["archs_low"] <= found["archs"]).all()
    assert (found["archs"] <= found["archs_high"]).all()


def test_a_wanted_difference_takes_the_deviation_of_the_pair(digits_tasks: dict) -> None:
    (run,) = digits_tasks["201 digits"]
    (kept,), (found,) = (plan(run, [("synflow", "snip")], wanted=d).to_dict("records") for d in (None, 0.05))
    part, share = population_of(run, "all", share_of_space(run)), share_of_space(run)
    gap = gap_of(part, share, found["space"], "synflow", "snip")
    assert found["archs"] == gap.archs(difference=0.05) and found["deviation"] == kept["deviation"]
    assert found["difference"] == 0.05 and kept["difference"] > 0.05


def test_the_command_plans_and_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    common = ["--dataset", "digits", "--data", str(tmp_path)]
    assert main([*common, "synflow", "snip", "flops", "--out", str(tmp_path / "plan")]) == 0
    assert len((tmp_path / "plan" / "plan.csv").read_text().splitlines()) == 4
    assert (tmp_path / "plan" / "figures" / "plan.pdf").is_file()
    for words, said in (
        (["synflow"], "one score to tell apart"), (["synflow", "snipp"], "'snipp' (did you mean snip?)"),
        (["--power", "1"], "--power 1.0: expected a share"), (["--published", "snip"], "leave SCORE out"),
        (["--dataset", "digit"], "unknown task with kept scores"),
    ):  # fmt: skip
        capsys.readouterr()
        assert main([*common, *words, "--out", str(tmp_path / "other")]) == 2
        assert said in capsys.readouterr().err
