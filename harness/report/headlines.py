"""The lines of text around the tables: what was scored against what, and what the numbers mean."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.facts import facts_of
from harness.analysis.statistics import STATISTICS
from harness.report import style
from harness.report.numbers import count, number
from harness.stats import FEWEST_UNITS

if TYPE_CHECKING:
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun


def target_line(run: StoredRun) -> str:
    """Return which ground truth the scores are compared with, and whether it is the table shipped with the package."""
    manifest = run.manifest
    known = [manifest.get("target"), manifest, manifest.get("settings")]

    def fact(name: str) -> str:
        found = (place[name] for place in known if isinstance(place, dict) and place.get(name) is not None)
        return str(next(found, "?"))

    reduction = fact("reduction")
    parts = [
        str(manifest.get("benchmark", "?")),
        fact("dataset"),
        f"{fact('split')} accuracy",
        f"{fact('epochs')} epochs",
        {"mean": "mean over seeds", "max": "best single trial"}.get(reduction, f"seed {reduction}"),
    ]
    line = " · ".join(parts) + f" · from {table_fact(run, 'source') or 'an unnamed table'}"
    return line + (" · embedded: not the benchmark's own accuracies" if is_embedded(run) else "")


def protocol_line(run: StoredRun) -> str:
    """Return the protocol and precision of the run, empty where they are not known."""
    protocol = run.manifest.get("protocol")
    precision = (run.manifest.get("settings") or {}).get("precision")
    return (f"protocol: {protocol}" + (f"; passes in {precision}" if precision else "")) if protocol else ""


def best_line(run: StoredRun) -> str:
    """Return how many architectures were scored, the best accuracy among them and the best in the table."""
    space = run.manifest.get("space_size")
    return (
        f"{count(len(run.archs))} architectures scored"
        + (f" of {count(space)}" if isinstance(space, int) else "")
        + f"; best accuracy among them {number(np.nanmax(run.accuracy, initial=-np.inf), 2)} %"
        + f", best in the whole table {number(run.space_best, 2)} %"
        + _gaps(run)
    )


def _gaps(run: StoredRun) -> str:
    """Return how many architectures have a score but no accuracy, empty for none."""
    gaps = np.flatnonzero(~np.isfinite(run.accuracy))
    if not len(gaps):
        return ""
    verb = "lacks" if len(gaps) == 1 else "lack"
    return f"; {count(len(gaps))} of them {verb} this accuracy, in no statistic, as {run.archs[gaps[0]]}"


def mark_lines(run: StoredRun, summary: Summary) -> list[str]:
    """Return what the marks † and ‡ mean, and the reference set of each ensemble."""
    table = summary.table
    lines = []
    if table["fitted"].any():
        lines.append("†: fitted to accuracies, not comparable with the others, so listed after them.")
    ensembles = table.loc[table["reference_set"].notna(), ["proxy", "reference_set"]].drop_duplicates()
    for name, members in ensembles.itertuples(index=False):
        about = facts_of(run, name).get("summary", "")
        lines.append(
            f"‡ {name}: {about} Ranks are computed once over the reference set, the {count(members)} architectures of"
            " the run that all members scored. Another reference set gives other scores; intervals do not cover that."
        )
    return lines


def vote_lines(summary: Summary, population: str) -> list[str]:
    """Return the results of votes on pairs, one sentence each; they are not rank correlations, so in no table."""
    if summary.votes.empty:
        return []
    lines, here = [], summary.votes[summary.votes["population"] == population]
    for name, rows in here.groupby("ensemble", sort=False):
        share = dict(zip(rows["voter"], rows["concordance"], strict=True))
        alone = ", ".join(f"{member} {number(100 * share[member], 1)}" for member in share if member != name)
        lines.append(
            f"{name} (on each pair of architectures the order that most members give):"
            f" {number(100 * share[name], 1)} % of {count(rows['pairs'].iloc[0])} pairs in the order of their"
            f" accuracies, where chance is 50; each member alone: {alone}. Pairs among {count(rows['n'].iloc[0])}"
            " architectures; no rank correlation."
        )
    return lines


def ceiling_line(summary: Summary, population: str) -> str:
    """Return how far training seeds agree with each other: what no score can be expected to exceed."""
    frame = summary.ceiling
    found = frame[frame["population"] == population].to_dict("records") if "population" in frame else []
    if not found or not math.isfinite(found[0].get("rho_single", math.nan)):
        return "noise ceiling: unknown (fewer than two training seeds per architecture)"
    row = found[0]
    seeds = number(row["seeds"], 1).removesuffix(".0")
    return (
        f"noise ceiling: two single training seeds agree with rho {number(row['rho_single'])}"
        f" ({number(row['rho_top10pct'])} within the top 10 %); a score that knew the expected accuracy would reach"
        f" about {number(row['rho_ceiling'])} against the mean of {seeds} seeds (Spearman-Brown)"
    )


def table_fact(run: StoredRun, name: str) -> str:
    """Return what the manifest says of the ground-truth table (source, checksum), or an empty string."""
    table = run.manifest.get("table")
    if isinstance(table, dict) and table.get(name):
        return str(table[name])
    return str(run.manifest.get(f"table_{name}") or "")


def is_embedded(run: StoredRun) -> bool:
    """Return whether the ground truth is the table shipped with the package."""
    table = run.manifest.get("table")
    return bool(run.manifest.get("embedded") or (isinstance(table, dict) and table.get("embedded")))


def legend(run: StoredRun, summary: Summary, population: str) -> list[str]:
    """Return the lines under a population's table: its columns, the marks in use, the summary's notes on it."""
    table = summary.table[summary.table["population"] == population]
    counts = "; ".join(f"{each.heading}: {each.meaning}" for each in STATISTICS if each.form == "count")
    whole = "" if table["rho_low"].notna().any() else _why_none(summary)
    lines = [
        f"{counts}; [ ]: 95 % interval, which holds the whole space's value in 95 % of samples{whole}; regret@k: points"
        " of accuracy lost by taking the best of the k top scores, relative to the best one scored, so it grows"
        " with the sample. A larger score is better, signs as computed. 'beats': paired difference in rho to the best"
        " count, corrected for the number of proxies."
    ]
    lines += mark_lines(run, summary) + vote_lines(summary, population)
    others = tuple(f"{name}, " for name in style.populations(summary) if name != population)
    return lines + [f"note: {note}" for note in summary.notes if not note.startswith(others)]


def _why_none(summary: Summary) -> str:
    if summary.settings.get("share", 0) >= 1:
        return " (none here: the whole space was scored)"
    few = f" (none here: fewer than {FEWEST_UNITS} architectures, or perfect order)"
    return few if summary.settings.get("intervals") else " (none here: not wanted)"
