"""A reproduction as files in one folder: reproduction.md, .html and .csv, the figure, manifest.json."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.errors import UserError
from benchmarks.files.write import write_text
from harness.reproduce.compare import shares
from harness.reproduce.recipes import Recipe
from harness.reproduce.session import Reproduction
from harness.store.version import VERSION

KIND = "reproduction"


def checked(out: Path) -> Path:
    """Return the folder to write to; UserError where it is a file, or holds anything but an earlier reproduction."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give another --out")
    try:
        told = json.loads((out / "manifest.json").read_text("utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        told = KIND if not (out / "manifest.json").exists() else None
    if told != KIND:
        raise UserError(f"{out} holds something else than an earlier reproduction: give another --out")
    return out


def facts(made: Reproduction, tables: Sequence[Recipe], mode: str) -> dict[str, Any]:
    """Return what the manifest says."""
    import numpy as np
    import pandas as pd
    import scipy

    from harness.runs.manifest import revision

    words = [word if "/" not in word or word.startswith("results") else "DIR" for word in sys.argv[1:]]
    overall, by_table = shares(made.rows), shares(made.rows, ["table"])
    return {
        "kind": KIND, "command": " ".join(["python -m harness.reproduce", *words]), "mode": mode,
        "tables": [table.name for table in tables], "files": made.files, "origins": made.origins,
        "figures": {name: int(overall[name].iloc[0]) for name in ("figures", "checked", "agrees")},
        "by_table": {row.table: [row.checked, row.agrees] for row in by_table.itertuples()},
        "versions": {"harness": VERSION, "numpy": np.__version__, "scipy": scipy.__version__,
                     "pandas": pd.__version__},
        "revision": revision(Path(__file__).parent), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def write(made: Reproduction, tables: Sequence[Recipe], mode: str, out: Path) -> Path:
    """Write all files, the manifest last; return the page. UserError where the folder cannot be written."""
    from harness.report.formats import write_csv
    from harness.reproduce import page
    from harness.reproduce.figure import write_figure

    manifest = facts(made, tables, mode)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_csv(made.rows, out / "reproduction.csv")
        figure = write_figure(made.rows, out)
        write_text(out / "reproduction.md", page.markdown(made, tables, manifest))
        written = write_text(out / "reproduction.html", page.html(made, tables, manifest, figure))
        write_text(out / "manifest.json", json.dumps(manifest, indent=1, default=str) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {error.filename or out}: {error.strerror}; give another --out") from error
    return written
