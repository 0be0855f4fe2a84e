"""Several runs compared, and proxies head to head: tables in the terminal, CSV, markdown, LaTeX, and a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.errors import printable
from benchmarks.files.write import write_text
from harness.report import style
from harness.report.figures import COLUMN, Panel, drawing, grid, save, short
from harness.report.result import write_result, writing
from harness.report.style import (
    COLOURS,
    DASH,
    cell,
    count,
    fitting,
    interval,
    latex_table,
    markdown_table,
    number,
    plain,
    write_csv,
)
from harness.report.text import target_line

if TYPE_CHECKING:
    from harness.analysis.head_to_head import HeadToHead
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

WORDS = {"ahead": "bold green", "behind": "bold red", "undecided": "dim"}
"""Verdict -> its look in the terminal."""
COLUMNS = ("tau_b", "tau_b_low", "tau_b_high", "rho", "rho_low", "rho_high", "regret_10", "n", "failed")


def labels(runs: Sequence[StoredRun]) -> list[str]:
    """Return one label per run: its folder's name, with the parent's where names repeat, numbered if need be."""
    paths = [Path(run.path).resolve() for run in runs]
    names = [path.name for path in paths]
    named = [path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}" for path in paths]
    return [
        label if named.count(label) == 1 else f"{label} ({named[:place].count(label) + 1})"
        for place, label in enumerate(named)
    ]


def comparison(runs: Sequence[StoredRun], summaries: Sequence[Summary], population: str = "all") -> pd.DataFrame:
    """Return proxy x (run label, statistic); NaN where a run lacks the proxy. In the first run's order."""
    names: dict[str, None] = {}
    for summary in summaries:
        names |= dict.fromkeys(style.ordered(summary, population))
    baselines = {name for summary in summaries for name in summary.baselines}
    order = sorted(names, key=lambda name: name in baselines)
    frames = {}
    for label, summary in zip(labels(runs), summaries, strict=True):
        table = summary.table[summary.table["population"] == population].set_index("proxy")
        frames[label] = table.loc[:, list(COLUMNS)].reindex(order)
    return pd.concat(frames, axis=1)


def write_comparison(
    runs: Sequence[StoredRun], summaries: Sequence[Summary], out: Path, population: str = "all"
) -> dict[str, Path]:
    """Write comparison.csv (long), comparison.md and figures/comparison.{png,svg} into `out`."""
    table, names = comparison(runs, summaries, population), labels(runs)
    long = pd.concat(
        [table[label].rename_axis("proxy").reset_index().assign(run=label, population=population) for label in names],
        ignore_index=True,
    )
    long = long[["run", "population", "proxy", *COLUMNS]]
    with writing(out, "give another folder"):
        return {
            "comparison.csv": write_csv(long, out / "comparison.csv"),
            "comparison.md": write_text(out / "comparison.md", markdown(runs, table, population)),
            **write_comparison_figure(table, names, out),
        }


def markdown(runs: Sequence[StoredRun], table: pd.DataFrame, population: str) -> str:
    """Return the comparison as a markdown table, with the setting of each run."""
    names = labels(runs)
    lines = [f"# Spearman's rho per run, population {cell(population)}", ""]
    lines += [f"- {cell(label)}: {cell(setting(run))}" for label, run in zip(names, runs, strict=True)]
    rows = [[name, *(value(table, name, label) for label in names)] for name in table.index]
    return "\n".join([*lines, "", *markdown_table(["proxy", *names], rows)]) + "\n"


def setting(run: StoredRun) -> str:
    """Return what the scores of a run are compared with, and its protocol and precision if not the default ones."""
    settings = run.manifest.get("settings") or {}
    usual = {"protocol": "default", "precision": "float32"}
    unusual = [f" · {name} {settings[name]}" for name in usual if settings.get(name, usual[name]) != usual[name]]
    return target_line(run) + "".join(unusual)


def value(table: pd.DataFrame, proxy: str, label: str) -> str:
    """Return "0.712 [0.66, 0.75] n 997", a dash where the run lacks the proxy."""
    row = table.loc[proxy, label]
    around = interval(row["rho_low"], row["rho_high"])
    return f"{number(row['rho'])} {around} n {count(row['n'])}".replace("  ", " ") if row["n"] == row["n"] else DASH


def print_comparison(
    runs: Sequence[StoredRun], summaries: Sequence[Summary], console: Console | None = None, population: str = "all"
) -> None:
    """Print rho per proxy and run. Runs that differ in ground truth, protocol or architectures are named as such."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    table, names = comparison(runs, summaries, population), labels(runs)
    for label, run in zip(names, runs, strict=True):
        console.print(plain(f"{label}: {setting(run)}"))
    shown = Table(box=SIMPLE_HEAD, title=f"rho, population: {population}", title_justify="left", pad_edge=False)
    shown.add_column("proxy", overflow="fold")
    for label in names:
        shown.add_column(plain(label), justify="right", overflow="fold")
    for proxy in table.index:
        shown.add_row(plain(proxy), *(plain(value(table, proxy, label)) for label in names))
    console.print(shown)
    if len({setting(run) for run in runs}) > 1 or len({run.archs for run in runs}) > 1:
        console.print(
            "the runs differ in ground truth, protocol or architectures, which is part of any difference in rho",
            style="dim",
        )


def write_comparison_figure(table: pd.DataFrame, labels: list[str], out: Path) -> dict[str, Path]:
    """Write figures/comparison.*: rho per proxy, one mark per run.

    `table` has proxy as index and for each run label the columns (label, "rho"), (label, "rho_low") and
    (label, "rho_high").
    """
    row = max(0.17, 0.07 * len(labels))
    with drawing(COLUMN, 0.6 + 0.13 * len(labels) + row * max(len(table), 4)) as figure:
        panel = figure.subplots()
        places = np.arange(len(table))[::-1]
        for order, label in enumerate(labels):
            shift = 0.0 if len(labels) == 1 else 0.3 - 0.6 * order / (len(labels) - 1)
            colour = COLOURS[order % len(COLOURS)]
            panel.hlines(
                places + shift, table[(label, "rho_low")], table[(label, "rho_high")], color=colour, linewidth=0.9
            )
            panel.plot(
                table[(label, "rho")], places + shift, "osD^vP"[order % 6], markersize=3.5, color=colour,
                linestyle="none", label=short(label, 44),
            )  # fmt: skip
        for place in places[:-1]:
            panel.axhline(place - 0.5, color="#eeeeee", linewidth=0.5)
        panel.axvline(0, color="black", linewidth=0.6)
        panel.set_yticks(places, [short(str(name)) for name in table.index])
        panel.set_ylim(-0.6, len(table) - 0.4)
        panel.tick_params(axis="y", length=0)
        grid(panel, "x")
        panel.set_xlabel("Spearman's ρ")
        figure.legend(loc="outside upper right", frameon=False, borderpad=0, labelspacing=0.25)
        return save(figure, out, "comparison")


# Head to head


def pair_rows(found: HeadToHead) -> list[list[str]]:
    """Return a row of text for each benchmark and pair, and one for the mean over benchmarks: `PAIR_HEADS`."""
    rows = []
    for row in found.pairs.to_dict("records"):
        gaps = [_gap(row, name) for name in ("rho", "tau_b")]
        p = [_p(row[f"{name}_p_adjusted"]) for name in ("rho", "tau_b")]
        rows.append([
            row["benchmark"], row["proxy"], row["other"], row["verdict"], gaps[0], p[0], gaps[1], p[1],
            number(row["regret_10_difference"], 2), count(row["n"]),
        ])  # fmt: skip
    for row in found.means.to_dict("records"):
        rho, tau, regret = (_gap(row, name, digits) for name, digits in (("rho", 3), ("tau_b", 3), ("regret_10", 2)))
        rows.append([f"mean of {row['benchmarks']}", row["proxy"], row["other"], "", rho, "", tau, "", regret, ""])
    return rows


def _gap(row: dict[Any, Any], name: str, digits: int = 3) -> str:
    return f"{number(row[f'{name}_difference'], digits)} {interval(row[f'{name}_low'], row[f'{name}_high'])}".strip()


PAIR_HEADS = (
    "benchmark",
    "proxy",
    "against",
    "verdict",
    "rho difference",
    "p",
    "tau-b difference",
    "p",
    "regret@10",
    "n",
)
RANK_HEADS = ("proxy", "wins", "losses", "undecided", "mean rank")


def _p(value: float) -> str:
    return DASH if value != value else "<.001" if value < 0.001 else f"{value:.3f}"


def rank_rows(found: HeadToHead) -> list[list[str]]:
    """Return a row for each proxy, best first: `RANK_HEADS`."""
    return [
        [row["proxy"], *(str(row[name]) for name in ("wins", "losses", "undecided")), number(row["mean_rank"], 2)]
        for row in found.standing.to_dict("records")
    ]


def rho_rows(found: HeadToHead) -> tuple[list[str], list[list[str]]]:
    """Return the headings and a row for each benchmark: rho of each proxy, best mean rank first."""
    names = list(found.standing["proxy"])
    there = {(row["benchmark"], row["proxy"]): row for row in found.scores.to_dict("records")}
    rows = []
    for bench in found.benchmarks:
        each = [there[bench, name] for name in names]
        rhos = [f"{number(one['rho'])} {interval(one['rho_low'], one['rho_high'])}".strip() for one in each]
        rows.append([bench, *rhos, count(each[0]["n"])])
    return ["rho", *names, "n"], rows


def print_head_to_head(found: HeadToHead, console: Console | None = None) -> None:
    """Print the verdicts, the standing and the differences; a table that is too wide comes in parts."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 130)
    for left, heads, lines in (
        (1, *rho_rows(found)), (1, RANK_HEADS, rank_rows(found)), (4, PAIR_HEADS, pair_rows(found))
    ):  # fmt: skip
        for part in fitting(heads, lines, console.width):
            table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
            for at in part:
                table.add_column(plain(heads[at]), justify="left" if at < left else "right", no_wrap=True)
            for line in lines:
                table.add_row(*(Text(printable(line[at]), style=WORDS.get(line[at], "")) for at in part))
            console.print(table)
    for said in found.verdicts():
        console.print(plain(said), style="bold")
    for said in notes(found):
        console.print(plain(said), style="dim")


def notes(found: HeadToHead) -> list[str]:
    """Return what a reader must know of the numbers, one sentence each."""
    said = [
        "[ ]: 95 % interval of the paired difference; p: two-sided, corrected by Holm for all pairs on all benchmarks;"
        " ahead, behind: p of rho below 0.05. regret@10: difference in points of accuracy, negative is better, without"
        f" an interval. Population: {found.population}."
    ]
    if len(found.means):
        said.append("mean: over benchmarks, the spaces of one benchmark counted once; its interval is Student's over"
                    " them and needs three.")  # fmt: skip
    for bench, facts in found.settings.items():
        own = " (embedded: not the benchmark's own accuracies)" if facts["embedded"] else ""
        whole = ", the whole space: no sampling error, the sign decides" if facts["whole"] else ""
        said.append(f"{bench}: {facts['dataset']}{own}, {count(facts['architectures'])} architectures{whole}.")
    return said


def head_to_head_markdown(found: HeadToHead) -> str:
    """Return the comparison as a page of markdown."""
    lines = ["# Head to head", "", *(f"- {cell(line)}" for line in found.verdicts()), ""]
    lines += [*markdown_table(*rho_rows(found)), "", *markdown_table(RANK_HEADS, rank_rows(found)), ""]
    lines += [*markdown_table(PAIR_HEADS, pair_rows(found), range(4, 10)), ""]
    return "\n".join([*lines, *(f"- {cell(line)}" for line in notes(found)), ""])


def head_to_head_latex(found: HeadToHead) -> str:
    """Return the differences as a LaTeX table (booktabs) that a page has room for: without n and the p of tau-b, and
    without a benchmark or proxy that is the same in all rows, since the caption names it."""
    rows = pair_rows(found)
    named = [at for at in range(3) if len({row[at] for row in rows}) > 1]
    columns = [*named, 3, 4, 5, 6, 8]
    return latex_table(
        [PAIR_HEADS[at] for at in columns], [[row[at] for at in columns] for row in rows], len(named) + 1,
        " ".join([*found.verdicts(), notes(found)[0]]), "tab:head-to-head",
    )  # fmt: skip


def draw_head_to_head(panel: Panel, found: HeadToHead, statistic: str = "rho") -> None:
    """Draw the difference of each pair on each benchmark with its interval, filled where it is beyond chance; a diamond
    for the mean over benchmarks, filled where its interval is without 0."""
    rows = found.pairs.to_dict("records")
    one_pair = len({(row["proxy"], row["other"]) for row in rows}) == 1
    rows += [row | {"benchmark": f"mean of {row['benchmarks']}"} for row in found.means.to_dict("records")]
    names = [
        row["benchmark"] if one_pair else f"{row['benchmark']}: {short(row['proxy'], 14)} − {short(row['other'], 14)}"
        for row in rows
    ]
    places = np.arange(len(rows))[::-1]
    panel.axvline(0, color="black", linewidth=0.6)
    for place, row in zip(places, rows, strict=True):
        mean = "verdict" not in row
        low, high = row[f"{statistic}_low"], row[f"{statistic}_high"]
        known = low > 0 or high < 0 if mean else row["verdict"] != "undecided"
        panel.hlines(place, low, high, color="black", linewidth=1)
        panel.plot(row[f"{statistic}_difference"], place, "D" if mean else "o", markersize=4, color="black",
                   markerfacecolor="black" if known else "white", markeredgewidth=0.8)  # fmt: skip
    panel.set_yticks(places, names)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.tick_params(axis="y", length=0)
    grid(panel, "x")
    what = {"rho": "ρ", "tau_b": "τ-b"}[statistic]
    pair = f"{short(rows[0]['proxy'], 18)} − {short(rows[0]['other'], 18)}" if one_pair else "proxy − other"
    panel.set_title("filled: beyond chance (p < 0.05, Holm)", loc="right", fontsize=7)
    panel.set_xlabel(f"difference in {what}, {pair}")


def head_to_head_size(found: HeadToHead, width: float | None = None) -> tuple[float, float]:
    """Return width and height of the figure in inches."""
    return width or COLUMN, 0.75 + 0.17 * max(len(found.pairs) + len(found.means), 3)


def write_head_to_head(found: HeadToHead, folder: Path, command: str) -> Path:
    """Write pairs.csv, scores.csv, means.csv, standing.csv, comparison.md and .tex, the figure and the manifest."""
    frames = {"pairs": found.pairs, "scores": found.scores, "means": found.means, "standing": found.standing}
    manifest = {"kind": HEAD_TO_HEAD, "command": command, "population": found.population, "benchmarks": found.settings,
                "proxies": found.names, "verdicts": found.verdicts()}  # fmt: skip

    def figure(out: Path) -> None:
        with drawing(*head_to_head_size(found)) as drawn:
            draw_head_to_head(drawn.subplots(), found)
            save(drawn, out, "comparison")

    def latex(out: Path) -> None:
        write_text(out / "comparison.tex", head_to_head_latex(found))

    return write_result(folder, frames, ("comparison.md", head_to_head_markdown(found)), manifest, figure, latex)


HEAD_TO_HEAD = "head-to-head"
"""The kind of the result, in its manifest."""
