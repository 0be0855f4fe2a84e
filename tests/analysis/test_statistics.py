"""The records of the statistics: complete, documented, undefined below the number of architectures that they state."""

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.populations import Population
from harness.analysis.statistics import COLUMNS, STATISTICS, shown_in, statistics_of
from harness.report.style import definitions

PAGE = Path(__file__).parents[2] / "docs" / "concepts.md"


def population(n: int) -> Population:
    """`n` architectures of one size, scored with two seeds."""
    rng = np.random.default_rng(5)
    accuracy, params = np.array([90.0, 92.0, 91.0, *rng.uniform(80, 89, 40)])[:n], np.arange(43.0)[:n] % 3
    scores = np.array([[1.0, 2.0, 3.0, *rng.normal(size=40)], [1.0, 3.0, 2.5, *rng.normal(size=40)]])[:, :n]
    return Population(
        "all", accuracy, np.arange(n), params=params, strata=np.zeros(n), scores={"mine": scores}, seeds={"mine": 2},
        seconds={"mine": 0.5}, seed_accuracy=accuracy[:, None],
    )  # fmt: skip


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda each: each.name)
def test_a_statistic_is_undefined_below_its_number_of_architectures(statistic):
    assert np.isfinite(statistics_of("mine", population(statistic.fewest))[statistic.name])
    if statistic.fewest:
        assert np.isnan(statistics_of("mine", population(statistic.fewest - 1))[statistic.name])


def test_every_record_is_complete_and_in_one_table():
    assert len({each.name for each in STATISTICS}) == len({each.title for each in STATISTICS}) == len(STATISTICS)
    assert all((each.of_score is None) != (each.of_proxy is None) for each in STATISTICS)
    assert {each.direction for each in STATISTICS} == {"larger", "smaller", ""}
    assert sorted(each.name for each in shown_in("main", "stricter", "page")) == sorted(e.name for e in STATISTICS)


def test_columns_of_the_csv_are_stable():
    assert " ".join(COLUMNS) == (
        "population proxy n failed ties tau_b tau_b_low tau_b_high tau_a tau_weighted rho rho_low rho_high pearson"
        " rho_partial_params rho_partial_params_low rho_partial_params_high rho_top10pct rho_strata rho_strata_low"
        " rho_strata_high rho_worst rho_best regret_1 regret_10 regret_100 regret_1pct precision_10pct best_rank_10"
        " ndcg_10pct seconds rho_seed_sd rho_mean_score fitted"
        " reference_set"
    )


def test_docs_define_every_statistic():
    """Replace the table in docs/concepts.md by the lines of `definitions()`."""
    assert "\n".join(definitions()) in PAGE.read_text("utf-8")
