"""What Python users hold: a run with its statistics, or a comparison; tables, figures, LaTeX, a view in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.errors import suggest
from harness.analysis.targets import by_targets
from harness.report import run_figures, style
from harness.report.compare import (
    draw_head_to_head,
    head_to_head_latex,
    head_to_head_markdown,
    head_to_head_size,
    rho_rows,
)
from harness.report.figures import FORMATS, drawing
from harness.report.style import cell, latex_table, markdown_table, number, verdict
from harness.report.text import target_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from harness.analysis.head_to_head import HeadToHead
    from harness.analysis.summary import Summary
    from harness.store.stored_run import StoredRun

SHORT = ("rho", "rho_low", "rho_high", "tau_b", "tau_b_low", "tau_b_high", "regret_10", "n", "failed", "seconds")
"""The statistics of the short table."""
PLOTS = {"forest": "rank correlations with intervals", "tau_b": "the same for Kendall's tau-b",
         "regret": "regret against the number of picks", "agreement": "rho between the scores",
         "scatter": "score against accuracy"}  # fmt: skip
"""Kind -> what it shows."""
BEATS = "verdict"


@dataclass(frozen=True, repr=False)
class Correlation:
    """A finished run and its statistics."""

    run: StoredRun
    summary: Summary

    @property
    def table(self) -> pd.DataFrame:
        """The main statistics of all architectures, best rho first: a row for each proxy, verdict in the first column.

        verdict: whether rho is above that of the best count: yes, undecided, "no, worse"; empty for that count.
        """
        return self.of()

    def of(self, population: str = "all") -> pd.DataFrame:
        """Return the same table for a population: all, connected or distinct."""
        if population not in (known := style.populations(self.summary)):
            raise suggest([population], known, "population")
        rows, names = style.rows(self.summary, population), style.by_rho(self.summary, population)
        frame = pd.DataFrame([{name: rows[proxy][name] for name in SHORT} for proxy in names], names)
        frame.insert(0, BEATS, [verdict(self.summary, population, name) for name in names])
        return frame.rename_axis("proxy")

    @property
    def full(self) -> pd.DataFrame:
        """All statistics: a row for each population and proxy."""
        return self.summary.table

    def targets(self, given: str | None = None, population: str = "all") -> pd.DataFrame:
        """Return the statistics on the accuracy and on every further target: `harness.analysis.targets.by_targets`."""
        return by_targets(self.run, given, population)

    def plot(
        self, kind: str = "forest", *, ax: Axes | None = None, width: float | None = None, population: str = "all",
        path: str | Path | None = None,
    ) -> Figure:  # fmt: skip
        """Draw a figure and return it: forest, tau_b, regret, agreement, scatter (`PLOTS`).

        ax: draw into this panel instead (not scatter); width: inches (default: one column, 3.35); path: write it there,
        .pdf, .svg or .png. Raises UserError for another kind.
        """
        if kind not in PLOTS:
            raise suggest([kind], PLOTS, "figure")
        name = {"forest": "correlation", "tau_b": "correlation"}.get(kind, kind)
        how: dict[str, Any] = {"statistic": kind} if kind == "tau_b" else {}
        if ax is not None and kind != "scatter":
            run_figures.DRAWINGS[name](ax, self.summary, population, **how)
            return _figure_of(ax)
        with drawing(*run_figures.size_of(name, len(style.by_rho(self.summary, population)), width)) as figure:
            if how:
                run_figures.forest(figure.subplots(), self.summary, population, **how)
            else:
                run_figures.draw(name, figure, self.summary, population, self.run)
            return _written(figure, path)

    def to_markdown(self, population: str = "all") -> str:
        """Return the short table as markdown."""
        heads, rows = self._text(population)
        return "\n".join(markdown_table(heads, rows, range(2, len(heads))))

    def to_latex(self, population: str = "all") -> str:
        """Return the short table as LaTeX, for the package booktabs."""
        (name, _, *heads, _), rows = self._text(population)
        caption = (
            f"Rank correlation with the accuracy; {target_line(self.run)}. Brackets: 95 % intervals. beats: whether rho"
            f" is ahead of that of {style.baseline(self.summary, population)}. n: architectures with a score."
        )
        return latex_table([name, "beats?", *heads], [row[:-1] for row in rows], 2, caption, "tab:proxies")

    def _text(self, population: str) -> tuple[list[str], list[list[str]]]:
        """Return the headings and the rows of the short table, rounded."""
        rows = []
        for name, row in self.of(population).iterrows():
            both = [f"{number(row[s])} {style.interval(row[f'{s}_low'], row[f'{s}_high'])}".strip()
                    for s in ("rho", "tau_b")]  # fmt: skip
            rows.append([style.label(self.summary, str(name)), row[BEATS], *both, number(row["regret_10"], 2),
                         style.count(row["n"]), style.count(row["failed"])])  # fmt: skip
        beats = f"beats {style.baseline(self.summary, population)}?"
        return ["proxy", beats, "rho", "tau-b", "regret@10", "n", "failed"], rows

    def __repr__(self) -> str:
        heads, rows = self._text(style.populations(self.summary)[0])
        table = pd.DataFrame(rows, columns=heads).to_string(index=False)
        return (
            f"{target_line(self.run)}\n{table}\nfolder: {self.run.path}; .full has all statistics, .plot() draws them"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        heads, rows = self._text(style.populations(self.summary)[0])
        return _html(target_line(self.run), heads, rows)

    def __dir__(self) -> list[str]:
        return ["full", "of", "plot", "run", "summary", "table", "to_latex", "to_markdown"]


@dataclass(frozen=True, repr=False)
class Comparison:
    """Proxies head to head: `harness.compare`."""

    found: HeadToHead

    @property
    def table(self) -> pd.DataFrame:
        """The standing, best mean rank first: wins, losses, undecided, mean_rank."""
        return self.found.standing.set_index("proxy")

    @property
    def full(self) -> pd.DataFrame:
        """The difference of each pair on each benchmark: rho and tau-b with intervals and p, regret, verdict."""
        return self.found.pairs

    @property
    def means(self) -> pd.DataFrame:
        """The mean difference of each pair over benchmarks, with Student's interval; empty for one benchmark."""
        return self.found.means

    @property
    def scores(self) -> pd.DataFrame:
        """The statistics of each proxy on each benchmark, on the architectures that all scored, and its rank."""
        return self.found.scores

    @property
    def verdicts(self) -> list[str]:
        """One sentence for each pair."""
        return self.found.verdicts()

    def plot(
        self, statistic: str = "rho", *, ax: Axes | None = None, width: float | None = None,
        path: str | Path | None = None,
    ) -> Figure:  # fmt: skip
        """Draw the differences in rho or tau_b with their intervals; arguments as of `Correlation.plot`."""
        if statistic not in ("rho", "tau_b"):
            raise suggest([statistic], ("rho", "tau_b"), "statistic")
        if ax is not None:
            draw_head_to_head(ax, self.found, statistic)
            return _figure_of(ax)
        with drawing(*head_to_head_size(self.found, width)) as figure:
            draw_head_to_head(figure.subplots(), self.found, statistic)
            return _written(figure, path)

    def to_markdown(self) -> str:
        """Return verdicts, standing and differences as markdown."""
        return head_to_head_markdown(self.found)

    def to_latex(self) -> str:
        """Return the differences as a LaTeX table, for the package booktabs."""
        return head_to_head_latex(self.found)

    def __repr__(self) -> str:
        heads, rows = rho_rows(self.found)
        return "\n".join([*self.verdicts, pd.DataFrame(rows, columns=heads).to_string(index=False)])

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        heads, rows = rho_rows(self.found)
        return _html(" ".join(self.verdicts), heads, rows)

    def __dir__(self) -> list[str]:
        return ["found", "full", "means", "plot", "scores", "table", "to_latex", "to_markdown", "verdicts"]


def _html(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as HTML, with everything escaped."""
    table = pd.DataFrame(rows, columns=list(heads)).to_html(index=False, border=0)
    return f"<p>{cell(title)}</p>{table}"


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    assert figure is not None
    return figure


def _written(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure where a path is given; return it."""
    figure.canvas.draw()  # with this look, which ends with the block
    if path is not None:
        kind = Path(path).suffix.lstrip(".").lower()
        if kind not in FORMATS:
            raise suggest([kind], FORMATS, "kind of file")
        figure.savefig(path, format=kind, dpi=300, facecolor="white")
    return figure
