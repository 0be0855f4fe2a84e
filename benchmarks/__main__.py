"""`python -m benchmarks`: which ground truth and images are there, which are missing, and where they come from."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import BENCHMARKS
from benchmarks.errors import UserError
from benchmarks.sources import SOURCES, VARIABLE, Source, data_folder, matches, readable_size

TITLES = {
    "201": "NAS-Bench-201 (201)",
    "101": "NAS-Bench-101 (101)",
    "1shot1": "NAS-Bench-1Shot1 (1shot1)",
    "macro": "NAS-Bench-Macro (macro)",
    "images": "Images",
}


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.iterdir() if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _line(source: Source, folder: Path | None) -> str:
    found = next(matches(source, folder), None) if folder else None
    if found is not None:
        note = f"there, {readable_size(_size(found))}"
        if source.official and not source.direct and source.bench in BENCHMARKS:
            note += f"; convert once: python -m benchmarks.convert {found}"
    else:
        size = f", {readable_size(source.size)}" if source.size else ""
        note = f"missing{size}" + (f"; see {source.page}" if source.page else "")
    return f"  {source.name:<30} {source.about:<36} {note}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--data", metavar="DIR", help=f"data folder (default: the environment variable {VARIABLE})")
    told = parser.parse_args(arguments)
    try:
        folder = data_folder(told.data)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"Data folder: {folder.resolve() if folder else f'none; name one with --data DIR or set {VARIABLE}'}")
    for bench, title in TITLES.items():
        print(f"\n{title}")
        for source in SOURCES:
            if source.bench == bench:
                print(_line(source, folder))
    print("\nEach file or folder goes into the data folder itself, under the name shown (* stands for any ending).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
