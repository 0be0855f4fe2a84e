"""Operation scores from a table alone, and how operation scores are judged: by hand, and the facts of real tables."""

import numpy as np
import pytest

import benchmarks
from benchmarks import UserError
from benchmarks.benchmark import Benchmark, space_of
from benchmarks.nasbench201.space import EDGES, OPERATIONS, print_cell
from benchmarks.spaces.space import Choices
from harness.operations.agreement import agreement, argmax, by_edge, judge_choice, mean_by_edge
from harness.operations.decide import Step
from harness.operations.scores.table import avg_acc, best_acc
from harness.operations.stepwise import COLUMNS, follow

NAN = float("nan")
TWO = Choices(("a", "b"), ("x", "y"), np.array([[0, 0], [0, 1], [1, 0], [1, -1]]))
"""Four architectures of two edges; the last does not use edge b, and none has y on both."""


def test_best_and_average_by_hand():
    accuracy = np.array([50.0, 60.0, 90.0, NAN])
    np.testing.assert_equal(best_acc(TWO, accuracy), [[60, 90], [90, 60]])
    np.testing.assert_equal(avg_acc(TWO, accuracy), [[55, 90], [70, 60]])


def test_single_trials_count_each():
    trials = np.array([[50.0, 52.0], [60.0, NAN], [90.0, 10.0], [NAN, NAN]])
    np.testing.assert_equal(best_acc(TWO, trials), [[60, 90], [90, 60]])
    np.testing.assert_equal(avg_acc(TWO, trials), [[54, 50], [50.5, 60]])


def test_conditional_scores_agree_with_what_is_decided():
    accuracy = np.array([50.0, 60.0, 90.0, 20.0])
    np.testing.assert_equal(best_acc(TWO, accuracy, np.array([-1, 1])), [[60, NAN], [90, 60]])
    np.testing.assert_equal(avg_acc(TWO, accuracy, np.array([0, -1])), [[55, 55], [50, 60]])


def test_correlation_on_each_edge_by_hand():
    """Edge a: same order, 1. Edge b: one swap of three, 1 - 6 * 2 / 24 = 1/2. Edge c: constant, undefined."""
    score = np.array([[1.0, 2, 3], [1, 3, 2], [4, 4, 4]])
    reference = np.array([[10.0, 20, 30]] * 3)
    np.testing.assert_allclose(by_edge(score, reference), [1, 0.5, NAN])
    np.testing.assert_allclose(by_edge(score, reference, "tau_b"), [1, 1 / 3, NAN])
    assert mean_by_edge(score, reference) == pytest.approx(0.75)
    assert np.isnan(mean_by_edge(score[2:], reference[2:]))


def test_agreement_pairs_seeds():
    up, down = np.array([[1.0, 2, 3]]), np.array([[3.0, 2, 1]])
    square = agreement({"table": [up], "two seeds": [up, down], "other": [down, down]})
    assert square.loc["table", "two seeds"] == square.loc["two seeds", "table"] == 0
    assert square.loc["two seeds", "other"] == 0 and square.loc["two seeds", "two seeds"] == 1
    assert square.loc["table", "other"] == -1


def test_the_first_of_tied_operations_is_chosen():
    operations, tied = argmax(np.array([[1.0, 2, 2], [NAN, -np.inf, 0], [NAN, NAN, NAN]]))
    assert operations.tolist() == [1, 2, -1] and tied == 1


def test_choices_of_the_spaces():
    cells = space_of("201").choices
    assert cells.edges == ("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2") and len(EDGES) == 6
    assert [OPERATIONS[at] for at in cells.chosen[6111]] == list(space_of("201").cells[6111])
    assert len(cells.find([3, 3, 3, 1, 3, 2])) == 1 and not len(cells.find([-1, 3, 3, 1, 3, 2]))
    macro = space_of("macro")
    assert macro.choices.find([2, 2, 2, 1, 2, 2, 2, 0]) == [macro.index("22212220")]
    blocks = space_of("1shot1-1")
    unused = [arch.split("|")[0].split(",").count("-") for arch in blocks.archs]
    assert (blocks.choices.chosen < 0).sum(1).tolist() == unused and max(unused) > 0
    with pytest.raises(UserError, match="no space of operations on fixed edges"):
        _ = space_of("101", ()).choices


def test_the_chosen_cell_and_its_rank():
    """Three architectures: two better than the chosen one, in the table by a string of the same network only."""
    space = space_of("201")
    conv, none = "nor_conv_3x3", "none"
    same = space.index(print_cell((conv, none, none, conv, none, none)))  # edge 1<-0 leads nowhere
    rows = np.array([space.class_id[same], 0, 1])
    benchmark = Benchmark(space, None, rows, {}, 8, False)
    found = judge_choice(benchmark, np.array([70.0, 80.0, 75.0]), space.choices.chosen[same])
    assert (found.accuracy, found.rank, found.regret) == (70, 3, 10)
    assert found.arch == space.archs[same]
    absent = judge_choice(benchmark, np.array([70.0, 80.0, 75.0]), np.array([4, 4, 4, 4, 4, 4]))
    assert np.isnan(absent.accuracy) and np.isnan(absent.rank) and np.isnan(absent.regret)


@pytest.fixture(scope="module")
def real(real_data):
    if not (real_data / "nasbench201.csv").is_file():
        pytest.skip(f"no NAS-Bench-201 in {real_data}")
    return benchmarks.load("201", "cifar10", real_data)


def test_facts_of_the_real_table(real):
    """The published figures: best single trials find an optimum, averages the cell of 3x3 convolutions, .650 apart."""
    choices, accuracy, trials = real.space.choices.of(real.indices), real.table.target(), real.table.per_seed()
    best, avg = best_acc(choices, trials), avg_acc(choices, accuracy)
    operations, tied = argmax(best)
    chosen = judge_choice(real, accuracy, operations)
    assert choices.said(operations).replace("nor_conv_", "") == "3x3, 3x3, 3x3, skip_connect, 3x3, 1x1"
    assert (round(chosen.accuracy, 3), chosen.rank, tied) == (94.373, 1, 0)
    plain = judge_choice(real, accuracy, argmax(avg)[0])
    assert (set(argmax(avg)[0]), round(plain.accuracy, 2), plain.rank) == ({3}, 93.76, 1 + 166)
    assert mean_by_edge(best, avg) == pytest.approx(0.650, abs=1e-9)


def test_seed_means_tie_and_say_something_else(real):
    choices, accuracy = real.space.choices.of(real.indices), real.table.target()
    best, avg = best_acc(choices, accuracy), avg_acc(choices, accuracy)
    operations, tied = argmax(best)
    assert (round(judge_choice(real, accuracy, operations).accuracy, 3), tied) == (94.217, 2)
    assert mean_by_edge(best, avg) == pytest.approx(0.606, abs=5e-4)


def test_best_acc_itself_stays_perfect_along_the_search():
    """Unconditional rho is 1 at every step, and so is that of conditional best-acc with the conditional reference."""
    generator = np.random.default_rng(0)
    choices = Choices(("a", "b", "c"), ("x", "y", "z"), np.array(list(np.ndindex(3, 3, 3))))
    accuracy, decided = generator.uniform(50, 90, 27), np.full(3, -1)
    plain, conditional = [], []
    for edge in range(3):
        for steps, given in ((plain, None), (conditional, decided)):
            scores = best_acc(choices, accuracy, given)
            scores[:edge] = NAN
            steps.append(Step(scores, edge, int(np.argmax(scores[edge]))))
        decided = np.where(np.arange(3) == edge, conditional[-1].operation, decided)
    assert [row["rho"] for row in follow(plain, choices, accuracy)] == pytest.approx([1, 1, 1])
    found = follow(conditional, choices, accuracy)
    assert [row[name] for row in found for name in ("rho_conditional", "tau_b_conditional")] == pytest.approx([1] * 6)
    assert any(row["rho"] < 1 for row in found) and tuple(found[0]) == COLUMNS
