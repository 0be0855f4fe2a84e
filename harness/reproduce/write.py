"""A reproduction as files in one folder: reproduction.md, .html and .csv, the figure, manifest.json."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy

from benchmarks.files.write import write_text
from harness.report.result import write_manifest, writing
from harness.report.style import write_csv
from harness.reproduce.compare import Reproduction, shares, without_cause
from harness.reproduce.figure import write_figure
from harness.reproduce.page import html, markdown
from harness.reproduce.recipes import Recipe
from harness.reproduce.verdict import votes
from harness.runs.assemble import revision
from harness.store.version import VERSION

KIND = "reproduction"
COUNTS = ("published", "checked", "agrees", "undecided", "differs")
"""Counts of values, of all tables and (all but the first) of each."""


def facts(made: Reproduction, tables: Sequence[Recipe], mode: str) -> dict[str, Any]:
    """Return the manifest."""
    words = [word if "/" not in word or word.startswith("results") else "DIR" for word in sys.argv[1:]]
    overall, by_table, cast = shares(made.rows), shares(made.rows, ["table"]), votes(made.rows)
    return {
        "kind": KIND, "command": " ".join(["python -m harness.reproduce", *words]), "mode": mode,
        "tables": [table.name for table in tables], "files": made.files, "origins": made.origins,
        "values": {name: int(overall[name].iloc[0]) for name in COUNTS},
        "votes": {**cast["verdict"].value_counts().to_dict(), "without cause": len(votes(without_cause(made.rows)))},
        "by_table": {row.table: [getattr(row, name) for name in COUNTS[1:]] for row in by_table.itertuples()},
        "versions": {"harness": VERSION, "numpy": np.__version__, "scipy": scipy.__version__,
                     "pandas": pd.__version__},
        "revision": revision(Path(__file__).parent), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }  # fmt: skip


def write(made: Reproduction, tables: Sequence[Recipe], mode: str, out: Path) -> Path:
    """Write all files, the manifest last; return the page. UserError where the folder cannot be written."""
    manifest = facts(made, tables, mode)
    with writing(out):
        write_csv(made.rows, out / "reproduction.csv")
        figure = write_figure(made.rows, out)
        write_text(out / "reproduction.md", markdown(made, tables, manifest))
        page = write_text(out / "reproduction.html", html(made, tables, manifest, figure))
        write_manifest(out, manifest)
    return page
