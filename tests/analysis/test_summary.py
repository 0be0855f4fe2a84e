"""The summary of a run: populations, seeds, failures, intervals, comparisons, degenerate cases, bad choices."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from benchmarks.errors import UserError
from harness import stats
from harness.analysis.statistics import COLUMNS
from harness.analysis.summary import summarise


@dataclass
class Run:
    """What summarise reads of a stored run."""

    archs: tuple
    index: np.ndarray
    accuracy: np.ndarray
    seed_accuracy: np.ndarray
    class_id: np.ndarray
    connected: np.ndarray
    params: np.ndarray
    conv_count: np.ndarray
    scores: dict
    seconds: dict = field(default_factory=dict)
    manifest: dict = field(default_factory=dict)


def make_run(n=120, seeds=2, space_size=10_000):
    """`n` architectures in classes of two, one in ten disconnected; good and bad scores, and the baselines."""
    rng = np.random.default_rng(0)
    quality = np.repeat(rng.normal(size=n // 2), 2)
    accuracy = np.round(80 + 3 * quality + 0.2 * rng.normal(size=n), 2)
    size = np.round(quality + rng.normal(size=n))

    def noisy(times):
        return quality + times * np.repeat(rng.normal(size=(seeds, n // 2)), 2, axis=1)

    return Run(
        archs=tuple(f"arch{i}" for i in range(n)),
        index=np.arange(n),
        accuracy=accuracy,
        seed_accuracy=accuracy[:, None] + 0.2 * rng.normal(size=(n, 3)),
        class_id=np.arange(n) // 2 * 2,
        connected=np.arange(n) % 10 != 0,
        params=size,
        conv_count=(size > 0).astype(int),
        scores={
            "good": noisy(0.3),
            "bad": -noisy(0.3),
            "same": np.tile(quality + 0.9 * size, (seeds, 1)),
            "params": np.tile(size, (seeds, 1)),
            "flops": size[None] ** 3,
            "layers": np.ones((1, n)),
        },
        seconds={"good": np.array([[0.5, np.nan] * (n // 2), [1.5, np.nan] * (n // 2)])},
        manifest={"space_size": space_size, "space_networks": space_size // 2, "unit": "networks"},
    )


@pytest.fixture(scope="module")
def run():
    return make_run()


@pytest.fixture(scope="module")
def summary(run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return summarise(run, resamples=200)


def row(summary, proxy, population="all"):
    table = summary.table
    return table[(table.population == population) & (table.proxy == proxy)].iloc[0]


def test_one_row_per_population_and_proxy(run, summary):
    assert list(summary.table.columns) == list(COLUMNS)
    expected = [(population, proxy) for population in ("all", "connected", "distinct") for proxy in run.scores]
    assert list(zip(summary.table.population, summary.table.proxy, strict=True)) == expected


def test_populations(run, summary):
    assert [row(summary, "good", name).n for name in ("all", "connected", "distinct")] == [120, 108, 60]
    first = np.arange(0, 120, 2)
    expected = np.mean([stats.spearman(score[first], run.accuracy[first]) for score in run.scores["good"]])
    assert row(summary, "good", "distinct").rho == pytest.approx(expected)


def test_distinct_prefers_the_member_that_the_class_is_named_after(run):
    named = replace(run, class_id=np.arange(120) // 2 * 2 + 1)
    second = np.arange(1, 120, 2)
    expected = np.mean([stats.spearman(score[second], run.accuracy[second]) for score in run.scores["good"]])
    assert row(summarise(named, resamples=5), "good", "distinct").rho == pytest.approx(expected)


def test_statistics_are_means_over_seeds(run, summary):
    good = row(summary, "good")
    rho = [stats.spearman(score, run.accuracy) for score in run.scores["good"]]
    assert good.rho == pytest.approx(np.mean(rho))
    assert good.rho_seed_sd == pytest.approx(np.std(rho, ddof=1))
    assert good.rho_mean_score == pytest.approx(stats.spearman(run.scores["good"].mean(axis=0), run.accuracy))
    assert good.rho_mean_score > good.rho
    assert good.regret_1 == pytest.approx(
        np.mean([stats.top_k_regret(score, run.accuracy, 1) for score in run.scores["good"]])
    )
    assert good.seconds == pytest.approx(1.0)
    assert row(summary, "same").rho_seed_sd == 0
    assert np.isnan(row(summary, "flops").rho_seed_sd)


def test_each_column_is_its_statistic(run, summary):
    score, accuracy, same = run.scores["same"][0], run.accuracy, row(summary, "same")
    assert same.ties == stats.tied(score)
    assert same.tau_b == stats.kendall_tau_b(score, accuracy)
    assert same.tau_a == stats.kendall_tau_a(score, accuracy)
    assert same.tau_weighted == stats.weighted_tau(score, accuracy)
    assert same.pearson == stats.pearson(score, accuracy)
    assert same.rho_partial_params == stats.partial_spearman(score, accuracy, run.params)
    assert same.rho_top10pct == stats.top_spearman(score, accuracy)
    strata = stats.stratum_spearman(score, accuracy, stats.size_strata(run.params, run.conv_count))
    assert same.rho_strata == stats.strata_mean(strata)
    assert (same.rho_worst, same.rho_best) == pytest.approx((same.rho, same.rho))
    for k, name in ((1, "regret_1"), (10, "regret_10"), (100, "regret_100"), (2, "regret_1pct")):
        assert same[name] == stats.top_k_regret(score, accuracy, k)
    assert same.precision_10pct == stats.precision_at_k(score, accuracy, 12)
    assert same.best_rank_10 == stats.best_rank_at_k(score, accuracy, 10)
    assert same.ndcg_10pct == stats.ndcg_at_k(score, accuracy, 12)


def test_direction_is_kept(summary):
    assert row(summary, "good").rho > 0.8
    assert row(summary, "bad").rho < -0.8
    assert row(summary, "bad").regret_1 > row(summary, "good").regret_1


def test_intervals_hold_the_statistic_and_repeat(run, summary):
    for name in ("good", "bad", "same", "params"):
        one = row(summary, name)
        assert one.tau_b_low < one.tau_b < one.tau_b_high
        assert one.rho_low < one.rho < one.rho_high
        if name != "params":
            assert one.rho_partial_params_low < one.rho_partial_params < one.rho_partial_params_high
    again = summarise(run, resamples=200)
    assert again.table.equals(summary.table)
    assert again.differences.equals(summary.differences)
    assert not summarise(run, resamples=200, seed=1).table.equals(summary.table)


def test_whole_space_has_no_intervals_unless_asked(run):
    whole = replace(run, manifest={"space_size": 120})
    without, asked = summarise(whole, resamples=50), summarise(whole, resamples=50, intervals="always")
    columns = [f"{name}_{end}" for name in ("tau_b", "rho", "rho_partial_params") for end in ("low", "high")]
    assert without.table[columns].isna().all(axis=None)
    assert asked.table.loc[asked.table.proxy == "good", columns].notna().all(axis=None)
    assert (without.settings["intervals"], asked.settings["intervals"]) == (False, True)
    gaps = without.differences.set_index(["population", "proxy"])
    assert gaps.p_value.isna().all()
    assert gaps.better["all", "good"] is True
    assert gaps.better["all", "bad"] is False
    assert gaps.better["all", "layers"] is None
    never = summarise(run, intervals="never")
    assert never.table[columns].isna().all(axis=None)
    assert set(never.differences.better) == {None}


def test_failures_leave_and_are_bounded():
    run = make_run()
    run.scores["good"][0, :3] = [np.nan, np.inf, -np.inf]
    run.scores["good"][1, 3] = np.nan
    run.accuracy[5] = np.nan
    summary = summarise(run, resamples=50)
    good = row(summary, "good")
    assert (good.n, good.failed) == (115, 4)
    left = [stats.spearman(score, run.accuracy) for score in run.scores["good"]]
    assert good.rho == pytest.approx(np.mean(left))
    assert good.rho_worst < good.rho_best
    assert row(summary, "params").n == 119
    assert row(summary, "params").failed == 0
    common = [np.isfinite(score) & np.isfinite(run.accuracy) for score in run.scores["good"]]
    name = summary.settings["baseline"]["all"]
    expected = np.mean(
        [
            stats.spearman(score[both], run.accuracy[both])
            - stats.spearman(run.scores[name][0][both], run.accuracy[both])
            for score, both in zip(run.scores["good"], common, strict=True)
        ]
    )
    difference = summary.differences.set_index(["population", "proxy"]).rho_difference["all", "good"]
    assert difference == pytest.approx(expected)


def test_ten_units_are_needed_for_an_interval(run):
    def ends(n):
        first = {name: value[:n] for name, value in vars(run).items() if isinstance(value, (tuple, np.ndarray))}
        scores = {name: rows[:, :n] for name, rows in run.scores.items()}
        summary = summarise(Run(**first, scores=scores, manifest=run.manifest), resamples=20)
        columns = [name for name in summary.table if name.endswith(("_low", "_high"))]
        return summary.table.loc[summary.table.proxy == "good", columns], summary.differences

    few, gaps = ends(18)  # nine networks
    assert few.isna().all(axis=None)
    assert gaps.loc[gaps.proxy == "good", ["low", "high", "p_value"]].isna().all(axis=None)
    assert ends(20)[0].notna().any(axis=None)


def test_a_sample_of_strings_is_resampled_by_strings_and_shrinks():
    run = make_run()
    by_network = summarise(run, resamples=200, populations=("all",))
    strings = replace(run, manifest={"space_size": 10**9, "unit": "strings"})
    half = replace(run, manifest={"space_size": 160, "unit": "strings"})
    wide, narrow, halved = (
        row(each, "good").rho_high - row(each, "good").rho_low
        for each in (by_network, *(summarise(one, resamples=200, populations=("all",)) for one in (strings, half)))
    )
    assert narrow < 0.85 * wide  # classes of two
    assert halved == pytest.approx(narrow / 2, rel=0.02)
    assert "networks" in by_network.settings["method"]
    assert summarise(half, resamples=20).settings["share"] == 0.75


def test_differences_from_the_best_baseline(run, summary):
    assert summary.settings["baseline"]["all"] == "params"
    gaps = summary.differences[summary.differences.population == "all"].set_index("proxy")
    assert list(gaps.index) == ["good", "bad", "same", "flops", "layers"]
    good, truth = row(summary, "good"), row(summary, "params")
    assert gaps.rho_difference["good"] == pytest.approx(good.rho - truth.rho)
    assert gaps.low["good"] < gaps.rho_difference["good"] < gaps.high["good"]
    assert gaps.better["good"] is True
    assert gaps.better["bad"] is False
    assert gaps.better["flops"] is None  # the same order as params
    assert gaps.p_value["flops"] == 1
    np.testing.assert_allclose(gaps.p_adjusted, stats.holm(gaps.p_value), equal_nan=True)
    assert np.isnan(gaps.p_value["layers"])


def test_the_best_of_all_counts_is_the_baseline(run):
    better = run.scores["params"] + 0.5 * run.accuracy
    found = summarise(replace(run, scores={**run.scores, "flops_reachable": better}), resamples=5)
    assert set(found.settings["baseline"].values()) == {"flops_reachable"}
    assert set(found.differences.baseline) == {"flops_reachable"}


def test_params_before_flops_where_they_are_equal(run):
    reordered = replace(run, scores=dict(reversed(run.scores.items())))
    assert summarise(reordered, resamples=5).settings["baseline"] == dict.fromkeys(
        ("all", "connected", "distinct"), "params"
    )


def test_the_better_of_two_baselines_is_taken(run):
    worse = (run.params + 3 * np.random.default_rng(1).normal(size=120))[None]
    assert stats.spearman(worse[0], run.accuracy) < stats.spearman(run.params, run.accuracy)
    for weak, strong in (("params", "layers"), ("layers", "params")):
        scores = {"good": run.scores["good"], weak: worse, strong: run.params[None]}
        assert summarise(replace(run, scores=scores), resamples=5).settings["baseline"]["all"] == strong


def test_the_manifest_marks_the_baselines_and_old_ones_go_by_name(run):
    assert summarise(run, resamples=2).baselines == ("params", "flops", "layers")
    marked = {name: {"baseline": name in ("bad", "flops")} for name in run.scores}
    found = summarise(replace(run, manifest={"proxies": marked}), resamples=2)
    assert found.baselines == ("bad", "flops")
    assert set(found.differences.baseline) == {"flops"}  # `bad` is listed as a baseline, not compared with


def test_baseline_can_be_named(run):
    gaps = summarise(run, resamples=50, baseline="same").differences
    assert set(gaps.baseline) == {"same"}
    assert "same" not in set(gaps.proxy)


def test_no_baseline_no_differences(run):
    alone = summarise(replace(run, scores={"good": run.scores["good"]}), resamples=50)
    assert alone.settings["baseline"]["all"] is None
    assert len(alone.differences) == 0
    assert "better" in alone.differences


def test_regret_curves(run, summary):
    curve = summary.regret[summary.regret.population == "all"]
    assert set(curve.proxy) == {*run.scores, "random picks"}
    assert sorted(set(curve.k)) == [1, 2, 5, 10, 20, 50, 100, 120]
    assert (curve[curve.k == 120].regret == 0).all()
    drawn, layers = (curve[curve.proxy == name].regret.to_numpy() for name in ("random picks", "layers"))
    np.testing.assert_allclose(drawn, layers)  # a constant score picks at random
    assert (np.diff(drawn) < 0).all()


def test_agreement_is_the_mean_over_seeds(run, summary):
    agreement = summary.agreement["all"]
    assert list(agreement.index) == list(agreement.columns) == list(run.scores)
    each = [stats.spearman(one, other) for one, other in zip(run.scores["good"], run.scores["bad"], strict=True)]
    assert agreement.loc["good", "bad"] == pytest.approx(np.mean(each))
    assert agreement.loc["params", "flops"] == pytest.approx(1)
    assert agreement.loc["good", "flops"] == pytest.approx(
        np.mean([stats.spearman(score, run.params) for score in run.scores["good"]])
    )


def test_strata_and_ceiling(run, summary):
    strata = summary.strata[(summary.strata.population == "all") & (summary.strata.proxy == "good")]
    assert strata.n.sum() == 120
    assert list(summary.ceiling.population) == ["all", "connected", "distinct"]
    assert summary.ceiling.rho_single.between(0.9, 1).all()
    assert np.isnan(summarise(replace(run, seed_accuracy=np.empty((120, 0))), resamples=5).ceiling.rho_single).all()


def test_notes_say_what_a_number_hides(summary):
    assert "all, layers: the score is constant, so its correlations are undefined" in summary.notes
    run = make_run()
    run.scores["good"][:, 50:] = np.nan
    assert "all, good: only 50 finite scores, so a larger top k holds just these" in summarise(run, resamples=5).notes


@pytest.mark.parametrize("n", [0, 2, 4])
def test_too_few_architectures(n):
    run = make_run()
    few = {
        name: value[:n] if isinstance(value, (tuple, np.ndarray)) else value
        for name, value in vars(run).items()
        if name not in ("scores", "seconds")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = {name: rows[:, :n] for name, rows in run.scores.items()}
        summary = summarise(Run(**few, scores=scores), resamples=20)
    assert len(summary.table) == 18
    assert (row(summary, "good").n, np.isnan(row(summary, "good").rho)) == (n, n < 3)
    assert np.isnan(row(summary, "good").regret_1) == (n == 0)


def test_failed_everywhere(run):
    failed = replace(run, scores={**run.scores, "broken": np.full((2, 120), np.nan)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        broken = row(summarise(failed, resamples=20), "broken")
    assert (broken.n, broken.failed, broken.ties) == (0, 120, 0)
    undefined = ["rho", "tau_b", "rho_low", "regret_1", "ndcg_10pct", "rho_worst"]
    assert broken[undefined].isna().all()
    assert broken.precision_10pct == 0


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"populations": ("al", "distnct")},
            "unknown population: 'al' .did you mean all.*'distnct' .did you mean dist",
        ),
        ({"populations": ()}, "no population to summarise; expected some of all, connected, distinct"),
        ({"baseline": "parms"}, "unknown baseline: 'parms' .did you mean params"),
        ({"intervals": "alway"}, "unknown choice of intervals: 'alway' .did you mean always"),
        ({"resamples": 1}, "1 bootstrap resamples are too few; expected at least 2, 1000 is usual"),
    ],
)
def test_bad_choices(run, choice, message):
    with pytest.raises(UserError, match=message):
        summarise(run, **choice)
