"""Searches and operation scores: read from the folder that a table's command writes, or carried out first.

A folder is searched for by name where the reproduction is written, and in the folder `tables` next to that. Over
several seeds our value is the mean, with the sample standard deviation.
"""

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.benchmark import Benchmark
from benchmarks.errors import UserError
from harness.cached.pack import plain_command
from harness.operations.agreement import mean_by_edge
from harness.report.result import write_manifest
from harness.reproduce.facts import from_table
from harness.reproduce.recipes import Published, Recipe


@dataclass(frozen=True)
class Found:
    """Our value, over seeds."""

    value: float
    sd: float
    n: int
    note: str = ""


def locate(table: Recipe, out: Path) -> Path | None:
    """Return the folder of a table, None where there is none."""
    places = (out / table.folder, out.parent / "tables" / table.folder)
    return next((place for place in places if (place / "manifest.json").is_file()), None)


def carry_out(
    table: Recipe, out: Path, data: str | None, scores: Path | None,
    commands: Mapping[str, Callable[[list[str]], int]], say: Callable[[str], None],
) -> Path:  # fmt: skip
    """Write the folder of a table with its command, one of `commands`; return it. UserError where the command fails."""
    _, _, module, *words = shlex.split(table.command)
    words = [str(scores) if word == "SCORES" else word for word in words]
    words += ["--out", str(out / table.folder), *(["--data", data] if data else [])]
    say(f"{table.name}: {module} {shlex.join(words)}")
    if module not in commands:
        raise UserError(f"needs the folder {table.folder}, and `{table.command}` is not to be carried out")
    if code := commands[module]([*words, "--existing", "replace"]):
        raise UserError(f"`{table.command}` ended with {code}")
    path = out / table.folder / "manifest.json"  # says the command of this process
    command = plain_command(f"python -m {module} {shlex.join(words)}")
    write_manifest(path.parent, json.loads(path.read_text("utf-8")) | {"command": command})
    return path.parent


def read(table: Recipe, published: Published, folder: Path, benchmark: Benchmark) -> Found:
    """Return our value for a published one from a folder. UserError where the folder does not hold it, or was made by
    a command with other options than the table's."""
    made = origin(folder)["command"]
    if differ := sorted(_options(table.command) - _options(made)):
        raise UserError(f"{folder} was not made with {', '.join(differ)}: run `{table.command}`")
    try:
        return {"operations": _operations, "search": _search}[table.kind](published, folder, benchmark)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"{folder}: nothing to compare with {published.method} in it ({error})") from None


def _options(command: str) -> set[str]:
    """Return the options of a command with their values; a file of scores may lie anywhere. Two spellings are one."""
    parts = re.split(r" (?=--[a-z])", command.replace("--operation-scores", "--scores"))[1:]
    return {part.strip() for part in parts if not part.startswith("--scores SCORES")}


def origin(folder: Path) -> dict:
    """Return the entries of the folder's manifest that say how it was made; the command without paths of a machine."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    kept = {key: manifest[key] for key in ("revision", "started", "table_checksum", "notes") if key in manifest}
    return {"folder": folder.name, "command": plain_command(str(manifest.get("command", ""))), **kept}


def _operations(published: Published, folder: Path, benchmark: Benchmark) -> Found:
    """An operation score: rho with a score of the table, mean over edges; or the accuracy of the cell it chooses."""
    score = published.args["score"]
    if published.measure == "accuracy":
        chosen = pd.read_csv(folder / "chosen.csv")
        return _mean(chosen.loc[chosen["score"] == score, "accuracy"].to_numpy(float))
    table = pd.read_csv(folder / "scores.csv")
    reference = from_table(benchmark, published.args["reference"])
    by_seed = table[table["score"] == score].groupby("seed")["value"]
    values = by_seed.agg(lambda of_seed: mean_by_edge(of_seed.to_numpy(float).reshape(reference.shape), reference))
    return _mean(values.to_numpy())


def _search(published: Published, folder: Path, benchmark: Benchmark) -> Found:
    """A column of the cells that searches found, such as their accuracy, or the share of an operation in them."""
    runs = pd.read_csv(folder / "runs.csv")
    if "operation" in published.args:
        cells = pd.read_csv(folder / "cells.csv")
        counts = cells.loc[cells["group"] == "found", list(benchmark.space.choices.operations)]
        return _mean((counts[published.args["operation"]] / counts.sum(axis=1)).to_numpy(float))
    for name in ("method", "guide"):
        if name in published.args:
            runs = runs[runs[name] == published.args[name]]
    found = _mean(runs[published.args["column"]].to_numpy(float))
    if "cell" not in published.args:
        return found
    seed = published.args["cell_seed"]
    mine = runs.set_index("seed").at[seed, "arch"]
    at = [benchmark.space.index(arch) for arch in (mine, published.args["cell"])]
    one, other = benchmark.space.choices.of(np.array(at)).chosen
    alike = f"our cell of seed {seed} has {int((one == other).sum())} of the {len(one)} published operations"
    return Found(found.value, found.sd, found.n, alike)


def _mean(values: np.ndarray) -> Found:
    known = values[np.isfinite(values)]
    if not len(known):
        raise ValueError("no finite value")
    return Found(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else math.nan, len(known))
