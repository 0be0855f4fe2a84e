"""What searches over a supernet found, as CSV, markdown and figures in one folder."""

from functools import partial
from pathlib import Path

from benchmarks.spaces.space import short
from harness.operations.figure import write_strip, write_training
from harness.operations.search.config import FindConfig
from harness.operations.search.run import Found
from harness.report.result import markdown_page, result_folder, write_result
from harness.report.style import cell, count, duration, number

TEXT = ("operations", "vertex_inputs", "arch")
"""Columns of words."""


def folder_for(config: FindConfig, out: str | None) -> Path:
    """Return the folder to write to; UserError where it holds anything but an earlier search over a supernet."""
    words = ["search", config.base.bench, config.base.dataset, config.method]
    return result_folder(out, words, "supernet search", settings=vars(config))


def markdown(found: Found) -> str:
    """Return a row for each seed and their mean, as markdown."""
    open_ = "params_rank" in found.runs  # no table has accuracies of what is found
    hidden = ("operations", "accuracy", "rank", "regret", "evaluations") if open_ else ("arch", "evaluations")
    heads = [name for name in found.runs if name not in hidden]
    rows = [[_cell(name, row[name]) for name in heads] for row in found.runs.to_dict("records")]
    numbers = [place for place, name in enumerate(heads) if name not in TEXT]
    notes = map(cell, found.manifest["notes"])
    return markdown_page("Search over a supernet", notes, [("", heads, rows, numbers)], mean_line(found))


def _cell(name: str, value: object) -> str:
    if name in TEXT:
        return str(value) if name == "arch" else short(str(value))
    if name in ("seed", "rank", "params", "flops", "params_rank", "flops_rank", "proposals"):
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
    frames, about = {"runs": found.runs, "decisions": found.decisions}, found.manifest
    figures = partial(write_strip, found.decisions, about), partial(write_training, found.training, about)
    return write_result(folder, frames, ("summary.md", markdown(found)), about, *figures)
