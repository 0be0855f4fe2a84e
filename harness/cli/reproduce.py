"""`python -m harness.reproduce [TABLE ...]`: published tables beside ours, one verdict for each figure.

By default correlations are made of the kept scores (`harness.scores`) and the accuracies in --data, in a minute or two.
--quick scores a small sample itself on a CPU, --full the whole space, on a GPU; both can be stopped and continued.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.command import Parser, carry_out


def parser() -> Parser:
    """Return the command line."""
    about = (__doc__ or "").split(":", 1)[1].strip().replace("\n\n", " ")
    line = Parser(prog="python -m harness.reproduce", description=about[0].upper() + about[1:])
    add = line.add_argument
    add("tables", nargs="*", metavar="TABLE", help="names of tables (default: all; --list shows them)")
    add("--list", action="store_true", help="list the tables with the number of their figures, and stop")
    mode = line.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="score 40 architectures, batch 16, without costly proxies")
    mode.add_argument("--full", action="store_true", help="score the whole space under the protocol of each table")
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    add("--out", type=Path, default=Path("results/reproduction"), help="folder (default results/reproduction)")
    return line


def main(argv: list[str] | None = None) -> int:
    """Reproduce; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    given = parser().parse_args(argv)

    def action() -> None:
        from harness.reproduce.recipes import choose

        tables = choose(given.tables)
        if given.list:
            print(listing(tables))
            return
        from harness.reproduce.compare import reproduce
        from harness.reproduce.page import headline
        from harness.reproduce.score_pools import FULL, QUICK
        from harness.reproduce.write import checked, write

        mode = "quick" if given.quick else "full" if given.full else "kept scores"
        out = checked(given.out)
        made = reproduce(
            tables, data=given.data, out=out, scoring={"quick": QUICK, "full": FULL}.get(mode),
            say=lambda line: print(line, file=sys.stderr),
        )  # fmt: skip
        page = write(made, tables, mode, out)
        print(f"{headline(made.rows)}\nwritten to {page}")

    return carry_out("harness.reproduce", action, "stopped; runs are kept and continue: repeat the command")


def listing(tables: list) -> str:
    """Return one line for each table, and the number of figures."""
    lines = [f"{'table':24}  {'kind':11}  {'figures':>7}  source"]
    for table in tables:
        count = len(table.figures) or table.count or "–"
        lines.append(f"{table.name:24}  {table.kind:11}  {count:>7}  {table.title}")
    figures = sum(len(table.figures) for table in tables)
    return "\n".join([*lines, "", f"{figures:,} figures that can be compared where the tables' files are there."])
