"""CSV files: opened, the separator found, the header's names, and rows that are as long as the header."""

import contextlib
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from benchmarks.errors import UserError, listed
from benchmarks.readers.foreign import existing, refusing

SEPARATORS = (",", ";", "\t")
LINE_MOST = 1 << 20
"""Characters of a line."""
ARCH_NAMES = (
    *("arch", "arch_str", "architecture", "arch_string", "net"),
    *("hash", "arch_hash", "module_hash", "op_indices"),
)
INDEX_NAMES = (
    "index", "arch_index", "idx", "arch_idx", "arch_id", "model_id", "model_index", "nb201_index", "nb101_index",
)  # fmt: skip
"""What the columns of architectures and of their numbers in the space are called; the first is our name."""
UNNAMED = re.compile(r"|unnamed: \d+", re.IGNORECASE)
"""A column that pandas made of its own index."""
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")


@contextlib.contextmanager
def opened(path: str | Path, expected: str) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """Give the names of the columns and the rows of a CSV file, without empty lines.

    UTF-8, or UTF-16 with its mark; separated by comma, semicolon or tab, whichever the header has most of. `expected`
    says what such a file holds, for messages. Raises UserError for a file that does not exist, is empty or no such
    text, or has lines of another length than the header.
    """
    path = existing(path, expected)
    with refusing(path, "a CSV text file", f"expected {expected}"), open(path, "rb") as raw:
        mark = raw.read(2)
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    with open(path, newline="", encoding=encoding) as file:
        with refusing(path, "a CSV text file", f"expected {expected}"):
            first = _line(file)
            separator = max(SEPARATORS, key=first.count)
            lines = csv.reader(_lines(first, file), delimiter=separator, skipinitialspace=True)
            header = [name.strip().lstrip("\ufeff") for name in next(filter(None, lines), [])]
            if not header:
                raise UserError(f"an empty file; expected {expected}")
        yield header, _whole(path, lines, len(header), expected)


def _line(file: IO[str]) -> str:
    line = file.readline(LINE_MOST)
    if len(line) == LINE_MOST:
        raise UserError(f"a line of more than {LINE_MOST:,} characters")
    return line


def _lines(first: str, file: IO[str]) -> Iterator[str]:
    while first:
        yield first
        first = _line(file)


def _whole(path: Path, lines: Iterator[list[str]], columns: int, expected: str) -> Iterator[list[str]]:
    """Yield the rows; UserError at the end where some had another number of cells."""
    wrong = []
    with refusing(path, "a CSV text file", f"expected {expected}"):
        for row in filter(None, lines):
            if len(row) == columns:
                yield row
            else:
                wrong.append(f"line {getattr(lines, 'line_num', '?')} has {len(row)}")
    if wrong:
        raise UserError(
            f"{path}: {columns} columns expected, but {listed(wrong)}; decimal commas, or a file that is not complete?"
        )


def known_columns(names: Sequence[str]) -> list[str]:
    """Return the names of columns, those of architectures and of their indices under our names, `arch` and `index`.

    A column that pandas made of its own index is `index` where nothing else names the architectures, otherwise it gets
    the name "" and is no one's.
    """
    found = [str(name).strip() for name in names]
    for ours, known in (("arch", ARCH_NAMES), ("index", INDEX_NAMES)):
        fitting = [name for name in known for each in found if each.lower() == name]
        if fitting and ours not in found:
            found[[each.lower() for each in found].index(fitting[0])] = ours
    unnamed = [at for at, name in enumerate(found) if UNNAMED.fullmatch(name)]
    if unnamed[:1] == [0] and not {"arch", "index"} & set(found):
        found[0] = "index"
    return ["" if UNNAMED.fullmatch(name) else name for name in found]
