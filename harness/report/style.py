"""What all tables and figures share: the order of the proxies, their colours, how numbers are printed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from harness.store import StoredRun
    from harness.summary import Summary

# Counts and chance: set apart everywhere, in grey.
BASELINES = ("params", "flops", "layers", "random", "params_reachable", "flops_reachable")
RANDOM_PICKS = "random picks"
POPULATIONS = {
    "all": "every architecture that was scored, disconnected ones and equivalent strings included",
    "connected": "architectures with a path from input to output",
    "distinct": "one architecture for each distinct network: strings that differ only in operations on no path "
    "from input to output count once",
}
# Okabe and Ito's colour-blind safe set without yellow (too light on paper) and black (text).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BASELINE_COLOUR = "#555555"
DASHES = ((), (6, 2), (2, 1.5), (6, 2, 1.5, 2))
DASH = "–"


@dataclass(frozen=True)
class Look:
    """How one proxy is drawn in every figure of a run."""

    colour: str
    """#rrggbb"""
    dashes: tuple[float, ...]
    """On-off lengths in points; empty is a solid line."""
    baseline: bool
    slot: str
    """CSS class of the colour in the page, which has a second set of colours for the dark."""


def ordered(summary: Summary, population: str = "all") -> list[str]:
    """Return the proxies of a population by falling rho (undefined last, then by name); those fitted to accuracies come
    after the others, and baselines last."""
    table = summary.table[summary.table["population"] == population]
    rho, set_apart = dict(zip(table["proxy"], table["rho"], strict=True)), groups(summary)

    def key(name: str) -> tuple[int, bool, float, str]:
        value = rho[name]
        return set_apart[name], not math.isfinite(value), -value if math.isfinite(value) else 0.0, name

    return sorted(rho, key=key)


def groups(summary: Summary) -> dict[str, int]:
    """Return {proxy: the group it is listed in}: 0 scores that saw no accuracy, 1 fitted to accuracies, 2 baselines."""
    fitted = dict(zip(summary.table["proxy"], summary.table["fitted"], strict=True))
    return {name: 2 if name in BASELINES else int(fitted[name]) for name in fitted}


def looks(summary: Summary) -> dict[str, Look]:
    """Return one look per proxy, the same for every figure: the best six on `all` get solid, distinct colours."""
    names = ordered(summary, populations(summary)[0])
    made = {}
    for place, name in enumerate(name for name in names if name not in BASELINES):
        dashes = DASHES[place // len(COLOURS) % len(DASHES)]
        made[name] = Look(COLOURS[place % len(COLOURS)], dashes, False, f"c{place % len(COLOURS)}")
    for place, name in enumerate(name for name in names if name in BASELINES):
        made[name] = Look(BASELINE_COLOUR, DASHES[place % len(DASHES)], True, "cb")
    return made


def populations(summary: Summary) -> list[str]:
    """Return the populations in the summary's own order."""
    return list(dict.fromkeys(summary.table["population"]))


def rows(summary: Summary, population: str) -> dict[str, dict[str, Any]]:
    """Return proxy -> its row of the summary table, for one population."""
    table = summary.table[summary.table["population"] == population]
    return {row["proxy"]: row for row in table.to_dict("records")}


def marks(run: StoredRun, proxy: str) -> str:
    """Return the signs after a proxy's name: † fitted to accuracies, ‡ depends on the set of architectures scored."""
    about = (run.manifest.get("proxies") or {}).get(proxy)
    if not isinstance(about, dict):
        return ""
    return ("†" if about.get("fitted") else "") + ("‡" if about.get("ensemble") or about.get("cohort") else "")


def label(summary: Summary, proxy: str) -> str:
    """Return a proxy's name with the same signs, for figures."""
    fitted, cohort = summary.table.loc[summary.table["proxy"] == proxy, ["fitted", "cohort"]].iloc[0]
    return proxy + "†" * bool(fitted) + "‡" * bool(cohort == cohort)


def mean_scores(run: StoredRun, proxy: str) -> np.ndarray:
    """Return the mean score over seeds, (archs,); NaN where any seed's score is missing or not finite."""
    import numpy as np

    scores = np.asarray(run.scores[proxy], dtype=float)
    return np.where(np.isfinite(scores), scores, np.nan).mean(axis=0)


def number(value: Any, digits: int = 3) -> str:
    """Print a number to so many decimals; a dash stands for undefined."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def count(value: Any) -> str:
    """Print a whole number with thousands separated; a dash stands for undefined."""
    return DASH if value is None or not math.isfinite(value) else f"{round(value):,}"


def duration(value: Any) -> str:
    """Print seconds to two significant figures."""
    if value is None or not math.isfinite(value):
        return DASH
    return "0" if value == 0 else f"{value:.1e}" if value < 0.001 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


def interval(low: Any, high: Any, digits: int = 2) -> str:
    """Print an interval as [low, high]; empty where there is none."""
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"[{number(low, digits)}, {number(high, digits)}]"


def target_line(run: StoredRun) -> str:
    """Return the one line on which ground truth is meant, and whether it is the one shipped with the package."""
    manifest = run.manifest
    known = [manifest.get("target"), manifest, manifest.get("settings")]

    def fact(name: str) -> str:
        said = (place[name] for place in known if isinstance(place, dict) and place.get(name) is not None)
        return str(next(said, "?"))

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
    """Return under whose conventions the run was scored, empty where that is not known."""
    said = run.manifest.get("protocol")
    precision = (run.manifest.get("settings") or {}).get("precision")
    return (f"protocol: {said}" + (f"; passes in {precision}" if precision else "")) if said else ""


def best_line(run: StoredRun) -> str:
    """Return the best accuracy scored beside the best there is, and how many architectures of the space were scored."""
    import numpy as np

    space = run.manifest.get("space_size")
    return (
        f"{count(len(run.archs))} architectures scored"
        + (f" of {count(space)}" if isinstance(space, int) else "")
        + f"; best accuracy among them {number(np.nanmax(run.accuracy, initial=-np.inf), 2)} %"
        + f", best in the whole table {number(run.space_best, 2)} %"
    )


def cohort_lines(run: StoredRun, summary: Summary) -> list[str]:
    """Return what the marks on fitted scores and ensembles mean, and over which cohort each ensemble ranks."""
    table, facts = summary.table, run.manifest.get("proxies") or {}
    lines = []
    if table["fitted"].any():
        lines.append("†: fitted to accuracies, not comparable with the others, so listed after them.")
    ensembles = table.loc[table["cohort"].notna(), ["proxy", "cohort"]].drop_duplicates()
    for name, cohort in ensembles.itertuples(index=False):
        said = facts[name].get("summary", "") if isinstance(facts.get(name), dict) else ""
        lines.append(
            f"‡ {name}: {said} Ranks are made once, over the {count(cohort)} architectures of the run that all members"
            " scored; among others an architecture's score would differ, and intervals do not cover that."
        )
    return lines


def vote_lines(summary: Summary, population: str) -> list[str]:
    """Return how votes on pairs came out, one sentence each; not rank correlations, so no row of any table."""
    if summary.votes.empty:
        return []
    lines, here = [], summary.votes[summary.votes["population"] == population]
    for name, rows in here.groupby("ensemble", sort=False):
        share = dict(zip(rows["voter"], rows["concordance"], strict=True))
        alone = ", ".join(f"{member} {number(100 * share[member], 1)}" for member in share if member != name)
        lines.append(
            f"{name} (on each pair of architectures the order that most members give):"
            f" {number(100 * share[name], 1)} % of {count(rows['pairs'].iloc[0])} pairs in the order of their"
            f" accuracies, where chance is 50; its members alone: {alone}. Pairs among {count(rows['n'].iloc[0])}"
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


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Call `write` with a file beside `path`, then rename it to `path`; leave nothing behind on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            write(file)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write text (UTF-8) aside and rename it to `path`."""
    return write_atomically(path, lambda file: file.write(text.encode("utf-8", "replace")))
