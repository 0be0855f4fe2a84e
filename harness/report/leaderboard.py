"""The leaderboard: one static page from stored results, the scorecard and the submissions that passed the check."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.errors import UserError
from benchmarks.files.write import write_text
from harness.analysis.scorecard import CELLS, Scorecard, panel_of, standing
from harness.report.html import Cell, Row, Table, render, row, shaded
from harness.report.page import policy, shipped
from harness.report.scorecard import notes
from harness.report.style import count, duration, interval, number

if TYPE_CHECKING:
    from harness.analysis.submission import Check

ENDING = ".json"
KINDS = {"proxy": "", "ensemble": "", "fitted": "fitted", "count": "baseline", "random": "baseline"}
"""Kind of a score -> CSS class of its row."""


def stored_scorecard(folder: Path) -> Scorecard:
    """Return the scorecard of a folder that `nas-harness scorecard` wrote; UserError for another one."""
    try:
        cells = pd.read_csv(folder / "cells.csv", keep_default_na=True, dtype={"score": str, "family": str})
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no scorecard ({error}); make it: nas-harness scorecard --out {folder}") from None
    if lacking := [name for name in CELLS if name not in cells]:
        raise UserError(f"{folder}/cells.csv has no column {', '.join(lacking)}: make it again: nas-harness scorecard")
    cells = cells.fillna({"verdict": "", "kept": "", "protocol": "", "revision": ""})
    panel = panel_of(cells)
    return Scorecard(cells, standing(cells, panel), panel)


def entries(folder: Path) -> list[dict[str, Any]]:
    """Return the submissions of a folder, by name of their file. UserError for a file that is none."""
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            entry = json.loads(path.read_text("utf-8"))
            assert set(CELLS) <= set(entry["cell"]) and isinstance(entry["check"], dict)
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            raise UserError(f"{path}: no submission to the leaderboard: delete it, or submit it again") from None
        found.append(entry)
    return found


def entry_of(cell: Mapping[str, Any], check: Check, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a submission as it is stored: its row of the scorecard, the check, and how it was made."""
    plain = {name: None if isinstance(value, float) and not math.isfinite(value) else value
             for name, value in cell.items()}  # fmt: skip
    return {"cell": {name: plain[name] for name in CELLS}, "check": asdict(check), **facts}


def write_entry(entry: Mapping[str, Any], folder: Path) -> Path:
    """Store a submission, in the place of an earlier one of that name and task."""
    name = re.sub(r"[^\w.@-]+", "-", f"{entry['cell']['score']}-{entry['cell']['task']}")
    folder.mkdir(parents=True, exist_ok=True)
    return write_text(folder / f"{name}{ENDING}", json.dumps(entry, indent=1, default=str) + "\n")


def with_entries(found: Scorecard, submitted: Sequence[Mapping[str, Any]]) -> Scorecard:
    """Return a scorecard with submissions added; ranks are among the panel as it is."""
    if not submitted:
        return found
    rows = pd.DataFrame([entry["cell"] for entry in submitted])[list(CELLS)].astype(found.cells.dtypes.to_dict())
    cells = pd.concat([found.cells, rows], ignore_index=True)
    return Scorecard(cells, standing(cells, found.panel), found.panel)


def page(
    found: Scorecard, submitted: Sequence[Mapping[str, Any]], sets: Mapping[str, Mapping[str, Any]], command: str
) -> str:
    """Return the page. sets: {kept set: what its first line says}."""
    whole, script = with_entries(found, submitted), shipped("sort.js")
    return render(
        "leaderboard.html", policy=policy(script), sheet=shipped("page.css"), script=script, command=command,
        size=f"{len(whole.standing)} scores on {len(whole.tasks)} tasks, {len(submitted)} of them submitted.",
        notes=notes(whole), standing=standing_table(whole, {entry["cell"]["score"] for entry in submitted}),
        submitted=submitted_table(submitted) if submitted else None,
        sources=sources_table(sets, set(found.cells["kept"])),
    )  # fmt: skip


def standing_table(found: Scorecard, submitted: set[str]) -> Table:
    """Return the sortable table: where each score stands, its cost and source, and rho on every task."""
    there = {(each["task"], each["score"]): each for each in found.cells.to_dict("records")}
    facts = found.cells.drop_duplicates("score").set_index("score")
    heads = ["score", "kind", "mean rank", "mean rho", "beats", "tasks", "families", "s/arch"]
    rows = []
    for each in found.standing.to_dict("records"):
        name = each["score"]
        kind = f"{each['kind']}, submitted" if name in submitted else each["kind"]
        cells = [
            Cell(name), Cell(kind), _ranked(each, "mean_rank", 1), _ranked(each, "rho", 2),
            Cell(str(each["beats"]), value=each["beats"]), Cell(str(each["tasks"]), value=each["tasks"]),
            Cell(str(each["families"]), value=each["families"]),
            Cell(duration(each["seconds"]), value=each["seconds"] if math.isfinite(each["seconds"]) else None),
        ]  # fmt: skip
        cells += [_cell(there.get((task, name))) for task in found.tasks]
        cells += [Cell(str(facts.loc[name, key])) for key in ("protocol", "revision")]
        rows.append(Row(cells, KINDS[each["kind"]]))
    tasks = [Cell(task, kind="down") for task in found.tasks]
    return Table([*map(Cell, heads), *tasks, Cell("protocol"), Cell("revision")], rows, "sortable")


def _ranked(each: Mapping[str, Any], name: str, digits: int) -> Cell:
    around = interval(each[f"{name}_low"], each[f"{name}_high"], digits)
    return Cell(number(each[name], digits), small=around, value=each[name])


def _cell(each: Mapping[str, Any] | None) -> Cell:
    """Return rho of a score on a task; what it means when pointed at."""
    if each is None:
        return Cell("")
    around = "the whole space" if each["whole"] else interval(each["rho_low"], each["rho_high"])
    said = f"{each['score']} on {each['task']}: rho {number(each['rho'])} {around}, n {count(each['n'])}"
    if each["verdict"]:
        said += f"; {each['verdict']} against {each['count']}: {number(each['difference'])}"
    base = shaded(each["rho"], "")
    kind = base.kind + " best" * (each["verdict"] == "beats")
    return Cell(
        base.text, title=said, kind=kind, shade=base.shade, value=each["rho"] if base.shade is not None else None
    )


def submitted_table(submitted: Sequence[Mapping[str, Any]]) -> Table:
    """Return what was checked of each submission, and how it was made."""
    heads = ("score", "task", "rho", "n", "what it is", "check", "minibatch", "proxy file, sha256", "added")
    rows = []
    for entry in submitted:
        cell = entry["cell"]
        around = interval(cell["rho_low"], cell["rho_high"])
        rows.append(row(cell["score"], cell["task"], f"{number(cell['rho'])} {around}".strip(), count(cell["n"]),
                        entry["summary"], entry["checked"], entry["minibatch"], entry["proxy_sha256"][:16],
                        entry["added"]))  # fmt: skip
    return Table([*map(Cell, heads)], rows)


def sources_table(sets: Mapping[str, Mapping[str, Any]], used: set[str]) -> Table:
    """Return the provenance of the kept sets that the scorecard is made from."""
    heads = ("set", "architectures", "scores", "protocol, batch", "revision", "device", "minibatch", "made on")
    rows = []
    for name, about in sets.items():
        if name in used:
            how = about["settings"]
            protocol = f"{how.get('protocol', 'default')}, {how.get('batch_size', '?')}"
            facts = (about.get(key, "") for key in ("revision", "device", "minibatch", "started"))
            rows.append(row(name, count(about["archs"]), str(about["proxies"]), protocol, *(x[:90] for x in facts)))
    return Table([*map(Cell, heads)], rows)


def write_leaderboard(text: str, path: Path) -> Path:
    """Write the page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, text)
