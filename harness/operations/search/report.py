"""What searches over a supernet found, as CSV, markdown and figures in one folder."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.errors import UserError
from benchmarks.files.write import write_text
from benchmarks.spaces.choices import short
from harness.operations.search.run import Found
from harness.report.formats import cell, write_csv
from harness.report.numbers import count, duration, number


def markdown(found: Found) -> str:
    """Return a row for each seed and their mean, as markdown."""
    heads = [name for name in found.runs if name not in ("arch", "evaluations")]
    lines = ["# Search over a supernet", "", *(f"- {cell(note)}" for note in found.manifest["notes"]), ""]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [
        "| " + " | ".join(_cell(name, row[name]) for name in heads) + " |" for row in found.runs.to_dict("records")
    ]
    return "\n".join([*lines, "", mean_line(found), ""])


def _cell(name: str, value: object) -> str:
    if name in ("operations", "sources"):
        return short(str(value))
    if name in ("seed", "rank", "params", "proposals"):
        return count(value)
    return duration(value) if name in ("seconds", "training") else number(value, 2)


def mean_line(found: Found) -> str:
    """Return mean and standard deviation of the accuracy over seeds, in a line."""
    accuracy = found.runs["accuracy"].dropna()
    if accuracy.empty:
        return "None of the cells found has an accuracy in the table."
    spread = f" ± {accuracy.std():.2f}" if len(accuracy) > 1 else ""
    return (f"Accuracy {accuracy.mean():.2f}{spread} % over {len(accuracy)} of {len(found.runs)} seeds"
            f" (sample standard deviation), {found.runs['seconds'].mean():.1f} s a search.")  # fmt: skip


def write_found(found: Found, folder: Path) -> Path:
    """Write runs.csv, decisions.csv, summary.md, the strip of decisions and, last, manifest.json; return the folder."""
    from harness.operations.figure import write_strip
    from harness.operations.supernets.figure import write_training

    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_csv(found.runs, folder / "runs.csv")
        write_csv(found.decisions, folder / "decisions.csv")
        write_text(folder / "summary.md", markdown(found))
        write_strip(found.decisions, found.manifest, folder)
        write_training(found.training, found.manifest, folder)
        write_text(folder / "manifest.json", json.dumps(found.manifest, indent=1, default=str) + "\n")
    except OSError as error:
        raise UserError(f"cannot write {error.filename or folder}: {error.strerror}; give another --out") from error
    return folder
