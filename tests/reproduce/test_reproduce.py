"""Published tables compared with ours: what is declared is valid, verdicts by hand, a made-up table from end to end."""

import dataclasses
import inspect
import json
import math
import shlex

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from tiny import embed, tiny_table

import benchmarks
from benchmarks.benchmark import BENCHMARKS, space_of
from benchmarks.errors import UserError
from benchmarks.table import save_tables
from harness import stats
from harness.analysis.populations import POPULATIONS
from harness.cli.operations import parser as of_operations
from harness.cli.reproduce import main
from harness.cli.search import parser as of_searches
from harness.cli.supernet_search import parser as of_supernets
from harness.cli.train import parser as of_training
from harness.operations.scores.registry import choose as operation_scores
from harness.operations.search.methods import asked
from harness.proxies.protocols import PROTOCOLS
from harness.proxies.registry import registry
from harness.reproduce import (
    compare,
    correlations,
    draws,
    facts,
    page,
    recipes,
    result_folders,
    score_sets,
    session,
    verdict,
)
from harness.reproduce.recipes import CAUSES, KINDS, Cause, Published, Recipe, causes, choose, tables
from harness.reproduce.verdict import ABSENT, AGREES, DIFFERS, UNDECIDED

HOSTILE = "<script>x</script>|"
VALUES = [(table, value) for table in tables() for value in table.values]

# What is declared


def test_tables_are_of_what_there_is():
    assert len({table.name for table in tables()}) == len(tables())
    for table in tables():
        assert table.kind in KINDS and table.protocol in PROTOCOLS and table.split in ("test", "valid")
        assert bool(table.values) == (table.kind != "unanswered") and (table.values or table.reason)
        assert (table.kind in ("operations", "search")) == bool(table.folder and table.command)
    for table, published in VALUES:
        assert published.bench in BENCHMARKS and published.dataset in space_of_datasets(published.bench), (
            table.name,
            published,
        )
        assert math.isfinite(published.value)


def space_of_datasets(bench):
    return {"201": ("cifar10", "cifar100", "imagenet16-120"), "darts": ("cifar10", "cifar100", "imagenet"),
            "mobilenet": ("imagenet",)}.get(bench, ("cifar10",))  # fmt: skip


def test_values_can_be_made():
    known = registry()
    for table, published in VALUES:
        if table.kind == "correlation":
            parts = (
                score_sets.COMBINED[published.method].members
                if published.method in score_sets.COMBINED
                else [published.method]
            )
            assert set(parts) <= known.keys() and published.population in ("all", "connected", "distinct"), published
            assert published.measure in ("rho", "tau_b", "concordance") and abs(published.value) <= 1
        elif table.kind == "fact":
            inspect.signature(facts.MEASURES[published.measure]).bind(None, **published.args)
            assert published.digits is not None
        elif table.kind == "operations":
            operation_scores(published.args["score"])
        elif table.kind == "search":
            assert len(published.args.keys() & {"column", "operation"}) == 1
        assert published.sd is None or published.sd > 0 or (published.sd == published.value == 0)


def test_every_published_correlation_is_in_one_table():
    sources = [source for table in tables() for source in table.sources]
    assert len(sources) == len(set(sources))
    assert {each.source for each in recipes.published_correlations()} == set(sources)
    assert sum(len(table.values) for table in tables() if table.kind == "correlation") >= 300


def test_commands_are_accepted():
    for table in tables():
        if table.command:
            _, _, module, *words = shlex.split(table.command)
            parsers = {"harness.operations": of_operations, "harness.train": of_training}
            parsers["harness.search"] = of_supernets if asked(words) else of_searches
            parsers[module]().parse_args([*words, "--out", "out"])


def test_causes_are_of_values_and_say_which_run_shows_them():
    words = {correlations.TAU_A, correlations.ALL_LAYERS, *correlations.SPLITS.values()}
    words |= {f"population {name}" for name in POPULATIONS} | {f"`{name}`" for name in registry()}
    for cause in causes():
        assert cause.kind in CAUSES and cause.text and "\n" not in cause.text
        fitting = [published for table, published in VALUES if cause.fits(table, published)]
        assert fitting and {published.method for published in fitting} >= set(cause.methods), cause
        assert cause.command or cause.alternative, cause
        assert set(filter(None, cause.alternative.split(", accuracy "))) <= words, cause
        if cause.command:
            assert cause.command.startswith("python -m "), cause


def test_the_first_cause_that_fits_is_taken(monkeypatch):
    listed = (Cause("t", "", "", "", ("snip",), "draw", "one"), Cause("t", "201", "", "", (), "open", "two"))
    monkeypatch.setattr(recipes, "causes", lambda: listed)
    table = Recipe("t", "correlation", "somebody", splits={"cifar10": "valid"})
    assert table.split_of(Published("snip", "201", "cifar10", "rho", 0.5)) == "valid"
    assert table.split_of(Published("snip", "201", "cifar100", "rho", 0.5)) == "test"
    published = Published("snip", "201", "cifar10", "rho", 0.5)
    assert recipes.cause_of(table, published).text == "one"
    assert recipes.cause_of(table, Published("fisher", "201", "cifar10", "rho", 0.5)).text == "two"
    assert recipes.cause_of(table, Published("fisher", "101", "cifar10", "rho", 0.5)) is None


# Verdicts


def test_verdicts_by_hand():
    """Margins are .02 between whole spaces and .05 otherwise (rho), .015 and .035 (tau-b); 1.645 errors either side."""

    def judged(published, ours, error, measure="rho", whole=False, **more):
        return verdict.correlation(published, ours, error, measure, whole=whole, **more)

    assert judged(0.6, 0.58, 0.018).name == AGREES  # 0.02 + 0.0296 is below 0.05
    assert judged(0.6, 0.58, 0.019).name == UNDECIDED
    assert judged(0.6, 0.53, 0.012).name == DIFFERS  # 0.07 - 0.0197 is above 0.05
    assert judged(0.6, 0.53, 0.013).name == UNDECIDED
    assert judged(0.6, 0.58, 0.0, whole=True).name == AGREES and judged(0.6, 0.5799, 0.0, whole=True).name == DIFFERS
    assert judged(0.6, 0.585, 0.0, "tau_b", whole=True).name == AGREES
    assert judged(0.6, 0.5849, 0.0, "tau_b", whole=True).name == DIFFERS
    assert judged(0.6, 0.5649, 0.0, "tau_b").name == DIFFERS and judged(0.6, 0.565, 0.0, "tau_b").name == AGREES
    turned = judged(0.3, -0.28, 0.001, absolute=True)
    assert turned.name == AGREES and turned.away == pytest.approx(-0.02) and judged(0.3, -0.28, 0.001).name == DIFFERS
    assert judged(0.3, 0.28, 0.01).differs_from_0 and not judged(0.3, 0.28, 0.011).differs_from_0
    assert judged(0.3, math.nan, 0.01).name == ABSENT == judged(0.3, 0.3, math.nan).name
    assert verdict.exact(0.7718, 0.77184, 4).name == AGREES and verdict.exact(0.7718, 0.77186, 4).name == DIFFERS
    assert verdict.exact(166, 167, 0).name == DIFFERS and verdict.exact(166, 167, 0).away == 1
    assert verdict.exact(1, math.nan, 0).name == ABSENT


def test_means_over_seeds_differ_where_the_t_test_says_so():
    """By hand: t = d / (s sqrt(1/n + 1/m)), s pooled; two-sided 5 % at 3 degrees of freedom is 3.182, at 8 2.306."""
    seeds = verdict.seeds
    assert seeds(94.0, 0.2, 4, 93.85, 0.1, 4).name == AGREES  # the published deviation is the larger; t = 1.34
    assert seeds(0.75, None, 1, 0.5, 0.144, 4).name == UNDECIDED  # t = 0.25 / (0.144 * 1.118) = 1.55
    assert seeds(0.96, None, 1, 0.45, 0.144, 4).name == UNDECIDED  # 3.168
    assert seeds(0.97, None, 1, 0.45, 0.144, 4).name == DIFFERS  # 3.230
    assert seeds(0.275, 0.0713, 5, 0.125, 0.0625, 5).name == DIFFERS  # 0.15 / (0.0670 * 0.6325) = 3.54
    assert seeds(0.275, 0.0713, 5, 0.180, 0.0625, 5).name == UNDECIDED  # 2.24, and 0.095 apart
    assert seeds(0.6, 0.16, None, 0.4, 0.16, 16).name == UNDECIDED  # how many is not said, so as for one: t = 1.21
    assert seeds(0.6, 0.16, 16, 0.4, 0.16, 16).name == DIFFERS  # 3.54
    assert seeds(0.633, None, 1, 0.65, 0.0, 3).name == DIFFERS and seeds(0.65, None, 1, 0.65, 0.0, 3).name == AGREES
    assert seeds(94.0, None, 1, 93.85, math.nan, 1).name == ABSENT == seeds(94.0, 0.2, 4, math.nan, math.nan, 4).name


def test_one_vote_for_each_paper_score_and_dataset():
    """rho agrees and tau-b cannot be told: agrees. One that differs: differs. Facts do not vote."""
    names = [("a", "snip", AGREES), ("a", "snip", UNDECIDED), ("a", "plain", AGREES), ("a", "plain", DIFFERS),
             ("b", "snip", UNDECIDED), ("b", "zen", ABSENT)]  # fmt: skip
    rows = pd.DataFrame(names, columns=["table", "method", "verdict"])
    rows = rows.assign(bench="201", dataset="cifar10", kind="correlation", n=range(100, 700, 100))
    rows = pd.concat([rows, rows[:1].assign(table="c", kind="fact")])
    cast = verdict.votes(rows)
    assert cast["verdict"].tolist() == [AGREES, DIFFERS, UNDECIDED] and cast["n"].tolist() == [100, 300, 500]
    assert cast["values"].tolist() == [2, 2, 1]


def test_shuffled_values_agree_by_chance(monkeypatch):
    """Two scores whose published values are apart agree in the half of the shuffles that leaves them in place."""
    rows = pd.DataFrame({"table": "a", "bench": "201", "dataset": "cifar10", "kind": "correlation", "measure": "rho",
                         "method": ["snip", "zen"], "n": 100, "verdict": AGREES, "published": [0.2, 0.8],
                         "away": [0.01, 0.0], "error": 0.001, "margin": 0.05})  # fmt: skip
    monkeypatch.setattr(verdict, "SHUFFLES", 200)
    found = verdict.shuffled(rows)
    assert found[AGREES] == pytest.approx(0.5, abs=0.1) and found[DIFFERS] == pytest.approx(1 - found[AGREES])


def test_draws_add_what_all_architectures_share_and_what_each_has_alone(monkeypatch, tmp_path):
    path = tmp_path / "draws.csv"
    path.write_text("proxy,statistic,shared,own\nsnip,rho,0.03,0.4\nzen,rho,0.01,0.2\nsnip,tau_b,0.02,0.0\n")
    monkeypatch.setattr(draws, "PATH", path)
    draws.measured.cache_clear()
    assert draws.draw_error(["snip"], "rho", 100) == pytest.approx(0.05)
    assert draws.draw_error(["snip"], "rho", 100, draws=4) == pytest.approx(0.025)
    both = math.sqrt((0.03**2 + 0.4**2 / 100 + 0.01**2 + 0.2**2 / 100) / 2)
    assert draws.draw_error(["snip", "zen"], "rho", 100) == pytest.approx(both)
    assert draws.draw_error(["new"], "rho", 100) == pytest.approx(both)  # was not measured
    assert draws.draw_error(["snip"], "concordance", 100) == pytest.approx(0.01)
    draws.measured.cache_clear()


# A made-up table


@pytest.fixture(scope="module")
def real_201():
    """NAS-Bench-201 with a table of made-up accuracies of all its cells of one convolution and one pooling."""
    cell = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|none~1|none~2|"
    space, table = space_of("201"), tiny_table(20, dataset="cifar10")
    table = dataclasses.replace(table, archs=(cell, *[arch for arch in table.archs if arch != cell][:19]))
    return benchmarks.Benchmark(
        space, table, np.array([space.index(a) for a in table.archs]), {**space.network, "classes": 10}, 32, False
    )


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A data folder with 60 strings of NAS-Bench-201, scores of them, and tables about both; its path."""
    accuracy = 50 + np.arange(60) / 2
    planes = np.stack([accuracy[::-1], accuracy], axis=1)[:, :, None, None]
    table = tiny_table(60, dataset="cifar10", epochs=(200,), seeds=("mean",), accuracy=planes)
    save_tables(tmp_path / "nasbench201.h5", [table])
    archs = table.archs
    rng = np.random.default_rng(0)
    near = accuracy + rng.normal(size=60)
    scores = pd.DataFrame({"arch": archs, "snip": near, "plain": -near, "naswot": near})
    scores.loc[3, "naswot"] = np.nan
    scores_of = score_sets.merged([scores, scores[:9].assign(zen=1.0)], "cifar10", "default", [{"scores": "mine"}])
    for module in (score_sets, session):
        monkeypatch.setattr(module, "kept", lambda bench, protocol="default": scores_of if bench == "201" else None)

    def published(method, value, **more):
        return Published(method, "201", "cifar10", more.pop("measure", "rho"), value, population="all", **more)

    listed = (
        Recipe("mine", "correlation", HOSTILE, values=(
            published("snip", 0.99), published("naswot", 0.2, note=HOSTILE), published("plain", 0.99, absolute=True),
            published("plain", 0.99), published("fisher", 0.5), published("params", 0.5, n=15_625),
            published("zen", 0.1),
        )),
        Recipe("other", "fact", "facts", values=(
            Published("best", "201", "cifar10", "best", 79.5, digits=1),
            Published("n", "201", "cifar10", "strings", 61, digits=0),
            Published("best", "macro", "cifar10", "best", 93.1, digits=1),
        )),
        Recipe("nobody", "unanswered", "nobody", count=7, reason="no data"),
    )  # fmt: skip
    monkeypatch.setattr(recipes, "tables", lambda: listed)
    shown = {"command": "python -m mine", "result": "it was"}
    monkeypatch.setattr(recipes, "causes", lambda: (Cause("mine", "", "", "", ("plain",), "sign", "a sign", **shown),))
    monkeypatch.setattr(draws, "PATH", tmp_path / "draws.csv")
    draws.PATH.write_text("proxy,statistic,shared,own\nsnip,rho,0.001,0.0\n")
    draws.measured.cache_clear()
    yield tmp_path
    draws.measured.cache_clear()


def test_a_made_up_table(made_up):
    made = compare.reproduce(recipes.tables(), data=str(made_up), out=made_up / "out")
    rows = made.rows
    assert rows["verdict"].tolist() == [AGREES, DIFFERS, AGREES, DIFFERS, ABSENT, DIFFERS, ABSENT,
                                        AGREES, DIFFERS, ABSENT, ABSENT]  # fmt: skip
    frame = score_sets.kept("201").frame
    test = benchmarks.load("201", "cifar10", str(made_up)).table.target("test")
    assert rows["value"][0] == pytest.approx(spearmanr(frame["snip"], test).statistic)
    assert rows["n"].tolist()[:4] == [60, 59, 60, 60]
    assert rows["value"][2] < 0 and rows["away"][2] == pytest.approx(-rows["value"][2] - 0.99)
    assert (rows["cause_kind"][3], rows["cause"][3]) == ("sign", "a sign")
    assert (rows["command"][3], rows["result"][3]) == ("python -m mine", "it was")
    assert (rows["cause_kind"][1], rows["command"][1]) == ("open", "python -m harness.reproduce mine --full")
    assert compare.without_cause(rows)["method"].tolist() == ["naswot", "params", "n"]
    assert "--proxies fisher" in rows["cause"][4] and "constant" in rows["cause"][6]
    assert rows["n"][5] == 60 and rows["low"][5] < rows["value"][5] < rows["high"][5]
    assert "macro" in rows["cause"][9] and "get " in rows["cause"][9]
    overall = compare.shares(rows).iloc[0]
    assert (overall.published, overall.checked, overall.agrees) == (11, 7, 3)
    by_table = compare.shares(rows, ["table"]).set_index("table")
    assert by_table.loc["nobody", "checked"] == 0 and math.isnan(by_table.loc["nobody", "share"])
    table = benchmarks.load("201", "cifar10", str(made_up)).table
    assert made.files["201 cifar10"] == {"source": table.source, "sha256": table.checksum, "architectures": 60}


def test_what_was_measured_names_what_is_closer(made_up):
    """Validation accuracy is the test accuracy turned round, so it turns rho round."""
    judge = correlations.Judge(benchmarks.load("201", "cifar10", str(made_up)), score_sets.kept("201"))
    published = Published("snip", "201", "cifar10", "rho", -0.9, population="all")
    ours, others = judge.estimate(published, "test"), judge.alternatives(published, "test")
    assert f"validation accuracy: {-ours.value:.3f}" in compare._measured(published, others, ours)
    better = Published("snip", "201", "cifar10", "rho", 0.999, population="all")
    assert compare._measured(better, others, ours).startswith("no other population")


def test_another_choice_is_a_cause_only_where_ours_agrees_with_it(made_up, monkeypatch):
    listed = (Cause("mine", "", "", "", (), "accuracy", "other accuracy", alternative="validation accuracy"),)
    monkeypatch.setattr(recipes, "causes", lambda: listed)
    values = (Published("snip", "201", "cifar10", "rho", value, population="all") for value in (-0.99, -0.5))
    rows = compare.reproduce([Recipe("mine", "correlation", "x", values=tuple(values))], data=str(made_up)).rows
    assert rows["verdict"].tolist() == [DIFFERS, DIFFERS] and rows["cause_kind"].tolist() == ["accuracy", "open"]
    assert "which agrees" in rows["result"][0] and rows["command"][0] == "python -m harness.reproduce mine"
    assert not rows["result"][1]


def test_errors_of_samples_fall_with_their_size_and_vanish_where_all_was_scored():
    """Against the deviation over random samples of 200 of 2,000."""
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=2000)
    scores = accuracy + rng.normal(size=2000)
    whole = correlations.Sample(scores, accuracy, size=2000)
    for measure, statistic in (("rho", stats.spearman), ("tau_b", stats.kendall_tau_b)):
        drawn = [rng.choice(2000, 200, replace=False) for _ in range(400)]
        spread = np.std([statistic(scores[at], accuracy[at]) for at in drawn])
        sample = correlations.Sample(scores[drawn[0]], accuracy[drawn[0]], share=0.1, size=2000)
        assert sample.error(measure) == pytest.approx(spread, rel=0.2)
        assert whole.deviation(measure) / math.sqrt(200) * math.sqrt(0.9) == pytest.approx(spread, rel=0.1)
        assert whole.error(measure) == 0
        others = scores + rng.normal(0, 0.5, size=2000)
        spread = np.std([statistic(scores[at], accuracy[at]) - statistic(others[at], accuracy[at]) for at in drawn])
        other = correlations.Sample(others[drawn[0]], accuracy[drawn[0]], share=0.1, size=2000)
        assert sample.error(measure, other) == pytest.approx(spread, rel=0.2)
        assert sample.error(measure, sample) == 0 < sample.error(measure, other) < sample.error(measure)
    votes = correlations.Sample(np.stack([scores, scores]), accuracy)
    assert votes.deviation("concordance") == pytest.approx(whole.deviation("tau_b") / 2)


def test_flops_of_all_layers_by_hand(real_201):
    """A cell of one 3x3 convolution, one pooling and four times nothing: 5 edges a stage, 16 x 32 x 32 units first."""
    judge = correlations.Judge(real_201, None)
    cell = "|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|none~0|none~1|none~2|"
    at = real_201.table.archs.index(cell)
    units = 5 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
    assert judge._all_layers()[at] - judge.counts["flops"][at] == units * (2 + 9)


def test_the_command_writes_a_page_that_says_the_same(made_up, capsys):
    out = made_up / "out"
    assert main(["--data", str(made_up), "--out", str(out)]) == 0
    printed, headline = capsys.readouterr().out, "Of 4 published correlations, one vote each, 1 agree (25 %), 3 differ"
    assert headline in printed and "2 of those that differ have no measured cause" in printed
    assert "causes of values that differ" in printed and "not shown by a run" in printed
    html, text = ((out / f"reproduction.{end}").read_text("utf-8") for end in ("html", "md"))
    assert "<script" not in html and "&lt;script&gt;" in html and "<script" not in text
    assert "differs by" in html and "not comparable" in html and headline in html and headline in text
    assert "would settle it" in html and "Shown by" in html
    frame, manifest = pd.read_csv(out / "reproduction.csv"), json.loads((out / "manifest.json").read_text())
    assert list(frame.columns) == list(compare.COLUMNS) and len(frame) == 11
    counted = {"published": 11, "checked": 7, "agrees": 3, "undecided": 0, "differs": 4}
    assert manifest["by_table"]["mine"] == [5, 2, 0, 3] and manifest["values"] == counted
    assert manifest["votes"] == {"agrees": 1, "differs": 3, "without cause": 2}
    assert manifest["files"].keys() == {"201 cifar10"} and manifest["origins"] == [{"scores": "mine"}]
    assert (out / "figures" / "reproduction.png").stat().st_size > 10_000
    again = ["mine", "--data", str(made_up), "--out", str(out)]
    assert main(again) == 2 and "holds an earlier result" in capsys.readouterr().err
    assert main([*again, "--existing", "replace"]) == 0
    (out / "manifest.json").write_text("{}")
    assert main(["--out", str(out)]) == 2


def test_without_files_every_row_says_what_to_get(monkeypatch, tmp_path):
    monkeypatch.delenv("NAS_HARNESS_DATA", raising=False)
    chosen = choose(["macro", "201-facts", "zero-cost-pt", "hnas"])
    made = compare.reproduce(chosen, out=tmp_path / "out")
    assert set(made.rows["verdict"]) == {ABSENT} and not made.files
    assert made.rows["cause"].str.contains("no ground truth of benchmark").all()
    assert page.headline(made.rows).startswith("Of 0 published correlations, one vote each, 0 agree (–)")
    assert "Not comparable" in page.markdown(made, chosen, {})


def test_names_of_tables(capsys):
    assert main(["zero-cost-nass"]) == 2
    assert "did you mean zero-cost-nas" in capsys.readouterr().err
    assert main(["--list", "suite-zero"]) == 0
    assert "suite-zero" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--quick", "--full"])


# Parts


def test_distinct_networks_of_a_sample_are_strings_by_the_size_of_their_class():
    """As in `harness.analysis.populations`; of the whole space one string each."""
    space = space_of("201")
    network = {"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10}
    table = tiny_table(50)
    own = benchmarks.Benchmark(space, table, np.array([space.index(a) for a in table.archs]), network, 8, False)
    frame = pd.DataFrame({"arch": own.table.archs, "snip": np.arange(50.0)})
    judge = correlations.Judge(own, score_sets.merged([frame], "digits", "default", []))
    sample = judge.sample("snip", "distinct", "test")
    assert sample.n == 50 and sample.share == 50 / 15_625 and sample.size == 9_445
    np.testing.assert_allclose(sample.weight, 1 / space.class_sizes(own.indices))
    assert sample.weight.min() < 1 and judge.sample("snip", "all", "test").weight is None


def test_a_set_of_the_authors_protocol_comes_first(monkeypatch):
    large = pd.DataFrame({"arch": ["a", "b", "c"], "snip": [1.0, 2.0, 3.0], "zen": 0.0})
    theirs = pd.DataFrame({"arch": ["a", "b"], "snip": [5.0, 6.0]})
    sets = {"large": (large, {}), "theirs": (theirs, {"protocol": "az-nas"})}
    facts = {name: {"bench": "201", "dataset": "cifar10", "settings": settings, "scores": len(frame), "archs": 1}
             for name, (frame, settings) in sets.items()}  # fmt: skip
    monkeypatch.setattr(score_sets.cached, "facts", lambda: facts)
    monkeypatch.setattr(score_sets.cached, "scores", lambda bench, dataset, name: sets[name][0])
    found = score_sets.kept("201", "az-nas")
    assert found.frame["snip"].dropna().tolist() == [5.0, 6.0] and found.scored["snip"].tolist() == [True, True, False]
    assert (found.protocol_of("snip"), found.protocol_of("zen")) == ("az-nas", "default")
    other = score_sets.kept("201", "zico")
    assert other.frame["snip"].tolist() == [1.0, 2.0, 3.0] and other.protocol_of("snip") == "default"


def test_a_smaller_sample_under_the_authors_protocol_is_a_difference_from_the_default(monkeypatch):
    """All strings under the default protocol, every fourth under theirs, which ranks better."""
    space, table = space_of("201"), tiny_table(60)
    network = {"channels": 4, "cells_per_stage": 1, "input_channels": 1, "classes": 10}
    own = benchmarks.Benchmark(space, table, np.array([space.index(a) for a in table.archs]), network, 8, False)
    accuracy, rng = table.target("test"), np.random.default_rng(0)
    usual, theirs = accuracy + rng.normal(0, 20, 60), accuracy + rng.normal(0, 5, 60)
    some = slice(None, None, 4)
    sets = {
        "large": (pd.DataFrame({"arch": table.archs, "snip": usual}), {}),
        "theirs": (pd.DataFrame({"arch": table.archs[some], "snip": theirs[some]}), {"protocol": "az-nas"}),
    }
    facts = {name: {"bench": "201", "dataset": "cifar10", "settings": settings, "scores": len(frame), "archs": 1}
             for name, (frame, settings) in sets.items()}  # fmt: skip
    monkeypatch.setattr(score_sets.cached, "facts", lambda: facts)
    monkeypatch.setattr(score_sets.cached, "scores", lambda bench, dataset, name: sets[name][0])
    judge = correlations.Judge(own, score_sets.kept("201", "az-nas"))
    rho = [stats.spearman(x, y) for x, y in (
        (usual, accuracy), (theirs[some], accuracy[some]), (usual[some], accuracy[some]))]  # fmt: skip
    published = Published("snip", "201", "cifar10", "rho", 0.5, "all")
    ours = judge.estimate(published, "test")
    assert ours.value == pytest.approx(rho[0] + rho[1] - rho[2]) and (ours.n, ours.differenced) == (60, 15)
    others = judge.alternatives(dataclasses.replace(published, population="distinct"), "test")
    assert others["population all"] == pytest.approx(ours.value)
    default = correlations.Judge(own, score_sets.kept("201")).estimate(published, "test")
    assert default.value == pytest.approx(rho[0]) and default.differenced == 0
    sets["large"] = (sets["large"][0][5:], {})  # some of theirs are not among the default's
    ours = correlations.Judge(own, score_sets.kept("201", "az-nas")).estimate(published, "test")
    assert ours.value == pytest.approx(rho[1]) and (ours.n, ours.differenced) == (15, 0)


def test_correlations_are_of_a_uniform_sample_where_there_is_one(tmp_path):
    """A table in BENCH-uniform is for correlations, facts are of the other."""
    (tmp_path / "201-uniform").mkdir()
    for folder, count in ((tmp_path, 30), (tmp_path / "201-uniform", 20)):
        save_tables(folder / "nasbench201.h5", [tiny_table(count, dataset="cifar10")])
    found = session.Session(str(tmp_path), tmp_path / "out", None, str, {})
    table = Recipe("t", "correlation", "t")
    assert len(found.benchmark("201", "cifar10").table) == 30
    assert len(found.judge(table, "201", "cifar10").benchmark.table) == 20
    assert found.files["201 cifar10, uniform sample"]["architectures"] == 20


def test_a_proxy_is_of_the_largest_set_that_has_it_and_counts_what_was_scored():
    large = pd.DataFrame({"arch": ["a", "b", "c"], "snip": [1.0, np.nan, 3.0]})
    small = pd.DataFrame({"arch": ["d", "b"], "snip": [9.0, 9.0], "zen": [4.0, 5.0]})
    both = score_sets.merged([small, large], "cifar10", "default", [])
    assert list(both.frame.index) == ["a", "b", "c", "d"]
    assert both.frame["snip"].tolist()[0::2] == [1.0, 3.0] and math.isnan(both.frame["snip"]["b"])
    assert both.scored["snip"].tolist() == [True, True, True, False]
    assert both.scored["zen"].tolist() == [False, True, False, True]


def test_scores_of_its_own_are_a_run_that_continues(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.benchmark.EMBEDDED", embed(tmp_path / "embedded"))
    table = Recipe("mine", "correlation", "me", values=(
        Published("naswot", "201", "digits", "rho", 0.5, population="all"),
        Published("vote", "201", "digits", "concordance", 0.5, population="all"),
        Published("params", "201", "digits", "rho", 0.5, population="all"),
    ))  # fmt: skip
    assert score_sets.wanted(table, "201") == ["naswot", "synflow", "jacob_cov", "snip"]
    other = Recipe(
        "other", "correlation", "me", values=(Published("plain", "201", "digits", "rho", 0.5, population="all"),)
    )
    scoring = score_sets.Scoring("5", 4, ("snip",))
    made = compare.reproduce([table, other, table], out=tmp_path / "out", scoring=scoring)
    again = compare.reproduce([table], out=tmp_path / "out", scoring=scoring)  # fewer than are there
    pd.testing.assert_frame_equal(again.rows, made.rows[:3])
    assert made.rows["n"].tolist()[0] <= 5 and "no scores of snip" in made.rows["cause"][1]
    assert made.rows["n"][3] <= 5 and len(list((tmp_path / "out" / "runs").iterdir())) == 1
    assert (tmp_path / "out" / "runs" / "201-digits-default" / "scores.h5").is_file()


def test_searches_and_operation_scores_are_read_from_folders(tmp_path):
    benchmark = benchmarks.Benchmark(
        space_of("201"),
        tiny_table(30),
        np.array([space_of("201").index(a) for a in tiny_table(30).archs]),
        {},
        8,
        False,
    )
    one, other = benchmark.table.archs[:2]
    runs = pd.DataFrame({"method": ["hnas"] * 2 + ["random"], "seed": [0, 1, 0], "arch": [one, other, one],
                         "accuracy": [90.0, 92.0, 10.0]})  # fmt: skip
    runs.to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "manifest.json").write_text('{"command": "x --seeds 2 --out DIR"}')
    table = Recipe("t", "search", "t", folder="t", command="x --seeds 2")
    with pytest.raises(UserError, match="was not made with --batch-size 7: run `x --batch-size 7`"):
        result_folders.read(dataclasses.replace(table, command="x --batch-size 7"), None, tmp_path, benchmark)
    published = Published("hnas", "201", "cifar10", "accuracy", 91.0, args={"column": "accuracy", "method": "hnas"})
    (tmp_path / "manifest.json").write_text('{"command": "x --operation-scores zc-pt --seeds 2 --out DIR"}')
    earlier = dataclasses.replace(table, command="x --scores zc-pt --seeds 2")
    assert result_folders.read(earlier, published, tmp_path, benchmark).n == 2
    found = result_folders.read(table, published, tmp_path, benchmark)
    assert (found.value, found.n) == (91.0, 2) and found.sd == pytest.approx(math.sqrt(2))
    cell = Published("f", "201", "cifar10", "accuracy", 91.0, args={"column": "accuracy", "cell": one, "cell_seed": 1})
    alike = sum(a == b for a, b in zip(operations(one), operations(other), strict=True))
    assert f"has {alike} of the 6 published operations" in result_folders.read(table, cell, tmp_path, benchmark).note
    with pytest.raises(UserError, match="nothing to compare"):
        result_folders.read(
            table, Published("x", "201", "cifar10", "accuracy", 1.0, args={"column": "no"}), tmp_path, benchmark
        )
    reference = facts.from_table(benchmark, "best-acc@trials")
    values = [reference.ravel(), -reference.ravel()]
    rows = [("zc-pt", seed, at, at, value) for seed in (0, 1) for at, value in enumerate(values[seed])]
    columns = ["score", "seed", "edge", "operation", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "scores.csv", index=False)
    table = Recipe("t", "operations", "t", folder="t", command="x")
    published = Published(
        "zc-pt", "201", "cifar10", "rho", 0.0, args={"score": "zc-pt", "reference": "best-acc@trials"}
    )
    found = result_folders.read(table, published, tmp_path, benchmark)
    assert found.n == 2 and found.value == pytest.approx(0.0, abs=1e-12) and found.sd == pytest.approx(math.sqrt(2))


def test_shares_of_operations_and_sizes_of_cells(tmp_path):
    """By hand: 2 of 16 and 6 of 16 operations; the network of FreeDARTS's first seed, as its file states it."""
    space = space_of("darts")
    counts = dict.fromkeys(space.choices.operations, 0)
    cells = [counts | {"group": "found", "skip_connect": 2, "sep_conv_3x3": 14},
             counts | {"group": "found", "skip_connect": 6, "sep_conv_5x5": 10},
             counts | {"group": "published, x", "skip_connect": 16}]  # fmt: skip
    pd.DataFrame(cells).to_csv(tmp_path / "cells.csv", index=False)
    pd.DataFrame({"seed": [0, 1]}).to_csv(tmp_path / "runs.csv", index=False)
    (tmp_path / "manifest.json").write_text('{"command": "x"}')
    benchmark = benchmarks.Benchmark(space, None, np.array([]), {}, 32, False)
    table = Recipe("t", "search", "t", folder="t", command="x")
    share = Published("f", "darts", "cifar10", "share", 0.2, args={"operation": "skip_connect"})
    found = result_folders.read(table, share, tmp_path, benchmark)
    assert (found.value, found.n) == (0.25, 2) and found.sd == pytest.approx(0.25 / math.sqrt(2))
    (stated,) = [value for table, value in VALUES if value.method.startswith("params of SYNFLOW_oneshot_seed0, 36")]
    ground = facts.Ground(benchmark, None, lambda name: benchmark)
    assert stated.value == 3_605_518 == facts.size_of(ground, **stated.args)


def test_what_needs_training_says_the_command(tmp_path):
    rows = compare.reproduce(choose(["darts-training"]), data=str(tmp_path)).rows
    assert (rows["verdict"] == ABSENT).all() and rows["cause"].str.contains("harness.train --bench darts").all()


def test_a_folder_is_made_by_the_command_that_was_handed_in(tmp_path):
    table = Recipe("t", "search", "t", folder="f", command="python -m harness.search --bench 201 --scores SCORES")
    seen = []

    def search(words):
        seen.extend(words)
        (tmp_path / "f").mkdir()
        (tmp_path / "f" / "manifest.json").write_text('{"command": "of this process", "kind": "search"}')
        return 0

    def made(command):
        commands = {"harness.search": command} if command else {}
        return result_folders.carry_out(table, tmp_path, "DATA", tmp_path / "s.csv", commands, str)

    folder = made(search)
    assert seen == [
        "--bench",
        "201",
        "--scores",
        str(tmp_path / "s.csv"),
        "--out",
        str(tmp_path / "f"),
        "--data",
        "DATA",
        "--existing",
        "replace",
    ]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["kind"] == "search" and manifest["command"].startswith("python -m harness.search --bench 201")
    with pytest.raises(UserError, match="ended with 2"):
        made(lambda words: 2)
    with pytest.raises(UserError, match="needs the folder f"):
        made(None)


def test_commands_are_recorded_without_the_paths_of_a_machine():
    command = result_folders.plain_command(
        "/home/me/harness/operations/__main__.py --bench 201 --data /home/me/d --inputs /a/b/c.npz --out /x --seeds 4"
    )
    assert command == "python -m harness.operations --bench 201 --data DIR --inputs DIR/c.npz --out DIR --seeds 4"


def operations(arch):
    return [word.split("~")[0] for word in arch.replace("+", "|").split("|") if word]


# The real tables


def test_facts_of_the_real_tables_are_exact(real_data):
    chosen = choose(["201-facts", "macro-facts", "zero-cost-pt-table", "robot-budgets"])
    rows = compare.reproduce(chosen, data=str(real_data)).rows
    known = rows[rows["table"].isin(["201-facts", "macro-facts"]) & rows["n"].notna()]
    if not len(known):
        pytest.skip(f"no tables in {real_data}")
    assert set(known["verdict"]) == {AGREES}, known[known["verdict"] != AGREES]
    away = rows.set_index(["table", "method"])["away"]
    if ("zero-cost-pt-table", "avg-acc against best-acc, mean over edges") in away.index:
        assert away[("zero-cost-pt-table", "rank of the cell that avg-acc chooses")] == 1
    assert away["robot-budgets"].abs().max() < 0.003


def test_counts_say_which_architectures_vkdnw_has(real_data):
    """Its FLOPs and layers are those over one string of each distinct network, not those over all strings."""
    table = next(table for table in tables() if table.name == "vkdnw")
    try:
        judge = correlations.Judge(benchmarks.load("201", "cifar10", str(real_data)), None)
    except UserError as error:
        pytest.skip(str(error))
    counted = [f for f in table.values if f.method in ("flops", "layers") and f.dataset == "cifar10"]
    assert len(counted) == 4
    for published in counted:
        ours = judge.estimate(published, "test")
        assert ours.whole and ours.n == 9_445 and ours.value == pytest.approx(published.value, abs=6e-4)
