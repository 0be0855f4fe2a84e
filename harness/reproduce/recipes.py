"""The declared tables: which figures somebody published, and how ours for the same figure are made.

tables.json holds one record for each table, harness/published.csv the correlation figures (a table names its sources
there), causes.csv what is known of why a figure may differ. A record has the fields of `Recipe`; of its kind depends
how its figures are made:

    correlation   a proxy's scores against an accuracy        sources, protocol, split
    fact          from the benchmark's table alone            figures with a measure of `harness.reproduce.facts`
    operations    scores of a supernet's operations           folder that `command` writes, figures with a score
    search        accuracies of what a search found           folder that `command` writes, figures with a column
    unanswered    cannot be made here                         count of figures, reason
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.errors import suggest

FOLDER = Path(__file__).parent
PUBLISHED = FOLDER / "published.csv"
KINDS = ("correlation", "fact", "operations", "search", "unanswered")
CAUSES = ("population", "accuracy", "definition", "protocol", "sign", "draw", "transfer", "release", "copy", "open")
"""Kinds of cause: which architectures; which accuracy; other code under the same name; initialisation, inputs and
batch; the sign; chance of one minibatch or seed; images of another dataset; another release of the table; a figure
that was copied or is from memory; not known."""


@dataclass(frozen=True)
class Figure:
    """One published number."""

    method: str
    """Proxy, operation score, search, or what a fact is about."""
    bench: str
    dataset: str
    measure: str
    """rho, tau_b, concordance, accuracy, or a measure of `harness.reproduce.facts`."""
    value: float
    population: str = ""
    sd: float | None = None
    """Published standard deviation over seeds."""
    n: int | None = None
    """Published number of architectures, or of seeds."""
    digits: int | None = None
    """Printed digits after the point, where agreement is to be exact."""
    absolute: bool = False
    """Published as an absolute value."""
    source: str = ""
    note: str = ""
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One published table and the recipe for ours."""

    name: str
    kind: str
    title: str
    """Who published it, where."""
    accuracy: str = ""
    """Which accuracy it is about, as published."""
    note: str = ""
    protocol: str = "default"
    """Protocol under which --quick and --full score; the kept scores are of `default`."""
    sources: tuple[str, ...] = ()
    """Names in published.csv."""
    split: str = "test"
    """Accuracy that ours are judged by, at the largest budget, mean over seeds."""
    folder: str = ""
    """Name of the folder of a search or of operation scores."""
    command: str = ""
    """Writes it; --data and --out are added. SCORES stands for the scores at hand."""
    needs_scores: tuple[str, ...] = ()
    """Proxies without which the command cannot run."""
    network: bool = True
    """Whether the command takes networks; one that does not is cheap and always carried out."""
    count: int = 0
    """Published figures of an unanswered table; 0 where these are not known."""
    reason: str = ""
    figures: tuple[Figure, ...] = ()

    def benches(self) -> list[str]:
        """Return the benchmarks it is about, each once."""
        return list(dict.fromkeys(figure.bench for figure in self.figures))


@dataclass(frozen=True)
class Cause:
    """Why figures may differ, for those that all its fields fit; an empty field fits any."""

    table: str
    bench: str
    dataset: str
    population: str
    methods: tuple[str, ...]
    kind: str
    text: str

    def fits(self, table: Recipe, figure: Figure) -> bool:
        """Whether it is about this figure."""
        pairs = (
            (self.table, table.name),
            (self.bench, figure.bench),
            (self.dataset, figure.dataset),
            (self.population, figure.population),
        )
        known = all(not mine or mine == its for mine, its in pairs)
        return known and (not self.methods or figure.method in self.methods)


@cache
def tables() -> tuple[Recipe, ...]:
    """Return all declared tables, in the order of tables.json."""
    return tuple(_table(record) for record in json.loads((FOLDER / "tables.json").read_text("utf-8")))


def choose(names: Sequence[str]) -> list[Recipe]:
    """Return the tables of these names, all without any; UserError lists the unknown ones."""
    known = {table.name: table for table in tables()}
    if unknown := [name for name in names if name not in known]:
        raise suggest(unknown, known, "table")
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())


def _table(record: dict[str, Any]) -> Recipe:
    sources = tuple(record.pop("sources", ()))
    figures = [Figure(**{"source": record["title"]} | figure) for figure in record.pop("figures", ())]
    figures += [figure for figure in _published() if figure.source in sources]
    needs = tuple(record.pop("needs_scores", ()))
    return Recipe(**record, sources=sources, figures=tuple(figures), needs_scores=needs)


@cache
def _published() -> tuple[Figure, ...]:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Figure(
            method=row["proxy"], bench=row["bench"], dataset=row["dataset"], measure=row["statistic"],
            value=float(row["value"]), population=row["population"], n=int(row["n"]) if row["n"] else None,
            absolute=row["note"].startswith("absolute value"), source=row["source"], note=row["note"],
        )
        for row in rows
    )  # fmt: skip


@cache
def causes() -> tuple[Cause, ...]:
    """Return the declared causes, the most particular first."""
    with (FOLDER / "causes.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Cause(
            row["table"], row["bench"], row["dataset"], row["population"],
            tuple(filter(None, row["methods"].split(";"))), row["kind"], row["text"],
        )
        for row in rows
    )  # fmt: skip


def cause_of(table: Recipe, figure: Figure) -> Cause | None:
    """Return the first declared cause that fits a figure."""
    return next((cause for cause in causes() if cause.fits(table, figure)), None)
