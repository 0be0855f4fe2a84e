"""HNAS: a training-free problem inside, Bayesian optimisation of its two hyper-parameters outside.

Shu et al., "Unifying and Boosting Gradient-Based Training-Free Neural Architecture Search" (NeurIPS 2022, arXiv
2201.09785), as its released code searches NAS-Bench-201. Before each query `fresh` draws with replacement join a pool.
The query goes to the architecture of the pool, of those not yet queried, with the smallest

    mu |M^2 - t^2| + kappa / (M + 1e-6),    t = t' scale,  mu = 10^c,

where M is the metric and kappa the condition number of the kernel. The first quarter of the queries has t' evenly from
0 to 1 and c = -2; from then on (t', c), in [0, 1] x [-4, 0], is what a Gaussian process on the accuracies returned so
far finds most promising: Matern kernel with nu 2.5, noise 1e-6, accuracies standardised, five restarts; expected
improvement (xi 0) or an upper confidence bound (2.576 standard deviations).

The scale. t has to be of the size of M to do anything. Where t is above the M of all the pool, |M^2 - t^2| is t^2 - M^2
and the larger M wins whatever t is, so the next largest M is queried each time; where mu M^2 is far below
kappa / M, only kappa / M counts. The published 5,000 is about the largest M of the whole space: of 1,000 strings of
NAS-Bench-201, `grad_norm` has median 15, 95 % below 96 and maximum 665 (`snip` 31, 168, 1,060), and of 308 kappa has
median 276 and is 14 to 12,700. So with 5,000 four of the five first probes query the largest M, and the optimisation
has to find the eighth of the range of t' in which t matters. `scale` changes it. What 20 queries find among a few
hundred strings is not what they find among 15,625: the criterion has fewer to choose from.

Departures from the code: M is the absolute value, as in the paper, where the code's grasp keeps its sign and a negative
M turns the criterion round; a kappa that is not finite is never chosen, where the code counts NaN as 100,000;
acquisitions are maximised over 10,000 random candidates in the square, without gradient steps after them; equal values
of the criterion (strings of one network) go to the one drawn first.
"""

import warnings
from typing import Annotated

import numpy as np

from benchmarks.errors import UserError, suggest
from harness.search.draws import Draws
from harness.search.task import Task, Trace

METRICS = ("grad_norm", "snip", "grasp", "ntk_trace@hnas")
"""M_Grad, M_SNIP, M_GraSP, M_Trace."""
KAPPA = "kappa@hnas"
LOW, HIGH = np.array([0.0, -4.0]), np.array([1.0, 0.0])
"""Of (t', c)."""
FIRST_C = -2.0
FIRST_SHARE = 0.25
CANDIDATES = 10_000
ACQUISITIONS = ("ei", "ucb")
CONFIDENCE = 2.576
Scale = Annotated[float, "of the target t = t' scale in hnas; the size of the metric"]
Fresh = Annotated[int, "architectures drawn into the pool of hnas before each query"]
Acquisition = Annotated[str, "what hnas maximises to choose its next hyper-parameters: ei or ucb"]


def hnas(
    task: Task, draws: Draws, *, queries: int, scale: Scale = 5000.0, fresh: Fresh = 2000,
    acquisition: Acquisition = "ei",
) -> Trace:  # fmt: skip
    """Search with a metric and the condition number, the task's two guides, run after run."""
    if acquisition not in ACQUISITIONS:
        raise suggest([acquisition], ACQUISITIONS, "value of --acquisition")
    if not (np.isfinite(scale) and scale > 0):
        raise UserError(f"--scale {scale:g}: expected a number above 0, of the size of the metric (published: 5000)")
    metric, kappa = np.abs(task.scores[0]), condition_numbers(task.scores[1])
    usable = np.isfinite(metric) & np.isfinite(kappa)
    if usable.sum() < queries:
        few = f"only {usable.sum():,} architectures have finite {' and '.join(task.guides)}, too few for {queries:,}"
        raise UserError(f"{few} queries of hnas: give fewer --queries, or score more architectures")

    def run(generator: np.random.Generator) -> list[tuple[int, int]]:
        """Return each query of one run, with the number of architectures it has scored by then."""
        restarts = np.random.RandomState(int(generator.integers(2**31)))  # what scikit-learn takes
        points = list(first_points(queries))
        pool, seen, open_ = np.empty(0, dtype=np.int64), np.zeros(len(task), dtype=bool), usable.copy()
        made: list[tuple[int, int]] = []
        for now in range(queries):
            if now == len(points):
                answers = task.value[[choice for choice, _ in made]]
                points.append(propose(np.array(points), answers, acquisition, generator, restarts))
            left = pool[:0]
            while not len(left):  # a small `fresh` may bring nothing new
                drawn = generator.integers(len(task), size=fresh)
                drawn = drawn[np.sort(np.unique(drawn, return_index=True)[1])]  # each once, in the order drawn
                pool = np.concatenate([pool, drawn[~seen[drawn]]])
                seen[drawn] = True
                left = pool[open_[pool]]
            share, exponent = points[now]
            choice = left[criterion(metric[left], kappa[left], share * scale, 10.0**exponent).argmin()]
            open_[choice] = False
            made.append((int(choice), len(pool)))
        return made

    queried, known = np.moveaxis(np.array([run(generator) for generator in draws.generators]), -1, 0)
    return Trace(queried, known * task.score_seconds.sum(), known[:, -1])


def condition_numbers(scores: np.ndarray) -> np.ndarray:
    """Return kappa of its scores, (archs,): stored negated, as larger is better; UserError where it is not."""
    if (scores > 0).any():
        raise UserError(f"{KAPPA} has positive scores: it is minus the condition number, as larger is better")
    return -scores


def criterion(metric: np.ndarray, kappa: np.ndarray, target: float, weight: float) -> np.ndarray:
    """Return mu |M^2 - t^2| + kappa / (M + 1e-6), (archs,): what the inner problem minimises; target t, weight mu."""
    return weight * np.abs(metric**2 - target**2) + kappa / (metric + 1e-6)


def first_points(queries: int) -> np.ndarray:
    """Return the (t', c) of the first quarter of the queries, rounded down, at least one: (points, 2)."""
    count = max(1, int(FIRST_SHARE * queries))
    return np.column_stack([np.linspace(LOW[0], HIGH[0], count), np.full(count, FIRST_C)])


def propose(
    points: np.ndarray, answers: np.ndarray, acquisition: str, generator: np.random.Generator,
    restarts: np.random.RandomState,
) -> np.ndarray:  # fmt: skip
    """Return the (t', c) to try after `points` (tried, 2) were answered with `answers` (tried,) percent."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    facts = {"alpha": 1e-6, "normalize_y": True, "n_restarts_optimizer": 5, "random_state": restarts}
    model = GaussianProcessRegressor(Matern(nu=2.5), **facts)
    candidates = LOW + (HIGH - LOW) * generator.random((CANDIDATES, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the length scale at its bound: a flat or a rough answer
        model.fit(points, answers)
    mean, sd = model.predict(candidates, return_std=True)
    promise = mean + CONFIDENCE * sd if acquisition == "ucb" else expected_improvement(mean, sd, answers.max())
    return candidates[promise.argmax()]


def expected_improvement(mean: np.ndarray, sd: np.ndarray, best: float) -> np.ndarray:
    """Return E max(0, Y - best) of normal Y, (points,), with xi = 0."""
    from scipy.special import ndtr

    gain = mean - best
    with np.errstate(divide="ignore", invalid="ignore"):
        z = gain / sd
    improvement = gain * ndtr(z) + sd * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return np.where(sd > 0, improvement, np.maximum(gain, 0))
