"""HTML pages from templates: every value is escaped, and all tables are drawn by the one macro of tables.html."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.report.style import DASH, brief, number


@dataclass(frozen=True)
class Cell:
    """A cell of an HTML table."""

    text: str
    small: str = ""
    """Behind the text in small print."""
    title: str = ""
    """Shown when pointed at."""
    kind: str = ""
    """CSS class."""
    value: float | None = None
    """What sorting uses; None for the text."""
    shade: int | None = None
    """How strong the colour of the background is, in percent; the kind says which colour."""


@dataclass(frozen=True)
class Row:
    """A row of an HTML table, the first cell its heading."""

    cells: Sequence[Cell]
    kind: str = ""
    """CSS class."""


@dataclass(frozen=True)
class Table:
    """An HTML table; `kind` is its CSS class: plain, sortable or heat."""

    heads: Sequence[Cell]
    rows: Sequence[Row]
    kind: str = "plain"
    foot: Sequence[Cell] = field(default_factory=tuple)


def row(*texts: object, kind: str = "") -> Row:
    """Return a row of plain texts."""
    return Row([Cell(str(text)) for text in texts], kind)


def shaded(value: float, title: str) -> Cell:
    """Return a correlation in -1..1 on a background of its sign and strength."""
    if not math.isfinite(value):
        return Cell(DASH, title=f"{title}: undefined")
    kind = ("neg" if value < 0 else "pos") + (" high" if abs(value) > 0.6 else "")
    return Cell(brief(value), title=f"{title}: {number(value)}", kind=kind, shade=round(abs(value) * 100))


@cache
def environment() -> Environment:
    """Return the templates of this package, with every value escaped."""
    loader = PackageLoader("harness.report", "")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def render(template: str, **context: Any) -> str:
    """Return a template of this package filled in."""
    return environment().get_template(template).render(**context)
