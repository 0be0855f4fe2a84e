"""Reading and listing the sets of kept scores; needs no scientific package before a set is read."""

from __future__ import annotations

import io
import json
import lzma
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.benchmark import load
from benchmarks.errors import UserError, suggest

if TYPE_CHECKING:
    import pandas as pd

FOLDER = Path(__file__).parent
ENDING = ".csv.xz"


def scores(
    bench: str = "201", dataset: str = "cifar10", name: str | None = None, *, accuracy: bool = False,
    transform: str | None = None, data: str | Path | None = None, split: str | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return kept scores: a column `arch` (canonical strings) and one for each proxy, larger is better; NaN is failed.

    Of several sets for a benchmark and dataset the default is the largest: most scores. `name` selects another. `attrs`
    of the frame has the names of the `others`, and the command, settings, table, versions and revision that the scores
    were made with. `harness.judge(harness.scores(...), bench=...)` gives their statistics. UserError where there is no
    such set; it lists the existing ones.

    accuracy: a column `accuracy` in percent too, from the ground truth in the folder `data` (as for `benchmarks.load`),
    of `split` (default: test, or valid without one), mean over seeds. transform: what a learner can use, as raw scores
    span 1e-3 to 1e60 and overflow float32: "rank" (midrank / n, in 0..1, ties alike), "log" (sign x log10(1 + size)),
    or "standard" (ranks turned into a normal distribution).
    """
    import pandas as pd

    known = facts()
    if name is not None and name not in known:
        raise suggest([name], known, "set of kept scores")
    of = {each: (about["bench"], about["dataset"]) for each, about in known.items()}
    if name and of[name] != (bench, dataset):
        raise UserError(f"the kept scores '{name}' are of {of[name]}, not of {(bench, dataset)}: give both alike")
    fitting = [each for each in of if of[each] == (bench, dataset)]
    if not fitting:
        there = ", ".join(map(str, sorted(set(of.values()))))
        raise UserError(f"no kept scores of {(bench, dataset)}; expected a benchmark and a dataset, one of {there}")
    chosen = name or max(fitting, key=lambda each: known[each]["scores"])
    frame = pd.read_csv(io.StringIO(table(chosen)), dtype={"arch": str})
    frame = frame.astype(dict.fromkeys(frame.columns.drop("arch"), "float64"))
    frame = _transformed(frame, transform)
    if accuracy:
        frame.insert(1, "accuracy", _accuracy(frame["arch"], bench, dataset, data, split))
    frame.attrs = {"name": chosen, "others": [each for each in fitting if each != chosen], **known[chosen]}
    return frame


TRANSFORMS = ("rank", "log", "standard")


def _transformed(frame: pd.DataFrame, transform: str | None) -> pd.DataFrame:
    """Return a table with its scores transformed, column by column; NaN stay NaN."""
    import numpy as np

    if transform is None:
        return frame
    if transform not in TRANSFORMS:
        raise suggest([transform], TRANSFORMS, "transform of scores")
    names = frame.columns.drop("arch")
    if transform == "log":
        return frame.assign(**{name: np.sign(frame[name]) * np.log10(1 + frame[name].abs()) for name in names})
    ranks = {name: (frame[name].rank() - 0.5) / frame[name].count() for name in names}
    if transform == "standard":
        from scipy.special import ndtri

        ranks = {name: ndtri(values) for name, values in ranks.items()}
    return frame.assign(**ranks)


def _accuracy(archs: pd.Series, bench: str, dataset: str, data: str | Path | None, split: str | None) -> list[float]:
    """Return the accuracy of each architecture in percent, NaN where the ground truth has none."""
    table = load(bench, dataset, data).table
    chosen = split or next(each for each in ("test", "valid", *table.splits) if each in table.splits)
    known = dict(zip(table.archs, table.target(chosen), strict=True))
    return [float(known.get(arch, "nan")) for arch in archs]


@cache
def facts() -> dict[str, dict[str, Any]]:
    """Return {name of a set: its first line, decoded}, sorted by name; the scores are not read."""
    found = {}
    for path in FOLDER.glob(f"*{ENDING}"):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            found[path.name.removesuffix(ENDING)] = json.loads(file.readline())
    return dict(sorted(found.items()))


def table(name: str) -> str:
    """Return a set as CSV; UserError for an unknown name."""
    if name not in facts():
        raise suggest([name], facts(), "set of kept scores")
    return lzma.decompress((FOLDER / f"{name}{ENDING}").read_bytes()).decode().partition("\n")[2]


def listing() -> str:
    """Return one line for each set."""
    lines = [f"{'name':20}  {'bench':9}  {'dataset':9}  {'archs':>6}  {'proxies':>7}  made on"]
    for name, about in facts().items():
        bench, dataset, archs, proxies = (about[key] for key in ("bench", "dataset", "archs", "proxies"))
        lines.append(f"{name:20}  {bench:9}  {dataset:9}  {archs:6,}  {proxies:7}  {about['started'][:10]}")
    return "\n".join(
        [*lines, "", "harness.scores(BENCH, DATASET) reads the largest in Python, name=NAME a certain one."]
    )
