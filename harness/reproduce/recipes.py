"""The declared tables: which values were published, and the recipe for ours.

tables.json holds a record for each table, published.csv the published correlations (a table names its sources there),
causes.csv why values may differ, with the run that shows it. A record has the fields of `Recipe`; its kind says how
values are made:

    correlation   a proxy's scores against an accuracy        sources, protocol, split
    fact          from the benchmark's table alone            values with a measure of `harness.reproduce.facts`
    operations    scores of a supernet's operations           folder that `command` writes, values with a score
    search        accuracies of what a search found           folder that `command` writes, values with a column
    training      needs networks trained at full size         values, command
    unanswered    cannot be made here                         count of values, reason
"""

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
KINDS = ("correlation", "fact", "operations", "search", "training", "unanswered")
CAUSES = ("population", "accuracy", "definition", "protocol", "sign", "draw", "transfer", "release", "copy", "open")
"""Kinds of cause: which architectures; which accuracy; other code under the same name; initialisation, inputs and
batch; the sign; chance of one minibatch or seed; images of another dataset; another release of the table; a value that
was copied or is from memory; unknown."""


@dataclass(frozen=True)
class Published:
    """One published value."""

    method: str
    """Proxy, operation score, search, or subject of a fact."""
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
    """One published table and the recipe for our values."""

    name: str
    kind: str
    title: str
    """Authors and place."""
    accuracy: str = ""
    """Which accuracy it is about, as published."""
    note: str = ""
    protocol: str = "default"
    """Protocol under which --quick and --full score; the kept scores are of `default`."""
    sources: tuple[str, ...] = ()
    """Names in published.csv."""
    split: str = "test"
    """Accuracy that judges our scores, at the largest budget, mean over seeds."""
    splits: dict[str, str] = field(default_factory=dict)
    """Dataset or benchmark -> another accuracy for its values."""
    draws: int = 1
    """Draws of weights and minibatch that a published correlation is the mean of."""
    folder: str = ""
    """Name of the folder of a search or of operation scores."""
    command: str = ""
    """Writes it; --data and --out are added. SCORES stands for a CSV of kept scores."""
    needs_scores: tuple[str, ...] = ()
    """Proxies without which the command cannot run."""
    network: bool = True
    """Whether the command takes networks; one that does not is cheap and always carried out."""
    count: int = 0
    """Published values of an unanswered table; 0 where unknown."""
    reason: str = ""
    values: tuple[Published, ...] = ()

    def split_of(self, published: Published) -> str:
        """Return the accuracy that judges our score beside a published value."""
        return self.splits.get(published.bench) or self.splits.get(published.dataset) or self.split


@dataclass(frozen=True)
class Cause:
    """Why values differ: those that fit all its fields; an empty field fits any."""

    table: str
    bench: str
    dataset: str
    population: str
    methods: tuple[str, ...]
    kind: str
    text: str
    alternative: str = ""
    """Words of another choice (`correlations.Judge.alternatives`): the cause counts where ours agrees with it."""
    command: str = ""
    """The run that shows it, or would."""
    result: str = ""
    """What that run gave; empty where it has not shown the cause."""

    def fits(self, table: Recipe, published: Published) -> bool:
        """Return whether it is about this value."""
        here = (table.name, published.bench, published.dataset, published.population)
        known = zip((self.table, self.bench, self.dataset, self.population), here, strict=True)
        named = not self.methods or published.method in self.methods
        return named and all(mine in ("", its) for mine, its in known)


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
    values = [Published(**{"source": record["title"]} | value) for value in record.pop("values", ())]
    values += [value for value in published_correlations() if value.source in sources]
    needs = tuple(record.pop("needs_scores", ()))
    return Recipe(**record, sources=sources, values=tuple(values), needs_scores=needs)


@cache
def published_correlations() -> tuple[Published, ...]:
    """Return the published correlations, in the order of published.csv."""
    return tuple(
        Published(
            method=row["proxy"], bench=row["bench"], dataset=row["dataset"], measure=row["statistic"],
            value=float(row["value"]), population=row["population"], n=int(row["n"]) if row["n"] else None,
            absolute=row["note"].startswith("absolute value"), source=row["source"], note=row["note"],
        )
        for row in _rows(PUBLISHED)
    )  # fmt: skip


@cache
def causes() -> tuple[Cause, ...]:
    """Return the declared causes, the most particular first."""
    return tuple(
        Cause(**row | {"methods": tuple(filter(None, row["methods"].split(";")))})
        for row in _rows(FOLDER / "causes.csv")
    )  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cause_of(table: Recipe, published: Published) -> Cause | None:
    """Return the first declared cause that fits a value."""
    return next((cause for cause in causes() if cause.fits(table, published)), None)
