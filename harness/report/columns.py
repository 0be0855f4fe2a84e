"""The columns of the printed tables, made from the records of `harness.analysis.statistics`."""

from collections.abc import Mapping
from typing import Any

from harness.analysis.statistics import STATISTICS, Statistic, shown_in
from harness.report.formats import markdown_table
from harness.report.numbers import DASH, count, duration, interval, number


def statistic_value(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic of one row of `Summary.table`."""
    value = row[statistic.name]
    if isinstance(statistic.form, int):
        return number(value, statistic.form)
    return count(value) if statistic.form == "count" else duration(value)


def statistic_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print the interval of a statistic of one row; empty where it has none."""
    return interval(row[f"{statistic.name}_low"], row[f"{statistic.name}_high"]) if statistic.interval else ""


def with_interval(statistic: Statistic, row: Mapping[str, Any]) -> str:
    """Print a statistic and its interval."""
    around = statistic_interval(statistic, row) if statistic.interval else ""
    return f"{statistic_value(statistic, row)} {around}".strip()


def measured(table: str) -> list[Statistic]:
    """Return the measured values of a table, without counts and times."""
    return [each for each in shown_in(table) if each.is_number]


def counted(table: str) -> list[Statistic]:
    """Return the counts and times of a table."""
    return [each for each in shown_in(table) if not each.is_number]


def definitions() -> list[str]:
    """Return the markdown table of all statistics that stands in docs/concepts.md."""
    rows = [[each.name, each.meaning, each.direction or DASH, each.fewest or DASH] for each in STATISTICS]
    return markdown_table(["column", "definition", "better", "needs n"], rows, [3])
