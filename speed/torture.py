"""`python -m speed.torture PART`: kills, damaged files and hostile input at random, and what came of each.

The parts are those of PARTS. Each prints how often which outcome was seen, and writes the same into its section of
results/torture.md. Outcomes that must not be are marked; the exit code is 1 where there are any. Seeds are arguments.
"""

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.errors import UserError, suggest
from benchmarks.files.write import write_text
from speed.command import CommandLine
from speed.environment import machine

PARTS = {
    "kills": ("torture_kills", "kills", 200, "processes of a run killed at random: main, workers, at merge, at report"),
    "pairs": ("torture_kills", "pairs", 20, "two, four and eight runs on one folder at once, some killed"),
    "shards": ("torture_kills", "shards", 10, "shards of a run at once, killed at random, then merged"),
    "proxies": ("torture_proxies", "proxies", 20, "misbehaving proxies of users beside others"),
    "ray": ("torture_proxies", "ray", 10, "Ctrl-C and SIGTERM to a run on a Ray cluster"),
    "disk": ("torture_kills", "disk", 20, "writes that fail at random: a full disk, one that became read-only"),
    "files": ("torture_files", "damaged_files", 10_000, "mutated files for every reader"),
    "pickles": ("torture_pickles", "hostile_pickles", 150, "pickles made to run code, crash or eat memory"),
    "options": ("torture_options", "options", 5_000, "random command lines"),
}
"""Name -> module, function (count, seed) -> {(what, outcome): times}, usual count, what is tried."""
RIGHT = ("as it should be", "read", "refused", "done")
"""Outcomes that may be."""


def parser() -> CommandLine:
    """Return the command line."""
    line = CommandLine("torture", __doc__)
    line.add_argument("part", help=", ".join(PARTS))
    line.count("--count", "trials (default: the bar of each part)")
    line.add_argument("--seed", type=int, default=0, help="of what is random (default 0)")
    line.out("results/torture.md")
    return line


def main(argv: list[str] | None = None) -> int:
    """Try, print, write; return the exit code."""
    return parser().run(argv, _run, "stopped; nothing is written")


def _run(given: argparse.Namespace) -> bool:
    if given.part not in PARTS:
        raise suggest([given.part], list(PARTS), "part")
    module, name, usual, about = PARTS[given.part]
    start = time.monotonic()
    found = _part(module, name)(given.count or usual, given.seed)
    seconds = time.monotonic() - start
    text = section(given.part, about, found, given.seed, seconds)
    print(text)
    write_section(given.out, given.part, text)
    return any(outcome not in RIGHT for _, outcome in found)


def _part(module: str, name: str) -> Callable[[int, int], Counter[tuple[str, str]]]:
    try:
        return getattr(import_module(f"speed.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise UserError(f"this part is not here ({error})") from error


def section(part: str, about: str, found: Counter[tuple[str, str]], seed: int, seconds: float) -> str:
    """Return the Markdown of one part."""
    rows = [
        f"| {what} | {outcome if outcome in RIGHT else f'**{outcome}**'} | {times:,} |"
        for (what, outcome), times in sorted(found.items())
    ]
    here = machine(1)
    total = f"{sum(found.values()):,} trials, seed {seed}, {seconds:,.0f} s on {here['cpu']}, PyTorch {here['torch']}"
    return "\n".join([f"## {part}: {about}", "", total, "", "| what | outcome | times |", "|---|---|---|", *rows, ""])


def write_section(path: Path, part: str, text: str) -> None:
    """Put a part's section into the file, in place of its earlier one."""
    old = path.read_text("utf-8") if path.is_file() else ""
    sections = dict(re.findall(r"^(?=## (\w+):)(.*?)(?=^## |\Z)", old, re.DOTALL | re.MULTILINE))
    sections[part] = text
    head = "# What was tried to break it, and what came of it\n\n`python -m speed.torture PART` repeats a part.\n"
    body = [sections[name].rstrip() for name in PARTS if name in sections]
    write_text(path, "\n\n".join([head.rstrip(), *body]) + "\n")


if __name__ == "__main__":
    sys.exit(main())
