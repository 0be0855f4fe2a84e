"""Making the sets of kept scores from results/tables of a checkout."""

import json
import lzma
from pathlib import Path

import pandas as pd

from benchmarks.errors import UserError
from harness.cached.kept import ENDING, FOLDER, facts
from harness.store.stored_run import load_run, target_in

TABLES = FOLDER.parents[1] / "results" / "tables"
FROM_MANIFEST = (
    *("benchmark", "command", "device", "minibatch", "revision", "seconds", "settings", "space_size", "started"),
    *("table_checksum", "table_source", "versions"),
)
"""Entries of the run's manifest that a set keeps."""


def write(tables: Path = TABLES, folder: Path = FOLDER) -> list[Path]:
    """Write a set for each folder of `tables` that holds scores; return their paths. UserError without `tables`."""
    if not tables.is_dir():
        raise UserError(f"--make: no folder {tables}; run it in a clone of the repository")
    written = []
    for run in folders(tables):
        written.append(folder / f"{run.name}{ENDING}")
        written[-1].write_bytes(lzma.compress(pack(run).encode()))
    facts.cache_clear()
    return written


def folders(tables: Path = TABLES) -> list[Path]:
    """Return the folders of results/tables that hold scores, by name."""
    return sorted({path.parent for path in (*tables.glob("*/scores.csv"), *tables.glob("*/scores.h5"))})


def pack(folder: Path) -> str:
    """Return the text of a set from a folder of results/tables: manifest.json, and scores.csv or a run's scores.h5."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    table = (folder / "scores.csv").read_text("utf-8") if (folder / "scores.csv").is_file() else _of_run(folder)
    head, *rows = table.splitlines()
    about = {
        "bench": manifest["settings"]["bench"], "dataset": target_in(manifest)["dataset"], "archs": len(rows),
        "proxies": head.count(","), "scores": len(rows) * head.count(","),
        **{name: manifest[name] for name in FROM_MANIFEST if name in manifest},
        "settings": manifest["settings"] | target_in(manifest),
    }  # fmt: skip
    return json.dumps(about, sort_keys=True) + f"\n{table}"


def _of_run(folder: Path) -> str:
    run = load_run(folder)
    about = run.manifest["proxies"]
    columns = {name: values[0] for name, values in run.scores.items() if not about[name]["static"]}
    return pd.DataFrame({"arch": run.archs, **columns}).to_csv(index=False, float_format="%.7g", lineterminator="\n")
