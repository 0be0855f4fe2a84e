"""CSV files: opened, the header's names, and rows that are as long as the header."""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import UserError, listed


@contextlib.contextmanager
def opened(path: str | Path, expected: str) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """Give the names of the columns and the rows of a CSV file (UTF-8, comma-separated), without empty lines.

    `expected` says what such a file holds, for messages. Raises UserError for a file that does not exist, is empty or
    no such text, or has rows of another length than the header, row 1 being the first below it.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected {expected}")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            lines = filter(None, csv.reader(file, skipinitialspace=True))
            header = [name.strip() for name in next(lines, [])]
            if not header:
                raise UserError(f"{path}: an empty file; expected {expected}")
            yield header, _whole(path, lines, len(header))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a CSV text file ({error}); expected {expected}") from None


def _whole(path: Path, rows: Iterator[list[str]], columns: int) -> Iterator[list[str]]:
    """Yield the rows; UserError at the end where some had another number of cells."""
    wrong = []
    for number, row in enumerate(rows, start=1):
        if len(row) == columns:
            yield row
        else:
            wrong.append(f"row {number} has {len(row)}")
    if wrong:
        raise UserError(f"{path}: {columns} columns expected, but {listed(wrong)}; is the file complete?")
