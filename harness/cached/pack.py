"""Making the sets of kept scores: from results/tables of a checkout, or from a run too large to lie there."""

import json
import lzma
import re
import shutil
from pathlib import Path
from typing import Any

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
STATISTICS = ("summary.csv", "summary.md", "figures/correlation.png")
"""Files of a run that lie beside its manifest where its scores do not."""


def write(tables: Path = TABLES, folder: Path = FOLDER) -> list[Path]:
    """Write a set for each folder of `tables` that holds scores, and the first line of those kept from elsewhere with
    the cost that `tables` has; return their paths. UserError without `tables`."""
    if not tables.is_dir():
        raise UserError(f"--make: no folder {tables}; run it in a clone of the repository")
    written = []
    for run in folders(tables):
        written.append(folder / f"{run.name}{ENDING}")
        written[-1].write_bytes(lzma.compress(pack(run).encode()))
    for path in sorted(set(folder.glob(f"*{ENDING}")) - set(written)):
        head, _, table = lzma.decompress(path.read_bytes()).decode().partition("\n")
        about = json.loads(head) | {"cost": _cost(tables / path.name.removesuffix(ENDING))}
        path.write_bytes(lzma.compress(f"{json.dumps(about, sort_keys=True)}\n{table}".encode()))
        written.append(path)
    facts.cache_clear()
    return written


def keep(run: Path, name: str, tables: Path = TABLES, folder: Path = FOLDER) -> list[Path]:
    """Keep the scores of a run folder as the set `name`, and its statistics without scores in `tables`/`name`; return
    what was written. UserError for another folder, for a name in use by a folder with scores, and without `tables`."""
    if not tables.is_dir():
        raise UserError(f"--pack: no folder {tables}; run it in a clone of the repository")
    if not re.fullmatch(r"[\w.-]+", name) or tables / name in folders(tables):
        raise UserError(f"--name {name}: expected a new name of letters, digits and . _ - alone")
    load_run(run)
    manifest = json.loads((run / "manifest.json").read_text("utf-8"), object_hook=_without_paths)
    written = [tables / name / part for part in ("manifest.json", *STATISTICS) if (run / part).is_file()]
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run / path.relative_to(tables / name), path)
    written[0].write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    written.append(folder / f"{name}{ENDING}")
    written[-1].write_bytes(lzma.compress(pack(run, manifest).encode()))
    facts.cache_clear()
    return written


def _without_paths(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record of a manifest without paths of a machine."""
    plain = {key: plain_command(value) for key, value in record.items() if isinstance(value, str)}
    return record | {key: "DIR" if value.startswith("/") else value for key, value in plain.items()}


def plain_command(command: str) -> str:
    """Return a command line as typed by a user: `python -m` for the path of a program, DIR for folders of a machine."""
    command = re.sub(r"^\S*(harness)/(\w+)(?:/__main__)?\.py", r"python -m \1.\2", command)
    command = re.sub(r"(--inputs) /\S*/([^/\s]+)", r"\1 DIR/\2", command)
    return re.sub(r"(--(?:data|out)) \S+", r"\1 DIR", command)


def folders(tables: Path = TABLES) -> list[Path]:
    """Return the folders of results/tables that hold scores, by name."""
    return sorted({path.parent for path in (*tables.glob("*/scores.csv"), *tables.glob("*/scores.h5"))})


def pack(folder: Path, manifest: dict[str, Any] | None = None) -> str:
    """Return the text of a set from a folder of results/tables: manifest.json, and scores.csv or a run's scores.h5."""
    manifest = manifest or json.loads((folder / "manifest.json").read_text("utf-8"))
    table = (folder / "scores.csv").read_text("utf-8") if (folder / "scores.csv").is_file() else _of_run(folder)
    head, *rows = table.splitlines()
    about = {
        "bench": manifest["settings"]["bench"], "dataset": target_in(manifest)["dataset"], "archs": len(rows),
        "proxies": head.count(","), "scores": len(rows) * head.count(","),
        **{name: manifest[name] for name in FROM_MANIFEST if name in manifest},
        "settings": manifest["settings"] | target_in(manifest), "cost": _cost(folder),
    }  # fmt: skip
    return json.dumps(about, sort_keys=True) + f"\n{table}"


def _cost(folder: Path) -> dict[str, float]:
    """Return {score: mean seconds for an architecture} of a run's summary.csv, {} without one."""
    if not (folder / "summary.csv").is_file():
        return {}
    rows = pd.read_csv(folder / "summary.csv")
    if not {"population", "proxy", "seconds"} <= set(rows):
        return {}
    rows = rows[rows["population"] == "all"].set_index("proxy")["seconds"].dropna()
    return {str(name): float(f"{seconds:.3g}") for name, seconds in rows.items()}


def _of_run(folder: Path) -> str:
    run = load_run(folder)
    about = run.manifest["proxies"]
    columns = {name: values[0] for name, values in run.scores.items() if not about.get(name, {}).get("static")}
    return pd.DataFrame({"arch": run.archs, **columns}).to_csv(index=False, float_format="%.7g", lineterminator="\n")
