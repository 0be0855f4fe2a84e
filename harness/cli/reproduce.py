"""`nas-harness reproduce [TABLE ...]`: published tables compared with ours, one verdict for each value.

Correlations are made of the kept scores (`harness.scores`) and the accuracies in --data, in a minute or two. --quick
scores a small sample on a CPU, --full the whole space, on a GPU; both can be stopped and continued. --run compares the
scores of stored runs instead.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.errors import UserError, carry_out, say
from harness.cli.hnas import main as hnas
from harness.cli.operations import main as operations
from harness.cli.options import EXISTING, Line, check_existing, keep_config
from harness.cli.search import main as search
from harness.reproduce.recipes import Recipe, choose

COMMANDS = {"harness.operations": operations, "harness.search": search}
"""What carries out the commands of the tables."""


def parser() -> Line:
    """Return the command line."""
    about = (__doc__ or "").split(":", 1)[1].strip().replace("\n\n", " ")
    line = Line("reproduce", about[0].upper() + about[1:])
    add = line.option
    add("tables", nargs="*", metavar="TABLE", help="names of tables (default: all; --list shows them)")
    add("--list", action="store_true", help="list the tables with the number of their values, and stop")
    mode = line.either()
    mode.add_argument("--quick", action="store_true", help="score 40 architectures, batch 16, without costly proxies")
    mode.add_argument("--full", action="store_true", help="score the whole space under the protocol of each table")
    about_runs = "folders of finished runs of one target: a table of their proxies with published values"
    mode.add_argument("--run", type=Path, nargs="+", metavar="DIR", default=[], help=about_runs)
    add("--data", help="folder of ground truth and images (default: the variable NAS_HARNESS_DATA)")
    add("--out", type=Path, help="folder to write to (default: a name for each set of settings under results/runs/;"
        " with --run: the first run's)")  # fmt: skip
    about = "if --out holds a result: resume (default: one of equal settings is made again), replace, refuse"
    add("--existing", choices=EXISTING, default="resume", metavar="EXISTING", help=about)
    return line


def main(argv: list[str] | None = None) -> int:
    """Reproduce; return the exit code: 0 done, 2 input that cannot be used, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["hnas"]:
        return hnas(words[1:])
    settings = parser().arguments(words)
    options = SimpleNamespace(**settings)

    def action() -> None:
        if options.run and (options.tables or options.list):
            raise UserError("--run compares stored runs with all published values: leave TABLE and --list out")
        tables = choose(options.tables)
        if options.list:
            print(listing(tables))
        elif options.run:
            from harness.reproduce.stored_runs import write_comparison

            print(write_comparison(options.run, options.out or options.run[0], options.data))
        else:
            _reproduce(tables, settings)

    return carry_out("nas-harness reproduce", action, "stopped; runs are kept and continue: repeat the command")


def _reproduce(tables: list[Recipe], settings: dict[str, Any]) -> None:
    from harness.report.result import result_folder
    from harness.reproduce.compare import reproduce
    from harness.reproduce.page import summary
    from harness.reproduce.score_sets import FULL, QUICK
    from harness.reproduce.write import KIND, write

    quick, full = settings["quick"], settings["full"]
    mode, scoring = ("quick", QUICK) if quick else ("full", FULL) if full else ("kept scores", None)
    own = settings["tables"] and {"tables": settings["tables"]}
    words = ["reproduction", mode.replace("kept scores", "") or None]
    out = result_folder(settings["out"], words, KIND, settings=own or None, ignore=None)
    check_existing(out, "reproduce", settings)
    made = reproduce(tables, data=settings["data"], out=out, scoring=scoring, commands=COMMANDS, say=say)
    page = write(made, tables, mode, out)
    keep_config(out, "reproduce", settings)
    print(f"{summary(made.rows)}\n\nwritten to {page}")


def listing(tables: list[Recipe]) -> str:
    """Return one line for each table, and the number of values."""
    lines = [f"{'table':24}  {'kind':11}  {'values':>7}  source"]
    for table in tables:
        count = len(table.values) or table.count or "–"
        lines.append(f"{table.name:24}  {table.kind:11}  {count:>7}  {table.title}")
    values = sum(len(table.values) for table in tables)
    return "\n".join([*lines, "", f"{values:,} values that can be compared where the tables' files are there."])
