"""`python -m speed.coverage`: how often the 95 % intervals of samples hold the value of the whole space.

Draws samples as `--sample` draws, from tables whose scores are known on every architecture, and makes the intervals of
`harness.analysis.statistics` in each: a bootstrap for rho and its difference to the best count, the analytic one
for tau-b. Quantiles of few resamples are those (Weibull's) whose expected coverage is that of many; widths are those
of normal-unbiased quantiles. Prints and writes, for each table, n, score and statistic: coverage, mean width over the
true one (3.92 standard deviations of the estimates), bias, and how often a proxy is found to beat the best count of
the sample, or to be worse. `201-distinct` are samples of strings judged by the different networks. Failed scores rank
last.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata, t
from tqdm import tqdm

from benchmarks.benchmark import load, space_of
from benchmarks.errors import UserError
from benchmarks.files.sources import data_folder
from benchmarks.files.write import write_text
from benchmarks.nasbench101.archive import read_npz
from benchmarks.spaces.space import Space
from harness import stats
from harness.report.style import markdown_table, write_csv
from harness.stats.agreement import SAME_ORDER
from harness.stats.correlation import pair_sums
from harness.store.stored_run import load_run
from speed.command import CommandLine, numbers, say

KEPT = ("params", "flops_reachable", "naswot", "synflow", "snip", "grad_norm", "jacob_cov", "fisher", "l2_norm",
        "epe_nas")  # fmt: skip
STATISTICS = ("rho", "tau_b", "difference")
PARTIAL = 0.8
"""Samples of less than this part of a table."""


@dataclass(frozen=True)
class Known:
    """A table with scores on all its architectures."""

    accuracy: np.ndarray
    """(archs,) percent"""
    scores: dict[str, np.ndarray]
    """(archs,) each"""
    counts: tuple[str, ...]
    """Scores that are counts; a proxy is compared with the best of them."""
    weight: np.ndarray | None = None
    """(archs,) 1 / strings of its network, where the different networks are what is judged"""
    different: np.ndarray | None = None
    """Architectures of the true values; None is all."""

    @property
    def judged(self) -> np.ndarray:
        """The same as places."""
        return np.arange(len(self.accuracy)) if self.different is None else self.different


def kept_201(run: Path | None, distinct: bool, data: Path) -> Known:
    """Return the kept scores of a run of the whole space."""
    if run is None:
        raise UserError("--run: expected the folder of a run of all 15,625 strings of NAS-Bench-201")
    stored = load_run(run)
    names = ("params_reachable", *KEPT[1:]) if distinct else KEPT  # networks are judged by their own counts
    known = Known(stored.accuracy, {name: stored.scores[name][0] for name in names}, names[:2])
    if not distinct:
        return known
    weight = 1 / space_of("201").class_sizes(stored.index)
    return Known(known.accuracy, known.scores, known.counts, weight, np.flatnonzero(stored.index == stored.class_id))


def uniform_101(run: Path | None, data: Path) -> Known:
    """Return the uniform cells of NAS-Bench-101, as if they were the space."""
    with np.load(data / "nasbench101_uniform.npz") as file:
        early = {f"{epochs} epochs": 1 - file["valid_error"][:, at] for at, epochs in enumerate((4, 12, 36))}
        accuracy = 100 * (1 - file["valid_error"][:, 3].astype(float))
        counts = {"params": file["params"], "edges": file["matrix"].sum((1, 2))}
        seconds = file["train_seconds"]
    return made_known(accuracy, counts, {**early, "seconds": seconds}, np.arange(len(accuracy)), (0.2, 0.5, 0.8))


def macro(run: Path | None, data: Path) -> Known:
    """Return NAS-Bench-Macro with its counts and accuracies with noise."""
    found = load("macro", data=data)
    accuracy = found.table.target("test")
    return made_known(accuracy, counts_of(found.space), {}, found.space.class_id, (0.2, 0.35, 0.5, 0.65, 0.8, 0.9))


def one_shot(space_key: str, run: Path | None, data: Path) -> Known:
    """Return a space of NAS-Bench-1Shot1 with the counts and early accuracies of its cells."""
    space = space_of(f"1shot1-{space_key}")
    table = space.view(read_npz(data / "nasbench101_subset.npz", complete=False)[0])
    early = {f"{epochs} epochs": table.target("test", epochs) for epochs in (4, 12, 36)}
    return made_known(table.target("test"), counts_of(space), early, space.class_id, (0.2, 0.5, 0.8))


def counts_of(space: Space) -> dict[str, np.ndarray]:
    """Return params, FLOPs and convolutions of every architecture."""
    settings = {name: size or 10 for name, size in space.network.items()} | {"classes": 10}
    params, flops, _ = space.sizes(resolution=32, **settings)
    return {"params": params, "flops": flops, "layers": space.conv_count}


def made_known(
    accuracy: np.ndarray, counts: dict[str, np.ndarray], early: dict[str, np.ndarray], class_id: np.ndarray,
    strengths: tuple[float, ...],
) -> Known:  # fmt: skip
    """Add accuracies with noise that equal networks share, and one with twenty values."""
    quality = norm.ppf((rankdata(accuracy) - 0.5) / len(accuracy))[class_id]
    noise = np.random.default_rng(0).normal(size=(len(strengths), len(accuracy)))[:, class_id]
    noisy = {f"noise {rho}": rho * quality + np.sqrt(1 - rho**2) * e for rho, e in zip(strengths, noise, strict=True)}
    noisy["tied"] = np.round(3 * noisy["noise 0.5"])
    return Known(accuracy, {**counts, **early, **noisy}, tuple(counts))


TABLES: dict[str, Callable[..., Known]] = {
    "201": partial(kept_201, distinct=False), "201-distinct": partial(kept_201, distinct=True), "101": uniform_101,
    "macro": macro, **{f"1shot1-{key}": partial(one_shot, key) for key in "123"},
}  # fmt: skip


def measure(known: Known, n: int, samples: int, resamples: int) -> pd.DataFrame:
    """Return one row for each score and statistic."""
    names, size, level = list(known.scores), len(known.accuracy), [0.025, 0.975]
    scores = np.stack([_failed_last(score) for score in known.scores.values()])
    truth = _truth(scores[:, known.judged], known.accuracy[known.judged])
    best, count = int(np.argmax(truth[0][: len(known.counts)])), len(known.counts)
    drawn = [_sample(known, scores, np.random.default_rng([s, size]).permutation(size)[:n], resamples, best)
             for s in tqdm(range(samples), desc=f"n {n:,}", leave=False)]  # fmt: skip
    rho, tau, deviation, same, draws = (
        np.stack(each) for each in zip(*drawn, strict=True)
    )  # draws (samples, scores, all)
    shrink = np.sqrt(1 - n / size)
    gap, gap_draws = rho - rho[:, [best]], draws - draws[:, [best]]
    reach = t.ppf(0.975, n - 1) * shrink * deviation / (1 - tau**2)
    around = np.stack([np.tanh(np.arctanh(tau) - reach), np.tanh(np.arctanh(tau) + reach)])

    def middle(value: np.ndarray, resampled: np.ndarray, way: str) -> np.ndarray:
        return value + shrink * (np.quantile(resampled, level, axis=2, method=way) - value)

    verdicts = np.stack([_verdicts(*each, count, shrink) for each in zip(rho, draws, strict=True)])
    rows = []
    for statistic, true, value, ends, wide in (
        ("rho", truth[0], rho, middle(rho, draws, "weibull"), middle(rho, draws, "normal_unbiased")),
        ("tau_b", truth[1], tau, around, around),
        ("difference", truth[0] - truth[0][best], gap, middle(gap, gap_draws, "weibull"),
         middle(gap, gap_draws, "normal_unbiased")),
    ):  # fmt: skip
        shown = ~same if statistic == "difference" else np.ones_like(same)
        inside = ((ends[0] <= true) & (true <= ends[1]) & shown).sum(0) / np.maximum(shown.sum(0), 1)
        width = (wide[1] - wide[0]).mean(0) / np.maximum(3.92 * value.std(0, ddof=1), 1e-12)
        for at, name in enumerate(names):
            told = [np.nan, np.nan]
            if statistic == "difference":
                if shown[:, at].mean() < 0.5:  # the best count, and what ranks as it does
                    continue
                told = told if at < count else [(verdicts[:, at] == sign).mean() for sign in (1, -1)]
            rows.append((n, name, statistic, true[at], inside[at], width[at], value[:, at].mean() - true[at], *told))
    columns = ["n", "score", "statistic", "truth", "coverage", "width", "bias", "beats", "worse"]
    return pd.DataFrame(rows, columns=columns)


def _failed_last(score: np.ndarray) -> np.ndarray:
    """Return a score with its failures below all others, so that all are ranked."""
    score = np.asarray(score, float)
    return np.where(np.isfinite(score), score, np.nanmin(score[np.isfinite(score)]) - 1)


def _truth(scores: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return rho and tau-b of every score, (2, scores)."""
    return np.array([[of(score, accuracy) for score in scores] for of in (stats.spearman, stats.kendall_tau_b)])


def _sample(known: Known, scores: np.ndarray, rows: np.ndarray, resamples: int, best: int) -> tuple[np.ndarray, ...]:
    """Return of one sample rho, tau-b and its deviation, which scores rank as the best count does, (scores,), and rho
    in every resample, (scores, resamples)."""
    n, accuracy = len(rows), known.accuracy[rows]
    weight = None if known.weight is None else known.weight[rows]
    draws = np.vstack([np.ones((1, n), np.uint16), stats.resample_weights(np.arange(n), resamples, int(rows[0]))])
    rhos = stats.bootstrap_spearman(scores[:, rows], accuracy, draws, weight)
    here = scores[:, rows]
    same = np.corrcoef(rankdata(here, axis=1))[best] > SAME_ORDER
    return rhos[:, 0], *_tau_b(here, accuracy, np.ones(n) if weight is None else weight), same, rhos[:, 1:]


def _tau_b(scores: np.ndarray, accuracy: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return tau-b of every score and its deviation, as `stats.tau_b_interval` has them, from one call of `pair_sums`.

    Scores lie one above the other on both axes, so that a pair from two of them is always in the right order.
    """
    many, n = scores.shape
    level = np.arange(many)[:, None]
    x, y = (
        rankdata(side, axis=-1, method="dense") + (n + 1) * level for side in (scores, np.tile(accuracy, (many, 1)))
    )
    sums = pair_sums(x.ravel(), y.ravel(), np.tile(weight, many))
    signs, untied_x, untied_y = (each.reshape(many, n) - (many - 1) * weight.sum() for each in sums)
    total_x, total_y = untied_x @ weight, untied_y @ weight
    norm = np.sqrt(total_x * total_y)
    tau = signs @ weight / norm
    moved = 2 * signs / norm[:, None] - tau[:, None] * (untied_x / total_x[:, None] + untied_y / total_y[:, None])
    return tau, np.sqrt(((moved * weight) ** 2).sum(1) * n / (n - 1))


def _verdicts(rho: np.ndarray, draws: np.ndarray, count: int, shrink: float) -> np.ndarray:
    """Return whether each score beats the best count of the sample: 1, it is worse: -1, or undecided: 0."""
    base = int(np.argmax(rho[:count]))
    gap, spread = rho - rho[base], (draws - draws[base]).std(1, ddof=1) * shrink
    others = np.arange(len(rho)) != base
    p = stats.holm(2 * norm.sf(np.abs(gap[others]) / np.maximum(spread[others], 1e-12)))
    verdicts = np.zeros(len(rho), int)
    verdicts[others] = np.sign(gap[others]) * (p < 0.05)
    return verdicts


def markdown(frame: pd.DataFrame) -> str:
    """Return the summary: a row for each table, n and statistic."""
    inside, wide = frame["coverage"].between(0.92, 0.975).mean(), frame["coverage"].min()
    off = (frame["width"] - 1).abs()
    far = [off[frame["n"] >= 300].max(), off[frame["n"] < 300].max()]
    lines = [
        "# Coverage of the 95 % intervals", "", "Made by `python -m speed.coverage`; each cell in coverage.csv.", "",
        f"{len(frame):,} cells (table, n, score, statistic): {inside:.1%} cover 92 to 97.5 %, the lowest {wide:.1%}."
        f" Mean width differs from the true one by at most {far[0]:.1%} (n of 300 and more), {far[1]:.1%} (n = 100).",
        "",
    ]  # fmt: skip
    rows = []
    for (table, n, statistic), part in frame.groupby(["table", "n", "statistic"], sort=False):
        low, high = part["coverage"].min(), part["coverage"].max()
        rows.append([
            table, f"{n:,}", statistic, len(part), f"{part['coverage'].mean():.1%}", f"{low:.1%} to {high:.1%}",
            f"{part['width'].min():.2f} to {part['width'].max():.2f}", f"{part['bias'].abs().max():.3f}",
        ])  # fmt: skip
    heads = ["table", "n", "statistic", "scores", "coverage", "from, to", "width / true width", "largest bias"]
    lines += markdown_table(heads, rows, range(3, 8))
    told = frame[frame["beats"].notna()]
    power = told.pivot_table(index=["table", "score", "truth"], columns="n", values=["beats", "worse"], sort=False)
    sizes = sorted(set(told["n"]))
    lines += ["", "How often a score is found to beat the best count of the sample / to be worse, by n; the true"
              " difference is to the best count of the space.", ""]  # fmt: skip
    cells = [[*map(str, key[:2]), f"{key[2]:+.3f}", *(_both(line, n) for n in sizes)] for key, line in power.iterrows()]
    lines += markdown_table(["table", "score", "true difference", *(f"{n:,}" for n in sizes)], cells, range(2, 9))
    return "\n".join(lines) + "\n"


def _both(line: pd.Series, n: int) -> str:
    there = line.get(("beats", n)), line.get(("worse", n))
    return "" if there[0] is None or np.isnan(there[0]) else f"{there[0]:.0%} / {there[1]:.0%}"


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("coverage", __doc__)
    line.add_argument(
        "--tables", default=",".join(TABLES), help=f"of {', '.join(TABLES)} (default: all); others stay in the files"
    )
    line.sizes("--n", "sizes of the samples", "100,300,1000,3000")
    line.count("--samples", "samples of each size", 1000)
    line.count("--resamples", "bootstrap resamples in each sample", 99)
    line.add_argument("--quick", action="store_true", help="a twentieth of the samples")
    line.add_argument("--run", type=Path, help="run folder with all strings of NAS-Bench-201")
    line.add_argument("--data", help="folder of the ground truth (default: NAS_HARNESS_DATA)")
    line.add_argument("--out", type=Path, default=Path("results"), help="folder for coverage.csv and coverage.md")
    return line


def main(argv: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    return parser().run(argv, _run)


def _run(given: argparse.Namespace) -> None:
    chosen = given.tables.split(",")
    if unknown := [name for name in chosen if name not in TABLES]:
        raise UserError(f"--tables: unknown {', '.join(unknown)}; there are {', '.join(TABLES)}")
    folder = data_folder(given.data)
    if folder is None:
        raise UserError("no ground truth: give its folder in --data")
    samples = max(2, given.samples // (20 if given.quick else 1))
    for name in chosen:
        known = TABLES[name](given.run, data=folder)
        for n in numbers(given.n):
            if n < PARTIAL * len(known.accuracy):
                frame = measure(known, n, samples, given.resamples).assign(table=name)
                say(f"{name}, n {n:,}: least coverage {frame['coverage'].min():.3f}")
                text = write(frame, given.out)
    print(text)


def write(frame: pd.DataFrame, out: Path) -> str:
    """Put the cells of a table and n into the files; return the summary of all."""
    path = out / "coverage.csv"
    if path.is_file():
        earlier = pd.read_csv(path, dtype={"table": str})
        same = (earlier["table"] == frame["table"].iloc[0]) & (earlier["n"] == frame["n"].iloc[0])
        frame = pd.concat([earlier[~same], frame], ignore_index=True)
    frame = frame[["table", *(name for name in frame if name != "table")]]
    frame = frame.sort_values(["table", "n"], kind="stable", ignore_index=True).round(5)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(frame, path)
    write_text(out / "coverage.md", text := markdown(frame))
    return text


if __name__ == "__main__":
    sys.exit(main())
