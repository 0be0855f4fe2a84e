"""Every search method against a loop that does the same with the same random numbers, and by hand."""

from collections import deque

import numpy as np
import pytest
import search_tasks
from search_tasks import LineSpace

from benchmarks.errors import UserError
from harness.analysis.ensembles import vote as vote_on_pair
from harness.search import evolution, local, outcomes, random_pool
from harness.search.draws import BLOCK, Draws
from harness.search.methods import METHODS, OPTIONS
from harness.search.simulate import simulate
from harness.stats import random_regret

RUNS = 6


@pytest.fixture
def task():
    """81 architectures, accuracies with ties, and two guides, one of which has ties and fails on five."""
    rng = np.random.default_rng(8)
    value = rng.integers(0, 25, 81)
    second = rng.integers(0, 9, 81).astype(float)
    second[:5] = np.nan
    return search_tasks.make(
        value=value, scores={"one": rng.normal(size=81), "other": second}, score_seconds=[2.0, 0.5]
    )


def neighbours(task, row):
    return [int(near) for near in task.near.table[row] if near >= 0]


def step(task, row, draw):
    """A random neighbour, or a random architecture where there is none."""
    near = neighbours(task, row)
    return near[int(draw * len(near))] if near else int(draw * len(task))


# Random numbers


def test_a_run_draws_the_same_in_any_company():
    many, few = Draws(3, range(10)), Draws(3, [7])
    for count in (4, BLOCK - 2, 5, BLOCK + 9):
        assert np.array_equal(many.uniform(count)[7], few.uniform(count)[0])
    assert np.array_equal(many.choose(50, 9)[7], few.choose(50, 9)[0])
    assert not np.array_equal(Draws(4, [7]).uniform(4), Draws(3, [7]).uniform(4))


def test_draws_are_in_range_and_different():
    draws = Draws(0, range(200))
    assert draws.uniform(50).min() >= 0 and draws.uniform(50).max() < 1
    chosen = draws.choose(7, 7)
    assert (np.sort(chosen, axis=1) == np.arange(7)).all()
    assert np.bincount(chosen[:, 0], minlength=7).min() > 10  # the order is random too
    assert set(np.unique(draws.below(3, 40))) == {0, 1, 2}


@pytest.mark.parametrize("name", [name for name in METHODS if name != "hnas"])  # its test: test_search_hnas.py
def test_a_run_does_not_depend_on_how_many_there_are(name, task, monkeypatch):
    method = METHODS[name]
    settings = {"population": 5, "tournament": 3, "proposals": 4, "pool": 30, "keep": 0.5}
    own = {key: value for key, value in settings.items() if key in method.settings}
    guided = task.guided_by({"none": [], "one": ["one"], "all": ["one", "other"]}[method.guides])
    whole = simulate(guided, method, 20, 9, 1, own)
    monkeypatch.setattr("harness.search.simulate.CHUNK", 2)
    part = simulate(guided, method, 20, 5, 1, own)
    for each in ("queried", "spent", "scored"):
        assert np.array_equal(getattr(whole, each)[:5], getattr(part, each))
    assert whole.queried.shape == (9, 20) and (whole.queried >= 0).all()
    assert not np.array_equal(whole.queried, simulate(guided, method, 20, 9, 2, own).queried)
    assert set(own) == set(method.settings) and set(own) <= set(OPTIONS)


# Neighbours


def test_neighbours_are_those_in_the_set_and_the_lonely_step_anywhere():
    task = search_tasks.make(LineSpace(8), rows=[0, 1, 2, 5, 7])
    assert [sorted(neighbours(task, row)) for row in range(5)] == [[1], [0, 2], [1], [], []]
    assert task.near.degree.tolist() == [1, 2, 1, 0, 0]
    assert task.near.step(np.array([0, 3, 3]), np.array([0.99, 0.99, 0.3])).tolist() == [1, 4, 1]
    halves = [int(task.near.step(np.array([1]), np.array([draw]))[0]) for draw in (0.1, 0.9)]
    assert sorted(halves) == [0, 2]


# Random search


def test_random_search_costs_what_chance_says():
    accuracy = np.random.default_rng(1).normal(90, 2, 81)
    task = search_tasks.make(value=accuracy)
    trace = random_pool.random(task, Draws(0, range(4000)), queries=12)
    assert all(len(set(row)) == 12 for row in trace.queried.tolist())
    regret = outcomes.regrets(task, outcomes.incumbents(task, trace.queried))
    for n in (1, 3, 12):
        error = regret[:, n - 1].std() / np.sqrt(len(regret))
        assert regret[:, n - 1].mean() == pytest.approx(random_regret(accuracy, n), abs=4 * error)


# Evolution


def evolve(task, run, queries, population, tournament, first, child_of):
    """Ageing evolution as the paper writes it down: a queue from which the oldest dies."""
    draws, alive, history = Draws(2, [run]), deque(), []
    for row in first[:population]:
        alive.append(row)
        history.append(row)
    while len(history) < queries:
        sample = [alive[int(draw * population)] for draw in draws.uniform(tournament)[0]]
        parent = max(sample, key=lambda row: task.value[row])  # the first of equals
        child = child_of(parent, draws)
        alive.append(child)
        history.append(child)
        alive.popleft()
    return history


def test_evolution_is_the_loop(task):
    trace = evolution.evolution(task, Draws(2, range(RUNS)), queries=40, population=6, tournament=3)
    for run in range(RUNS):
        first = Draws(2, [run]).choose(81, 6)[0].tolist()
        child_of = lambda parent, draws: step(task, parent, draws.uniform(1)[0, 0])  # noqa: E731
        assert trace.queried[run].tolist() == evolve(task, run, 40, 6, 3, first, child_of)
    assert not trace.spent.any() and not trace.scored.any()


def test_the_oldest_dies_however_good():
    """With two alive and all of them compared, a child is next to the better of the last two: the best one, first of
    all, is forgotten after two cycles."""
    value = np.random.default_rng(0).permutation(81) * 1.0
    task = search_tasks.make(value=value)
    trace = evolution.evolution(task, Draws(0, range(40)), queries=30, population=2, tournament=30)
    for queried in trace.queried:
        for now in range(2, 30):
            parent = max(queried[now - 2 : now], key=lambda row: value[row])
            assert queried[now] in neighbours(task, parent)
    before = [value[queried[:3]].max() for queried in trace.queried]
    assert any(value[queried[3:5]].max() < best for queried, best in zip(trace.queried, before, strict=True))


def test_a_population_larger_than_the_queries_is_random_search(task):
    few = evolution.evolution(task, Draws(0, range(3)), queries=9, population=50)
    assert np.array_equal(few.queried, random_pool.random(task, Draws(0, range(3)), queries=9).queried)


def test_warmup_begins_with_the_best_of_the_pool(task):
    trace = evolution.warmup_evolution(
        task.guided_by(["other"]), Draws(2, range(RUNS)), queries=25, population=5, tournament=2, pool=20
    )
    score = task.scores[1]
    for run in range(RUNS):
        pool = Draws(2, [run]).choose(81, 20)[0].tolist()
        first = sorted(pool, key=lambda row: -np.inf if np.isnan(score[row]) else score[row], reverse=True)[:5]
        child_of = lambda parent, draws: step(task, parent, draws.uniform(1)[0, 0])  # noqa: E731
        assert trace.queried[run].tolist() == evolve(task, run, 25, 5, 2, first, child_of)
    assert (trace.spent == 20 * 0.5).all() and (trace.scored == 20).all()


def test_guided_evolution_takes_the_best_of_its_proposals(task):
    trace = evolution.guided_evolution(
        task.guided_by(["other"]), Draws(2, range(RUNS)), queries=25, population=5, tournament=2, proposals=4
    )
    score = np.where(np.isnan(task.scores[1]), -np.inf, task.scores[1])
    for run in range(RUNS):
        scored, seconds = set(), [0.0] * 5

        def child_of(parent, draws, scored=scored, seconds=seconds):
            near = [step(task, parent, draw) for draw in draws.uniform(4)[0]]
            scored.update(near)
            seconds.append(0.5 * len(scored))
            return max(near, key=lambda row: score[row])

        first = Draws(2, [run]).choose(81, 5)[0].tolist()
        assert trace.queried[run].tolist() == evolve(task, run, 25, 5, 2, first, child_of)
        assert trace.spent[run].tolist() == seconds and trace.scored[run] == len(scored)


# Local search


def climb(task, run, queries):
    """Hill climbing over all neighbours, restarted at random."""
    draws, known, queried = Draws(2, [run]), set(), []
    starts = iter(draws.choose(len(task), queries)[0].tolist())

    def ask(row):
        if row not in known and len(queried) < queries:
            known.add(row)
            queried.append(row)

    while len(queried) < queries:
        place = next(row for row in starts if row not in known)
        ask(place)
        while len(queried) < queries:
            row = task.near.table[place]
            near = row[draws.uniform(len(row))[0].argsort()]
            near = [int(each) for each in near if each >= 0]
            for each in near:
                ask(each)
            best = max(near, key=lambda each: task.value[each], default=place)
            if task.value[best] <= task.value[place]:
                break
            place = best
    return queried


@pytest.mark.parametrize("queries", [1, 7, 30, 81])
def test_local_search_is_the_loop(task, queries):
    trace = local.local(task, Draws(2, range(RUNS)), queries=queries)
    for run in range(RUNS):
        assert trace.queried[run].tolist() == climb(task, run, queries)
        assert len(set(trace.queried[run])) == queries  # nothing is queried twice


def test_local_search_on_a_set_with_lonely_architectures():
    task = search_tasks.make(LineSpace(12), rows=[0, 1, 2, 5, 8, 11])
    trace = local.local(task, Draws(2, range(RUNS)), queries=6)
    for run in range(RUNS):
        assert trace.queried[run].tolist() == climb(task, run, 6)


def test_local_search_ends_in_a_local_optimum():
    """One peak, at most four moves away, eight neighbours each: 1 + 5 * 8 queries reach it and know it."""
    digits = np.arange(81)[:, None] // 3 ** np.arange(4) % 3
    task = search_tasks.make(value=digits.sum(1))
    trace = local.local(task, Draws(0, range(60)), queries=41)
    assert (outcomes.incumbents(task, trace.queried)[:, -1] == 80).all()
    assert all(set(neighbours(task, 80)) <= set(queried) for queried in trace.queried.tolist())


# Pools of candidates


def test_guided_random_asks_for_the_best_scores_of_its_pool(task):
    trace = random_pool.guided_random(task.guided_by(["one"]), Draws(2, range(RUNS)), queries=4, pool=15)
    for run in range(RUNS):
        pool = Draws(2, [run]).choose(81, 15)[0].tolist()
        assert trace.queried[run].tolist() == sorted(pool, key=lambda row: -task.scores[0][row])[:4]
    assert (trace.spent == 30).all() and (trace.scored == 15).all()
    with pytest.raises(UserError, match="pool of 3 cannot give 4 architectures"):
        random_pool.guided_random(task.guided_by(["one"]), Draws(2, [0]), queries=4, pool=3)


def test_ties_are_queried_in_random_order_and_failures_last():
    task = search_tasks.make(scores={"flat": np.where(np.arange(81) < 5, np.nan, 1.0)})
    trace = random_pool.guided_random(task, Draws(0, range(50)), queries=81, pool=500)
    assert (np.sort(trace.queried[:, -5:], axis=1) == np.arange(5)).all()
    assert len(set(trace.queried[:, 0].tolist())) > 20
    assert (trace.scored == 81).all()


def test_successive_by_hand():
    """Pool: all eight. By the first: 7 6 5 4 stay; of them by the second 4 5; of them by the third 5. Then the dropped:
    the last of them, 4, then 6 7 (as the second ranked them), then 3 2 1 0."""
    one, two = np.arange(8.0), np.array([0, 0, 0, 0, 9, 8, 7, 6.0])
    three = np.array([0, 0, 0, 0, 1, 2, 9, 9.0])
    task = search_tasks.make(
        LineSpace(8), scores={"one": one, "two": two, "three": three}, score_seconds=[1.0, 10.0, 100.0]
    )
    trace = random_pool.successive(task, Draws(0, range(3)), queries=8, pool=8, keep=0.5)
    assert trace.queried.tolist() == [[5, 4, 6, 7, 3, 2, 1, 0]] * 3
    assert (trace.spent == 8 * 1 + 4 * 10 + 2 * 100).all() and (trace.scored == 8).all()
    with pytest.raises(UserError, match="--keep 0: expected a share"):
        random_pool.successive(task, Draws(0, [0]), queries=2, keep=0)


def test_votes_are_those_on_pairs():
    scores = np.array([[3, 1, 2, 2, np.nan, 0], [1, 5, 4, 4, 2, 4], [0, 1, 7, -2, 3, np.inf]])
    scores = np.concatenate([scores, scores[:, :1]], axis=1)
    inside = [0, 1, 2, 3, 5, 6]
    expected = [sum(vote_on_pair(scores, a, b) for b in inside if b != a) for a in inside]
    net = random_pool.net_votes(np.stack([random_pool._levels(row) for row in scores]))
    assert net[inside].tolist() == expected and np.isnan(net[4])


def test_vote_asks_for_the_winners(task):
    trace = random_pool.vote(task, Draws(2, range(RUNS)), queries=6, pool=12)
    for run in range(RUNS):
        pool = Draws(2, [run]).choose(81, 12)[0]
        there = [row for row in pool if not np.isnan(task.scores[:, row]).any()]
        wins = {row: sum(vote_on_pair(task.scores, row, other) for other in there if other != row) for row in there}
        assert trace.queried[run].tolist() == sorted(there, key=lambda row: -wins[row])[:6]
    assert (trace.spent == 12 * 2.5).all()
