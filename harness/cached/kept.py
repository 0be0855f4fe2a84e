"""Reading, listing and making the sets of kept scores."""

from __future__ import annotations

import io
import json
import lzma
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, suggest

if TYPE_CHECKING:
    import pandas as pd


FOLDER = Path(__file__).parent


TABLES = FOLDER.parents[1] / "results" / "tables"


FACTS = (
    *("benchmark", "command", "device", "minibatch", "revision", "seconds", "settings", "space_size", "started"),
    *("table_checksum", "table_source", "versions"),
)
"""What is kept of the manifest of the run."""


def scores(bench: str = "201", dataset: str = "cifar10", name: str | None = None) -> pd.DataFrame:
    """Return kept scores: a column `arch` (canonical strings) and one for each proxy, larger is better; NaN is failed.

    Of several sets for a benchmark and data set it is the largest: most scores. `name` asks for another one; `attrs`
    of the frame names the `others`, and says with which command, settings, table, versions and revision the scores were
    made. `harness.judge(harness.scores(...), bench=...)` gives their statistics. UserError where there is no such set;
    it lists what there is.
    """
    facts = _facts()
    if name is not None and name not in facts:
        raise suggest([name], facts, "set of kept scores")
    of = {each: (about["bench"], about["dataset"]) for each, about in facts.items()}
    if name and of[name] != (bench, dataset):
        raise UserError(f"the kept scores '{name}' are of {of[name]}, not of {(bench, dataset)}: give both alike")
    fitting = [each for each in of if of[each] == (bench, dataset)]
    if not fitting:
        there = ", ".join(map(str, sorted(set(of.values()))))
        raise UserError(f"no kept scores of {(bench, dataset)}; expected a benchmark and a dataset, one of {there}")
    chosen = name or max(fitting, key=lambda each: facts[each]["scores"])
    return _read(chosen, others=[each for each in fitting if each != chosen])


@cache
def _facts() -> dict[str, dict[str, Any]]:
    """Return {name: its first line}, by name, without reading the scores."""
    found = {}
    for path in FOLDER.glob("*.csv.xz"):
        with lzma.open(path, "rt", encoding="utf-8") as file:
            found[path.name.removesuffix(".csv.xz")] = json.loads(file.readline())
    return dict(sorted(found.items()))


def _read(name: str, others: list[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_csv(io.StringIO(table(name)), dtype={"arch": str})
    frame = frame.astype(dict.fromkeys(frame.columns.drop("arch"), "float64"))
    frame.attrs = {"name": name, "others": others, **_facts()[name]}
    return frame


def table(name: str) -> str:
    """Return a set as CSV; UserError where there is none of that name."""
    if name not in _facts():
        raise suggest([name], _facts(), "set of kept scores")
    return lzma.decompress((FOLDER / f"{name}.csv.xz").read_bytes()).decode().partition("\n")[2]


def listing() -> str:
    """Return one line for each set."""
    lines = [f"{'name':20}  {'bench':9}  {'dataset':9}  {'archs':>6}  {'proxies':>7}  made on"]
    for name, facts in _facts().items():
        bench, dataset, archs, proxies = (facts[key] for key in ("bench", "dataset", "archs", "proxies"))
        lines.append(f"{name:20}  {bench:9}  {dataset:9}  {archs:6,}  {proxies:7}  {facts['started'][:10]}")
    return "\n".join(
        [*lines, "", "harness.scores(BENCH, DATASET) reads the largest in Python, name=NAME a certain one."]
    )


def pack(folder: Path) -> str:
    """Return the text of a set from a folder of results/tables: manifest.json, and scores.csv or a run's scores.h5."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    table = (folder / "scores.csv").read_text("utf-8") if (folder / "scores.csv").is_file() else _of_run(folder)
    head, *rows = table.splitlines()
    facts = {
        "bench": manifest["settings"]["bench"], "dataset": manifest["settings"]["dataset"], "archs": len(rows),
        "proxies": head.count(","), "scores": len(rows) * head.count(","),
        **{name: manifest[name] for name in FACTS if name in manifest},
    }  # fmt: skip
    return json.dumps(facts, sort_keys=True) + f"\n{table}"


def _of_run(folder: Path) -> str:
    import pandas as pd

    from harness.proxies.registry import registry
    from harness.store.stored_run import load_run

    run, known = load_run(folder), registry()
    columns = {name: values[0] for name, values in run.scores.items() if not known[name].static}
    return pd.DataFrame({"arch": run.archs, **columns}).to_csv(index=False, float_format="%.7g", lineterminator="\n")


def write(tables: Path = TABLES, folder: Path = FOLDER) -> list[Path]:
    """Make the sets anew from the folders of results/tables that hold scores; return their paths."""
    written = []
    for made in sorted({path.parent for path in (*tables.glob("*/scores.csv"), *tables.glob("*/scores.h5"))}):
        written.append(folder / f"{made.name}.csv.xz")
        written[-1].write_bytes(lzma.compress(pack(made).encode()))
    _facts.cache_clear()
    return written
